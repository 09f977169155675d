package lxd

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
)

// The marks of an image, encoded in what LXD holds for the name of its file. Its
// properties would not do: they are part of the image, so that one that comes from
// another cluster brings that one's; and LXD 5.0 dies of an upload that is to add
// properties to an image that has none.
const (
	imageCluster = "ams.cluster"
	imageAlias   = "ams.alias"
	imageOf      = "ams.instance" // of a published one: id and attempt
)

func imageMarks(cluster, alias string) url.Values {
	return url.Values{imageCluster: {cluster}, imageAlias: {alias}}
}

// marksOf returns the marks of an image, which has none if it is not ours.
func marksOf(i *api.Image) url.Values {
	marks, err := url.ParseQuery(i.Filename)
	if err != nil {
		return nil
	}
	return marks
}

// imagesKey is the lock for what looks at an image's aliases and then acts.
const imagesKey = "images"

// aliasMark is the description of an alias of ours: it may be on an image that is
// not.
func aliasMark(cluster string) string { return imageCluster + "=" + cluster }

func checkAlias(cluster, alias string) error {
	if err := checkCluster(cluster); err != nil {
		return err
	}
	if alias == "" || len(alias) > 200 || strings.ContainsAny(alias, "/ ?&+") {
		return ams.Errorf(ams.ErrInvalid, "image alias %q: must be 1 to 200 bytes without any of \"/ ?&+\"", alias)
	}
	return nil
}

// ImportImage implements ams.ImageKeeper. It takes what LXD does: a unified
// tarball, or a metadata tarball with a squashfs, a tarball or a virtual machine's
// qcow2 disk. Tarballs may be compressed with gzip, xz, bzip2 or zstd, where LXD's
// machine has the program for that. The image is streamed, and LXD checks it.
//
// A read of files that never returns is left behind with a goroutine when ctx
// ends.
func (b *Backend) ImportImage(ctx context.Context, cluster, alias string, files ams.ImageFiles) (ams.BackendImage, error) {
	if err := checkAlias(cluster, alias); err != nil {
		return ams.BackendImage{}, err
	}
	if files.Meta == nil {
		return ams.BackendImage{}, ams.Errorf(ams.ErrInvalid, "image %q: there is no file", alias)
	}
	unlock, err := b.locks.lock(ctx, "alias "+alias)
	if err != nil {
		return ams.BackendImage{}, err
	}
	defer unlock()
	have, found, err := b.ownAlias(ctx, cluster, alias)
	if found || err != nil {
		return have, err
	}
	fingerprint, err := b.upload(ctx, cluster, alias, files)
	if err != nil {
		return ams.BackendImage{}, err
	}
	return b.label(ctx, cluster, alias, fingerprint)
}

// ownAlias returns the image behind an alias if that exists and is ours.
func (b *Backend) ownAlias(ctx context.Context, cluster, alias string) (ams.BackendImage, bool, error) {
	var entry *api.ImageAliasesEntry
	var image *api.Image
	err := b.do(ctx, func(c server) (err error) {
		if entry, _, err = c.GetImageAlias(alias); err != nil {
			return err
		}
		if entry.Description != aliasMark(cluster) {
			return &ams.Error{Code: ams.ErrExists, Kind: "image alias", ID: alias}
		}
		image, _, err = c.GetImage(entry.Target)
		return err
	})
	switch {
	case ams.CodeOf(err) == ams.ErrNotFound:
		return ams.BackendImage{}, false, nil
	case err != nil:
		return ams.BackendImage{}, false, err
	}
	return backendImage(image, alias), true, nil
}

func backendImage(i *api.Image, alias string) ams.BackendImage {
	return ams.BackendImage{Alias: alias, Fingerprint: i.Fingerprint, Architecture: i.Architecture, Size: i.Size, CreatedAt: i.UploadedAt}
}

// label puts an alias of ours on an image.
func (b *Backend) label(ctx context.Context, cluster, alias, fingerprint string) (ams.BackendImage, error) {
	unlock, err := b.locks.lock(ctx, imagesKey)
	if err != nil {
		return ams.BackendImage{}, err
	}
	defer unlock()
	post := api.ImageAliasesPost{}
	post.Name, post.Target, post.Description, post.Type = alias, fingerprint, aliasMark(cluster), "container"
	err = b.do(ctx, func(c server) error { return c.CreateImageAlias(post) })
	if err != nil && ams.CodeOf(err) != ams.ErrExists {
		if ams.CodeOf(err) == ams.ErrNotFound {
			return ams.BackendImage{}, ams.Errorf(ams.ErrUnavailable, "image %q was deleted while it got its alias", fingerprint)
		}
		return ams.BackendImage{}, err
	}
	have, found, err := b.ownAlias(ctx, cluster, alias)
	if err == nil && !found {
		err = ams.Errorf(ams.ErrUnavailable, "image alias %q was deleted while it was made", alias)
	}
	return have, err
}

