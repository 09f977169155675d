package rest

import (
	"net/http"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

func registryRoutes() []Route {
	const base = "/1.0/registry/applications"
	routes := []Route{
		{
			Method: http.MethodGet, Path: base, Name: "registry_applications", Kind: Sync, Access: onServer("can_view_registry_applications"),
			Doc: "Lists the applications in the registry.", Result: []api.RegistryApplication{}, serve: noRegistry,
		},
		{
			Method: http.MethodDelete, Path: base + "/{id}", Name: "registry_application", Kind: Async, Access: onServer("can_delete_registry_applications"),
			Doc: "Deletes an application from the registry.", serve: noRegistry,
		},
	}
	for _, verb := range []string{"push", "pull"} {
		access := onServer("can_" + verb + "_registry_applications")
		routes = append(routes,
			Route{
				Method: http.MethodPost, Path: base + "/{id}/" + verb, Name: "registry_application_" + verb, Kind: Async, Access: access,
				Doc: "Has an application " + verb + "ed now.", serve: noRegistry,
			},
		)
	}
	return routes
}

// noRegistry answers while there is no registry to work with.
func noRegistry(*request) (response, error) {
	return nil, ams.Errorf(ams.ErrState, "there is no registry: the setting registry.url is not set")
}

func shareRoutes() []Route {
	const base = "/1.0/instances/{id}/shares"
	return []Route{
		{
			Method: http.MethodPost, Path: base, Name: "instance_shares", Kind: Sync, Access: on("instance", "can_edit"),
			Doc: "Shares a streaming session; there is no streaming here, so it is always refused.", serve: noShares,
		},
		{
			Method: http.MethodPatch, Path: base + "/{share}", Name: "instance_share", Kind: Sync, Access: on("instance", "can_edit"),
			Doc: "Changes a share; always refused.", serve: noShares,
		},
		{
			Method: http.MethodDelete, Path: base + "/{share}", Name: "instance_share", Kind: Async, Access: on("instance", "can_edit"),
			Doc: "Ends a share; always refused.", serve: noShares,
		},
	}
}

// noShares answers for the streaming stack, which is not part of this service.
func noShares(q *request) (response, error) {
	if _, err := q.h.m.Instances.Get(q.Context(), q.PathValue("id")); err != nil {
		return nil, err
	}
	return nil, ams.Errorf(ams.ErrState, "the instance has no streaming session")
}

// Routes returns all endpoints.
func Routes() []Route {
	var all []Route
	for _, some := range [][]Route{
		serviceRoutes(), operationRoutes(), eventRoutes(), certificateRoutes(), authRoutes(), nodeRoutes(), instanceRoutes(),
		shareRoutes(), applicationRoutes(), addonRoutes(), imageRoutes(), registryRoutes(),
	} {
		all = append(all, some...)
	}
	return all
}
