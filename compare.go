package ams

import (
	"context"
	"slices"
	"time"
)

// compare looks at everything the backend has with our mark, has the instances
// looked at whose rows disagree, and deletes what the store does not know.
func (e *engine) compare(ctx context.Context) error {
	began := e.m.now()
	if err := e.m.briefs.read(ctx, e.m); err != nil {
		return err
	}
	call, cancel := context.WithTimeout(ctx, e.m.cfg.CallTimeout)
	defer cancel()
	list, err := e.m.backend.List(call, e.mark)
	if err != nil {
		return err
	}
	info := CompareInfo{Seen: len(list)}
	orphans := e.compareRows(ctx, began, list, &info)
	if err := e.compareOrphans(ctx, orphans, len(list), &info); err != nil {
		return err
	}
	info.Took = e.m.now().Sub(began)
	if e.m.observer.Compared != nil {
		e.m.observer.Compared(info)
	}
	return nil
}

// few is how much of n may vanish, or be deleted, in one comparison without an
// operator's word: five, or a tenth.
func few(n int) int { return max(5, n/10) }

// moved is an instance that has another address by now.
type moved struct{ id, address string }

// compareRows wakes the instances at rest whose rows are not what is seen, and
// returns what is seen that has no row. The list may be old by now; whoever is
// woken looks for itself.
func (e *engine) compareRows(ctx context.Context, began time.Time, list []Seen, info *CompareInfo) (orphans []Seen) {
	var wakes, vanished []wake
	var moves []moved
	b, now := e.m.briefs, e.m.now()
	b.mu.Lock()
	b.round++
	rows := len(b.by)
	for i := range list {
		s := &list[i]
		row := b.by[s.ID]
		if row == nil {
			orphans = append(orphans, *s)
			continue
		}
		row.round = b.round
		if row.flags&(briefMade|briefResting) != briefMade|briefResting {
			continue
		}
		key := wake{key: instanceKey(s.ID), lane: row.lane()}
		if !row.agrees(s.Power) {
			wakes = append(wakes, key)
		} else if s.Power == PowerRunning && s.Address != "" && s.Address != row.address {
			moves = append(moves, moved{s.ID, s.Address})
		}
		if due, ever := row.due(now); ever && due < e.m.cfg.CompareInterval {
			key.after = max(due, 0)
			wakes = append(wakes, key)
		}
	}
	for id, row := range b.by {
		switch {
		case row.round == b.round || row.flags&(briefMade|briefResting) != briefMade|briefResting:
		case row.updated >= began.UnixMilli() || row.agrees(PowerAbsent):
		case row.flags&briefStandby != 0:
			wakes = append(wakes, wake{key: instanceKey(id), lane: row.lane()})
		default:
			vanished = append(vanished, wake{key: instanceKey(id), lane: row.lane()})
		}
	}
	b.mu.Unlock()
	if len(vanished) > few(rows) {
		info.HeldBack += len(vanished)
		e.m.log.Error("many instances are not in the backend any more; their rows are kept until they are deleted by request", "vanished", len(vanished), "rows", rows)
		vanished = nil
	}
	for _, w := range append(wakes, vanished...) {
		if w.after > 0 {
			e.queue.AddAfter(w.key, w.lane, w.after)
		} else if !e.queue.Running(w.key) {
			e.queue.Add(w.key, w.lane)
			info.Differ++
		}
	}
	for some := range slices.Chunk(moves, briefPage) {
		if err := e.writeAddresses(ctx, some); err != nil && ctx.Err() == nil {
			e.m.log.Warn("writing addresses failed", "error", err)
		}
	}
	return orphans
}

func (e *engine) writeAddresses(ctx context.Context, moves []moved) error {
	return e.m.update(ctx, func(c *change) error {
		for _, m := range moves {
			in, err := c.Instances().Get(m.id)
			if err == nil && in.Status == InstanceRunning && in.Resting {
				in.Address, in.UpdatedAt = m.address, c.now
				err = c.storeInstance(in)
			}
			if ignoreNotFound(err) != nil {
				return err
			}
		}
		return nil
	})
}