// DeleteImage implements ams.ImageKeeper. An alias that is not ours is left
// alone.
func (b *Backend) DeleteImage(ctx context.Context, cluster, alias string) error {
	if err := checkAlias(cluster, alias); err != nil {
		return err
	}
	unlock, err := b.locks.lock(ctx, "alias "+alias)
	if err != nil {
		return err
	}
	defer unlock()
	have, found, err := b.ownAlias(ctx, cluster, alias)
	if !found && err == nil {
		// One that was given up may be about to appear.
		if err := b.settleImages(ctx); err != nil {
			return err
		}
		have, found, err = b.ownAlias(ctx, cluster, alias)
	}
	if ams.CodeOf(err) == ams.ErrExists {
		return nil
	}
	if err != nil {
		return err
	}
	unlockImages, err := b.locks.lock(ctx, imagesKey)
	if err != nil {
		return err
	}
	defer unlockImages()
	if found {
		err = b.do(ctx, func(c server) error { return c.DeleteImageAlias(alias) })
		if err != nil && ams.CodeOf(err) != ams.ErrNotFound {
			return err
		}
		if err := b.deleteBare(ctx, cluster, have.Fingerprint); err != nil {
			return err
		}
	}
	return b.deleteUnnamed(ctx, cluster, alias)
}

// deleteUnnamed deletes the images that were to get the alias and did not: LXD
// makes an image first and its alias then, and may die in between.
func (b *Backend) deleteUnnamed(ctx context.Context, cluster, alias string) error {
	var all []api.Image
	err := b.do(ctx, func(c server) (err error) {
		all, err = c.GetImages()
		return err
	})
	for _, i := range all {
		marks := marksOf(&i)
		if err == nil && marks.Get(imageCluster) == cluster && marks.Get(imageAlias) == alias && len(i.Aliases) == 0 {
			err = b.deleteBare(ctx, cluster, i.Fingerprint)
		}
	}
	return err
}

// DeleteFingerprint implements ams.ImageKeeper.
func (b *Backend) DeleteFingerprint(ctx context.Context, cluster, fingerprint string) error {
	if err := checkAlias(cluster, fingerprint); err != nil {
		return err
	}
	unlock, err := b.locks.lock(ctx, imagesKey)
	if err != nil {
		return err
	}
	defer unlock()
	return b.deleteBare(ctx, cluster, fingerprint)
}

// deleteBare deletes an image if it is ours and has no alias.
func (b *Backend) deleteBare(ctx context.Context, cluster, fingerprint string) error {
	var op api.Operation
	err := b.do(ctx, func(c server) error {
		image, _, err := c.GetImage(fingerprint)
		if err != nil {
			return err
		}
		if image.Fingerprint != fingerprint || marksOf(image).Get(imageCluster) != cluster || len(image.Aliases) > 0 {
			op.StatusCode = api.Success
			return nil
		}
		o, err := c.DeleteImage(fingerprint)
		if err == nil {
			op = o.Get()
		}
		return err
	})
	if err == nil {
		err = b.wait(ctx, op)
	}
	if ams.CodeOf(err) == ams.ErrNotFound {
		return nil
	}
	return err
}

// ListImages implements ams.ImageKeeper. The list is sorted by alias, then
// fingerprint.
func (b *Backend) ListImages(ctx context.Context, cluster string) ([]ams.BackendImage, error) {
	if err := checkCluster(cluster); err != nil {
		return nil, err
	}
	var all []api.Image
	err := b.do(ctx, func(c server) (err error) {
		all, err = c.GetImages()
		return err
	})
	var list []ams.BackendImage
	for _, i := range all {
		for _, a := range i.Aliases {
			if a.Description == aliasMark(cluster) {
				list = append(list, backendImage(&i, a.Name))
			}
		}
		if len(i.Aliases) == 0 && marksOf(&i).Get(imageCluster) == cluster {
			list = append(list, backendImage(&i, ""))
		}
	}
	slices.SortFunc(list, func(x, y ams.BackendImage) int {
		return strings.Compare(x.Alias+" "+x.Fingerprint, y.Alias+" "+y.Fingerprint)
	})
	return list, err
}
