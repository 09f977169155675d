package ams

import (
	"encoding/json"
	"errors"
	"flag"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-multierror"
	"github.com/stretchr/testify/require"
)

var updateGolden = flag.Bool("update", false, "rewrite the golden files")

const fullManifest = `
name: candy
version: 1.10
instance-type: a4.3
resources:
  cpus: 4
  memory: 4GB
  disk-size: 8GB
  gpu-slots: 0
  vpu-slots: 1
  gpu-type: nvidia
  no-disk-reserve: true
image: jammy:android13:amd64
addons: [ssh, my-addon]
tags: [game, created_by=anbox]
boot-package: com.canonical.candy
boot-activity: com.canonical.candy.GameApp
required-permissions:
  - android.permission.WRITE_EXTERNAL_STORAGE
video-encoder: gpu
watchdog:
  disabled: false
  allowed-packages: [com.android.settings]
services:
  - {name: adb, port: 5559, protocols: [tcp], expose: false}
  - {port: 9000, port_end: 9100, protocols: [tcp, udp], expose: true}
extra-data:
  com.canonical.candy.obb:
    target: /data/app/com.canonical.candy-1/lib
    owner: root:1000
    permissions: 0660
  game-data-folder:
    target: /sdcard/Android/data/com.canonical.candy/
hooks:
  timeout: 10m
bootstrap:
  keep: ['apks/*.apk', scripts]
features: [android.allow_custom_android_id, enable_wifi]
node-selector: [foo, gpu=nvidia]
abi: x86_64
`

func TestParseManifestReadsEveryField(t *testing.T) {
	m, err := ParseManifest([]byte(fullManifest))
	require.NoError(t, err)
	require.Equal(t, &Manifest{
		Name: "candy", Version: "1.10", InstanceType: "a4.3",
		Resources: Resources{CPUs: 4, Memory: 4 * Gigabyte, DiskSize: 8 * Gigabyte,
			GPUSlots: new(0), VPUSlots: new(1), GPUType: "nvidia", NoDiskReserve: true},
		Image: "jammy:android13:amd64", Addons: []string{"ssh", "my-addon"}, Tags: []string{"game", "created_by=anbox"},
		BootPackage: "com.canonical.candy", BootActivity: "com.canonical.candy.GameApp",
		RequiredPermissions: []string{"android.permission.WRITE_EXTERNAL_STORAGE"},
		VideoEncoder:        EncoderGPU,
		Watchdog:            Watchdog{AllowedPackages: []string{"com.android.settings"}},
		Services: []Service{
			{Name: "adb", Port: 5559, Protocols: []string{"tcp"}},
			{Port: 9000, PortEnd: 9100, Protocols: []string{"tcp", "udp"}, Expose: true}},
		ExtraData: map[string]ExtraData{
			"com.canonical.candy.obb": {Target: "/data/app/com.canonical.candy-1/lib", Owner: "root:1000", Permissions: "0660"},
			"game-data-folder":        {Target: "/sdcard/Android/data/com.canonical.candy/"}},
		Hooks: Hooks{Timeout: "10m"}, Bootstrap: Bootstrap{Keep: []string{"apks/*.apk", "scripts"}},
		Features: []string{"android.allow_custom_android_id", "enable_wifi"}, NodeSelector: []string{"foo", "gpu=nvidia"},
		ABI: "x86_64",
	}, m)
	require.NoError(t, m.CheckPackage("com.canonical.candy"))
	for field, value := range reflect.ValueOf(*m).Fields() {
		require.False(t, value.IsZero(), "fullManifest must set %s", field.Name)
	}

	printed, err := m.YAML()
	require.NoError(t, err)
	again, err := ParseManifest(printed)
	require.NoError(t, err, string(printed))
	require.Equal(t, m, again)

	stored, err := json.Marshal(m)
	require.NoError(t, err)
	require.Contains(t, string(stored), `"resources":{"cpus":4,"memory":"4GB","disk-size":"8GB","gpu-slots":0,`)
	var loaded Manifest
	require.NoError(t, json.Unmarshal(stored, &loaded))
	require.Equal(t, m, &loaded)
}

