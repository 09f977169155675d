package ams

import (
	"context"
	"strings"
	"time"
)

const sweepInterval = 10 * time.Minute

// sweepLoop forgets what is over: old operations, old events, blobs that nothing
// refers to.
func (e *engine) sweepLoop(ctx context.Context) {
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
	used, err := m.usedBlobs(ctx)
	if err != nil {
		return err
	}
	var unused []string
	old := m.now().Add(-m.cfg.BlobAge)
	err = m.blobs.List(ctx, func(b BlobInfo) error {
		if !used[b.Digest] && b.Written.Before(old) {
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
	used, err := m.usedBlobs(ctx)
	for _, digest := range digests {
		if err == nil && digest != "" && !used[digest] {
			err = m.blobs.Delete(ctx, digest)
		}
	}
	return err
}

// usedBlobs is every blob that a row refers to.
func (m *Manager) usedBlobs(ctx context.Context) (map[string]bool, error) {
	used := map[string]bool{}
	logs := func(files []LogFile) {
		for _, f := range files {
			used[f.Digest] = true
		}
	}
	addons := func(uses []AddonUse) {
		for _, use := range uses {
			used[use.Package.Digest] = true
		}
	}
	err := m.view(ctx, func(tx Tx) error {
		apps, err := tx.Applications().List(ApplicationFilter{}, Page{})
		if err != nil {
			return err
		}
		for i := range apps {
			used[apps[i].Package.Digest] = true
		}
		all, err := tx.Addons().List(AddonFilter{}, Page{})
		if err != nil {
			return err
		}
		for i := range all {
			for _, v := range all[i].Versions {
				used[v.Package.Digest] = true
			}
		}
		versions, err := tx.Versions().List(VersionFilter{}, Page{})
		if err != nil {
			return err
		}
		for i := range versions {
			used[versions[i].Package.Digest] = true
			logs(versions[i].Logs)
			addons(versions[i].Addons)
		}
		images, err := tx.Images().List(ImageFilter{}, Page{})
		if err != nil {
			return err
		}
		for _, im := range images {
			for _, v := range im.Versions {
				used[v.Upload], used[v.Rootfs] = true, true
				if v.Status == ImageQueued {
					for _, f := range v.Files {
						used[strings.ToLower(f.SHA256)] = true
					}
				}
			}
		}
		failed, err := tx.Instances().List(InstanceFilter{}, Page{})
		for i := range failed {
			logs(failed[i].Logs)
			addons(failed[i].Addons)
		}
		return err
	})
	return used, err
}
