package ams

import (
	"context"
	"strings"
	"time"

	"github.com/openams/ams/internal/xid"
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
		case st.act != actNothing:
			wakes = append(wakes, wakeInstance(in))
		case s.Power == PowerRunning && s.Address != "" && s.Address != in.Address:
			in.Address = s.Address
			moved = append(moved, *in)
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

// Orphan is something in the backend that carries our mark and is not in the
// store.
type Orphan struct {
	Kind string // "instance" or "image"
	ID   string // of the instance; alias or fingerprint of the image
	Node string
	Made time.Time // as its id tells; zero where it does not
}

// compareOrphans deletes what carries our mark and is unknown, if it is old
// enough, little enough, and the store can be trusted to know better.
func (e *engine) compareOrphans(ctx context.Context, rows []Instance, list []Seen, info *CompareInfo) error {
	orphans, total, err := e.orphans(ctx, rows, list)
	if err != nil {
		return err
	}
	info.Orphans = len(orphans)
	hold, err := e.held(ctx, orphans)
	if err != nil || len(orphans) == 0 {
		return err
	}
	if hold == "" && len(orphans) > few(total) {
		hold = "there are more of them than may be deleted without an operator's word"
	}
	if hold != "" {
		info.HeldBack += len(orphans)
		e.m.log.Error("unknown instances or images with our mark are left alone; see Manager.DeleteOrphans", "count", len(orphans), "reason", hold)
		return nil
	}
	for _, o := range orphans {
		if o.Made.IsZero() || e.m.now().Sub(o.Made) < e.m.cfg.OrphanAge {
			continue
		}
		if err := e.deleteOrphan(ctx, o); err != nil {
			return err
		}
		info.Deleted++
	}
	return nil
}

// orphans finds what is unknown, and how much there is in all.
func (e *engine) orphans(ctx context.Context, rows []Instance, list []Seen) (orphans []Orphan, total int, err error) {
	known := make(map[string]bool, len(rows))
	for i := range rows {
		known[rows[i].ID] = true
	}
	for _, s := range list {
		if !known[s.ID] && s.Power != PowerUnknown { // whose it is cannot be told while its node is away
			made, _ := xid.Time(s.ID)
			orphans = append(orphans, Orphan{Kind: "instance", ID: s.ID, Node: s.Node, Made: made})
		}
	}
	total = len(list)
	keeper, ok := BackendAs[ImageKeeper](e.m.backend)
	if !ok {
		return orphans, total, nil
	}
	call, cancel := context.WithTimeout(ctx, e.m.cfg.CallTimeout)
	defer cancel()
	images, err := keeper.ListImages(call, e.mark)
	if err != nil {
		return nil, 0, err
	}
	aliases, fingerprints, err := e.knownImages(ctx)
	for _, im := range images {
		switch {
		case im.Alias != "" && !aliases[im.Alias]:
			id, _, _ := strings.Cut(strings.TrimPrefix(im.Alias, "ams-"), "-")
			made, _ := xid.Time(id)
			orphans = append(orphans, Orphan{Kind: "image", ID: im.Alias, Made: made})
		case im.Alias == "" && !fingerprints[im.Fingerprint]:
			orphans = append(orphans, Orphan{Kind: "image", ID: im.Fingerprint, Made: im.CreatedAt})
		}
	}
	return orphans, total + len(images), err
}

func (e *engine) knownImages(ctx context.Context) (aliases, fingerprints map[string]bool, err error) {
	aliases, fingerprints = map[string]bool{}, map[string]bool{}
	err = e.m.view(ctx, func(tx Tx) error {
		versions, err := tx.Versions().List(VersionFilter{}, Page{})
		if err != nil {
			return err
		}
		for _, v := range versions {
			aliases[imageAlias(v.ApplicationID, v.Number)], fingerprints[v.Fingerprint] = true, true
		}
		images, err := tx.Images().List(ImageFilter{}, Page{})
		for _, im := range images {
			for _, v := range im.Versions {
				aliases[imageAlias(im.ID, v.Number)], fingerprints[v.Fingerprint] = true, true
			}
		}
		return err
	})
	return aliases, fingerprints, err
}

// held returns why orphans are not deleted, and finds a reason to: something
// that was made after the newest event this store had when Run began shows that
// the store is older than the backend, a copy that was put back.
func (e *engine) held(ctx context.Context, orphans []Orphan) (string, error) {
	reason, err := e.m.hold(ctx)
	if reason != "" || err != nil {
		return reason, err
	}
	for _, o := range orphans {
		if o.Made.After(e.began) && o.Made.Before(e.started.Truncate(time.Second)) {
			reason = "the store is older than what is in the backend: it was restored"
			return reason, e.m.update(ctx, func(c *change) error {
				return ignoreExists(c.Settings().Put(Setting{Key: holdKey, Value: reason}))
			})
		}
	}
	return "", nil
}

func (m *Manager) hold(ctx context.Context) (string, error) {
	var s Setting
	err := m.view(ctx, func(tx Tx) (err error) {
		s, err = tx.Settings().Get(holdKey)
		return ignoreNotFound(err)
	})
	return s.Value, err
}

func (e *engine) deleteOrphan(ctx context.Context, o Orphan) error {
	e.m.log.Warn("deleting what carries our mark and is not in the store", "kind", o.Kind, "id", o.ID)
	return e.call(ctx, "delete orphan", &Instance{ID: o.ID, Node: o.Node}, e.m.cfg.CallTimeout, func(ctx context.Context) error {
		if o.Kind == "image" {
			keeper, _ := BackendAs[ImageKeeper](e.m.backend)
			if strings.HasPrefix(o.ID, "ams-") {
				return keeper.DeleteImage(ctx, e.mark, o.ID)
			}
			return keeper.DeleteFingerprint(ctx, e.mark, o.ID)
		}
		ref := Ref{Cluster: e.mark, ID: o.ID, Node: o.Node}
		if err := e.m.backend.Stop(ctx, ref, true, 0); ignoreNotFound(err) != nil {
			return err
		}
		return e.m.backend.Delete(ctx, ref)
	})
}

// Orphans lists what the backend has with the mark of this store and the store
// does not know. Run deletes such things by itself, once they are older than
// Config.OrphanAge and if they are few: at most five, or a tenth of what is
// there; and never when the store was restored from an older copy.
func (m *Manager) Orphans(ctx context.Context) ([]Orphan, error) {
	mark, err := m.cluster(ctx)
	if err != nil {
		return nil, err
	}
	list, err := m.backend.List(ctx, mark)
	if err != nil {
		return nil, err
	}
	var rows []Instance
	err = m.view(ctx, func(tx Tx) (err error) {
		rows, err = tx.Instances().List(InstanceFilter{}, Page{})
		return err
	})
	if err != nil {
		return nil, err
	}
	e := &engine{m: m, mark: mark}
	orphans, _, err := e.orphans(ctx, rows, list)
	return orphans, err
}

// DeleteOrphans is the operator's word: it deletes the given orphans, however
// many and however young, and lifts what held the clean-up back. Orphans that
// are in the store by now are left alone.
func (m *Manager) DeleteOrphans(ctx context.Context, orphans []Orphan) error {
	current, err := m.Orphans(ctx)
	if err != nil {
		return err
	}
	still := map[string]bool{}
	for _, o := range current {
		still[o.ID] = true
	}
	mark, err := m.cluster(ctx)
	if err != nil {
		return err
	}
	e := &engine{m: m, mark: mark}
	for _, o := range orphans {
		if !still[o.ID] {
			continue
		}
		if err := e.deleteOrphan(ctx, o); err != nil {
			return err
		}
	}
	return m.update(ctx, func(c *change) error { return ignoreNotFound(c.Settings().Delete(holdKey)) })
}

func ignoreExists(err error) error {
	if CodeOf(err) == ErrExists {
		return nil
	}
	return err
}