func TestParseManifestAccepts(t *testing.T) {
	for name, text := range map[string]string{
		"only a name":           "name: abc",
		"a number as a name":    "name: 2048",
		"nulls are unset":       "name: abc\nversion:\nresources: ~\ntags: null\nhooks: {timeout: }",
		"empty lists":           "name: abc\ntags: []\nservices: []\nextra-data: {}",
		"empty hook timeout":    "name: abc\nhooks: {timeout: ''}",
		"zero hook timeout":     "name: abc\nhooks: {timeout: 0s}",
		"any permission":        "name: abc\nrequired-permissions: ['*']",
		"any watchdog package":  "name: abc\nwatchdog: {allowed-packages: ['*']}",
		"only memory":           "name: abc\nresources: {memory: 4GB}",
		"relative activity":     "name: abc\nboot-activity: .ui.Main",
		"document end":          "---\nname: abc\n...\n",
		"windows lines":         "name: abc\r\nversion: x\r\n",
		"byte order mark":       "\ufeffname: abc",
		"50 letters":            "name: abc\nversion: " + strings.Repeat("é", 50),
		"exported by AMS":       "name: candy\nimage: default\ninstance-type: a2.3\nboot-package: com.x.y\nvideo-encoder: gpu-preferred\nwatchdog: {disabled: false, allowed-packages: []}\nabi: x86_64",
		"api spelling":          "name: abc\nresources: {no_disk_reserve: true}",
		"same port, other kind": "name: abc\nservices: [{port: 80, protocols: [tcp]}, {port: 80, protocols: [udp]}]",
	} {
		m, err := ParseManifest([]byte(text))
		require.NoError(t, err, name)
		require.NoError(t, m.Validate(), name)
	}
}

func TestParseManifestFieldErrors(t *testing.T) {
	_, err := ParseManifest([]byte("name: a b\nservices:\n- name: web\n  port: 0\n  protocols: [tcp]\n"))
	var all *multierror.Error
	require.True(t, errors.As(err, &all))
	require.Len(t, all.Errors, 2)
	var first, second *FieldError
	require.ErrorAs(t, all.Errors[0], &first)
	require.ErrorAs(t, all.Errors[1], &second)
	require.Equal(t, FieldError{Field: "name", Line: 1, Found: "a b", Rule: `name "a b" is not allowed: contains a space`}, *first)
	require.Equal(t, FieldError{Field: "services[0].port", Line: 4, Found: "0", Rule: "services[0].port 0 is out of range (1-65535)"}, *second)
}

func TestValidateWithoutFile(t *testing.T) {
	m := &Manifest{Name: "abc", Version: "a\nb", Resources: Resources{CPUs: -1, Memory: 1, DiskSize: Gigabyte, GPUSlots: new(-1), VPUSlots: new(-2)},
		Services: []Service{{Port: -1, Protocols: []string{"tcp"}}}, Tags: []string{"a\x00"}}
	err := m.Validate()
	require.ErrorIs(t, err, ErrInvalid)
	require.EqualError(t, err, `8 problems:
  * version "a\nb" is not allowed: contains a control character (0x0a)
  * resources.cpus must be a whole number of at least 1, got -1
  * resources.memory "1B" is below the minimum of 3GB
  * resources.disk-size "1GB" is below the minimum of 3GB
  * resources.gpu-slots must be 0 or more, got -1
  * resources.vpu-slots must be 0 or more, got -2
  * tag "a\x00" is not allowed: contains a control character (0x00)
  * services[0].port -1 is out of range (1-65535)`)
	_, err = m.YAML()
	require.ErrorIs(t, err, ErrInvalid)
}

