package ams

import (
	"slices"
	"strings"
)

// nativeABIs are the ABIs that a machine of an architecture executes, the
// preferred one first.
func nativeABIs(architecture string) []string {
	switch architecture {
	case "x86_64", "amd64":
		return []string{"x86_64", "x86"}
	case "aarch64", "arm64":
		return []string{"arm64-v8a", "armeabi-v7a", "armeabi"}
	case "armv7l", "armhf":
		return []string{"armeabi-v7a", "armeabi"}
	}
	return nil
}

// abi chooses the ABI that the application is installed for: the one that the
// setting application.default_abi prefers, if the APK and the instance both have
// it, or else the machine's best, or else one that an addon supports. An APK
// without native code runs with any. One that nothing executes is ErrInvalid.
func (c *change) abi(m *Manager, app *Application, in *inputs) (string, error) {
	preferred, err := m.Settings.text(c, "application.default_abi")
	if err != nil {
		return "", err
	}
	able := nativeABIs(in.image.Architecture)
	for _, use := range in.addons {
		addon, err := c.Addons().Get(use.Name)
		if err != nil {
			return "", err
		}
		for _, v := range addon.Versions {
			if v.Number == use.Version {
				able = union(able, v.ABISupport)
			}
		}
	}
	has := app.APK.ABIs
	runs := func(abi string) bool {
		return slices.Contains(able, abi) && (len(has) == 0 || slices.Contains(has, abi))
	}
	if runs(preferred) {
		return preferred, nil
	}
	if i := slices.IndexFunc(able, runs); i >= 0 {
		return able[i], nil
	}
	if len(has) == 0 {
		return "", nil // an architecture we do not know
	}
	return "", Errorf(ErrInvalid, "app.apk supports %s; image %q is %s", strings.Join(has, ", "), in.image.Name, in.image.Architecture)
}
