package android

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

func TestPlan(t *testing.T) {
	v := &ams.Version{
		Manifest: ams.Manifest{
			Name:                "candy",
			BootActivity:        "com.example.Main",
			RequiredPermissions: []string{"android.permission.CAMERA", "android.permission.RECORD_AUDIO"},
			Hooks:               ams.Hooks{Timeout: "90s"},
			Bootstrap:           ams.Bootstrap{Keep: []string{"a/[^b]"}},
			ExtraData: map[string]ams.ExtraData{
				"main.obb": {Target: "/sdcard/Android/obb/com.example"},
				"lib":      {Target: "/data/app/com.example-1/lib/", Owner: "1000:1000", Permissions: "0640"},
				"state":    {Target: "/data/data/com.example"},
			},
		},
		APK: ams.APKInfo{Package: "com.example", MainActivity: ".Other"},
	}
	run := ams.GuestRun{Phase: ams.PhaseBootstrap, Instance: ams.Instance{Base: true}, Version: v, Addons: []ams.GuestAddon{
		{Name: "one"}, {Name: "two", HookTimeout: time.Minute},
	}}
	plan, err := newPlan(run, New(Options{}).opts)
	require.NoError(t, err)
	want := `type base
limits 600 300
boot com.example com.example.Main
package com.example
grant android.permission.CAMERA
grant android.permission.RECORD_AUDIO
data lib /data/app/com.example-1/lib 1000:1000 0640 0750
data main.obb /sdcard/Android/obb/com.example package:1015 0660 0771
data state /data/data/com.example package:package 0660 0770
keep a/[!b]
addon one 
addon two 
hook install addon one addons/one install 300
hook install addon two addons/two install 60
hook pre-start addon one addons/one pre-start 300
hook pre-start addon two addons/two pre-start 60
hook pre-start application app pre-start 90
hook post-start addon one addons/one prepare 300
hook post-start addon one addons/one post-start 300
hook post-start addon two addons/two prepare 60
hook post-start addon two addons/two post-start 60
hook post-start application app post-start 90
hook post-stop application app post-stop 90
hook post-stop addon two addons/two post-stop 60
hook post-stop addon one addons/one post-stop 300
`
	require.Equal(t, want, strings.ReplaceAll(string(plan), "\t", " "))

	v.Manifest.RequiredPermissions = []string{"*"}
	plan, err = newPlan(run, New(Options{}).opts)
	require.NoError(t, err)
	require.Contains(t, string(plan), "\ngrant-all\n")

	v.Manifest.BootPackage = "com.other"
	v.Manifest.BootActivity = ""
	run.Phase = ams.PhaseStart
	plan, err = newPlan(run, New(Options{}).opts)
	require.NoError(t, err)
	require.Contains(t, string(plan), "\nboot\tcom.other\t\n", "the activity of another package")

	run.SecurityUpdates = true
	for mirror, want := range map[string]string{
		"": "security\t\n", "http://m.example.org/": "security\thttp://m.example.org\n",
		"https://[::1]:80/a%20b//": "security\thttps://[::1]:80/a%20b\n",
	} {
		run.Phase, run.AptMirror = ams.PhaseBootstrap, mirror
		plan, err = newPlan(run, New(Options{}).opts)
		require.NoError(t, err)
		require.Contains(t, string(plan), want)
		run.Phase = ams.PhaseStart
		plan, err = newPlan(run, New(Options{}).opts)
		require.NoError(t, err)
		require.NotContains(t, string(plan), "security")
	}
	for _, mirror := range []string{"m.example.org", "ftp://m.example.org/", "http://", "http:///x", "http://m/a b", "http://m/a&b", `http://m/a\b`, "http://m/\nx"} {
		run.Phase, run.AptMirror = ams.PhaseBootstrap, mirror
		_, err = newPlan(run, New(Options{}).opts)
		require.ErrorIs(t, err, ams.ErrInvalid, "%q", mirror)
	}
	run.SecurityUpdates = false

	for _, name := range []string{"a\tb", "a\nb", "a\x00b", "a\u0085b"} {
		run.Phase = ams.PhaseBootstrap
		v.Manifest.ExtraData = map[string]ams.ExtraData{name: {Target: "/data/data/com.example"}}
		_, err = newPlan(run, New(Options{}).opts)
		require.ErrorIs(t, err, ams.ErrInvalid, "%q", name)
	}
}

func TestStepReader(t *testing.T) {
	var got []ams.GuestStep
	r := &stepReader{report: func(s ams.GuestStep) { got = append(got, s) }}
	in := `noise
{"step":"one","state":"begin"}
` + strings.Repeat("x", maxLine+1) + `
{"step":"one","state":"end","exit":0}
{"step":"two","state":"fail","exit":0,"tail":"` + strings.Repeat("y", 2*maxTail) + `"}
{"step":"three","state":"fail","exit":2}
{"step":"cut off","state":"begin"}`
	for _, c := range []byte(in) {
		n, err := r.Write([]byte{c})
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
	require.Equal(t, []ams.GuestStep{
		{Name: "one"}, {Name: "one", Ended: true},
		{Name: "two", Ended: true, Exit: 1, Tail: strings.Repeat("y", maxTail)},
		{Name: "three", Ended: true, Exit: 2},
	}, got)
	require.ErrorIs(t, r.failed, ams.ErrFailed)
	require.True(t, strings.HasPrefix(r.failed.Error(), "two exited with code 1: yyy"))
}
