package rest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

func applicationRoutes() []Route {
	const base = "/1.0/applications"
	filters := []Parameter{
		{"id", "string", ""}, {"name", "string", ""}, {"status", "string", ""}, {"instance_type", "string", ""}, {"boot_package", "string", ""},
		{"published", "boolean", ""}, {"immutable", "boolean", ""}, {"abi", "string", ""}, {"vm", "boolean", ""},
		{"addons", "string", "all of these, with a comma between each"}, {"tags", "string", "all of these, with a comma between each"},
		{"inhibit_auto_updates", "boolean", ""}, {"parent_image_variant", "string", "android, aaos or generic"},
	}
	return []Route{
		{
			Method: http.MethodGet, Path: base, Name: "applications", Kind: Sync, Access: authenticated(), Doc: "Lists applications.",
			Query: pageQuery(filters...), Result: []string{}, List: api.Application{}, serve: listApplications,
		},
		{
			Method: http.MethodPost, Path: base, Name: "applications", Kind: Async, Access: onServer("can_create_applications"),
			Doc: "Creates an application from a package.", Query: []Parameter{{"vm", "boolean", "it runs as a virtual machine"}},
			Upload: struct{}{}, serve: createApplication,
		},
		{
			Method: http.MethodDelete, Path: base, Name: "applications", Kind: Async, Access: authenticated(),
			Doc: "Deletes several; the first that cannot be deleted ends it.", Body: api.DeleteMany{}, serve: deleteApplications,
		},
		{
			Method: http.MethodGet, Path: base + "/{id}", Name: "application", Kind: Sync, Access: on("application", "can_view"),
			Doc: "Shows an application.", Result: api.Application{}, serve: showApplication,
		},
		{
			Method: http.MethodPatch, Path: base + "/{id}", Name: "application", Kind: Async, Access: on("application", "can_edit"),
			Doc:  "Changes an application, or makes a new version of it: of the package that is sent, or, without a body, of newer images and addons.",
			Body: api.ApplicationPatch{}, Upload: struct{}{}, serve: patchApplication,
		},
		{
			Method: http.MethodDelete, Path: base + "/{id}", Name: "application", Kind: Async, Access: on("application", "can_delete"),
			Doc: "Deletes an application.", Body: api.Delete{}, serve: deleteApplication,
		},
		{
			Method: http.MethodGet, Path: base + "/{id}/manifest", Name: "application_manifest", Kind: Raw, Access: on("application", "can_view"),
			Doc: "Reads the manifest of the newest version.", serve: readManifest,
		},
		{
			Method: http.MethodGet, Path: base + "/{id}/prewarm", Name: "application_prewarm", Kind: Sync, Access: on("application", "can_view"),
			Doc: "Says how many instances stand by.", Result: api.Prewarm{}, serve: showPrewarm,
		},
		{
			Method: http.MethodPut, Path: base + "/{id}/prewarm", Name: "application_prewarm", Kind: Async, Access: on("application", "can_edit"),
			Doc: "Sets how many instances are to stand by.", Body: api.PrewarmPut{}, serve: putPrewarm,
		},
		{
			Method: http.MethodGet, Path: base + "/{id}/{version}", Name: "application_version", Kind: Raw, Access: on("application", "can_view"),
			Doc: "Exports the image of a version.", serve: exportVersion,
		},
		{
			Method: http.MethodPatch, Path: base + "/{id}/{version}", Name: "application_version", Kind: Async, Access: on("application", "can_publish"),
			Doc: "Publishes a version, or revokes it.", Body: api.ApplicationVersionPatch{}, serve: patchVersion,
		},
		{
			Method: http.MethodDelete, Path: base + "/{id}/{version}", Name: "application_version", Kind: Async, Access: on("application", "can_delete"),
			Doc: "Deletes a version.", Body: api.Delete{}, serve: deleteVersion,
		},
		{
			Method: http.MethodGet, Path: base + "/{id}/{version}/manifest", Name: "application_version_manifest", Kind: Raw, Access: on("application", "can_view"),
			Doc: "Reads the manifest of a version.", serve: readManifest,
		},
	}
}

