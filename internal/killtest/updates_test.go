package killtest

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/internal/audit"
	"github.com/openams/ams/storage/sqlite"
)

const (
	updatesEnv = "AMS_KILLTEST_UPDATES"
	fifty      = 50
)

// TestFiftyUpdates changes the image of fifty applications, kills the program ten
// times while it rebuilds them, and finds exactly one new version of each.
func TestFiftyUpdates(t *testing.T) {
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	start := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), updatesEnv+"="+dir)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		require.NoError(t, cmd.Start())
		t.Cleanup(func() {
			if t.Failed() {
				t.Log(out.String())
			}
		})
		return cmd
	}
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	cmd := start()
	require.Eventually(t, func() bool { return exists("updating") }, time.Minute, 10*time.Millisecond)
	kills := 0
	for !exists("done") && kills < 10 {
		<-time.After(time.Duration(100+random.IntN(400)) * time.Millisecond)
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
		kills++
		cmd = start()
	}
	require.Greater(t, kills, 2, "the program was too quick to be killed")
	require.NoError(t, cmd.Wait())
	require.True(t, exists("done"))
}

// liveUpdates is the program of TestFiftyUpdates. It ends when every application
// has been rebuilt, once.
func liveUpdates(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	store, err := sqlite.Open(filepath.Join(dir, "ams.db"), nil)
	if err != nil {
		return err
	}
	defer store.Close()
	backend, err := fake.Open(fake.Options{
		NodeCount: 3, File: filepath.Join(dir, "cluster"),
		CreateTime: 5 * time.Millisecond, StartTime: 5 * time.Millisecond, BootTime: 100 * time.Millisecond, PublishTime: 50 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	m, err := ams.New(ams.Config{Store: store, Backend: backend, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	if err := m.Ready(ctx); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "updating")); err != nil {
		if err := beginUpdates(ctx, m, dir); err != nil {
			return err
		}
	}
	for done := 0; done < fifty; {
		<-time.After(20 * time.Millisecond)
		if done, err = rebuilt(ctx, m); err != nil {
			return err
		}
	}
	<-time.After(3 * time.Second) // longer than updates are put off: nothing may follow
	if done, err := rebuilt(ctx, m); err != nil || done != fifty {
		return fmt.Errorf("%d of %d: %w", done, fifty, err)
	}
	faults, err := audit.Check(ctx, store, backend)
	if err != nil || len(faults) > 0 {
		return fmt.Errorf("%v: %w", faults, err)
	}
	cancel()
	if err := <-ended; err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "done"), nil, 0o600)
}

// beginUpdates makes the applications and changes their image.
func beginUpdates(ctx context.Context, m *ams.Manager, dir string) error {
	op, err := m.Images.Add(ctx, "jammy", strings.NewReader("one"), ams.ImageOptions{})
	ops := []ams.Operation{op}
	for i := 0; i < fifty && err == nil; i++ {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		w, _ := z.Create("manifest.yaml") // memory does not fail
		fmt.Fprintf(w, "name: app%d\nresources: {cpus: 1}\n", i)
		_ = z.Close()
		if i == 0 {
			_, err = m.Operations.Wait(ctx, op.ID)
		}
		if err == nil {
			op, err = m.Applications.Create(ctx, &b, ams.CreateOptions{})
		}
		ops = append(ops, op)
	}
	for i := 0; i < len(ops) && err == nil; i++ {
		_, err = m.Operations.Wait(ctx, ops[i].ID)
	}
	if err == nil {
		op, err = m.Images.Update(ctx, "jammy", strings.NewReader("two"), ams.ImageOptions{})
	}
	if err == nil {
		_, err = m.Operations.Wait(ctx, op.ID)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "updating"), nil, 0o600)
}

// rebuilt counts the applications whose version 1 is done.
func rebuilt(ctx context.Context, m *ams.Manager) (int, error) {
	apps, _, err := m.Applications.List(ctx, ams.ApplicationFilter{}, ams.Page{})
	done := 0
	for _, app := range apps {
		versions, err := m.Applications.Versions(ctx, app.ID)
		if err != nil {
			return 0, err
		}
		if len(versions) > 2 {
			return 0, fmt.Errorf("application %s has %d versions", app.Name, len(versions))
		}
		if len(versions) == 2 && versions[1].Status == ams.VersionActive && versions[1].ImageVersion == 1 && versions[1].BaseInstance == "" {
			done++
		}
	}
	return done, err
}
