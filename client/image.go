package client

import (
	"context"
	"io"
	"net/http"
	"strconv"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

// Images is the service for images; see ams.Images.
type Images struct{ c *Client }

func image(i *api.Image) ams.Image {
	out := ams.Image{
		ID: i.ID, Name: i.Name, VM: i.Type == api.TypeVM, Default: i.Default, Architecture: i.Architecture, Variant: i.Variant,
		Immutable: i.Immutable, Status: ams.ImageStatus(i.Status),
	}
	if out.Variant == "unknown" {
		out.Variant = ""
	}
	for _, v := range i.Versions {
		out.Versions = append(out.Versions, ams.ImageVersion{
			Number: v.Version, Status: ams.ImageStatus(v.Status), ErrorMessage: v.ErrorMessage, Fingerprint: v.Fingerprint, Size: v.Size,
			CreatedAt: fromUnix(v.CreatedAt), RemoteID: v.RemoteID,
		})
		out.NextVersion = max(out.NextVersion, v.Version+1)
	}
	if len(out.Versions) > 0 {
		out.CreatedAt = out.Versions[0].CreatedAt
	}
	return out
}

// imageType is what kind of image is meant; containers unless vm.
func imageType(vm bool) string {
	if vm {
		return api.TypeVM
	}
	return api.TypeContainer
}

// Add adds an image from a file; see ams.Images.
func (s *Images) Add(ctx context.Context, name string, file io.Reader, opts ams.ImageOptions) (ams.Operation, error) {
	if opts.Rootfs != nil {
		return ams.Operation{}, ams.Errorf(ams.ErrUnsupported, "an image in two files is added where the service runs")
	}
	return s.c.begin(ctx, call{
		method: http.MethodPost, path: "/images", file: file, digest: opts.Digest,
		about: api.ImagesPost{Name: name, Default: opts.Default, Type: imageType(opts.VM)},
	})
}

// AddRemote adds an image of the image server; see ams.Images.
func (s *Images) AddRemote(ctx context.Context, name, remote string, opts ams.ImageOptions) (ams.Operation, error) {
	return s.c.begin(ctx, call{
		method: http.MethodPost, path: "/images", body: api.ImagesPost{Name: name, Path: remote, Default: opts.Default, Type: imageType(opts.VM)},
	})
}

// Publish makes an image of a stopped instance; see ams.Images.
func (s *Images) Publish(ctx context.Context, instance string, opts ams.PublishOptions) (ams.Operation, error) {
	return s.c.begin(ctx, call{method: http.MethodPost, path: "/images", body: api.ImagesPost{
		Name: opts.Name, Default: opts.Default, Source: &api.ImageSource{Type: api.SourceInstance, Instance: instance, Force: opts.Force},
	}})
}

// Update makes a new version from a file; see ams.Images.
func (s *Images) Update(ctx context.Context, idOrName string, file io.Reader, opts ams.ImageOptions) (ams.Operation, error) {
	return s.c.begin(ctx, call{
		method: http.MethodPatch, path: path("images", idOrName), file: file, digest: opts.Digest, about: api.ImagePatch{Default: given(opts.Default)},
	})
}

// Get returns an image, by id or name, or ErrNotFound.
func (s *Images) Get(ctx context.Context, idOrName string) (ams.Image, error) {
	var i api.Image
	if _, err := s.c.get(ctx, path("images", idOrName), nil, &i); err != nil {
		return ams.Image{}, err
	}
	return image(&i), nil
}

// List returns the images that match the filter in order of id, cut to the page, and how
// many match in all.
func (s *Images) List(ctx context.Context, filter ams.ImageFilter, page ams.Page) ([]ams.Image, int, error) {
	v := listQuery(ams.Page{})
	if filter.VM != nil {
		v.Set("type", imageType(*filter.VM))
	}
	var shown []api.Image
	if _, err := s.c.get(ctx, "/images", v, &shown); err != nil {
		return nil, 0, err
	}
	list := []ams.Image{}
	for i := range shown {
		im := image(&shown[i])
		if (filter.ID == "" || filter.ID == im.ID) && (filter.Name == "" || filter.Name == im.Name) &&
			(filter.Default == nil || *filter.Default == im.Default) && (len(filter.Status) == 0 || has(filter.Status, im.Status)) {
			list = append(list, im)
		}
	}
	return cut(list, page), len(list), nil
}

func has[T comparable](list []T, v T) bool {
	for _, have := range list {
		if have == v {
			return true
		}
	}
	return false
}

// cut returns a page of a list.
func cut[Row any](all []Row, page ams.Page) []Row {
	all = all[min(max(0, page.Offset), len(all)):]
	if page.Limit > 0 && len(all) > page.Limit {
		all = all[:page.Limit]
	}
	return all
}

// UsedBy returns the names of the applications that are built on an image.
func (s *Images) UsedBy(ctx context.Context, idOrName string) ([]string, error) {
	var i api.Image
	_, err := s.c.get(ctx, path("images", idOrName), nil, &i)
	return i.UsedBy, err
}

// SetDefault makes an image the one that is used where none is named.
func (s *Images) SetDefault(ctx context.Context, idOrName string) error {
	return s.c.finish(ctx, call{method: http.MethodPatch, path: path("images", idOrName), body: api.ImagePatch{Default: given(true)}})
}

// Sync fetches what the image server has; see ams.Images.
func (s *Images) Sync(ctx context.Context, idOrName string) (ams.Operation, error) {
	return s.c.begin(ctx, call{method: http.MethodPatch, path: path("images", idOrName), body: api.ImagePatch{ForceSync: true}})
}

// Delete deletes an image; see ams.Images.
func (s *Images) Delete(ctx context.Context, idOrName string, force bool) (ams.Operation, error) {
	return s.c.begin(ctx, call{method: http.MethodDelete, path: path("images", idOrName), body: api.Delete{Force: force}})
}

// DeleteVersion deletes a version of an image; see ams.Images.
func (s *Images) DeleteVersion(ctx context.Context, idOrName string, number int) (ams.Operation, error) {
	return s.c.begin(ctx, call{method: http.MethodDelete, path: path("images", idOrName, strconv.Itoa(number))})
}
