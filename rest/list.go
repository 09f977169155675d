package rest

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

// paged lists what the caller may see, cut to the page asked for, and says how much
// that is in all. Whoever may see everything has the store cut it.
func paged[Row any](q *request, kind string, list func(ams.Page) ([]Row, int, error), id func(*Row) string) ([]Row, int, error) {
	page, err := q.page()
	if err != nil {
		return nil, 0, err
	}
	if q.caller.admin {
		return list(page)
	}
	all, _, err := list(ams.Page{})
	if err != nil {
		return nil, 0, err
	}
	all = slices.DeleteFunc(all, func(row Row) bool { return !q.caller.sees(kind, id(&row)) })
	return cut(all, page), len(all), nil
}

// cut returns a page of a list.
func cut[Row any](all []Row, page ams.Page) []Row {
	all = all[min(max(0, page.Offset), len(all)):]
	if page.Limit > 0 && len(all) > page.Limit {
		all = all[:page.Limit]
	}
	return all
}

// shown returns the elements of a list: as the objects that clients know where
// recursion is asked for, else as their paths.
func shown[Row, Object any](q *request, list []Row, total int, path func(*Row) string, object func(*Row) (Object, error)) (response, error) {
	full, err := q.flag("recursion")
	if err != nil {
		return nil, err
	}
	if !full {
		paths := []string{}
		for i := range list {
			paths = append(paths, path(&list[i]))
		}
		return result{value: paths, total: total}, nil
	}
	objects := []Object{}
	for i := range list {
		o, err := object(&list[i])
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	return result{value: objects, total: total}, nil
}

// mostIDs bounds a request that is about several objects.
const mostIDs = 10_000

// many reads the body of the deletion of several objects, all of which the caller must
// be allowed to delete.
func (q *request) many(kind string) (ids []string, force bool, err error) {
	var body api.DeleteMany
	if err := q.body(&body); err != nil {
		return nil, false, err
	}
	switch {
	case len(body.IDs) == 0:
		return nil, false, ams.Errorf(ams.ErrInvalid, "ids is empty")
	case len(body.IDs) > mostIDs:
		return nil, false, ams.Errorf(ams.ErrTooLarge, "ids has %d elements, the most is %d", len(body.IDs), mostIDs)
	}
	for _, ref := range body.IDs {
		if q.caller.admin {
			break
		}
		id, err := q.h.guard.resolve(q.Context(), kind, ref)
		if err != nil || !q.caller.may(kind, id, "can_delete") {
			return nil, false, errDenied()
		}
	}
	return body.IDs, body.Force, nil
}

// group answers with one operation that ends when all of ops have, or the first of
// them has failed.
func (q *request) group(description string, ops []ams.Operation, err error, key string) (response, error) {
	if err != nil {
		return nil, err
	}
	resources := map[string][]string{}
	for _, op := range ops {
		for _, path := range operationOf(op).Resources[collectionOf(key)] {
			resources[key] = append(resources[key], "/1.0/"+key+"/"+lastElement(path))
		}
	}
	if len(ops) == 1 {
		if key == "containers" {
			q.h.locals.asContainers(ops[0].ID, q.h.now())
		}
		return begun{q.h.locals.rename(operationOf(ops[0]))}, nil
	}
	who := q.caller
	n := q.h.locals.add(q.h.now(), api.Operation{Class: api.ClassTask, Description: description, Resources: resources}, who.same, nil, nil)
	ctx := background(q.Context())
	go func() {
		for _, op := range ops {
			if _, err := q.h.m.Operations.Wait(ctx, op.ID); err != nil && ams.CodeOf(err) != ams.ErrNotFound {
				n.end(q.h.now(), api.Failure, err.Error(), map[string]any{api.MetadataErrorCode: string(ams.CodeOf(err))})
				return
			}
		}
		n.end(q.h.now(), api.Success, "", nil)
	}()
	return begun{n.get()}, nil
}

// collectionOf returns where the root package's operations have what clients know
// under key.
func collectionOf(key string) string {
	if key == "containers" {
		return "instances"
	}
	return key
}

func lastElement(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[i+1:]
		}
	}
	return path
}

// etag returns the mark of a revision of an object.
func etag(rev int64) string { return `"` + strconv.FormatInt(rev, 10) + `"` }

// match refuses a change of an object that is not as the client has seen it, where
// that says what it has seen: with If-Match.
func (q *request) match(rev int64) error {
	want := q.Header.Get("If-Match")
	if want == "" || want == "*" || want == etag(rev) {
		return nil
	}
	return withStatus(http.StatusPreconditionFailed, ams.ErrConflict, "it has changed: its ETag is %s now", etag(rev))
}

// ended answers with an operation as an object's change has left it.
func (q *request) op(op ams.Operation, err error) (response, error) {
	if err != nil {
		return nil, err
	}
	return begun{operationOf(op)}, nil
}
