package ams

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// Storage is the service that tells what occupies what.
type Storage struct{ m *Manager }

// Usage is what a Manager occupies.
type Usage struct {
	// Blobs are the files in the blob store, the largest first.
	Blobs []UsageItem
	// Images are the images in the backend, the largest first. The backend may
	// share parts of them, or compress them: this is what it reports.
	Images []UsageItem

	BlobBytes   int64 // all blobs together
	ImageBytes  int64 // all images together; one with several aliases counts once
	UnusedBytes int64 // what of both nothing refers to; it is swept in time
}

// UsageItem is one thing that occupies space.
type UsageItem struct {
	Kind  string // "package", "addon", "image file", "log"; "image", "application"; "unused"
	Owner string // who refers to it: "application candy, version 3"; the first of several
	ID    string // a blob's digest, an image's alias or fingerprint
	Size  int64  // bytes
}

const unused = "unused"

// Usage reports what occupies what. It reads all rows, lists the blobs and asks
// the backend for its images; without an ImageKeeper there are none.
func (s *Storage) Usage(ctx context.Context) (Usage, error) {
	var u Usage
	owners, err := s.m.owners(ctx)
	if err != nil {
		return u, err
	}
	err = s.m.blobs.List(ctx, func(b BlobInfo) error {
		item, ok := owners.blobs[b.Digest]
		if !ok {
			item = UsageItem{Kind: unused}
			u.UnusedBytes += b.Size
		}
		item.ID, item.Size = b.Digest, b.Size
		u.Blobs = append(u.Blobs, item)
		u.BlobBytes += b.Size
		return nil
	})
	if err != nil {
		return u, err
	}
	if err := s.images(ctx, owners, &u); err != nil {
		return u, err
	}
	largest := func(a, b UsageItem) int {
		return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.ID, b.ID))
	}
	slices.SortFunc(u.Blobs, largest)
	slices.SortFunc(u.Images, largest)
	return u, nil
}

func (s *Storage) images(ctx context.Context, owners *owners, u *Usage) error {
	keeper, ok := BackendAs[ImageKeeper](s.m.backend)
	if !ok {
		return nil
	}
	mark, err := s.m.cluster(ctx)
	if err != nil {
		return err
	}
	call, cancel := context.WithTimeout(ctx, s.m.cfg.CallTimeout)
	defer cancel()
	list, err := keeper.ListImages(call, mark)
	if err != nil {
		return err
	}
	counted, used := map[string]bool{}, map[string]bool{}
	for _, image := range list {
		_, ok := owners.images[image.Alias]
		used[image.Fingerprint] = used[image.Fingerprint] || ok
	}
	for _, image := range list {
		item, ok := owners.images[image.Alias]
		if !ok {
			item = UsageItem{Kind: unused}
		}
		item.ID, item.Size = cmp.Or(image.Alias, image.Fingerprint), image.Size
		u.Images = append(u.Images, item)
		if !counted[image.Fingerprint] {
			u.ImageBytes += image.Size
			if !used[image.Fingerprint] {
				u.UnusedBytes += image.Size
			}
		}
		counted[image.Fingerprint] = true
	}
	return nil
}

// owners is who refers to which blob, by digest, and to which image, by alias.
type owners struct {
	blobs, images map[string]UsageItem
}

func (o *owners) blob(digest, kind, owner string, args ...any) {
	if _, ok := o.blobs[digest]; !ok && digest != "" {
		o.blobs[digest] = UsageItem{Kind: kind, Owner: fmt.Sprintf(owner, args...)}
	}
}

func (o *owners) logs(files []LogFile, owner string) {
	for _, f := range files {
		o.blob(f.Digest, "log", "%s, %s", owner, f.Name)
	}
}

func (o *owners) uses(addons []AddonUse) {
	for _, use := range addons {
		o.blob(use.Package.Digest, "addon", "addon %s, version %d", use.Name, use.Version)
	}
}

// owners reads every row that refers to something.
func (m *Manager) owners(ctx context.Context) (*owners, error) {
	var o *owners
	err := m.view(ctx, func(tx Tx) error {
		o = &owners{blobs: map[string]UsageItem{}, images: map[string]UsageItem{}}
		addons, err := tx.Addons().List(AddonFilter{}, Page{})
		if err != nil {
			return err
		}
		for i := range addons {
			for k := range addons[i].Versions {
				o.uses([]AddonUse{addons[i].use(&addons[i].Versions[k])})
			}
		}
		if err := o.applications(tx); err != nil {
			return err
		}
		images, err := tx.Images().List(ImageFilter{}, Page{})
		if err != nil {
			return err
		}
		for i := range images {
			o.image(&images[i])
		}
		return o.instances(tx)
	})
	return o, err
}

// instances reads the instances in pages: there may be very many.
func (o *owners) instances(tx Tx) error {
	after := ""
	for {
		rows, err := tx.Instances().List(InstanceFilter{After: after}, Page{Limit: briefPage})
		if err != nil || len(rows) == 0 {
			return err
		}
		for i := range rows {
			o.logs(rows[i].Logs, "instance "+rows[i].Name)
			o.uses(rows[i].Addons)
		}
		after = rows[len(rows)-1].ID
	}
}

func (o *owners) applications(tx Tx) error {
	apps, err := tx.Applications().List(ApplicationFilter{}, Page{})
	if err != nil {
		return err
	}
	names := map[string]string{}
	for i := range apps {
		names[apps[i].ID] = apps[i].Name
		o.blob(apps[i].Package.Digest, "package", "application %s", apps[i].Name)
	}
	versions, err := tx.Versions().List(VersionFilter{}, Page{})
	for i := range versions {
		v := &versions[i]
		owner := fmt.Sprintf("application %s, version %d", names[v.ApplicationID], v.Number)
		o.images[imageAlias(v.ApplicationID, v.Number)] = UsageItem{Kind: "application", Owner: owner}
		o.blob(v.Package.Digest, "package", "%s", owner)
		o.logs(v.Logs, owner)
		o.uses(v.Addons)
	}
	return err
}

func (o *owners) image(image *Image) {
	for _, v := range image.Versions {
		owner := fmt.Sprintf("image %s, version %d", image.Name, v.Number)
		o.images[imageAlias(image.ID, v.Number)] = UsageItem{Kind: "image", Owner: owner}
		for _, digest := range v.blobs() {
			o.blob(digest, "image file", "%s", owner)
		}
	}
}