func TestRequirements(t *testing.T) {
	const gb = Gigabyte
	for _, c := range []struct {
		name string
		m    Manifest
		vm   bool
		want Resources
	}{
		{"container preset", Manifest{}, false, Resources{CPUs: 2, Memory: 3 * gb, DiskSize: 3 * gb, GPUSlots: new(0)}},
		{"vm preset", Manifest{}, true, Resources{CPUs: 2, Memory: 3 * gb, DiskSize: 15 * gb, GPUSlots: new(0)}},
		{"type", Manifest{InstanceType: "g10.3"}, false, Resources{CPUs: 10, Memory: 3 * gb, DiskSize: 3 * gb, GPUSlots: new(1)}},
		{"part of a type", Manifest{InstanceType: "g4.3", Resources: Resources{Memory: 5 * gb, GPUSlots: new(0), GPUType: "amd"}}, false,
			Resources{CPUs: 4, Memory: 5 * gb, DiskSize: 3 * gb, GPUSlots: new(0), GPUType: "amd"}},
		{"complete resources ignore the type", Manifest{InstanceType: "g4.3", Resources: Resources{CPUs: 1, Memory: 4 * gb, DiskSize: 4 * gb}}, false,
			Resources{CPUs: 1, Memory: 4 * gb, DiskSize: 4 * gb, GPUSlots: new(0)}},
		{"only memory", Manifest{Resources: Resources{Memory: 4 * gb}}, true, Resources{CPUs: 2, Memory: 4 * gb, DiskSize: 15 * gb, GPUSlots: new(0)}},
		{"minimums", Manifest{Resources: Resources{CPUs: -3, Memory: 1, DiskSize: 1, NoDiskReserve: true}}, false,
			Resources{CPUs: 1, Memory: 3 * gb, DiskSize: 3 * gb, GPUSlots: new(0), NoDiskReserve: true}},
	} {
		c.want.VPUSlots = new(0)
		require.Equal(t, c.want, c.m.Requirements(c.vm), c.name)
	}
	m := Manifest{Resources: Resources{GPUSlots: new(1)}}
	*m.Requirements(false).GPUSlots = 7
	require.Equal(t, 1, *m.Resources.GPUSlots, "the manifest must not change")
}

func TestEncoderAndHookLimit(t *testing.T) {
	require.Equal(t, EncoderGPUPreferred, (&Manifest{}).Encoder(false))
	require.Equal(t, EncoderGPU, (&Manifest{VideoEncoder: EncoderGPU}).Encoder(false))
	require.Equal(t, EncoderSoftware, (&Manifest{VideoEncoder: EncoderGPU}).Encoder(true))
	require.Equal(t, 5*time.Minute, Hooks{}.Limit())
	require.Equal(t, 5*time.Minute, Hooks{Timeout: "0s"}.Limit())
	require.Equal(t, 15*time.Minute, Hooks{Timeout: "15m"}.Limit())
	require.Equal(t, 5*time.Minute, Hooks{Timeout: "16m"}.Limit())
}

func TestCheckPackage(t *testing.T) {
	target := func(s string) Manifest { return Manifest{ExtraData: map[string]ExtraData{"x": {Target: s}}} }
	const apk = "com.example.app"
	for _, c := range []struct {
		m    Manifest
		apk  string
		want string
	}{
		{Manifest{}, "", ""},
		{Manifest{BootActivity: ".Main"}, apk, ""},
		{Manifest{BootActivity: ".Main", BootPackage: "a.b"}, "", ""},
		{Manifest{BootActivity: ".Main"}, "", "boot-package is required when boot-activity is set and no app.apk is included"},
		{Manifest{BootPackage: "a.b"}, "c.d", `boot-package "a.b" differs from the APK's "c.d"`},
		{target("/data/data/" + apk), apk, ""},
		{target("/data/data/" + apk), "", "boot-package is required when extra-data is set and no app.apk is included"},
		{target("/sdcard/Android/obb/" + apk + "/"), apk, ""},
		{target("/data/app/" + apk + "-1/lib"), apk, ""},
		{target("/data/app/" + apk), apk, ""},
		{target("/data/app/" + apk + "2/lib"), apk,
			`extra-data "x": target "/data/app/com.example.app2/lib" is not allowed: it is not of the package "com.example.app"`},
		{target("/data/data/" + apk + "-1"), apk, `extra-data "x": target "/data/data/com.example.app-1" is not allowed: "com.example.app-1" is not a package name`},
		{target("/data/data/other.pkg/x"), apk, `extra-data "x": target "/data/data/other.pkg/x" is not allowed: it is not of the package "com.example.app"`},
		{target("/system/x"), apk, `extra-data "x": target "/system/x" is not allowed; ` + extraDataPlaces},
	} {
		err := c.m.CheckPackage(c.apk)
		if c.want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, ErrInvalid)
		require.EqualError(t, err, c.want)
	}
}
