package rest

import (
	"context"
	"slices"
	"strings"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

// collections are the paths of objects, by their kind in the root package.
func collection(kind string) string {
	switch kind {
	case "application", "version":
		return "applications"
	case "identity":
		return "identities"
	}
	return kind + "s"
}

// pathOf returns the path of an object.
func pathOf(kind, id string) string {
	switch kind {
	case "version": // its application's
		if i := strings.LastIndexByte(id, '-'); i > 0 {
			id = id[:i]
		}
	case "group":
		return "/1.0/auth/groups/" + id
	case "identity":
		return "/1.0/auth/identities/" + id
	}
	return "/1.0/" + collection(kind) + "/" + id
}

// operationOf returns an operation as clients know it.
func operationOf(op ams.Operation) api.Operation {
	o := api.Operation{
		ID: op.ID, Class: api.ClassTask, Description: op.Description, CreatedAt: op.CreatedAt, UpdatedAt: op.UpdatedAt,
		MayCancel: op.MayCancel, Resources: map[string][]string{}, StatusCode: statusCode(op.Status),
	}
	o.Status = o.StatusCode.String()
	for kind, ids := range op.Resources {
		if !isSubject(kind, op.Resources) {
			continue
		}
		key := collection(kind)
		for _, id := range ids {
			path := pathOf(kind, id)
			if !slices.Contains(o.Resources[key], path) {
				o.Resources[key] = append(o.Resources[key], path)
			}
		}
	}
	if len(o.Resources) == 0 {
		o.Resources = nil
	}
	if op.Progress != "" {
		o.Metadata = map[string]any{api.MetadataProgress: op.Progress}
	}
	if o.StatusCode == api.Failure || o.StatusCode == api.Cancelled {
		o.Err = op.Message
		if o.Err == "" {
			o.Err = string(op.Code)
		}
		if o.Err == "" {
			o.Err = string(ams.ErrCancelled)
		}
		o.Metadata = map[string]any{api.MetadataErrorCode: string(op.Code)}
	}
	return o
}

// isSubject reports whether an operation is about objects of that kind: clients take
// whatever is in its resources for what it is about. A launch is about the instance,
// not the application, and a publication about the image.
func isSubject(kind string, resources map[string][]string) bool {
	switch {
	case resources["image"] != nil:
		return kind == "image"
	case resources["instance"] != nil:
		return kind == "instance"
	}
	return true
}

// statusCode returns the code of a status.
func statusCode(s ams.OperationStatus) api.StatusCode {
	switch s {
	case ams.OperationCancelling:
		return api.Cancelling
	case ams.OperationSuccess:
		return api.Success
	case ams.OperationFailure:
		return api.Failure
	case ams.OperationCancelled:
		return api.Cancelled
	case ams.OperationRunning:
	}
	return api.Running
}

// seesOperation reports whether a caller may see an operation: one on an object that
// it may see, or one on none.
func (c *caller) seesOperation(op ams.Operation) bool {
	if c.admin {
		return true
	}
	for kind, ids := range op.Resources {
		for _, id := range ids {
			if kind == "version" {
				kind, id = "application", strings.TrimSuffix(id, id[max(0, strings.LastIndexByte(id, '-')):])
			}
			if c.sees(kind, id) {
				return true
			}
		}
	}
	return c.may("server", "", "can_view_operations")
}

// operation returns an operation that the caller may see.
func (q *request) operation(ctx context.Context, id string) (api.Operation, error) {
	if n := q.h.locals.find(id); n != nil {
		if !n.owner(q.caller) {
			return api.Operation{}, errDenied()
		}
		return n.get(), nil
	}
	op, err := q.h.m.Operations.Get(ctx, id)
	if err != nil {
		return api.Operation{}, err
	}
	if !q.caller.seesOperation(op) {
		return api.Operation{}, errDenied()
	}
	return q.h.locals.rename(operationOf(op)), nil
}
