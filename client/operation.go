package client

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

// kindOf returns the kind of object that a collection is of.
func kindOf(collection string) string {
	switch collection {
	case "identities":
		return "identity"
	case "containers":
		return "instance"
	}
	return strings.TrimSuffix(collection, "s")
}

// lastElement is what a path names.
func lastElement(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// operation returns an operation as package ams knows it.
func operation(o *api.Operation) ams.Operation {
	op := ams.Operation{
		ID: o.ID, Description: o.Description, MayCancel: o.MayCancel, CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt,
		Message: o.Err, Status: ams.OperationRunning, Resources: map[string][]string{},
	}
	switch o.StatusCode {
	case api.Success:
		op.Status = ams.OperationSuccess
	case api.Failure:
		op.Status = ams.OperationFailure
	case api.Cancelled:
		op.Status = ams.OperationCancelled
	case api.Cancelling:
		op.Status = ams.OperationCancelling
	default:
	}
	for collection, paths := range o.Resources {
		for _, p := range paths {
			id, err := url.PathUnescape(lastElement(p))
			if err != nil {
				id = lastElement(p)
			}
			op.Resources[kindOf(collection)] = append(op.Resources[kindOf(collection)], id)
		}
	}
	if s, ok := o.Metadata[api.MetadataProgress].(string); ok {
		op.Progress = s
	}
	if s, ok := o.Metadata[api.MetadataErrorCode].(string); ok {
		op.Code = ams.Code(s)
	}
	if op.Code == "" && op.Status == ams.OperationFailure {
		op.Code = ams.ErrFailed
	}
	return op
}

// Operations is the service for operations; see ams.Operations.
type Operations struct{ c *Client }

// Get returns an operation, or ErrNotFound.
func (s *Operations) Get(ctx context.Context, id string) (ams.Operation, error) {
	var o api.Operation
	if _, err := s.c.get(ctx, path("operations", id), nil, &o); err != nil {
		return ams.Operation{}, err
	}
	return operation(&o), nil
}

// List returns the operations that match the filter in order of id, cut to the page, and
// how many match in all.
func (s *Operations) List(ctx context.Context, filter ams.OperationFilter, page ams.Page) ([]ams.Operation, int, error) {
	var byStatus map[string][]api.Operation
	if _, err := s.c.get(ctx, "/operations", url.Values{"recursion": {"1"}}, &byStatus); err != nil {
		return nil, 0, err
	}
	list := []ams.Operation{}
	for _, some := range byStatus {
		for i := range some {
			op := operation(&some[i])
			if (filter.Done == nil || *filter.Done == op.Done()) &&
				(filter.EndedBefore.IsZero() || op.Done() && op.UpdatedAt.Before(filter.EndedBefore)) {
				list = append(list, op)
			}
		}
	}
	slices.SortFunc(list, func(a, b ams.Operation) int { return strings.Compare(a.ID, b.ID) })
	total := len(list)
	list = list[min(max(0, page.Offset), total):]
	if page.Limit > 0 && len(list) > page.Limit {
		list = list[:page.Limit]
	}
	return list, total, nil
}

const (
	waitTime  = 30 * time.Second // of one request
	waitGrace = 30 * time.Second // for its answer
	waitTries = 10               // how often in a row the service may fail to answer
)

// Wait waits until an operation has ended, and returns the error that it ended with. A
// connection that breaks, and a service that restarts, do not end the wait: it asks
// again, ten times in a row at most.
func (s *Operations) Wait(ctx context.Context, id string) (ams.Operation, error) {
	for tries := 0; ; {
		var o api.Operation
		bound, cancel := context.WithTimeout(ctx, waitTime+waitGrace)
		_, err := s.c.decode(bound, call{method: http.MethodGet, path: path("operations", id, "wait"), query: url.Values{"timeout": {"30"}}}, &o)
		cancel()
		switch {
		case ctx.Err() != nil:
			return ams.Operation{}, ctx.Err()
		case err == nil:
			tries = 0
			if op := operation(&o); op.Done() {
				return op, op.Err()
			}
			continue
		case ams.CodeOf(err) != ams.ErrUnavailable && ams.CodeOf(err) != "" || tries == waitTries:
			return ams.Operation{}, err
		}
		tries++
		select {
		case <-time.After(min(100*time.Millisecond<<tries, 5*time.Second)):
		case <-ctx.Done():
			return ams.Operation{}, ctx.Err()
		}
	}
}

// Cancel asks an operation to end; see ams.Operations.
func (s *Operations) Cancel(ctx context.Context, id string) error {
	_, err := s.c.do(ctx, call{method: http.MethodDelete, path: path("operations", id)}, nil)
	return err
}
