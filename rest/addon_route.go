package rest

import (
	"net/http"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

func addonRoutes() []Route {
	const base = "/1.0/addons"
	return []Route{
		{
			Method: http.MethodGet, Path: base, Name: "addons", Kind: Sync, Access: authenticated(), Doc: "Lists addons.",
			Query: pageQuery(), Result: []string{}, List: api.Addon{}, serve: listAddons,
		},
		{
			Method: http.MethodPost, Path: base, Name: "addons", Kind: Async, Access: onServer("can_create_addons"),
			Doc: "Adds an addon from a package.", Upload: api.AddonsPost{}, serve: addAddon,
		},
		{
			Method: http.MethodGet, Path: base + "/{id}", Name: "addon", Kind: Sync, Access: on("addon", "can_view"),
			Doc: "Shows an addon.", Result: api.Addon{}, serve: showAddon,
		},
		{
			Method: http.MethodPatch, Path: base + "/{id}", Name: "addon", Kind: Async, Access: on("addon", "can_edit"),
			Doc: "Adds a version of an addon from a package.", Upload: struct{}{}, serve: updateAddon,
		},
		{
			Method: http.MethodDelete, Path: base + "/{id}", Name: "addon", Kind: Async, Access: on("addon", "can_delete"),
			Doc: "Deletes an addon.", serve: deleteAddon,
		},
		{
			Method: http.MethodDelete, Path: base + "/{id}/{version}", Name: "addon_version", Kind: Async, Access: on("addon", "can_delete"),
			Doc: "Deletes a version of an addon.", serve: deleteAddonVersion,
		},
	}
}

func (q *request) addon(a *ams.Addon) (api.Addon, error) {
	usedBy, err := q.h.m.Addons.UsedBy(q.Context(), a.Name)
	if err != nil && ams.CodeOf(err) != ams.ErrNotFound {
		return api.Addon{}, err
	}
	out := api.Addon{Name: a.Name, Versions: []api.AddonVersion{}, UsedBy: append([]string{}, usedBy...)}
	for _, v := range a.Versions {
		out.Versions = append(out.Versions, api.AddonVersion{
			Version: v.Number, Fingerprint: v.Package.Digest, Size: v.Package.Size, CreatedAt: unix(v.CreatedAt),
		})
	}
	entitled, err := q.flag("entitlements")
	if entitled {
		out.Entitlements = q.caller.entitlements("addon", a.Name)
	}
	return out, err
}

func listAddons(q *request) (response, error) {
	addons, total, err := paged(q, "addon", func(p ams.Page) ([]ams.Addon, int, error) {
		return q.h.m.Addons.List(q.Context(), ams.AddonFilter{}, p)
	}, func(a *ams.Addon) string { return a.Name })
	if err != nil {
		return nil, err
	}
	return shown(q, addons, total, func(a *ams.Addon) string { return pathOf("addon", a.Name) }, q.addon)
}

func showAddon(q *request) (response, error) {
	a, err := q.h.m.Addons.Get(q.Context(), q.PathValue("id"))
	if err != nil {
		return nil, err
	}
	out, err := q.addon(&a)
	return result{value: out, etag: etag(a.Rev)}, err
}

func addAddon(q *request) (response, error) {
	var post api.AddonsPost
	body, digest, err := q.upload(&post)
	if err != nil {
		return nil, err
	}
	return q.op(q.h.m.Addons.Add(q.Context(), post.Name, body, ams.AddonOptions{Digest: digest}))
}

func updateAddon(q *request) (response, error) {
	body, digest, err := q.upload(nil)
	if err != nil {
		return nil, err
	}
	return q.op(q.h.m.Addons.Update(q.Context(), q.PathValue("id"), body, ams.AddonOptions{Digest: digest}))
}

func deleteAddon(q *request) (response, error) {
	return q.op(q.h.m.Addons.Delete(q.Context(), q.PathValue("id")))
}

func deleteAddonVersion(q *request) (response, error) {
	n, err := q.version()
	if err != nil {
		return nil, err
	}
	return q.op(q.h.m.Addons.DeleteVersion(q.Context(), q.PathValue("id"), n))
}
