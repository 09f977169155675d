package rest

import (
	"net/http"
	"strings"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

// pageQuery are the parameters of lists that come in pages.
func pageQuery(filters ...Parameter) []Parameter {
	return append(append(recursion(),
		Parameter{"entitlements", "boolean", "with recursion, say what the caller may do with each"},
		Parameter{"limit", "integer", "how many to list at the most; -1 is all"},
		Parameter{"offset", "integer", "how many to leave out at the front"}), filters...)
}

func instanceFilters() []Parameter {
	return []Parameter{
		{"id", "string", ""}, {"name", "string", ""}, {"status", "string", "any of these, with a comma between each"},
		{"type", "string", "container or vm; regular or base"}, {"base", "boolean", ""}, {"vm", "boolean", ""}, {"node", "string", ""},
		{"app_id", "string", ""}, {"app_name", "string", ""}, {"app", "string", "id or name"}, {"app_version", "integer", ""},
		{"image_id", "string", ""}, {"image_version", "integer", ""}, {"tags", "string", "all of these, with a comma between each"},
	}
}

// instanceRoutes are the endpoints of instances, once as such and once as containers.
func instanceRoutes() []Route {
	routes := instanceRoutesAs("instances", "instance", api.Instance{}, api.InstancesPost{}, api.InstancePatch{})
	routes = append(routes, instanceRoutesAs("containers", "container", api.Container{}, api.ContainersPost{}, api.ContainerPatch{})...)
	return append(routes,
		Route{
			Method: http.MethodPost, Path: "/1.0/instances/explain", Name: "instance_explain", Kind: Sync, Access: onServer("can_create_instances"),
			Doc: "Says where a launch would go and why not elsewhere, and launches nothing.", Body: api.InstancesPost{}, Result: api.Explanation{}, serve: explain,
		},
	)
}

func instanceRoutesAs(many, one string, object, post, patch any) []Route {
	base := "/1.0/" + many
	noWait := []Parameter{{"no_wait", "boolean", "the operation ends when the request is taken, not when it is fulfilled"}}
	as := func(serve func(*request, string) (response, error)) func(*request) (response, error) {
		return func(q *request) (response, error) { return serve(q, many) }
	}
	return []Route{
		{
			Method: http.MethodGet, Path: base, Name: many, Kind: Sync, Access: authenticated(), Doc: "Lists " + many + ".",
			Query: pageQuery(instanceFilters()...), Result: []string{}, List: object, serve: as(listInstances),
		},
		{
			Method: http.MethodPost, Path: base, Name: many, Kind: Async, Access: onServer("can_create_instances"),
			Doc: "Launches one.", Query: noWait, Body: post, serve: as(launchInstance),
		},
		{
			Method: http.MethodDelete, Path: base, Name: many, Kind: Async, Access: authenticated(),
			Doc: "Deletes several; the first that cannot be deleted ends it.", Body: api.DeleteMany{}, serve: as(deleteInstances),
		},
		{
			Method: http.MethodGet, Path: base + "/{id}", Name: one, Kind: Sync, Access: on("instance", "can_view"),
			Doc: "Shows one.", Result: object, serve: as(showInstance),
		},
		{
			Method: http.MethodPatch, Path: base + "/{id}", Name: one, Kind: Async, Access: on("instance", "can_edit"),
			Doc: "Starts or stops it, or changes it.", Query: noWait, Body: patch, serve: as(patchInstance),
		},
		{
			Method: http.MethodDelete, Path: base + "/{id}", Name: one, Kind: Async, Access: on("instance", "can_delete"),
			Doc: "Deletes it.", Body: api.Delete{}, serve: as(deleteInstance),
		},
		{
			Method: http.MethodPost, Path: base + "/{id}/exec", Name: one + "_exec", Kind: Async, Access: on("instance", "can_exec"),
			Doc:  "Runs a command in it; the metadata of the operation has the secrets of the command's websockets.",
			Body: api.InstanceExec{}, serve: as(execute),
		},
		{
			Method: http.MethodGet, Path: base + "/{id}/logs", Name: one + "_logs", Kind: Sync, Access: on("instance", "can_view_logs"),
			Doc: "Lists its logs.", Result: []string{}, serve: as(listLogs),
		},
		{
			Method: http.MethodGet, Path: base + "/{id}/logs/{name}", Name: one + "_log", Kind: Raw, Access: on("instance", "can_view_logs"),
			Doc:   "Reads a log.",
			Query: []Parameter{{"follow", "boolean", "go on with what is written"}}, serve: as(readLog),
		},
	}
}

func instanceFilter(q *request) (ams.InstanceFilter, error) {
	v := q.URL.Query()
	no := false
	f := ams.InstanceFilter{
		ID: v.Get("id"), Name: v.Get("name"), ApplicationID: v.Get("app_id"), ApplicationName: v.Get("app_name"),
		ImageID: v.Get("image_id"), Node: v.Get("node"), Tags: nonEmpty(q.list("tags")), Standby: &no,
	}
	var err error
	if f.Status, err = instanceStatuses(q.list("status")); err != nil {
		return f, err
	}
	if f.Version, err = q.number("app_version"); err != nil {
		return f, err
	}
	if f.ImageVersion, err = q.number("image_version"); err != nil {
		return f, err
	}
	if f.Base, err = q.optional("base"); err != nil {
		return f, err
	}
	if f.VM, err = q.optional("vm"); err != nil {
		return f, err
	}
	yes := true
	switch kind := v.Get("type"); kind {
	case "":
	case api.TypeContainer:
		f.VM = &no
	case api.TypeVM:
		f.VM = &yes
	case "regular":
		f.Base = &no
	case "base":
		f.Base = &yes
	default:
		return f, ams.Errorf(ams.ErrInvalid, "type is %.40q; it must be container, vm, regular or base", kind)
	}
	if app := v.Get("app"); app != "" {
		a, err := q.h.m.Applications.Get(q.Context(), app)
		switch {
		case ams.CodeOf(err) == ams.ErrNotFound:
			f.ApplicationID = app // it has none
		case err != nil:
			return f, err
		default:
			f.ApplicationID = a.ID
		}
	}
	return f, nil
}

func listInstances(q *request, as string) (response, error) {
	filter, err := instanceFilter(q)
	if err != nil {
		return nil, err
	}
	full, err := q.flag("recursion")
	if err != nil {
		return nil, err
	}
	list, total, err := paged(q, "instance", func(p ams.Page) ([]ams.Instance, int, error) {
		return q.h.m.Instances.List(q.Context(), filter, p)
	}, func(in *ams.Instance) string { return in.ID })
	if err != nil {
		return nil, err
	}
	if !full {
		paths := []string{}
		for _, in := range list {
			paths = append(paths, "/1.0/"+as+"/"+in.ID)
		}
		return result{value: paths, total: total}, nil
	}
	shown, err := q.instances(list, as)
	return result{value: shown, total: total}, err
}

// instances returns instances as clients know them.
func (q *request) instances(list []ams.Instance, as string) (any, error) {
	at, err := q.publicAddresses(q.Context())
	if err != nil {
		return nil, err
	}
	entitled, err := q.flag("entitlements")
	if err != nil {
		return nil, err
	}
	if as == "containers" {
		all := []api.Container{}
		for i := range list {
			c := containerOf(&list[i], at[list[i].Node])
			if entitled {
				c.Entitlements = q.caller.entitlements("instance", c.ID)
			}
			all = append(all, c)
		}
		return all, nil
	}
	all := []api.Instance{}
	for i := range list {
		in := instanceOf(&list[i], at[list[i].Node])
		if entitled {
			in.Entitlements = q.caller.entitlements("instance", in.ID)
		}
		all = append(all, in)
	}
	return all, nil
}

func showInstance(q *request, as string) (response, error) {
	in, err := q.h.m.Instances.Get(q.Context(), q.PathValue("id"))
	if err != nil {
		return nil, err
	}
	shown, err := q.instances([]ams.Instance{in}, as)
	if err != nil {
		return nil, err
	}
	if list, ok := shown.([]api.Container); ok {
		return result{value: list[0], etag: etag(in.Rev)}, nil
	}
	list, _ := shown.([]api.Instance)
	if image, err := q.h.m.Images.Get(q.Context(), in.ImageID); err == nil {
		list[0].ImageName = image.Name
	}
	return result{value: list[0], etag: etag(in.Rev)}, nil
}

func launchInstance(q *request, as string) (response, error) {
	var req ams.LaunchRequest
	if as == "containers" {
		var post api.ContainersPost
		if err := q.body(&post); err != nil {
			return nil, err
		}
		var err error
		if req, err = launchOfContainer(&post); err != nil {
			return nil, err
		}
	} else {
		var post api.InstancesPost
		if err := q.body(&post); err != nil {
			return nil, err
		}
		var err error
		if req, err = launchOf(&post); err != nil {
			return nil, err
		}
	}
	noWait, err := q.flag("no_wait")
	if err != nil {
		return nil, err
	}
	op, err := q.h.m.Instances.Launch(q.Context(), req)
	return q.started(op, err, as, noWait)
}

// started answers with an operation on an instance.
func (q *request) started(op ams.Operation, err error, as string, noWait bool) (response, error) {
	if err != nil {
		return nil, err
	}
	if as == "containers" {
		q.h.locals.asContainers(op.ID, q.h.now())
	}
	o := q.h.locals.rename(operationOf(op))
	if noWait {
		return q.at(o.Description, o.Resources), nil
	}
	return begun{o}, nil
}

// at answers with an operation that has ended: what was asked for is done.
func (q *request) at(description string, resources map[string][]string) response {
	who := q.caller
	return begun{q.h.locals.done(q.h.now(), description, resources, who.same)}
}

func patchInstance(q *request, as string) (response, error) {
	var patch api.InstancePatch
	if err := q.body(&patch); err != nil {
		return nil, err
	}
	noWait, err := q.flag("no_wait")
	if err != nil {
		return nil, err
	}
	in, err := q.h.m.Instances.Get(q.Context(), q.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if err := q.match(in.Rev); err != nil {
		return nil, err
	}
	status := strings.ToLower(value(patch.DesiredStatus))
	switch status {
	case "", "running", "started", "stopped":
	default:
		return nil, ams.Errorf(ams.ErrInvalid, "desired_status is %.40q; it must be running or stopped", *patch.DesiredStatus)
	}
	if p := patch.Config.Security.DeleteProtected; p != nil {
		if err := q.h.m.Instances.Set(q.Context(), in.ID, ams.InstancePatch{DeleteProtected: p}); err != nil {
			return nil, err
		}
	}
	resources := map[string][]string{as: {"/1.0/" + as + "/" + in.ID}}
	switch {
	case patch.Restart:
		op, err := q.h.m.Instances.Restart(q.Context(), in.ID, patch.Force)
		return q.started(op, err, as, noWait)
	case status == "stopped":
		op, err := q.h.m.Instances.Stop(q.Context(), in.ID, patch.Force)
		return q.started(op, err, as, noWait)
	case status != "":
		op, err := q.h.m.Instances.Start(q.Context(), in.ID, ams.StartOptions{DropLogs: patch.Force})
		return q.started(op, err, as, noWait)
	}
	return q.at("Updating instance", resources), nil
}

func deleteInstance(q *request, as string) (response, error) {
	var body api.Delete
	if err := q.maybe(&body); err != nil {
		return nil, err
	}
	op, err := q.h.m.Instances.Delete(q.Context(), q.PathValue("id"), body.Force)
	return q.started(op, err, as, false)
}

func deleteInstances(q *request, as string) (response, error) {
	ids, force, err := q.many("instance")
	if err != nil {
		return nil, err
	}
	ops, err := q.h.m.Instances.DeleteAll(q.Context(), ids, force)
	return q.group("Deleting "+as, ops, err, as)
}

func listLogs(q *request, as string) (response, error) {
	in, err := q.h.m.Instances.Get(q.Context(), q.PathValue("id"))
	if err != nil {
		return nil, err
	}
	logs, err := q.h.m.Instances.Logs(q.Context(), in.ID)
	if err != nil {
		return nil, err
	}
	paths := []string{}
	for _, l := range logs {
		paths = append(paths, "/1.0/"+as+"/"+in.ID+"/logs/"+l.Name)
	}
	return result{value: paths}, nil
}

func explain(q *request) (response, error) {
	var post api.InstancesPost
	if err := q.body(&post); err != nil {
		return nil, err
	}
	req, err := launchOf(&post)
	if err != nil {
		return nil, err
	}
	e, err := q.h.m.Instances.Explain(q.Context(), req)
	if err != nil {
		return nil, err
	}
	out := api.Explanation{Node: e.Node, Text: e.String(), Nodes: []api.NodeVerdict{}}
	for _, v := range e.Verdicts {
		n := api.NodeVerdict{Node: v.Node, Score: v.Score}
		if !v.Fits {
			n.Refusal = v.Reason
		}
		out.Nodes = append(out.Nodes, n)
	}
	return result{value: out}, nil
}
