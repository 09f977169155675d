package ams_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/go-multierror"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
)

// TestManifestsRefused compares the message for each bad manifest, at whatever
// point it shows, with testdata/golden/manifests-refused.txt; go test -update
// rewrites the file.
func TestManifestsRefused(t *testing.T) {
	var got strings.Builder
	note := func(t *testing.T, name, input string, err error) {
		require.Less(t, len(err.Error()), 16<<10)
		fmt.Fprintf(&got, "== %s: %s\n%s\n", name, abridged(input, 400), err)
	}
	inFields := func(t *testing.T, name, input string, err error) {
		var all *multierror.Error
		require.ErrorIs(t, err, ams.ErrInvalid, name)
		require.ErrorAs(t, err, &all, name)
		for _, one := range all.Errors {
			var field *ams.FieldError
			require.ErrorAs(t, one, &field)
			require.NotEmpty(t, field.Rule)
			require.LessOrEqual(t, len(field.Found), 64+len("…"))
		}
		note(t, name, input, err)
	}
	for _, c := range ams.BadManifests() {
		m, err := ams.ParseManifest([]byte(c.Text))
		require.Nil(t, m, c.Name)
		inFields(t, c.Name, c.Text, err)
	}

	// What an app.apk, or that there is none, makes wrong.
	for _, c := range []struct{ name, apk, text string }{
		{"activity without package", "", "boot-activity: .Main"},
		{"extra data without package", "", "extra-data: {a: {target: /data/data/a.b}}"},
		{"boot package of another", "c.d", "boot-package: a.b"},
		{"target of another", "c.d", "extra-data: {a: {target: /data/data/a.b/x}}"},
		{"target of another on the card", "c.d", "extra-data: {a: {target: /sdcard/Android/obb/c.de}}"},
		{"target of another app directory", "c.d", "extra-data: {a: {target: /data/app/c.d2/lib}}"},
		{"target of another than the boot package", "", "boot-package: c.d\nextra-data: {a: {target: /data/data/a.b}}"},
	} {
		m, err := ams.ParseManifest([]byte("name: abc\n" + c.text))
		require.NoError(t, err, c.name)
		inFields(t, fmt.Sprintf("%s, app.apk %q", c.name, c.apk), c.text, m.CheckPackage(c.apk))
	}

	// What a file cannot say.
	var services []ams.Service
	for i := range 1001 {
		services = append(services, ams.Service{Port: i + 1, Protocols: []string{"tcp"}})
	}
	for _, c := range []struct {
		name string
		m    ams.Manifest
	}{
		{"numbers", ams.Manifest{Name: "abc", Resources: ams.Resources{CPUs: -1, Memory: -1, DiskSize: 1, GPUSlots: new(-1), VPUSlots: new(-1)}}},
		{"ports", ams.Manifest{Name: "abc", Services: []ams.Service{{Port: -1, PortEnd: -1, Protocols: []string{"tcp"}}}}},
		{"bytes", ams.Manifest{Name: "abc", Version: "\xff", Tags: []string{"\xff"}, Features: []string{"\xff"}}},
		{"long lists", ams.Manifest{Name: "abc", Tags: make([]string, 1001), Services: services}},
	} {
		inFields(t, "no file, "+c.name, "", c.m.Validate())
	}

	// What shows only where there are images, addons, nodes and other applications.
	bubble(t, fake.Options{}, func(t *testing.T, w *world) {
		w.application("taken")
		op, err := w.Images.Add(w.ctx, "broken", fakeImage("not an image"), ams.ImageOptions{})
		w.fails(ams.ErrInvalid, op, err)
		for _, c := range []struct {
			name, text string
			code       ams.Code
		}{
			{"name of another", "name: taken", ams.ErrExists},
			{"no such image", "name: abc\nimage: nosuch", ams.ErrNotFound},
			{"image not ready", "name: abc\nimage: broken", ams.ErrState},
			{"more than any node has", "name: abc\nresources: {cpus: 1000}", ams.ErrNoCapacity},
			{"extra data not there", "name: abc\nboot-package: a.b\nextra-data: {x.obb: {target: /data/data/a.b}}", ams.ErrInvalid},
		} {
			_, err := w.Applications.Create(w.ctx, pkg(c.text), ams.CreateOptions{})
			require.ErrorIs(t, err, c.code, c.name)
			note(t, "creating, "+c.name, c.text, err)
		}
	})
	compareGolden(t, "manifests-refused.txt", got.String())
}
