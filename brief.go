package ams

import (
	"context"
	"sync"
	"time"
)

// brief is what a comparison with the backend needs of an instance's row. There is
// one for each row, so it is small.
type brief struct {
	rev     int64
	updated int64  // in milliseconds since 1970
	expires int64  // likewise; 0 is never
	node    string // one copy for all instances of a node
	address string
	round   uint32 // the comparison it was last seen in
	status  uint8  // an index of briefStatus
	flags   briefFlags
}

type briefFlags uint8

const (
	briefMade briefFlags = 1 << iota
	briefResting
	briefStandby
	briefFailed
	briefStale
	briefProtected
)

// briefStatus are the statuses by number.
var briefStatus = [...]InstanceStatus{InstanceCreated, InstancePrepared, InstanceStarted, InstanceRunning, InstanceStopped, InstanceError, InstanceUnknown}

// briefs are the briefs of all rows, as far as they were committed.
type briefs struct {
	mu    sync.Mutex
	known bool // they were read
	by    map[string]*brief
	nodes map[string]string
	round uint32
	gone  map[string]bool // deleted while the rows are read; nil at other times
}

func newBriefs() *briefs { return &briefs{by: map[string]*brief{}, nodes: map[string]string{}} }

// set takes over a row, unless a newer one is known.
func (b *briefs) set(in *Instance) {
	s := b.by[in.ID]
	switch {
	case s == nil:
		s = &brief{}
		b.by[in.ID] = s
	case s.rev > in.Rev:
		return
	}
	node, ok := b.nodes[in.Node]
	if !ok {
		node = in.Node
		b.nodes[node] = node
	}
	s.rev, s.node, s.address, s.updated, s.expires = in.Rev, node, in.Address, in.UpdatedAt.UnixMilli(), 0
	if !in.Expires.IsZero() {
		s.expires = in.Expires.UnixMilli()
	}
	for i, status := range briefStatus {
		if status == in.Status {
			s.status = uint8(i)
		}
	}
	s.flags = 0
	for flag, is := range map[briefFlags]bool{
		briefMade: in.Made, briefResting: in.Resting, briefStandby: in.Standby, briefFailed: in.Failure != "",
		briefStale: in.Stale != upToDate, briefProtected: in.DeleteProtected,
	} {
		if is {
			s.flags |= flag
		}
	}
}

// committed takes over what a transaction has done to rows.
func (b *briefs) committed(put []Instance, gone []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range put {
		if !b.gone[put[i].ID] {
			b.set(&put[i])
		}
	}
	for _, id := range gone {
		delete(b.by, id)
		if b.gone != nil {
			b.gone[id] = true
		}
	}
}

// doubt has all rows read again before the next comparison: a commit failed, or
// seemed to.
func (b *briefs) doubt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known = false
}

const (
	briefPage  = 500 // rows that are read at a time
	briefParts = 4   // that are read at the same time
)

// read reads all rows, if it must. Rows that change meanwhile are known by their
// commits.
func (b *briefs) read(ctx context.Context, m *Manager) error {
	b.mu.Lock()
	if b.known {
		b.mu.Unlock()
		return nil
	}
	b.known = true // unless in doubt again before we are done
	b.by, b.gone = map[string]*brief{}, map[string]bool{}
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.gone = nil
		b.mu.Unlock()
	}()
	if err := b.readAll(ctx, m); err != nil {
		b.doubt()
		return err
	}
	return nil
}

// readAll reads all rows, in parts at the same time: most of it is decoding.
func (b *briefs) readAll(ctx context.Context, m *Manager) error {
	var bounds []string
	err := m.view(ctx, func(tx Tx) error {
		bounds = []string{""}
		n, err := tx.Instances().Count(InstanceFilter{})
		for part := 1; part < briefParts && n > briefParts*briefPage && err == nil; part++ {
			var first []Instance
			first, err = tx.Instances().List(InstanceFilter{}, Page{Offset: n * part / briefParts, Limit: 1})
			if len(first) == 1 {
				bounds = append(bounds, first[0].ID)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var parts sync.WaitGroup
	for i, after := range bounds {
		last := ""
		if i+1 < len(bounds) {
			last = bounds[i+1]
		}
		parts.Go(func() {
			if err := b.readPart(ctx, m, after, last); err != nil {
				cancel(err)
			}
		})
	}
	parts.Wait()
	return context.Cause(ctx)
}

// readPart reads the rows after one id, up to and with the last.
func (b *briefs) readPart(ctx context.Context, m *Manager, after, last string) error {
	for {
		var rows []Instance
		err := m.view(ctx, func(tx Tx) (err error) {
			rows, err = tx.Instances().List(InstanceFilter{After: after}, Page{Limit: briefPage})
			return err
		})
		if err != nil {
			return err
		}
		b.committed(rows, nil)
		if len(rows) < briefPage {
			return nil
		}
		if after = rows[len(rows)-1].ID; last != "" && after >= last {
			return nil
		}
	}
}

// storeInstance stores an instance row.
func (c *change) storeInstance(in Instance) error {
	if err := c.Instances().Put(in); err != nil {
		return err
	}
	in.Rev++ // as Put stored it
	c.rows = append(c.rows, in)
	return nil
}

// deleteInstance deletes an instance row.
func (c *change) deleteInstance(id string) error {
	c.gone = append(c.gone, id)
	return c.Instances().Delete(id)
}

// lane is where the instance is worked on.
func (s *brief) lane() string {
	if briefStatus[s.status] != InstanceRunning {
		return s.node + "/end"
	}
	return s.node + "/work"
}

// agrees reports whether a row at rest is what is seen. When it does not, whoever
// looks closer decides what that means.
func (s *brief) agrees(power Power) bool {
	status := briefStatus[s.status]
	switch {
	case s.flags&briefStandby != 0:
		return power == PowerFrozen
	case s.flags&briefFailed != 0:
		return status == InstanceError && power != PowerRunning && power != PowerFrozen
	}
	switch power {
	case PowerUnknown:
		return status == InstanceUnknown
	case PowerRunning:
		return status == InstanceRunning && s.flags&briefStale == 0
	case PowerStopped:
		return status == InstanceStopped || status == InstancePrepared || status == InstanceError
	}
	return false
}

// due is how long it is until the instance's time is over, and whether it ever is.
func (s *brief) due(now time.Time) (time.Duration, bool) {
	if s.expires == 0 || s.flags&briefProtected != 0 && briefStatus[s.status] != InstanceRunning {
		return 0, false
	}
	return time.UnixMilli(s.expires).Sub(now), true
}
