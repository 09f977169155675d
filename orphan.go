package ams

import (
	"context"
	"strings"
	"time"

	"github.com/openams/ams/internal/xid"
)

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
func (e *engine) compareOrphans(ctx context.Context, unknown []Seen, seen int, info *CompareInfo) error {
	orphans, err := e.m.certainOrphans(ctx, unknown)
	if err != nil {
		return err
	}
	images, total, err := e.m.imageOrphans(ctx, e.mark)
	if err != nil {
		return err
	}
	orphans, total = append(orphans, images...), total+seen
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
		if err := e.m.deleteOrphan(ctx, e.mark, o); err != nil {
			return err
		}
		info.Deleted++
	}
	return nil
}

// certainOrphans returns what of the list has no row, as the store has it now.
func (m *Manager) certainOrphans(ctx context.Context, list []Seen) ([]Orphan, error) {
	var orphans []Orphan
	if len(list) == 0 {
		return nil, nil
	}
	err := m.view(ctx, func(tx Tx) error {
		orphans = nil
		for _, s := range list {
			if s.Power == PowerUnknown { // whose it is cannot be told while its node is away
				continue
			}
			_, err := tx.Instances().Get(s.ID)
			if CodeOf(err) == ErrNotFound {
				made, _ := xid.Time(s.ID)
				orphans = append(orphans, Orphan{Kind: "instance", ID: s.ID, Node: s.Node, Made: made})
			} else if err != nil {
				return err
			}
		}
		return nil
	})
	return orphans, err
}

// imageOrphans returns the images that nothing refers to, and how many there are
// in all.
func (m *Manager) imageOrphans(ctx context.Context, mark string) (orphans []Orphan, total int, err error) {
	keeper, ok := BackendAs[ImageKeeper](m.backend)
	if !ok {
		return nil, 0, nil
	}
	call, cancel := context.WithTimeout(ctx, m.cfg.CallTimeout)
	defer cancel()
	images, err := keeper.ListImages(call, mark)
	if err != nil {
		return nil, 0, err
	}
	aliases, fingerprints, err := m.knownImages(ctx)
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
	return orphans, len(images), err
}

func (m *Manager) knownImages(ctx context.Context) (aliases, fingerprints map[string]bool, err error) {
	aliases, fingerprints = map[string]bool{}, map[string]bool{}
	err = m.view(ctx, func(tx Tx) error {
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

func (m *Manager) deleteOrphan(ctx context.Context, mark string, o Orphan) error {
	m.log.Warn("deleting what carries our mark and is not in the store", "kind", o.Kind, "id", o.ID)
	return m.call(ctx, "delete orphan", &Instance{ID: o.ID, Node: o.Node}, m.cfg.CallTimeout, func(ctx context.Context) error {
		if o.Kind == "image" {
			keeper, _ := BackendAs[ImageKeeper](m.backend)
			if strings.HasPrefix(o.ID, "ams-") {
				return keeper.DeleteImage(ctx, mark, o.ID)
			}
			return keeper.DeleteFingerprint(ctx, mark, o.ID)
		}
		ref := Ref{Cluster: mark, ID: o.ID, Node: o.Node}
		if err := m.backend.Stop(ctx, ref, true, 0); ignoreNotFound(err) != nil {
			return err
		}
		return m.backend.Delete(ctx, ref)
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
	orphans, err := m.certainOrphans(ctx, list)
	if err != nil {
		return nil, err
	}
	images, _, err := m.imageOrphans(ctx, mark)
	return append(orphans, images...), err
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
	for _, o := range orphans {
		if !still[o.ID] {
			continue
		}
		if err := m.deleteOrphan(ctx, mark, o); err != nil {
			return err
		}
	}
	return m.update(ctx, func(c *change) error { return ignoreNotFound(c.Settings().Delete(holdKey)) })
}
