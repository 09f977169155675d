package ams

import (
	"context"
	"time"
)

// compare looks at everything the backend has with our mark, has the instances
// looked at whose rows disagree, and deletes what the store does not know.
func (e *engine) compare(ctx context.Context) error {
	began := time.Now()
	call, cancel := context.WithTimeout(ctx, e.m.cfg.CallTimeout)
	defer cancel()
	list, err := e.m.backend.List(call, e.mark)
	if err != nil {
		return err
	}
	seen := make(map[string]Seen, len(list))
	for _, s := range list {
		seen[s.ID] = s
	}
	var rows []Instance
	err = e.m.view(ctx, func(tx Tx) (err error) {
		rows, err = tx.Instances().List(InstanceFilter{}, Page{})
		return err
	})
	if err != nil {
		return err
	}
	info := CompareInfo{Seen: len(list)}
	e.compareRows(ctx, rows, seen, &info)
	if err := e.compareOrphans(ctx, rows, list, &info); err != nil {
		return err
	}
	info.Took = time.Since(began)
	if e.m.observer.Compared != nil {
		e.m.observer.Compared(info)
	}
	return nil
}

// few is how much of n may vanish, or be deleted, in one comparison without an
// operator's word: five, or a tenth.
func few(n int) int { return max(5, n/10) }

// compareRows wakes the instances at rest whose rows are not what is seen. The
// list may be old by now; whoever is woken looks for itself.
func (e *engine) compareRows(ctx context.Context, rows []Instance, seen map[string]Seen, info *CompareInfo) {
	var wakes, vanished []wake
	var moved []Instance
	for i := range rows {
		in := &rows[i]
		if !in.Resting || !in.Made {
			continue
		}
		s, ok := seen[in.ID]
		if !ok {
			s.Power = PowerAbsent
		}
		switch st := next(in, sight{power: s.Power}, e.m.now()); {
		case st.act == actForget:
			vanished = append(vanished, wakeInstance(in))
		case st.act == actWait:
			if after := st.until.Sub(e.m.now()); after < e.m.cfg.CompareInterval {
				e.queue.AddAfter(instanceKey(in.ID), wakeInstance(in).lane, after)
			}
			moved = addressMoved(moved, in, s)
		case st.act != actNothing:
			wakes = append(wakes, wakeInstance(in))
		default:
			moved = addressMoved(moved, in, s)
		}
	}
	if len(vanished) > few(len(rows)) {
		info.HeldBack += len(vanished)
		e.m.log.Error("many instances are not in the backend any more; their rows are kept until they are deleted by request", "vanished", len(vanished), "rows", len(rows))
		vanished = nil
	}
	for _, w := range append(wakes, vanished...) {
		if !e.queue.Running(w.key) {
			e.queue.Add(w.key, w.lane)
			info.Differ++
		}
	}
	if len(moved) > 0 {
		if err := e.writeAddresses(ctx, moved); err != nil && ctx.Err() == nil {
			e.m.log.Warn("writing addresses failed", "error", err)
		}
	}
}

// addressMoved adds an instance to moved if it has another address by now.
func addressMoved(moved []Instance, in *Instance, s Seen) []Instance {
	if s.Power != PowerRunning || s.Address == "" || s.Address == in.Address {
		return moved
	}
	in.Address = s.Address
	return append(moved, *in)
}

func (e *engine) writeAddresses(ctx context.Context, moved []Instance) error {
	return e.m.update(ctx, func(c *change) error {
		for i := range moved {
			in, err := c.Instances().Get(moved[i].ID)
			if err == nil && in.Status == InstanceRunning && in.Resting {
				in.Address, in.UpdatedAt = moved[i].Address, c.now
				err = c.Instances().Put(in)
			}
			if ignoreNotFound(err) != nil {
				return err
			}
		}
		return nil
	})
}
