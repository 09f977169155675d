package lxd

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
)

// The logs that LXD itself keeps of an instance.
const (
	consoleLog   = "console.log"   // the end of what was written to its console
	containerLog = "container.log" // what LXC, or QEMU, has to say
)

// keptNames are those logs.
func keptNames() []string { return []string{consoleLog, containerLog} }

// kept opens a log that LXD keeps. It is ErrNotFound if there is none. The caller
// closes it.
func (b *Backend) kept(ctx context.Context, ref ams.Ref, name string) (io.ReadCloser, error) {
	if name == consoleLog {
		text, err := b.console(ctx, ref)
		return io.NopCloser(bytes.NewReader(text)), err
	}
	c, s, err := b.link.session(ctx, b.cfg.Project, "", false)
	if err != nil {
		return nil, b.classify(ctx, err)
	}
	r, err := b.ownLog(c, s, ref)
	if err != nil {
		s.close() // the body too
		return nil, b.classify(ctx, err)
	}
	return &logReader{Reader: io.LimitReader(r, maxLog), close: s.close}, nil
}

// ownLog opens the log of what runs an instance: LXC, or QEMU.
func (b *Backend) ownLog(c server, s *session, ref ams.Ref) (r io.Reader, err error) {
	for _, file := range []string{"lxc.log", "qemu.log"} {
		var req *http.Request
		req, err = http.NewRequestWithContext(s.ctx, http.MethodGet, b.link.base()+b.path("instances", instanceName(ref.ID), "logs", file), nil)
		if err != nil {
			return nil, err
		}
		var resp *http.Response
		resp, err = roundTrip(c, req) //nolint:bodyclose // the session closes it
		if err == nil {
			return resp.Body, nil
		}
		if !api.StatusErrorCheck(err, http.StatusNotFound) {
			return nil, err
		}
	}
	return nil, err
}

// keptSize returns how much can be read of a log that LXD keeps.
func (b *Backend) keptSize(ctx context.Context, ref ams.Ref, name string) (int64, error) {
	r, err := b.kept(ctx, ref, name)
	if err != nil {
		return 0, err
	}
	defer r.Close() //nolint:errcheck // it returns nil
	n, err := io.Copy(io.Discard, r)
	return n, b.classify(ctx, err)
}
