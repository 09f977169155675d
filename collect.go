package ams

import (
	"context"
	"io"
)

// What is kept of a failed instance's logs, at most.
const (
	maxLogs    = 100
	maxLogSize = 4 * Megabyte
)

// collect keeps the logs of an instance that failed. Logs are worth having, but
// not worth holding up the clean-up: what cannot be read is left out.
func (e *engine) collect(ctx context.Context, in *Instance) error {
	reader, ok := BackendAs[LogReader](e.m.backend)
	if !ok {
		return nil
	}
	var kept []LogFile
	release := e.m.holdBlobs()
	defer release()
	err := e.m.call(ctx, "collect", in, e.m.cfg.CallTimeout, func(ctx context.Context) error {
		found, err := reader.Logs(ctx, e.ref(in))
		for _, f := range found[:min(len(found), maxLogs)] {
			log, err := e.keepLog(ctx, reader, in, f.Name)
			if err != nil {
				e.m.log.Warn("keeping a log failed", "instance", in.ID, "log", f.Name, "error", err)
				continue
			}
			kept = append(kept, log)
		}
		return err
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		e.m.log.Warn("collecting logs failed", "instance", in.ID, "error", err)
	}
	return e.commit(ctx, in, func(_ *change, in *Instance) error {
		in.Logs = kept
		return nil
	})
}

// keepLog stores the end of one log.
func (e *engine) keepLog(ctx context.Context, reader LogReader, in *Instance, name string) (LogFile, error) {
	r, err := reader.OpenLog(ctx, e.ref(in), name)
	if err != nil {
		return LogFile{}, err
	}
	defer r.Close()
	blob, err := e.m.blobs.Write(ctx, io.LimitReader(r, int64(maxLogSize)))
	return LogFile{Name: name, Size: blob.Size, Digest: blob.Digest}, err
}
