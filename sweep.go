package ams

import (
	"context"
	"time"
)

const (
	sweepInterval = 10 * time.Minute
	firstSweep    = time.Minute // after the start, at most: that has better things to do
)

// sweepLoop forgets what is over: old operations, join tokens and events, blobs
// that nothing refers to.
func (e *engine) sweepLoop(ctx context.Context) {
	if !pause(ctx, min(firstSweep, e.m.cfg.BlobAge)) {
		return
	}
	for {
		if err := e.sweep(ctx); err != nil && ctx.Err() == nil {
			e.m.log.Warn("sweeping failed", "error", err)
		}
		if !pause(ctx, sweepInterval) {
			return
		}
	}
}

func (e *engine) sweep(ctx context.Context) error {
	m := e.m
	err := m.update(ctx, func(c *change) error {
		ended, err := c.Operations().List(OperationFilter{EndedBefore: c.now.Add(-m.cfg.KeepOperations)}, Page{Limit: 10_000})
		if err != nil {
			return err
		}
		for _, op := range ended {
			if err := c.Operations().Delete(op.ID); err != nil {
				return err
			}
		}
		if err := c.sweepTokens(); err != nil {
			return err
		}
		oldest, newest, err := c.Events().Bounds()
		if err != nil || newest-oldest < 2*m.cfg.KeepEvents {
			return err
		}
		return c.Events().Trim(newest - m.cfg.KeepEvents)
	})
	if err != nil {
		return err
	}
	return m.sweepBlobs(ctx)
}

// sweepBlobs deletes blobs that nothing refers to and that are old. While one is
// on its way in, it leaves it for the next time.
func (m *Manager) sweepBlobs(ctx context.Context) error {
	if !m.sweeping.TryLock() {
		return nil
	}
	defer m.sweeping.Unlock()
	used, err := m.owners(ctx)
	if err != nil {
		return err
	}
	var unused []string
	old := m.now().Add(-m.cfg.BlobAge)
	err = m.blobs.List(ctx, func(b BlobInfo) error {
		if _, ok := used.blobs[b.Digest]; !ok && b.Written.Before(old) {
			unused = append(unused, b.Digest)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, digest := range unused {
		if err := m.blobs.Delete(ctx, digest); err != nil {
			return err
		}
	}
	return nil
}

// dropBlobs deletes blobs at once that nothing refers to any more. While one is
// on its way in, they are left to the sweep.
func (m *Manager) dropBlobs(ctx context.Context, digests ...string) error {
	if !m.sweeping.TryLock() {
		return nil
	}
	defer m.sweeping.Unlock()
	used, err := m.owners(ctx)
	if err != nil {
		return err
	}
	for _, digest := range digests {
		if _, ok := used.blobs[digest]; ok || digest == "" {
			continue
		}
		if err := m.blobs.Delete(ctx, digest); err != nil {
			return err
		}
	}
	return nil
}
