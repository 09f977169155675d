package e2e_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/openams/ams"
	"github.com/openams/ams/internal/lxdtest"
)

const everything = `
name: everything
version: "7.1"
instance-type: a4.3
resources: {memory: 4GB, disk-size: 5GB, no-disk-reserve: true}
image: other
addons: [first, second]
tags: [game, demo]
boot-package: org.openams.hello
boot-activity: org.openams.hello.Other
required-permissions: [android.permission.CAMERA]
video-encoder: gpu-preferred
watchdog: {disabled: true, allowed-packages: [com.android.settings]}
services:
- {name: web, port: 8000, port-end: 8010, protocols: [tcp, udp], expose: true}
extra-data:
  level.obb: {target: /sdcard/Android/obb/org.openams.hello}
  saves: {target: /data/data/org.openams.hello, owner: "1000:1001", permissions: "0640"}
hooks: {timeout: 2s}
bootstrap: {keep: ["docs/*.txt"]}
features: [enable_wifi]
node-selector: [fast]
`

const several = `
name: several
resources: {cpus: 1}
required-permissions: ['*']
abi: arm64-v8a
`

// hangOnRequest hangs where the user data says so.
const hangOnRequest = `#!/bin/sh
if grep -q "hang in the hook" "$ANBOX_DIR/userdata" 2>/dev/null; then sleep 1000; fi
`

