package ams_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
)

func TestApplicationsRefused(t *testing.T) {
	var golden strings.Builder
	bubble(t, slow, func(t *testing.T, w *world) {
		refuse := func(what string, err error) {
			require.Error(t, err, what)
			fmt.Fprintf(&golden, "%s: %s: %s\n", what, ams.CodeOf(err), err)
		}
		op := func(_ ams.Operation, err error) error { return err }
		create := func(manifest string, opts ams.CreateOptions) error {
			return op(w.Applications.Create(w.ctx, pkg(manifest), opts))
		}
		set := func(p ams.ApplicationPatch) error { return op(w.Applications.Set(w.ctx, "candy", p)) }
		refuse("no image", create("name: candy", ams.CreateOptions{}))
		w.application("candy")
		w.wait(w.Images.Add(w.ctx, "phones", fakeImage("architecture: aarch64"), ams.ImageOptions{}))
		w.wait(w.Images.Add(w.ctx, "machines", fakeImage("vm"), ams.ImageOptions{VM: true}))
		refuse("a name that is taken", create("name: candy", ams.CreateOptions{}))
		refuse("an image there is not", create("name: other\nimage: none", ams.CreateOptions{}))
		refuse("an image of the other kind", create("name: other\nimage: machines", ams.CreateOptions{}))
		refuse("an architecture no node has", create("name: other\nimage: phones", ams.CreateOptions{}))
		refuse("an addon there is not", create("name: other\naddons: [none]", ams.CreateOptions{}))
		refuse("more than any node has", create("name: other\nresources: {cpus: 1000}", ams.CreateOptions{}))
		refuse("a GPU", create("name: other\ninstance-type: g2.3", ams.CreateOptions{}))
		refuse("an encoder", create("name: other\nvideo-encoder: gpu", ams.CreateOptions{}))
		refuse("another checksum", create("name: other", ams.CreateOptions{Digest: strings.Repeat("0", 64)}))
		refuse("an APK for other machines", op(w.Applications.Create(w.ctx, apkFor(t, "name: other", "arm64-v8a"), ams.CreateOptions{})))
		refuse("an update of nothing", op(w.Applications.Update(w.ctx, "none", pkg("name: none"), ams.CreateOptions{})))
		refuse("an update under another name", op(w.Applications.Update(w.ctx, "candy", pkg("name: other"), ams.CreateOptions{})))
		refuse("a refresh of nothing", op(w.Applications.Refresh(w.ctx, "none")))
		refuse("publishing a version there is not", w.Applications.Publish(w.ctx, "candy", 7))
		refuse("revoking a version of nothing", w.Applications.Revoke(w.ctx, "none", 0))
		refuse("deletion of the only version", op(w.Applications.DeleteVersion(w.ctx, "candy", 0)))
		refuse("deletion of a version there is not", op(w.Applications.DeleteVersion(w.ctx, "candy", 7)))
		refuse("deletion of nothing", op(w.Applications.Delete(w.ctx, "none", true)))
		refuse("setting an image there is not", set(ams.ApplicationPatch{Image: ptr("none")}))
		refuse("setting an image of the other kind", set(ams.ApplicationPatch{Image: ptr("machines")}))
		refuse("setting an addon there is not", set(ams.ApplicationPatch{Addons: []string{"none"}}))
		refuse("setting several things", set(ams.ApplicationPatch{
			InstanceType: ptr("z1"), Tags: []string{"a,b", ""}, Resources: ams.ResourcesPatch{CPUs: ptr(-1), Memory: ptr(ams.Megabyte), GPUSlots: ptr(-2), GPUType: ptr("voodoo")},
			VideoEncoder: ptr(ams.VideoEncoder("tape")), Features: []string{"a b"}, Hooks: &ams.Hooks{Timeout: "16m"}, Bootstrap: &ams.Bootstrap{Keep: []string{"[a"}},
			Services: []ams.Service{{Port: 70000, Protocols: []string{"tcp"}}}, BootActivity: ptr("x"), RequiredPermissions: []string{"*", "a.b"},
			Watchdog: &ams.Watchdog{AllowedPackages: []string{"x"}}, Version: ptr(strings.Repeat("x", 51)), NodeSelector: []string{"a,b"},
		}))
		w.fake.FailGuest(fake.GuestFault{Phase: ams.PhaseBootstrap, Tail: "reason"})
		failed, err := w.Applications.Update(w.ctx, "candy", pkg("name: candy"), ams.CreateOptions{})
		w.fails(ams.ErrFailed, failed, err)
		w.fake.HealGuest()
		refuse("publishing a version that failed", w.Applications.Publish(w.ctx, "candy", 1))
		_, err = w.Applications.Export(w.ctx, "candy", 1)
		refuse("export of a version that failed", err)
		_, err = w.Instances.Launch(w.ctx, ams.LaunchRequest{Application: "candy", Version: ptr(1)})
		refuse("launch of a version that failed", err)
		require.NoError(t, w.Applications.Revoke(w.ctx, "candy", 0))
		_, err = w.Instances.Launch(w.ctx, ams.LaunchRequest{Application: "candy"})
		refuse("launch without a published version", err)
		w.launch(ams.LaunchRequest{Application: "candy", Version: ptr(0)})

		require.NoError(t, w.store.Update(w.ctx, func(tx ams.Tx) error { // as from a registry
			app, err := tx.Applications().List(ams.ApplicationFilter{Name: "candy"}, ams.Page{})
			if err != nil {
				return err
			}
			app[0].Immutable = true
			return tx.Applications().Put(app[0])
		}))
		refuse("setting what is immutable", set(ams.ApplicationPatch{Tags: []string{"x"}}))
		refuse("an update of what is immutable", op(w.Applications.Update(w.ctx, "candy", pkg("name: candy"), ams.CreateOptions{})))
		refuse("deletion of what is immutable", op(w.Applications.Delete(w.ctx, "candy", false)))
		begun, err := w.Applications.DeleteAll(w.ctx, []string{"candy", "none", "candy"}, true)
		require.Len(t, begun, 1)
		refuse("deletion of several", err)
		w.wait(begun[0], nil)
	})
	isGolden(t, "applications-refused.txt", golden.String())
}
