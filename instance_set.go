package ams

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// InstancePatch is a change of an instance. A nil field is left as it is.
type InstancePatch struct {
	DeleteProtected *bool
	Tags            []string // the whole new list; empty but not nil removes all
}

// Set changes an instance, whatever it does meanwhile.
//
// Errors: ErrNotFound; ErrInvalid; ErrState for a base instance.
func (s *Instances) Set(ctx context.Context, idOrName string, p InstancePatch) error {
	faults := newManifestFaults()
	faults.each("tags", "tag", p.Tags, func(at, tag string) { faults.tag(at, "tag", tag) })
	if err := faults.err(); err != nil {
		return err
	}
	return s.m.update(ctx, func(c *change) error {
		in, err := findInstance(c, idOrName)
		if err != nil {
			return err
		}
		if in.Base {
			return instanceState(&in, "is a base instance")
		}
		set(&in.DeleteProtected, p.DeleteProtected)
		if p.Tags != nil && !slices.Equal(p.Tags, in.Tags) {
			in.Tags, in.Stale = p.Tags, max(in.Stale, staleLabels)
			if in.Resting && in.Status == InstanceRunning { // else its next start tells the backend
				c.wake = append(c.wake, wake{key: instanceKey(in.ID), lane: "watch"})
			}
		}
		c.lifecycle("instance", in.ID, "updated", "")
		in.UpdatedAt = c.now
		return c.storeInstance(in)
	})
}

// DeleteAll deletes several instances, as Delete does each of them, under one
// operation each. It stops at the first that cannot be deleted: those before it
// are being deleted then, and the result says so.
//
// Errors: those of Delete, naming the instance.
func (s *Instances) DeleteAll(ctx context.Context, idsOrNames []string, force bool) ([]Operation, error) {
	var ops []Operation
	for _, id := range idsOrNames {
		op, err := s.Delete(ctx, id, force)
		if err != nil {
			return ops, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}

func isProtected(in *Instance) error {
	if !in.DeleteProtected {
		return nil
	}
	return &Error{Code: ErrState, Kind: "instance", ID: in.Name, Err: errors.New("is protected from deletion; unset that first")}
}

// StartOptions say how an instance is started.
type StartOptions struct {
	// DropLogs allows an instance in error to be started: the logs of its failure
	// are lost then.
	DropLogs bool
}

func (o StartOptions) check(in *Instance) error {
	if in.Status == InstanceError && !o.DropLogs {
		return instanceState(in, fmt.Sprintf("has failed and keeps %d logs, which a start drops: that must be said", len(in.Logs)))
	}
	return nil
}
