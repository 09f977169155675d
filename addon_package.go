package ams

import (
	"context"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/openams/ams/internal/archive"
)

// The hooks of an addon, and the names they had before release 1.12.
var addonHooks = []string{"pre-start", "post-start", "post-stop", "install", "prepare", "restore", "backup"}

// takeAddon stores an addon's package and checks all of it.
func (m *Manager) takeAddon(ctx context.Context, name string, r io.Reader, digest string) (AddonVersion, error) {
	blob, err := m.upload(ctx, r, m.cfg.MaxPackage, digest, "addon package")
	if err != nil {
		return AddonVersion{}, err
	}
	v := AddonVersion{Package: blob}
	var manifest *addonManifest
	nested := ""
	look := func(e archive.Entry) (func(io.Reader) error, error) {
		hook, ok := strings.CutPrefix(e.Name, "hooks/")
		switch {
		case e.Name == "manifest.yaml" && !e.Dir:
			return func(content io.Reader) error {
				data, err := io.ReadAll(io.LimitReader(content, maxYAMLSize+1))
				if err == nil {
					manifest, err = parseAddonManifest(data)
				}
				return err
			}, nil
		case path.Base(e.Name) == "manifest.yaml":
			nested = e.Name
		case ok && !e.Dir && slices.Contains(addonHooks, hook):
			v.Hooks = append(v.Hooks, hook)
		}
		return nil, hookFault(e, addonHooks)
	}
	err = m.openPackage(ctx, blob, func(a *archive.Archive) error { return a.Check(ctx, look) })
	switch {
	case err != nil:
		return v, err
	case manifest == nil && nested != "":
		return v, Errorf(ErrInvalid, "manifest.yaml is missing from the package: found %s; it must be at the top level", nested)
	case manifest == nil:
		return v, Errorf(ErrInvalid, "manifest.yaml is missing from the package")
	case manifest.name != name:
		return v, Errorf(ErrInvalid, "name %s in manifest.yaml differs from the addon's, %s", quote(manifest.name), quote(name))
	case len(v.Hooks) == 0:
		return v, Errorf(ErrInvalid, "the addon has no hook: there must be an executable file hooks/NAME, with NAME one of %s", strings.Join(addonHooks, ", "))
	}
	slices.Sort(v.Hooks)
	v.Description, v.ABISupport, v.HookTimeout = manifest.description, manifest.abiSupport, manifest.hookTimeout
	return v, nil
}
