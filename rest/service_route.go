package rest

import (
	"net/http"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

func serviceRoutes() []Route {
	return []Route{
		{
			Method: http.MethodGet, Path: "/", Name: "root", Kind: Sync, Access: everybody(), Doc: "Lists the versions of this interface.",
			Result: []string{}, serve: func(*request) (response, error) { return result{value: []string{"/1.0"}}, nil },
		},
		{
			Method: http.MethodGet, Path: "/1.0", Name: "service", Kind: Sync, Access: everybody(),
			Doc: "Shows what this service can do, and whether the caller is trusted.", Result: api.ServiceStatus{}, serve: showService,
		},
		{
			Method: http.MethodGet, Path: "/1.0/version", Name: "version", Kind: Sync, Access: everybody(), Doc: "Shows the version of this service.",
			Result: api.VersionInfo{}, serve: func(q *request) (response, error) {
				return result{value: api.VersionInfo{Version: q.h.opts.Version}}, nil
			},
		},
		{
			Method: http.MethodGet, Path: "/1.0/metrics", Name: "metrics", Kind: Raw, Access: onServer("can_view_metrics"),
			Doc: "Shows metrics in the format of Prometheus.", serve: showMetrics,
		},
		{
			Method: http.MethodGet, Path: "/1.0/tasks", Name: "tasks", Kind: Sync, Access: onServer("can_view_tasks"),
			Doc: "Lists what is worked on.", Query: recursion(), Result: []api.Task{}, serve: listTasks,
		},
		{
			Method: http.MethodGet, Path: "/1.0/config", Name: "config", Kind: Sync, Access: onServer("can_view_config"),
			Doc: "Shows the settings. Of secret ones it only says whether they are set.", Result: api.Config{}, serve: showConfig,
		},
		{
			Method: http.MethodPatch, Path: "/1.0/config", Name: "config", Kind: Async, Access: onServer("can_edit_config"),
			Doc: "Changes one setting.", Body: api.ConfigPost{}, serve: setConfig,
		},
		{
			Method: http.MethodGet, Path: "/1.0/openapi.json", Name: "openapi", Kind: Raw, Access: everybody(),
			Doc: "Shows the OpenAPI document of this interface.", serve: showOpenAPI,
		},
		{
			Method: http.MethodGet, Path: "/1.0/swagger.json", Name: "openapi", Kind: Raw, Access: everybody(),
			Doc: "Shows the OpenAPI document of this interface, where older clients look for it.", serve: showOpenAPI,
		},
	}
}

// extensions are the parts of the interface that came after its first version, and
// are all here.
func extensions() []string {
	return []string{
		"addon_backup_hook", "addon_restore_hook", "application_gpu_encoder", "application_hooks", "application_image_export",
		"application_manifest_download", "application_manifest_version", "application_partial_updates", "application_resource_customization",
		"application_services_configuration", "application_watchdog_settings", "auth.groups", "bulk_delete.applications",
		"bulk_delete.containers", "bulk_delete.instances", "container_exec", "container_logs", "instance_exec", "instance_publish",
		"instance_support", "metrics_api_endpoint", "oidc_support", "vm_support", "zip_archive_support",
	}
}

func showService(q *request) (response, error) {
	s := api.ServiceStatus{
		APIExtensions: extensions(), APIStatus: "stable", APIVersion: api.Version, Auth: "untrusted",
		AuthMethods: []string{"2waySSL"}, AuthPermissions: map[string][]map[string]string{},
		ClusterID: q.h.opts.ClusterID, ClusterName: q.h.opts.ClusterName,
	}
	if q.h.guard.tokens != nil {
		s.AuthMethods = append(s.AuthMethods, "oidc")
	}
	for _, e := range ams.Entitlements() {
		s.AuthPermissions[e.Type] = append(s.AuthPermissions[e.Type], map[string]string{"entitlement_name": e.Name, "description": e.Description})
	}
	if q.caller.known {
		s.Auth = "trusted"
	}
	return result{value: s}, nil
}

func showMetrics(q *request) (response, error) {
	if q.h.opts.Metrics == nil {
		return nil, ams.Errorf(ams.ErrUnsupported, "metrics are not kept here")
	}
	return served{q.h.opts.Metrics}, nil
}

func listTasks(q *request) (response, error) {
	tasks, err := q.h.m.Tasks(q.Context())
	if err != nil {
		return nil, err
	}
	list := []api.Task{}
	for _, t := range tasks {
		list = append(list, api.Task{ID: t.ID, Status: t.Status, ObjectID: t.Object, ObjectType: t.Kind, Text: t.Text})
	}
	return result{value: list, total: len(list)}, nil
}

func showConfig(q *request) (response, error) {
	settings, err := q.h.m.Settings.List(q.Context())
	if err != nil {
		return nil, err
	}
	c := api.Config{Config: map[string]any{}}
	for _, s := range settings {
		c.Config[s.Key] = s.Value
	}
	for _, k := range ams.SettingKeys() {
		if k.Secret {
			c.Config[k.Name] = c.Config[k.Name] == "true"
		}
	}
	return result{value: c}, nil
}

func setConfig(q *request) (response, error) {
	var post api.ConfigPost
	if err := q.body(&post); err != nil {
		return nil, err
	}
	if post.Name == "" {
		return nil, ams.Errorf(ams.ErrInvalid, "name is empty")
	}
	if err := q.h.m.Settings.Set(q.Context(), post.Name, post.Value); err != nil {
		return nil, err
	}
	return q.at("Applying configuration", nil), nil
}