func applicationFilter(q *request) (ams.ApplicationFilter, error) {
	v := q.URL.Query()
	f := ams.ApplicationFilter{
		ID: v.Get("id"), Name: v.Get("name"), InstanceType: v.Get("instance_type"), BootPackage: v.Get("boot_package"), ABI: v.Get("abi"),
		Tags: nonEmpty(append(q.list("tags"), q.list("tag")...)), Addons: nonEmpty(q.list("addons")),
	}
	for _, s := range q.list("status") {
		if s != "unknown" && api.ApplicationCode(s) == 0 {
			return f, ams.Errorf(ams.ErrInvalid, "status is %.40q; it must be initializing, ready, error, deleted or unknown", s)
		}
		f.Status = append(f.Status, ams.ApplicationStatus(s))
	}
	var err error
	if f.Published, err = q.optional("published"); err != nil {
		return f, err
	}
	if f.Immutable, err = q.optional("immutable"); err != nil {
		return f, err
	}
	f.VM, err = q.optional("vm")
	return f, err
}

func listApplications(q *request) (response, error) {
	filter, err := applicationFilter(q)
	if err != nil {
		return nil, err
	}
	inhibit, err := q.optional("inhibit_auto_updates")
	if err != nil {
		return nil, err
	}
	variants, err := q.variants()
	if err != nil {
		return nil, err
	}
	variant := q.URL.Query().Get("parent_image_variant")
	apps, total, err := paged(q, "application", func(p ams.Page) ([]ams.Application, int, error) {
		if inhibit == nil && variant == "" {
			return q.h.m.Applications.List(q.Context(), filter, p)
		}
		all, _, err := q.h.m.Applications.List(q.Context(), filter, ams.Page{})
		var kept []ams.Application
		for _, a := range all {
			if (inhibit == nil || a.InhibitAutoUpdates == *inhibit) && (variant == "" || variants[a.Image] == variant) {
				kept = append(kept, a)
			}
		}
		return cut(kept, p), len(kept), err
	}, func(a *ams.Application) string { return a.ID })
	if err != nil {
		return nil, err
	}
	return shown(q, apps, total, func(a *ams.Application) string { return pathOf("application", a.ID) },
		func(a *ams.Application) (api.Application, error) { return q.application(a, variants) })
}

// variants returns the variants of the images, by id.
func (q *request) variants() (map[string]string, error) {
	images, _, err := q.h.m.Images.List(q.Context(), ams.ImageFilter{}, ams.Page{})
	if err != nil {
		return nil, err
	}
	by := map[string]string{}
	for _, i := range images {
		by[i.ID] = i.Variant
	}
	return by, nil
}

func (q *request) application(a *ams.Application, variants map[string]string) (api.Application, error) {
	versions, err := q.h.m.Applications.Versions(q.Context(), a.ID)
	if err != nil && ams.CodeOf(err) != ams.ErrNotFound {
		return api.Application{}, err
	}
	out := applicationOf(a, versions, variants[a.Image])
	entitled, err := q.flag("entitlements")
	if entitled {
		out.Entitlements = q.caller.entitlements("application", a.ID)
	}
	return out, err
}

func showApplication(q *request) (response, error) {
	a, err := q.h.m.Applications.Get(q.Context(), q.PathValue("id"))
	if err != nil {
		return nil, err
	}
	variants, err := q.variants()
	if err != nil {
		return nil, err
	}
	out, err := q.application(&a, variants)
	return result{value: out, etag: etag(a.Rev)}, err
}

func createApplication(q *request) (response, error) {
	vm, err := q.flag("vm")
	if err != nil {
		return nil, err
	}
	body, digest, err := q.upload(nil)
	if err != nil {
		return nil, err
	}
	return q.op(q.h.m.Applications.Create(q.Context(), body, ams.CreateOptions{VM: vm, Digest: digest}))
}

func patchApplication(q *request) (response, error) {
	id := q.PathValue("id")
	if q.Header.Get("If-Match") != "" {
		a, err := q.h.m.Applications.Get(q.Context(), id)
		if err != nil {
			return nil, err
		}
		if err := q.match(a.Rev); err != nil {
			return nil, err
		}
	}
	if q.isFile() {
		body, digest, err := q.upload(nil)
		if err != nil {
			return nil, err
		}
		return q.op(q.h.m.Applications.Update(q.Context(), id, body, ams.CreateOptions{Digest: digest}))
	}
	var patch api.ApplicationPatch
	if err := q.decode(&patch); errors.Is(err, errEmpty) {
		return q.op(q.h.m.Applications.Refresh(q.Context(), id))
	} else if err != nil {
		return nil, err
	}
	p, err := patchOf(&patch)
	if err != nil {
		return nil, err
	}
	return q.op(q.h.m.Applications.Set(q.Context(), id, p))
}

