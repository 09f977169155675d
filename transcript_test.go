package ams_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
)

// transcript writes down what happens, with names for ids and the time since the
// beginning.
type transcript struct {
	mu    sync.Mutex
	began time.Time
	text  strings.Builder
	names map[string]string
	count map[string]int
}

var idPattern = regexp.MustCompile(`\b([0-9a-v]{20}|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{64})\b`)

func (tr *transcript) printf(format string, args ...any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	line := idPattern.ReplaceAllStringFunc(fmt.Sprintf(format, args...), func(id string) string {
		if tr.names[id] == "" {
			return "<id>"
		}
		return tr.names[id]
	})
	fmt.Fprintf(&tr.text, "%8.2fs  %s\n", time.Since(tr.began).Seconds(), line)
}

// name gives an id a name the first time it is seen.
func (tr *transcript) name(kind, id string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.names[id] == "" && kind != "version" && kind != "node" && kind != "setting" {
		tr.count[kind]++
		tr.names[id] = fmt.Sprintf("%s%d", kind, tr.count[kind])
	}
}

func (tr *transcript) observer() ams.Observer {
	return ams.Observer{
		Committed: func(e ams.Event) {
			tr.name(e.Kind, e.ID)
			tr.printf("  %s %s: %s", e.Kind, e.ID, strings.TrimSpace(e.Action+" "+e.Message))
		},
		Called: func(c ams.CallInfo) {
			outcome := "ok"
			if c.Err != nil {
				outcome = c.Err.Error()
			}
			tr.printf("    call %s %s on %s: %s", c.Verb, c.Instance, c.Node, outcome)
		},
	}
}

// scenario is a story that is told to a Manager on the fake. What happens is
// compared with testdata/golden/<name>.txt; -update writes it.
func scenario(t *testing.T, name string, story func(t *testing.T, w *world, say func(string, ...any))) {
	t.Run(name, func(t *testing.T) {
		var got string
		synctest.Test(t, func(t *testing.T) {
			tr := &transcript{began: time.Now(), names: map[string]string{}, count: map[string]int{}}
			opts := fake.Options{
				NodeCount: 2, CreateTime: 110 * time.Millisecond, StartTime: 340 * time.Millisecond, StopTime: 700 * time.Millisecond,
				DeleteTime: 50 * time.Millisecond, PublishTime: time.Second, ImportTime: 2 * time.Second, BootTime: 3 * time.Second, HookTime: 200 * time.Millisecond,
			}
			w := newWorld(t, opts, func(c *ams.Config) { c.Observer, c.DrainTimeout = tr.observer(), time.Second })
			story(t, w, func(format string, args ...any) { tr.printf("> "+format, args...) })
			w.stop()
			got = tr.text.String()
		})
		file := filepath.Join("testdata", "golden", name+".txt")
		if *ams.UpdateGolden {
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
			require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, string(want), got)
	})
}

func TestTranscripts(t *testing.T) {
	scenario(t, "main-job", func(t *testing.T, w *world, say func(string, ...any)) {
		ctx := t.Context()
		say("add the image")
		w.image()
		say("create the application")
		w.wait(w.Applications.Create(ctx, pkg("name: candy"), ams.CreateOptions{}))
		say("launch an instance")
		w.launch(ams.LaunchRequest{Application: "candy", Name: "one"})
		say("stop it")
		w.wait(w.Instances.Stop(ctx, "one", false))
		say("start it")
		w.wait(w.Instances.Start(ctx, "one", ams.StartOptions{DropLogs: true}))
		say("restart it")
		w.wait(w.Instances.Restart(ctx, "one", false))
		say("delete it")
		w.wait(w.Instances.Delete(ctx, "one", false))
		say("delete the application")
		w.wait(w.Applications.Delete(ctx, "candy", false))
		say("delete the image")
		w.wait(w.Images.Delete(ctx, "jammy:android15:amd64", false))
	})
	scenario(t, "bootstrap-fails", func(t *testing.T, w *world, say func(string, ...any)) {
		w.image()
		w.fake.FailGuest(fake.GuestFault{Phase: ams.PhaseBootstrap, Exit: 3, Tail: "INSTALL_FAILED_NO_MATCHING_ABIS", Times: 1})
		say("create an application that does not install")
		op, err := w.Applications.Create(t.Context(), pkg("name: candy"), ams.CreateOptions{})
		w.fails(ams.ErrFailed, op, err)
		say("update it with a package that does")
		w.wait(w.Applications.Update(t.Context(), "candy", pkg("name: candy"), ams.CreateOptions{}))
	})
	scenario(t, "backend-away", func(t *testing.T, w *world, say func(string, ...any)) {
		w.image()
		say("the backend does not answer three times, and loses an answer")
		w.fake.Fail(fake.VerbCreate, 3, ams.Errorf(ams.ErrUnavailable, "connection refused"))
		w.fake.Lose(fake.VerbStart, 1)
		w.launch(ams.LaunchRequest{Name: "one"})
	})
	scenario(t, "restart-in-mid-launch", func(t *testing.T, w *world, say func(string, ...any)) {
		w.image()
		say("launch, and stop the manager while the instance boots")
		op, err := w.Instances.Launch(t.Context(), ams.LaunchRequest{Name: "one"})
		require.NoError(t, err)
		time.Sleep(time.Second)
		w.stop()
		say("start the manager again")
		w.start()
		w.wait(op, nil)
	})
	scenario(t, "behind-our-back", func(t *testing.T, w *world, say func(string, ...any)) {
		w.image()
		a, b := w.launch(ams.LaunchRequest{Name: "one"}), w.launch(ams.LaunchRequest{Name: "two"})
		say("somebody stops one and deletes the other")
		w.fake.StopBehindBack(a.ID)
		time.Sleep(time.Second)
		w.fake.DeleteBehindBack(b.ID)
		time.Sleep(time.Second)
	})
	scenario(t, "cancel", func(t *testing.T, w *world, say func(string, ...any)) {
		w.image()
		say("launch and cancel")
		op, err := w.Instances.Launch(t.Context(), ams.LaunchRequest{Name: "one"})
		require.NoError(t, err)
		time.Sleep(time.Second)
		require.NoError(t, w.Operations.Cancel(t.Context(), op.ID))
		w.fails(ams.ErrCancelled, op, nil)
	})
}

func TestThousandAtOnce(t *testing.T) {
	w := newWorld(t, fake.Options{NodeCount: 16})
	w.image()
	ids := make(chan string, 1000)
	for i := range 1000 {
		go func() {
			op, err := w.Instances.Launch(w.ctx, ams.LaunchRequest{Name: fmt.Sprint("inst-", i)})
			if err == nil {
				op, err = w.Operations.Wait(w.ctx, op.ID)
			}
			if err != nil {
				ids <- err.Error()
				return
			}
			ids <- op.Resources["instance"][0]
		}()
	}
	for range 1000 {
		require.Equal(t, ams.InstanceRunning, w.instance(<-ids).Status)
	}
	w.audit()
	list, n, err := w.Instances.List(w.ctx, ams.InstanceFilter{}, ams.Page{})
	require.NoError(t, err)
	require.Equal(t, 1000, n)
	var ops []ams.Operation
	for _, in := range list {
		op, err := w.Instances.Delete(w.ctx, in.ID, false)
		require.NoError(t, err)
		ops = append(ops, op)
	}
	for _, op := range ops {
		w.wait(op, nil)
	}
	w.audit()
	require.Empty(t, w.fake.Snapshot().Instances)
}
