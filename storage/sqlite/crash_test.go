package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/storage/sqlite"
)

// crashEnv makes the test binary the child that TestCrash kills. It holds the
// path of the database and the first number to write.
const crashEnv = "AMS_SQLITE_CRASH_CHILD"

func TestMain(m *testing.M) {
	if child := os.Getenv(crashEnv); child != "" {
		if err := crashChild(child); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// crashChild writes transactions until it is killed, and says which returned.
func crashChild(arg string) error {
	first, path, _ := strings.Cut(arg, ":")
	start, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return err
	}
	s, err := sqlite.Open(path, nil)
	if err != nil {
		return err
	}
	var next atomic.Int64
	next.Store(start)
	failed := make(chan error)
	for range 8 {
		go func() {
			for {
				n := next.Add(1)
				if err := s.Update(context.Background(), func(tx ams.Tx) error { return crashWrite(tx, n) }); err != nil {
					failed <- err
					return
				}
				fmt.Printf("%d\n", n) // one write to the pipe
			}
		}()
	}
	return <-failed
}

// crashWrite makes the transaction of number n: three rows and an event.
func crashWrite(tx ams.Tx, n int64) error {
	id := fmt.Sprintf("%09d", n)
	if err := tx.Instances().Put(ams.Instance{ID: id, Name: id, Tags: []string{id}}); err != nil {
		return err
	}
	if err := tx.Events().Append(ams.Event{ID: id, Message: strings.Repeat("x", int(n%3000))}); err != nil {
		return err
	}
	count, err := tx.Settings().Get("count")
	if ams.CodeOf(err) == ams.ErrNotFound {
		count, err = ams.Setting{Key: "count", Value: "0"}, nil
	}
	if err != nil {
		return err
	}
	old, err := strconv.Atoi(count.Value)
	if err != nil {
		return err
	}
	count.Value = strconv.Itoa(old + 1)
	if err := tx.Settings().Put(count); err != nil {
		return err
	}
	return tx.Operations().Put(ams.Operation{ID: id})
}

// TestCrash kills a writing process again and again: what it was told to be
// committed is there, and no transaction is there in part.
func TestCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ams.db")
	acknowledged := map[int64]bool{}
	last := int64(0)
	for range 50 {
		for _, n := range crashOnce(t, fmt.Sprintf("%d:%s", last, path)) {
			acknowledged[n] = true
			last = max(last, n)
		}
		last += 100 // beyond what was under way
		checkAfterCrash(t, path, acknowledged)
	}
	t.Logf("%d acknowledged transactions", len(acknowledged))
	require.Greater(t, len(acknowledged), 500)
}

// crashOnce runs the child, kills it after some acknowledgements and a moment,
// and returns all that were sent.
func crashOnce(t *testing.T, arg string) (acknowledged []int64) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashEnv+"="+arg)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	lines := bufio.NewScanner(out)
	for after := 1 + rand.IntN(60); lines.Scan(); after-- {
		n, err := strconv.ParseInt(lines.Text(), 10, 64)
		require.NoError(t, err)
		acknowledged = append(acknowledged, n)
		if after == 0 {
			time.AfterFunc(time.Duration(rand.IntN(5000))*time.Microsecond, func() { child.Process.Kill() })
		}
	}
	require.ErrorContains(t, child.Wait(), "killed")
	return acknowledged
}

func checkAfterCrash(t *testing.T, path string, acknowledged map[int64]bool) {
	t.Helper()
	s, err := sqlite.Open(path, nil)
	require.NoError(t, err)
	require.NoError(t, s.View(context.Background(), func(tx ams.Tx) error {
		instances, err := tx.Instances().List(ams.InstanceFilter{}, ams.Page{})
		require.NoError(t, err)
		there := map[string]bool{}
		for _, i := range instances {
			there[i.ID] = true
		}
		for n := range acknowledged {
			require.True(t, there[fmt.Sprintf("%09d", n)], "acknowledged transaction %d is lost", n)
		}
		operations, err := tx.Operations().List(ams.OperationFilter{}, ams.Page{})
		require.NoError(t, err)
		require.Len(t, operations, len(there), "a transaction is torn")
		for _, o := range operations {
			require.True(t, there[o.ID], "transaction %s is torn", o.ID)
		}
		events, err := tx.Events().Since(0, 1_000_000)
		require.NoError(t, err)
		require.Len(t, events, len(there), "a transaction is torn")
		for _, e := range events {
			require.True(t, there[e.ID], "transaction %s is torn", e.ID)
		}
		count, err := tx.Settings().Get("count")
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(len(there)), count.Value, "a transaction is torn")
		return nil
	}))
	require.NoError(t, s.Close())
}
