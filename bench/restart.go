package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"time"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/storage/sqlite"
)

const (
	manyInstances = 100_000
	manyNodes     = 40
)

func manyOf(o options) int {
	if o.quick {
		return manyInstances / 10
	}
	return manyInstances
}

// restarted is what the child tells of its restart.
type restarted struct {
	Ready float64 // seconds from opening the store to being ready
	RSS   int64   // kB of the process then, without what the fake cluster takes
	Fake  int64   // kB that the fake cluster took
	Rows  int
}

// restart100k is how long a program takes from opening a database with 100,000
// instances until it is ready: all rows compared with what the backend shows. The
// baseline is a process that only reads and decodes those rows, one after another.
func restart100k(ctx context.Context, o options) (result, error) {
	return withMany(ctx, o, func(dir string) (result, error) {
		var ours, base []float64
		var last restarted
		for range 3 {
			r, err := restart(ctx, dir)
			if err != nil {
				return result{}, err
			}
			took, err := readAll(ctx, dir, r.Rows)
			if err != nil {
				return result{}, err
			}
			ours, base, last = append(ours, r.Ready), append(base, took), r
		}
		r := result{Ours: median(ours), Baseline: median(base), Unit: "s", Ratio: median(ratios(ours, base)), goal: "ours < 3"}
		r.notes = append(r.notes, fmt.Sprintf("%d instances on %d nodes; a new process opens SQLite and runs a Manager on a fake cluster that has them all", last.Rows, manyNodes),
			"ready, s by run:       "+figures(ours), "rows read once, s:     "+figures(base))
		return r, nil
	})
}

// rss100k is the resident memory of that process once it is ready, without that of
// the fake cluster. The baseline is the same process with an empty database.
func rss100k(ctx context.Context, o options) (result, error) {
	return withMany(ctx, o, func(dir string) (result, error) {
		full, err := restart(ctx, dir)
		if err != nil {
			return result{}, err
		}
		empty, err := os.MkdirTemp("", "ams-bench-")
		if err != nil {
			return result{}, err
		}
		defer os.RemoveAll(empty)
		none, err := restart(ctx, empty)
		if err != nil {
			return result{}, err
		}
		a, b := float64(full.RSS)/1024, float64(none.RSS)/1024
		r := result{Ours: a, Baseline: b, Unit: "MB", Ratio: a / b, goal: "ours < 250"}
		r.notes = append(r.notes, fmt.Sprintf("%d instances; the fake cluster's own %d MB are not in it", full.Rows, full.Fake/1024))
		return r, nil
	})
}

// list100k is a page of 50 out of 100,000 instances, filtered by node and status,
// with the number of all that match. The baseline is the same page of 1,000 instances.
func list100k(ctx context.Context, o options) (result, error) {
	return withMany(ctx, o, func(dir string) (result, error) {
		few, err := os.MkdirTemp("", "ams-bench-")
		if err != nil {
			return result{}, err
		}
		defer os.RemoveAll(few)
		if err := fill(ctx, few, 1000); err != nil {
			return result{}, err
		}
		a, err := pageTimes(ctx, dir)
		if err != nil {
			return result{}, err
		}
		b, err := pageTimes(ctx, few)
		if err != nil {
			return result{}, err
		}
		r := result{Ours: quantile(a, 0.5), Baseline: quantile(b, 0.5), Unit: "ms", goal: "ours < 2"}
		r.Ratio = r.Ours / r.Baseline
		r.notes = append(r.notes, fmt.Sprintf("%d instances; a page of 50 of one node's running ones, and their number; %d pages", manyOf(o), len(a)),
			fmt.Sprintf("p50 %.2f ms, p99 %.2f ms; of 1,000 instances p50 %.2f ms, p99 %.2f ms", quantile(a, 0.5), quantile(a, 0.99), quantile(b, 0.5), quantile(b, 0.99)))
		return r, nil
	})
}

