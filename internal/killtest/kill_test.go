package killtest

import (
	"bufio"
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3" // for its integrity check
	"github.com/stretchr/testify/require"
)

const childEnv = "AMS_KILLTEST_CHILD"

func TestMain(m *testing.M) {
	var err error
	switch dir := os.Getenv(updatesEnv); {
	case dir != "":
		err = liveUpdates(dir)
	case os.Getenv(childEnv) != "":
		err = live()
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "this life failed:", err)
		os.Exit(1)
	}
}

func TestKillsOnFake(t *testing.T) {
	k := newKiller(t, 200, 20)
	k.orders.Backend, k.orders.Workers, k.orders.Most = "fake", 16, 60
	k.early, k.least, k.most = 40*time.Millisecond, time.Millisecond, 220*time.Millisecond
	k.run()
}

// killer is the parent.
type killer struct {
	t      *testing.T
	orders orders
	model  *model
	rand   *rand.Rand
	kills  int
	calm   func() // called before the last life
	// When to kill: one in eight at most so long after the process began, the
	// others within this time after it has begun to work.
	early, least, most time.Duration
	until              time.Time // kill until then, however often that is; zero is not
}

// newKiller reads the environment: AMS_KILLS is how often to kill, and AMS_SEED
// makes the same choices as an earlier run.
func newKiller(t *testing.T, kills, short int) *killer {
	k := &killer{t: t, model: newModel(), kills: kills}
	if testing.Short() {
		k.kills = short
	}
	number := func(name string, to *int64) {
		if s := os.Getenv(name); s != "" {
			n, err := strconv.ParseInt(s, 10, 64)
			require.NoError(t, err, name)
			*to = n
		}
	}
	n := int64(k.kills)
	number("AMS_KILLS", &n)
	k.kills = int(n)
	k.orders.Seed = time.Now().UnixNano()
	number("AMS_SEED", &k.orders.Seed)
	t.Logf("AMS_SEED=%d AMS_KILLS=%d", k.orders.Seed, k.kills)
	k.rand = rand.New(rand.NewPCG(uint64(k.orders.Seed), 0))
	dir, err := os.MkdirTemp("", "ams-killtest-")
	require.NoError(t, err)
	k.orders.Dir = dir
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("store and logs of all lives are kept in %s", dir)
			return
		}
		require.NoError(t, os.RemoveAll(dir))
	})
	return k
}

// run kills so many lives and lets the last one come to rest.
func (k *killer) run() {
	began := time.Now()
	for k.orders.Life = 1; k.orders.Life <= k.kills || time.Now().Before(k.until); k.orders.Life++ {
		k.life(k.delay())
	}
	k.kills = k.orders.Life - 1
	if k.calm != nil {
		k.calm()
	}
	lives := time.Since(began)
	k.orders.Workers = 0
	for id := range k.model.operations {
		k.model.unchecked[id] = true
	}
	k.life(-1, 0)
	k.integrity()
	m := k.model
	k.t.Logf("%d kills in %s, at rest %s later: %d requests committed, %d refused; %d operations succeeded, %d failed or were cancelled; %d events",
		k.kills, lives.Round(time.Second), (time.Since(began) - lives).Round(time.Millisecond),
		m.accepted, m.refused, m.succeeded, m.failed, m.events.newest)
	require.NotZero(k.t, m.succeeded, "nothing was ever done")
}

// delay chooses when to kill: so long after the process began, or, if that is
// negative, so long after it reported its state.
func (k *killer) delay() (begun, working time.Duration) {
	if k.rand.IntN(8) == 0 {
		return time.Duration(k.rand.Int64N(int64(k.early))), 0
	}
	return -1, k.least + time.Duration(k.rand.Int64N(int64(k.most-k.least)))
}

// life starts the program, takes in what it reports, and kills it. A working
// delay of zero lets it live to its end.
func (k *killer) life(begun, working time.Duration) {
	t := k.t
	k.orders.Since = k.model.events.newest
	k.orders.Operations = slices.Sorted(maps.Keys(k.model.unchecked))
	in, err := json.Marshal(k.orders)
	require.NoError(t, err)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	log, err := os.OpenFile(filepath.Join(k.orders.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer log.Close()
	fmt.Fprintf(log, "life %d\n", k.orders.Life)

	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = bytes.NewReader(in), log, log, []*os.File{w}
	require.NoError(t, cmd.Start())
	require.NoError(t, w.Close())
	mustLive := begun < 0 && working == 0
	limit := 5 * time.Minute // of a life that does not even report its state
	if begun >= 0 {
		limit = begun
	}
	die := time.After(limit)
	lines := read(r)
	killed, rested := false, false
	for more := true; more; {
		select {
		case line, ok := <-lines:
			if more = ok; !ok {
				break
			}
			var rep report
			require.NoError(t, json.Unmarshal(line, &rep), "%q", line)
			if rep.State != nil && working > 0 {
				die = time.After(working)
			}
			rested = rested || rep.Rest
			k.model.take(rep)
		case <-die:
			killed = true
			require.NoError(t, cmd.Process.Kill())
			die = nil
		}
	}
	err = cmd.Wait()
	k.model.died()
	switch {
	case mustLive:
		require.NoError(t, err, "the last life failed")
		require.True(t, rested && !killed, "the last life did not come to rest")
	case !killed:
		require.Fail(t, "a life ended by itself", "life %d: %v", k.orders.Life, err)
	}
	if f := k.model.faults; len(f) > 0 {
		require.Fail(t, "something does not hold", "life %d: %d faults:\n%s", k.orders.Life, len(f), strings.Join(f[:min(len(f), 20)], "\n"))
	}
}

// read returns the whole lines of r. A line that the kill has cut is left out.
func read(r *os.File) <-chan []byte {
	lines := make(chan []byte, 1000)
	go func() {
		defer close(lines)
		in := bufio.NewReaderSize(r, 1<<20)
		for {
			line, err := in.ReadBytes('\n')
			if err != nil {
				return
			}
			lines <- line
		}
	}()
	return lines
}

// integrity has SQLite look through the database.
func (k *killer) integrity() {
	db, err := sql.Open("sqlite3", filepath.Join(k.orders.Dir, "ams.db"))
	require.NoError(k.t, err)
	defer db.Close()
	var result string
	require.NoError(k.t, db.QueryRow("PRAGMA integrity_check").Scan(&result))
	require.Equal(k.t, "ok", result)
}
