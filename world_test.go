package ams_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/internal/audit"
	"github.com/openams/ams/storage/mem"
)

// world is a Manager that runs on a fake cluster.
type world struct {
	*ams.Manager
	now   atomic.Pointer[ams.Manager] // the same, for callers that live through restarts
	t     testing.TB
	ctx   context.Context
	fake  *fake.Backend
	store ams.Store
	cfg   ams.Config
	stop  func()
}

// newWorld starts a Manager. Options change its configuration before that.
func newWorld(t testing.TB, opts fake.Options, change ...func(*ams.Config)) *world {
	ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour) // of a bubble's time
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, fake: fake.New(opts), store: mem.New()}
	w.cfg = ams.Config{Store: w.store, Backend: w.fake, Logger: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&w.cfg)
	}
	w.store = w.cfg.Store
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

// start begins a new life of the Manager on the same store and backend. A store
// that fails just then ends it, as it should; then it is begun again.
func (w *world) start() {
	for tries := 0; ; tries++ {
		m, err := ams.New(w.cfg)
		require.NoError(w.t, err)
		w.Manager = m
		w.now.Store(m)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx) }()
		ready := make(chan error, 1)
		go func() { ready <- m.Ready(ctx) }()
		select {
		case err := <-ended:
			cancel()
			require.Error(w.t, err)
			require.Less(w.t, tries, 20, err)
			continue
		case err := <-ready:
			require.NoError(w.t, err)
		}
		w.stop = func() {
			cancel()
			require.NoError(w.t, <-ended)
			w.stop = func() {}
		}
		return
	}
}

// wait waits for an operation and requires that it succeeded.
func (w *world) wait(op ams.Operation, err error) ams.Operation {
	w.t.Helper()
	require.NoError(w.t, err)
	op, err = w.Operations.Wait(w.ctx, op.ID)
	require.NoError(w.t, err)
	return op
}

// fails waits for an operation and requires that it failed with the code.
func (w *world) fails(code ams.Code, op ams.Operation, err error) string {
	w.t.Helper()
	require.NoError(w.t, err)
	_, err = w.Operations.Wait(w.ctx, op.ID)
	require.ErrorIs(w.t, err, code)
	return err.Error()
}

// image adds the default image.
func (w *world) image() {
	w.t.Helper()
	w.wait(w.Images.Add(w.ctx, "jammy:android15:amd64", fakeImage("one"), ams.ImageOptions{}))
}

// application adds an image and an application that is ready.
func (w *world) application(name string) ams.Application {
	w.t.Helper()
	w.image()
	w.wait(w.Applications.Create(w.ctx, pkg("name: "+name), ams.CreateOptions{}))
	app, err := w.Applications.Get(w.ctx, name)
	require.NoError(w.t, err)
	return app
}

func (w *world) launch(req ams.LaunchRequest) ams.Instance {
	w.t.Helper()
	op := w.wait(w.Instances.Launch(w.ctx, req))
	return w.instance(op.Resources["instance"][0])
}

func (w *world) instance(id string) ams.Instance {
	w.t.Helper()
	in, err := w.Instances.Get(w.ctx, id)
	require.NoError(w.t, err)
	return in
}

func fakeImage(content string) io.Reader { return strings.NewReader(content) }

// pkg is a package with the manifest and further files, as name and content in
// turn. Hooks are executable.
func pkg(manifest string, files ...string) io.Reader {
	return zipOf(append([]string{"manifest.yaml", manifest}, files...)...)
}

func zipOf(files ...string) io.Reader {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		h := &zip.FileHeader{Name: files[i], Method: zip.Deflate}
		h.SetMode(0o644)
		if strings.HasPrefix(files[i], "hooks/") {
			h.SetMode(0o755)
		}
		f, err := z.CreateHeader(h)
		if err == nil {
			_, err = io.WriteString(f, files[i+1])
		}
		if err != nil {
			panic(err)
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return &b
}

// audit requires that ledger, store and backend agree and nothing is left over,
// within a minute: a clean-up may outlast the operation that began it.
func (w *world) audit() {
	w.t.Helper()
	var faults []string
	for range 120 {
		var err error
		faults, err = audit.Check(context.Background(), w.store, w.fake)
		require.NoError(w.t, err)
		if len(faults) == 0 {
			return
		}
		time.Sleep(500 * time.Millisecond) // of a bubble's time
	}
	require.Empty(w.t, faults)
}

// sha is the SHA-256 of content in hexadecimal.
func sha(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