// TestEveryManifestField walks every field of a manifest from YAML to what it does
// in LXD: seen from inside an instance, in LXD's configuration of it, or as LXD's
// cluster refusing what it does not have.
func TestEveryManifestField(t *testing.T) {
	w := newWorld(t, lxdtest.Require(t))
	w.wait(w.Images.Add(w.ctx, "other", imageWith(t, "the other image"), ams.ImageOptions{}))
	for _, name := range []string{"first", "second"} {
		w.wait(w.Addons.Add(w.ctx, name, pack(t, "manifest.yaml", "name: "+name,
			"hooks/pre-start", "#!/bin/sh\necho "+name+" in $INSTANCE_TYPE >>/etc/addons-seen\n"), ams.AddonOptions{}))
	}
	w.wait(w.Applications.Create(w.ctx, pack(t, "manifest.yaml", everything, "app.apk", helloAPK,
		"extra-data/level.obb", "level", "extra-data/saves/one", "1", "docs/a.txt", "a", "docs/b.md", "b", "junk", "c",
		"hooks/pre-start", hangOnRequest), ams.CreateOptions{}))
	w.wait(w.Applications.Create(w.ctx, pack(t, "manifest.yaml", several, "app.apk", nativeAPK), ams.CreateOptions{}))

	nodes, _, err := w.Nodes.List(w.ctx, ams.NodeFilter{}, ams.Page{})
	require.NoError(t, err)
	_, err = w.Instances.Launch(w.ctx, ams.LaunchRequest{Application: "everything"})
	require.ErrorIs(t, err, ams.ErrNoCapacity)
	require.ErrorContains(t, err, `has no tag "fast"`)
	require.NoError(t, w.Nodes.Set(w.ctx, nodes[0].Name, ams.NodePatch{Tags: []string{"fast"}}))
	before := w.node(nodes[0].Name).Used
	in := w.launch(ams.LaunchRequest{Application: "everything", Name: "everything", Features: []string{"own"}})
	w.launch(ams.LaunchRequest{Application: "several", Name: "several"})

	record, _, err := w.client.GetInstance("ams-" + in.ID)
	require.NoError(t, err)
	var session map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(w.sh("everything", "cat /var/lib/anbox/session.yaml")), &session))
	var manifest map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(w.sh("everything", "cat /var/lib/anbox/app/manifest.yaml")), &manifest))
	journal := w.sh("everything", "cat /var/lib/anbox-test/journal")

	service := map[string]any{"name": "web", "port": 8000, "port-end": 8010, "protocols": []any{"tcp", "udp"}, "expose": true}
	refused := func(t *testing.T, manifest, reason string) {
		t.Helper()
		_, err := w.Applications.Create(w.ctx, pack(t, "manifest.yaml", "name: refused\n"+manifest), ams.CreateOptions{})
		require.ErrorIs(t, err, ams.ErrNoCapacity)
		require.ErrorContains(t, err, reason)
	}
	equal := func(want, have any) func(*testing.T) {
		return func(t *testing.T) { require.Equal(t, want, have) }
	}
	inside := func(want, line string) func(*testing.T) {
		return func(t *testing.T) { require.Equal(t, want, w.sh("everything", line)) }
	}
	proofs := map[string]func(*testing.T){
		"name":    equal("everything", record.Config["user.ams.label.application"]),
		"version": equal("7.1", session["manifest-version"]),
		"instance-type": func(t *testing.T) {
			require.Equal(t, "400ms/100ms", record.Config["limits.cpu.allowance"], "4 CPUs by the type")
		},
		"resources.cpus": func(t *testing.T) {
			in, _, err := w.client.GetInstance("ams-" + w.instance("several").ID)
			require.NoError(t, err)
			require.Equal(t, "100ms/100ms", in.Config["limits.cpu.allowance"])
		},
		"resources.memory":    equal("4294967296", record.Config["limits.memory"]),
		"resources.disk-size": equal("5368709120", record.Devices["root"]["size"]),
		"resources.gpu-slots": func(t *testing.T) { refused(t, "resources: {gpu-slots: 1}", "has 0 GPU slots") },
		"resources.vpu-slots": func(t *testing.T) { refused(t, "resources: {vpu-slots: 1}", "has 0 VPU slots") },
		"resources.gpu-type":  func(t *testing.T) { refused(t, "resources: {gpu-type: nvidia}", "has no GPU of type nvidia") },
		"resources.no-disk-reserve": func(t *testing.T) {
			several := w.instance("several")
			require.Equal(t, before.Disk+several.Charged.Disk, w.node(nodes[0].Name).Used.Disk, "only the other instance's disk is reserved")
		},
		"image":        inside("the other image", "cat /etc/made-from"),
		"addons":       inside("first in base\nsecond in base\nfirst in regular\nsecond in regular\n", "cat /etc/addons-seen"),
		"tags":         equal([]any{"game", "demo"}, manifest["tags"]),
		"boot-package": inside("org.openams.hello/org.openams.hello.Other\n", "cat /run/android"),
		"boot-activity": func(t *testing.T) {
			require.Contains(t, journal, "am start -n org.openams.hello/org.openams.hello.Other")
		},
		"required-permissions": func(t *testing.T) {
			require.Contains(t, journal, "pm grant org.openams.hello android.permission.CAMERA")
			require.NotContains(t, journal, "INTERNET", "only what is listed")
			require.NotContains(t, journal, "pm install -r -g")
			require.Contains(t, w.sh("several", "cat /var/lib/anbox-test/journal"), "pm install -r -g", "all that it requests")
		},
		"video-encoder": func(t *testing.T) {
			require.Equal(t, "software", session["video-encoder"], "there is no GPU to prefer")
			refused(t, "video-encoder: gpu", "has 0 encoder slots")
		},
		"watchdog.disabled":         equal(true, session["watchdog"].(map[string]any)["disabled"]),
		"watchdog.allowed-packages": equal([]any{"com.android.settings"}, session["watchdog"].(map[string]any)["allowed-packages"]),
		"services[].name":           equal(service, session["services"].([]any)[0]),
		"services[].port":           equal(service, session["services"].([]any)[0]),
		"services[].port-end":       equal(service, session["services"].([]any)[0]),
		"services[].protocols":      equal(service, session["services"].([]any)[0]),
		"services[].expose":         equal(service, session["services"].([]any)[0]),
		"extra-data.<name>.target": func(t *testing.T) {
			owner := strings.TrimSpace(w.sh("everything", "stat -c %u /data/data/org.openams.hello"))
			require.Equal(t, owner+":1015 660\n", w.sh("everything", "stat -c '%u:%g %a' /sdcard/Android/obb/org.openams.hello/level.obb"))
		},
		"extra-data.<name>.owner":       inside("1000:1001\n", "stat -c %u:%g /data/data/org.openams.hello/saves/one"),
		"extra-data.<name>.permissions": inside("750 640\n", "echo $(stat -c %a /data/data/org.openams.hello/saves /data/data/org.openams.hello/saves/one)"),
		"hooks.timeout": func(t *testing.T) {
			op, err := w.Instances.Launch(w.ctx, ams.LaunchRequest{Application: "everything", Name: "hangs", UserData: "hang in the hook"})
			require.Contains(t, w.fails(ams.ErrFailed, op, err), "timed out after 2 seconds")
		},
		"bootstrap.keep": inside("docs/a.txt\nhooks/pre-start\nmanifest.yaml\n", "cd /var/lib/anbox/app && find . -type f | sed s,./,, | sort"),
		"features":       equal([]any{"enable_wifi", "own"}, session["features"]),
		"node-selector":  equal("fast", w.node(in.Node).Tags[0]),
		"abi": func(t *testing.T) {
			require.Contains(t, w.sh("several", "cat /var/lib/anbox-test/journal"), "--abi x86_64", "what the image runs, whatever the package says")
			require.Equal(t, "x86_64", manifest["abi"])
		},
	}
	var fields []string
	for _, f := range ams.ManifestFields() {
		fields = append(fields, f.Path)
	}
	for path, proof := range proofs {
		require.Contains(t, fields, path)
		t.Run(path, proof)
	}
	for _, path := range fields {
		_, proved := proofs[path]
		for p := range proofs { // a mapping or list is proved by what is in it
			proved = proved || strings.HasPrefix(p, path+".") || strings.HasPrefix(p, path+"[")
		}
		require.True(t, proved, "no proof of %s", path)
	}
}

func (w *world) node(name string) ams.Node {
	w.t.Helper()
	n, err := w.Nodes.Get(w.ctx, name)
	require.NoError(w.t, err)
	return n
}
