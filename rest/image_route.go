package rest

import (
	"net/http"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

func imageRoutes() []Route {
	const base = "/1.0/images"
	kind := Parameter{"type", "string", "container or vm; empty is any"}
	return []Route{
		{
			Method: http.MethodGet, Path: base, Name: "images", Kind: Sync, Access: authenticated(),
			Doc:   "Lists images. With default, lists the default image alone, as an object.",
			Query: pageQuery(kind, Parameter{"default", "boolean", "list the default image, as an object"}), Result: []string{}, List: api.Image{}, serve: listImages,
		},
		{
			Method: http.MethodPost, Path: base, Name: "images", Kind: Async, Access: onServer("can_create_images"),
			Doc: "Adds an image: from a file, from the image server, or from an instance.", Body: api.ImagesPost{}, Upload: api.ImagesPost{}, serve: addImage,
		},
		{
			Method: http.MethodGet, Path: base + "/{id}", Name: "image", Kind: Sync, Access: on("image", "can_view"),
			Doc: "Shows an image.", Query: []Parameter{kind}, Result: api.Image{}, serve: showImage,
		},
		{
			Method: http.MethodPatch, Path: base + "/{id}", Name: "image", Kind: Async, Access: on("image", "can_edit"),
			Doc: "Adds a version from a file, makes it the default, or fetches what the image server has.", Body: api.ImagePatch{}, Upload: api.ImagePatch{}, serve: patchImage,
		},
		{
			Method: http.MethodDelete, Path: base + "/{id}", Name: "image", Kind: Async, Access: on("image", "can_delete"),
			Doc: "Deletes an image.", Query: []Parameter{kind}, Body: api.Delete{}, serve: deleteImage,
		},
		{
			Method: http.MethodDelete, Path: base + "/{id}/{version}", Name: "image_version", Kind: Async, Access: on("image", "can_delete"),
			Doc: "Deletes a version of an image.", serve: deleteImageVersion,
		},
	}
}

// imageOf returns an image as clients know it.
func imageOf(i *ams.Image, usedBy []string) api.Image {
	out := api.Image{
		ID: i.ID, Name: i.Name, StatusCode: api.ImageCode(string(i.Status)), Status: string(i.Status), UsedBy: usedBy,
		Immutable: i.Immutable, Default: i.Default, Architecture: i.Architecture, Type: typeOf(i.VM), Variant: i.Variant,
		Versions: []api.ImageVersion{},
	}
	if out.Variant == "" {
		out.Variant = "unknown"
	}
	for _, v := range i.Versions {
		out.Versions = append(out.Versions, api.ImageVersion{
			Version: v.Number, Fingerprint: v.Fingerprint, Size: v.Size, CreatedAt: unix(v.CreatedAt),
			StatusCode: api.ImageCode(string(v.Status)), Status: string(v.Status), RemoteID: v.RemoteID, ErrorMessage: v.ErrorMessage,
		})
	}
	return out
}

// isVM reads what kind of image is asked for; nil is any.
func isVM(kind string) (*bool, error) {
	vm := kind == api.TypeVM
	switch kind {
	case "", "any":
		return nil, nil //nolint:nilnil // none is given
	case api.TypeContainer, api.TypeVM:
		return &vm, nil
	}
	return nil, ams.Errorf(ams.ErrInvalid, "type is %.40q; it must be container, vm or any", kind)
}

func listImages(q *request) (response, error) {
	vm, err := isVM(q.URL.Query().Get("type"))
	if err != nil {
		return nil, err
	}
	byDefault, err := q.flag("default")
	if err != nil {
		return nil, err
	}
	if byDefault {
		return defaultImage(q, vm)
	}
	images, total, err := paged(q, "image", func(p ams.Page) ([]ams.Image, int, error) {
		return q.h.m.Images.List(q.Context(), ams.ImageFilter{VM: vm}, p)
	}, func(i *ams.Image) string { return i.ID })
	if err != nil {
		return nil, err
	}
	return shown(q, images, total, func(i *ams.Image) string { return pathOf("image", i.ID) }, q.image)
}

// defaultImage lists the default image: that for containers where there are two.
func defaultImage(q *request, vm *bool) (response, error) {
	yes := true
	images, _, err := q.h.m.Images.List(q.Context(), ams.ImageFilter{VM: vm, Default: &yes}, ams.Page{})
	if err != nil {
		return nil, err
	}
	var found *ams.Image
	for i := range images {
		if q.caller.sees("image", images[i].ID) && (found == nil || found.VM) {
			found = &images[i]
		}
	}
	if found == nil {
		return nil, ams.Errorf(ams.ErrNotFound, "there is no default image")
	}
	out, err := q.image(found)
	return result{value: []api.Image{out}, total: 1}, err
}

func (q *request) image(i *ams.Image) (api.Image, error) {
	usedBy, err := q.h.m.Images.UsedBy(q.Context(), i.ID)
	if err != nil && ams.CodeOf(err) != ams.ErrNotFound {
		return api.Image{}, err
	}
	out := imageOf(i, append([]string{}, usedBy...))
	entitled, err := q.flag("entitlements")
	if entitled {
		out.Entitlements = q.caller.entitlements("image", i.ID)
	}
	return out, err
}

// findImage returns the image of the path, of the kind that is asked for.
func (q *request) findImage() (ams.Image, error) {
	vm, err := isVM(q.URL.Query().Get("type"))
	if err != nil {
		return ams.Image{}, err
	}
	ref := q.PathValue("id")
	if vm == nil {
		return q.h.m.Images.Get(q.Context(), ref)
	}
	for _, f := range []ams.ImageFilter{{ID: ref, VM: vm}, {Name: ref, VM: vm}} {
		images, _, err := q.h.m.Images.List(q.Context(), f, ams.Page{Limit: 1})
		if err != nil || len(images) > 0 {
			return append(images, ams.Image{})[0], err
		}
	}
	return ams.Image{}, &ams.Error{Code: ams.ErrNotFound, Kind: "image", ID: ref}
}

func showImage(q *request) (response, error) {
	i, err := q.findImage()
	if err != nil {
		return nil, err
	}
	out, err := q.image(&i)
	return result{value: out, etag: etag(i.Rev)}, err
}

func addImage(q *request) (response, error) {
	var post api.ImagesPost
	images := q.h.m.Images
	if q.isFile() {
		body, digest, err := q.upload(&post)
		if err != nil {
			return nil, err
		}
		vm, err := isVM(post.Type)
		if err != nil {
			return nil, err
		}
		return q.op(images.Add(q.Context(), post.Name, body, ams.ImageOptions{VM: value(vm), Default: post.Default, Digest: digest}))
	}
	if err := q.body(&post); err != nil {
		return nil, err
	}
	vm, err := isVM(post.Type)
	if err != nil {
		return nil, err
	}
	switch {
	case post.Source != nil && (post.Source.Type == api.SourceInstance || post.Source.Type == "" && post.Source.Instance != ""):
		if post.Source.Instance == "" {
			return nil, ams.Errorf(ams.ErrInvalid, "source.instance is empty")
		}
		id, err := q.h.guard.resolve(q.Context(), "instance", post.Source.Instance)
		if err != nil || !q.caller.may("instance", id, "can_edit") {
			if err == nil || !q.caller.admin {
				err = errDenied()
			}
			return nil, err
		}
		return q.op(images.Publish(q.Context(), id, ams.PublishOptions{Name: post.Name, Default: post.Default, Force: post.Source.Force}))
	case post.Path != "":
		return q.op(images.AddRemote(q.Context(), post.Name, post.Path, ams.ImageOptions{VM: value(vm), Default: post.Default}))
	}
	return nil, ams.Errorf(ams.ErrInvalid, "path and source are missing; an image is made of a file, of one on the image server, or of an instance")
}

func patchImage(q *request) (response, error) {
	i, err := q.findImage()
	if err != nil {
		return nil, err
	}
	if err := q.match(i.Rev); err != nil {
		return nil, err
	}
	var patch api.ImagePatch
	if q.isFile() {
		body, digest, err := q.upload(&patch)
		if err != nil {
			return nil, err
		}
		return q.op(q.h.m.Images.Update(q.Context(), i.ID, body, ams.ImageOptions{VM: i.VM, Default: value(patch.Default), Digest: digest}))
	}
	if err := q.body(&patch); err != nil {
		return nil, err
	}
	if patch.Default != nil {
		if !*patch.Default {
			return nil, ams.Errorf(ams.ErrInvalid, "default is false; make another image the default instead")
		}
		if err := q.h.m.Images.SetDefault(q.Context(), i.ID); err != nil {
			return nil, err
		}
	}
	if patch.ForceSync {
		return q.op(q.h.m.Images.Sync(q.Context(), i.ID))
	}
	return q.at("Updating image", map[string][]string{"images": {pathOf("image", i.ID)}}), nil
}

func deleteImage(q *request) (response, error) {
	var body api.Delete
	if err := q.maybe(&body); err != nil {
		return nil, err
	}
	i, err := q.findImage()
	if err != nil {
		return nil, err
	}
	return q.op(q.h.m.Images.Delete(q.Context(), i.ID, body.Force))
}

func deleteImageVersion(q *request) (response, error) {
	n, err := q.version()
	if err != nil {
		return nil, err
	}
	return q.op(q.h.m.Images.DeleteVersion(q.Context(), q.PathValue("id"), n))
}