func deleteApplication(q *request) (response, error) {
	var body api.Delete
	if err := q.maybe(&body); err != nil {
		return nil, err
	}
	return q.op(q.h.m.Applications.Delete(q.Context(), q.PathValue("id"), body.Force))
}

func deleteApplications(q *request) (response, error) {
	ids, force, err := q.many("application")
	if err != nil {
		return nil, err
	}
	ops, err := q.h.m.Applications.DeleteAll(q.Context(), ids, force)
	return q.group("Deleting applications", ops, err, "applications")
}

// version reads the number of a version in a path.
func (q *request) version() (int, error) {
	n, err := strconv.Atoi(q.PathValue("version"))
	if err != nil || n < 0 {
		return 0, ams.Errorf(ams.ErrInvalid, "version is %.40q; it must be a number, 0 or more", q.PathValue("version"))
	}
	return n, nil
}

func exportVersion(q *request) (response, error) {
	n, err := q.version()
	if err != nil {
		return nil, err
	}
	export, err := q.h.m.Applications.Export(q.Context(), q.PathValue("id"), n)
	if err != nil {
		return nil, err
	}
	return raw{ReadCloser: export, contentType: "application/octet-stream", size: export.Size, headers: map[string]string{
		headerFingerprint: export.Digest, "Content-Disposition": "inline;filename=" + export.Name,
	}}, nil
}

func patchVersion(q *request) (response, error) {
	n, err := q.version()
	if err != nil {
		return nil, err
	}
	var patch api.ApplicationVersionPatch
	if err := q.body(&patch); err != nil {
		return nil, err
	}
	id := q.PathValue("id")
	change, doing := q.h.m.Applications.Revoke, "Revoking application version"
	switch {
	case patch.Published == nil:
		return nil, ams.Errorf(ams.ErrInvalid, "published is missing; it must be true or false")
	case *patch.Published:
		change, doing = q.h.m.Applications.Publish, "Publishing application version"
	}
	if err := change(q.Context(), id, n); err != nil {
		return nil, err
	}
	return q.at(doing, map[string][]string{"applications": {pathOf("application", id)}}), nil
}

func deleteVersion(q *request) (response, error) {
	n, err := q.version()
	if err != nil {
		return nil, err
	}
	return q.op(q.h.m.Applications.DeleteVersion(q.Context(), q.PathValue("id"), n))
}

func readManifest(q *request) (response, error) {
	n := -1
	if q.PathValue("version") == "" {
		versions, err := q.h.m.Applications.Versions(q.Context(), q.PathValue("id"))
		if err != nil {
			return nil, err
		}
		for _, v := range versions {
			n = max(n, v.Number)
		}
	} else {
		var err error
		if n, err = q.version(); err != nil {
			return nil, err
		}
	}
	data, digest, err := q.h.m.Applications.ManifestYAML(q.Context(), q.PathValue("id"), n)
	if err != nil {
		return nil, err
	}
	return raw{
		ReadCloser: io.NopCloser(bytes.NewReader(data)), contentType: "application/octet-stream", size: int64(len(data)),
		headers: map[string]string{headerManifest: digest, "Content-Disposition": "inline;filename=manifest.yaml"},
	}, nil
}

func showPrewarm(q *request) (response, error) {
	p, err := q.h.m.Applications.Prewarmed(q.Context(), q.PathValue("id"))
	return result{value: api.Prewarm{Wanted: p.Want, Ready: p.Ready, Making: p.Begun}}, err
}

func putPrewarm(q *request) (response, error) {
	var put api.PrewarmPut
	if err := q.body(&put); err != nil {
		return nil, err
	}
	id := q.PathValue("id")
	if err := q.h.m.Applications.SetPrewarm(q.Context(), id, put.Wanted); err != nil {
		return nil, err
	}
	return q.at("Updating application", map[string][]string{"applications": {pathOf("application", id)}}), nil
}
