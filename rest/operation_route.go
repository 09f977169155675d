package rest

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

func operationRoutes() []Route {
	return []Route{
		{
			Method: http.MethodGet, Path: "/1.0/operations", Name: "operations", Kind: Sync, Access: authenticated(),
			Doc:   "Lists operations: those that run, and those that ended within the hour. With recursion, an object of lists, by status.",
			Query: recursion(), Result: []string{}, List: map[string][]api.Operation{}, serve: listOperations,
		},
		{
			Method: http.MethodGet, Path: "/1.0/operations/{id}", Name: "operation", Kind: Sync, Access: authenticated(),
			Doc: "Shows an operation.", Result: api.Operation{}, serve: showOperation,
		},
		{
			Method: http.MethodDelete, Path: "/1.0/operations/{id}", Name: "operation", Kind: Sync, Access: authenticated(),
			Doc: "Cancels an operation.", Result: struct{}{}, serve: cancelOperation,
		},
		{
			Method: http.MethodGet, Path: "/1.0/operations/{id}/wait", Name: "operation_wait", Kind: Sync, Access: authenticated(),
			Doc:   "Waits until an operation has ended, or for so many seconds; shows it then.",
			Query: []Parameter{{"timeout", "string", "seconds, or a duration such as 5s; -1 is no limit, the default"}}, Result: api.Operation{}, serve: waitOperation,
		},
		{
			Method: http.MethodGet, Path: "/1.0/operations/{id}/websocket", Name: "operation_websocket", Kind: Websocket, Access: Access{Secret: true},
			Doc:   "Opens a websocket of an operation.",
			Query: []Parameter{{"secret", "string", "the secret of the websocket, from the metadata of the operation"}}, serve: connectCommand,
		},
	}
}

func listOperations(q *request) (response, error) {
	full, err := q.flag("recursion")
	if err != nil {
		return nil, err
	}
	rows, _, err := q.h.m.Operations.List(q.Context(), ams.OperationFilter{}, ams.Page{})
	if err != nil {
		return nil, err
	}
	ops := q.h.locals.list(q.caller)
	for _, op := range rows {
		if q.caller.seesOperation(op) {
			ops = append(ops, q.h.locals.rename(operationOf(op)))
		}
	}
	if !full {
		paths := []string{}
		for _, op := range ops {
			paths = append(paths, "/1.0/operations/"+op.ID)
		}
		return result{value: paths, total: len(paths)}, nil
	}
	byStatus := map[string][]api.Operation{}
	for _, op := range ops {
		key := strings.ToLower(op.Status)
		byStatus[key] = append(byStatus[key], op)
	}
	return result{value: byStatus, total: len(ops)}, nil
}

func showOperation(q *request) (response, error) {
	op, err := q.operation(q.Context(), q.PathValue("id"))
	return result{value: op}, err
}

func cancelOperation(q *request) (response, error) {
	id := q.PathValue("id")
	op, err := q.operation(q.Context(), id)
	if err != nil {
		return nil, err
	}
	if n := q.h.locals.find(id); n != nil {
		if !op.StatusCode.Final() && !n.cancel(q.h.now()) {
			return nil, ams.Errorf(ams.ErrState, "operation %s cannot be cancelled", id)
		}
		return result{value: struct{}{}}, nil
	}
	return result{value: struct{}{}}, q.h.m.Operations.Cancel(q.Context(), id)
}

// waitPoll is how often an operation that only this handler knows is looked at.
const waitPoll = 50 * time.Millisecond

func waitOperation(q *request) (response, error) {
	ctx, id := q.Context(), q.PathValue("id")
	limit, err := waitLimit(q.URL.Query().Get("timeout"))
	if err != nil {
		return nil, err
	}
	if limit >= 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	op, err := q.operation(q.Context(), id)
	if err != nil {
		return nil, err
	}
	if n := q.h.locals.find(id); n != nil {
		for !op.StatusCode.Final() && ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(waitPoll):
			}
			op = n.get()
		}
		return result{value: op}, nil
	}
	// What it ended with is in what is shown.
	_, err = q.h.m.Operations.Wait(ctx, id)
	if q.Context().Err() != nil {
		return nil, err
	}
	op, err = q.operation(q.Context(), id)
	return result{value: op}, err
}

// waitLimit reads how long to wait; less than 0 is no limit.
func waitLimit(s string) (time.Duration, error) {
	if s == "" {
		return -1, nil
	}
	if n, err := strconv.Atoi(s); err == nil {
		if n > int(365*24*time.Hour/time.Second) {
			n = -1
		}
		return time.Duration(n) * time.Second, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, ams.Errorf(ams.ErrInvalid, "timeout is %.40q; it must be seconds, or a duration such as 5s", s)
	}
	return d, nil
}

// recursion is the parameter of lists.
func recursion() []Parameter {
	return []Parameter{{"recursion", "boolean", "list the objects, not their paths"}}
}
