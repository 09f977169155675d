package client

import (
	"context"
	"io"
	"net/http"
	"strconv"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

// Addons is the service for addons; see ams.Addons.
type Addons struct{ c *Client }

func addon(a *api.Addon) ams.Addon {
	out := ams.Addon{Name: a.Name}
	for _, v := range a.Versions {
		out.Versions = append(out.Versions, ams.AddonVersion{
			Number: v.Version, Package: ams.BlobInfo{Digest: v.Fingerprint, Size: v.Size}, CreatedAt: fromUnix(v.CreatedAt),
		})
		out.NextVersion = max(out.NextVersion, v.Version+1)
	}
	return out
}

// Add makes an addon from a package; see ams.Addons.
func (s *Addons) Add(ctx context.Context, name string, pkg io.Reader, opts ams.AddonOptions) (ams.Operation, error) {
	return s.c.begin(ctx, call{method: http.MethodPost, path: "/addons", file: pkg, digest: opts.Digest, about: api.AddonsPost{Name: name}})
}

// Update makes a new version of an addon from a package; see ams.Addons.
func (s *Addons) Update(ctx context.Context, name string, pkg io.Reader, opts ams.AddonOptions) (ams.Operation, error) {
	return s.c.begin(ctx, call{method: http.MethodPatch, path: path("addons", name), file: pkg, digest: opts.Digest})
}

// Get returns an addon, or ErrNotFound.
func (s *Addons) Get(ctx context.Context, name string) (ams.Addon, error) {
	var a api.Addon
	if _, err := s.c.get(ctx, path("addons", name), nil, &a); err != nil {
		return ams.Addon{}, err
	}
	return addon(&a), nil
}

// List returns the addons that match the filter in order of name, cut to the page, and
// how many match in all.
func (s *Addons) List(ctx context.Context, filter ams.AddonFilter, page ams.Page) ([]ams.Addon, int, error) {
	var shown []api.Addon
	if _, err := s.c.get(ctx, "/addons", listQuery(ams.Page{}), &shown); err != nil {
		return nil, 0, err
	}
	list := []ams.Addon{}
	for i := range shown {
		if filter.Name == "" || filter.Name == shown[i].Name {
			list = append(list, addon(&shown[i]))
		}
	}
	return cut(list, page), len(list), nil
}

// UsedBy returns the names of the applications that use an addon.
func (s *Addons) UsedBy(ctx context.Context, name string) ([]string, error) {
	var a api.Addon
	_, err := s.c.get(ctx, path("addons", name), nil, &a)
	return a.UsedBy, err
}

// Delete deletes an addon; see ams.Addons.
func (s *Addons) Delete(ctx context.Context, name string) (ams.Operation, error) {
	return s.c.begin(ctx, call{method: http.MethodDelete, path: path("addons", name)})
}

// DeleteVersion deletes a version of an addon; see ams.Addons.
func (s *Addons) DeleteVersion(ctx context.Context, name string, number int) (ams.Operation, error) {
	return s.c.begin(ctx, call{method: http.MethodDelete, path: path("addons", name, strconv.Itoa(number))})
}