func pageTimes(ctx context.Context, dir string) ([]float64, error) {
	store, err := sqlite.Open(filepath.Join(dir, "ams.db"), nil)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	m, err := ams.New(ams.Config{Store: store, Backend: fake.New(fake.Options{})})
	if err != nil {
		return nil, err
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	var times []float64
	for range 500 {
		began := time.Now()
		filter := ams.InstanceFilter{Node: fmt.Sprintf("lxd%d", rnd.IntN(manyNodes)), Status: []ams.InstanceStatus{ams.InstanceRunning}}
		if _, _, err := m.Instances.List(ctx, filter, ams.Page{Limit: 50}); err != nil {
			return nil, err
		}
		times = append(times, time.Since(began).Seconds()*1000)
	}
	return times, nil
}

func quantile(v []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[min(int(float64(len(s))*q), len(s)-1)]
}

// withMany runs fn with a directory that has a database of 100,000 instances.
func withMany(ctx context.Context, o options, fn func(dir string) (result, error)) (result, error) {
	dir, err := os.MkdirTemp("", "ams-bench-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	if err := fill(ctx, dir, manyOf(o)); err != nil {
		return result{}, err
	}
	if _, err := restart(ctx, dir); err != nil { // learns the addresses
		return result{}, err
	}
	return fn(dir)
}

// fill writes n running instances, and the nodes that they are on.
func fill(ctx context.Context, dir string, n int) error {
	store, err := sqlite.Open(filepath.Join(dir, "ams.db"), &sqlite.Options{Synchronous: sqlite.Off})
	if err != nil {
		return err
	}
	for first := 0; first < n && err == nil; first += 10_000 {
		err = store.Update(ctx, func(tx ams.Tx) error {
			for i := first; i < min(first+10_000, n); i++ {
				if err := tx.Instances().Put(manyInstance(i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return errors.Join(err, store.Close())
}

func manyInstance(i int) ams.Instance {
	now := time.UnixMilli(1_700_000_000_000 + int64(i)).UTC()
	r := ams.Resources{CPUs: 1, Memory: 3 * ams.Gigabyte, DiskSize: 3 * ams.Gigabyte}
	return ams.Instance{
		ID: fmt.Sprintf("c%019d", i), Name: fmt.Sprintf("ams-c%019d", i),
		ApplicationID: fmt.Sprintf("app%d", i%100), ApplicationName: "candy", Version: 3, ImageVersion: -1,
		Fingerprint: "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef", Architecture: "x86_64",
		Node: fmt.Sprintf("lxd%d", i%manyNodes), Resources: r,
		Tags:   []string{"game", fmt.Sprintf("batch=%d", i%1000)},
		Config: ams.InstanceConfig{Platform: "null", Display: ams.Display{Width: 1280, Height: 720, Density: 160, FPS: 60}},
		Status: ams.InstanceRunning, Want: ams.WantRunning, Address: "10.1.2.3", Attempt: "a", Made: true, HasRun: true,
		Charged: ams.Charge{CPUs: 1, Memory: 3 * ams.Gigabyte, Disk: 3 * ams.Gigabyte}, Resting: true, CreatedAt: now, UpdatedAt: now,
	}
}

// restart runs the child.
func restart(ctx context.Context, dir string) (restarted, error) {
	var r restarted
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, self, "-restart", dir)
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return r, err
	}
	return r, json.Unmarshal(out.Bytes(), &r)
}

// restartAlone is the child.
func restartAlone(ctx context.Context, dir, profile string, w io.Writer) error {
	before, err := ownMemory("VmRSS")
	if err != nil {
		return err
	}
	cluster, n, err := fakeWithAll(ctx, dir)
	if err != nil {
		return err
	}
	debug.FreeOSMemory()
	with, err := ownMemory("VmRSS")
	if err != nil {
		return err
	}
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	r := restarted{Rows: n, Fake: with - before}
	began := time.Now()
	h, err := openHost(ctx, dir, ams.Config{Backend: cluster}, nil)
	if err != nil {
		return err
	}
	r.Ready = time.Since(began).Seconds()
	if r.RSS, err = ownMemory("VmRSS"); err != nil {
		return err
	}
	r.RSS -= r.Fake
	h.close()
	return json.NewEncoder(w).Encode(r)
}

// fakeWithAll is a fake cluster with every instance of the database.
func fakeWithAll(ctx context.Context, dir string) (*fake.Backend, int, error) {
	store, err := sqlite.Open(filepath.Join(dir, "ams.db"), nil)
	if err != nil {
		return nil, 0, err
	}
	defer store.Close()
	var nodes []ams.NodeInfo
	for i := range manyNodes {
		nodes = append(nodes, ams.NodeInfo{
			Name: fmt.Sprintf("lxd%d", i), Online: true, Architecture: "x86_64",
			Capacity: ams.Capacity{CPUs: 4096, Memory: 65536 * ams.Gigabyte, Disk: 65536 * ams.Gigabyte, DiskFree: 65536 * ams.Gigabyte},
		})
	}
	cluster := fake.New(fake.Options{Nodes: nodes})
	const mark = "bench"
	err = store.Update(ctx, func(tx ams.Tx) error {
		if _, err := tx.Settings().Get(clusterMark); err == nil {
			return nil
		}
		return tx.Settings().Put(ams.Setting{Key: clusterMark, Value: mark})
	})
	if err != nil {
		return nil, 0, err
	}
	image := cluster.AddImage(mark, "image", []byte("image"))
	n, after := 0, ""
	for {
		var rows []ams.Instance
		err := store.View(ctx, func(tx ams.Tx) (err error) {
			rows, err = tx.Instances().List(ams.InstanceFilter{After: after}, ams.Page{Limit: 1000})
			return err
		})
		if err != nil || len(rows) == 0 {
			return cluster, n, err
		}
		for i := range rows {
			ref := ams.Ref{Cluster: mark, ID: rows[i].ID, Node: rows[i].Node}
			if err := cluster.Create(ctx, ams.InstanceSpec{Ref: ref, Attempt: "a", Fingerprint: image, CPUs: 1}); err != nil {
				return nil, 0, err
			}
			if err := cluster.Start(ctx, ref); err != nil {
				return nil, 0, err
			}
		}
		n, after = n+len(rows), rows[len(rows)-1].ID
	}
}

// clusterMark is the key under which a store has its mark.
const clusterMark = "_cluster"

// readAll reads the rows once, in this process, and returns the seconds.
func readAll(ctx context.Context, dir string, want int) (float64, error) {
	began := time.Now()
	store, err := sqlite.Open(filepath.Join(dir, "ams.db"), nil)
	if err != nil {
		return 0, err
	}
	defer store.Close()
	n, after := 0, ""
	for {
		var rows []ams.Instance
		err := store.View(ctx, func(tx ams.Tx) (err error) {
			rows, err = tx.Instances().List(ams.InstanceFilter{After: after}, ams.Page{Limit: 1000})
			return err
		})
		if err != nil {
			return 0, err
		}
		if len(rows) == 0 {
			break
		}
		n, after = n+len(rows), rows[len(rows)-1].ID
	}
	if n != want {
		return 0, fmt.Errorf("there are %d rows, not %d", n, want)
	}
	return time.Since(began).Seconds(), nil
}
