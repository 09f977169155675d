package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/lxd"
	"github.com/openams/ams/guest/android"
	"github.com/openams/ams/internal/lxdrun"
)

const lxdCallers = 8

// launchLXD is what the Manager, its store, backend and guest add to LXD's own
// time: the wall time of a block of launches, eight at a time, each waited for
// until it runs. The baseline is the same instances made by hand: created and
// started with LXD's client, and one exec of the guest's command. Both use one
// private daemon, in turn, and what they have made is deleted between the blocks.
// The ratio that counts is the median of those of the pairs of blocks.
func launchLXD(ctx context.Context, o options) (result, error) {
	if m := lxdrun.Missing(); m != "" {
		return result{}, fmt.Errorf("LXD cannot run here: missing %s", m)
	}
	d, err := lxdrun.Start(ctx, lxdrun.Options{})
	if err != nil {
		return result{}, err
	}
	defer func() {
		if err := d.Stop(context.WithoutCancel(ctx)); err != nil {
			fmt.Fprintln(os.Stderr, "stopping LXD:", err)
		}
	}()
	dir, err := os.MkdirTemp("", "ams-bench-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	h, closeHost, err := openLXDHost(ctx, dir, d.Socket)
	if err != nil {
		return result{}, err
	}
	defer closeHost()
	image, err := h.Images.Get(ctx, "bench")
	if err != nil {
		return result{}, err
	}
	b, err := openByHand(d.Socket, image.Versions[0].Fingerprint)
	if err != nil {
		return result{}, err
	}
	defer b.c.Disconnect()

	pairs, block := 4, 5*lxdCallers
	if o.quick {
		pairs = 2
	}
	ours := func() (float64, error) { return h.launchLXD(ctx, block) }
	hand := func() (float64, error) { return b.launch(ctx, block) }
	if _, _, err := interleave(1, ours, hand); err != nil { // to warm up
		return result{}, err
	}
	times, base, err := interleave(pairs, ours, hand)
	if err != nil {
		return result{}, err
	}
	per := ratios(times, base)
	r := result{Ours: median(times), Baseline: median(base), Unit: "s", Ratio: median(per), goal: "ratio <= 1.10"}
	r.notes = append(r.notes,
		fmt.Sprintf("%d instances each, %d at a time, in blocks of %d", pairs*block, lxdCallers, block),
		fmt.Sprintf("seconds per block: ours %s", figures(times)),
		fmt.Sprintf("                by hand %s", figures(base)),
		fmt.Sprintf("ratio of each pair: %s", figures(per)))
	counts, err := countRequests(ctx, d.Socket, image.Versions[0].Fingerprint)
	if err != nil {
		return r, err
	}
	r.notes = append(r.notes, counts...)
	return r, nil
}

// openLXDHost runs a Manager on the daemon, with the image "bench", and with room
// for as many launches at a time as are made.
func openLXDHost(ctx context.Context, dir, socket string) (*host, func(), error) {
	backend, err := lxd.Open(ctx, lxd.Config{Socket: socket})
	if err != nil {
		return nil, nil, err
	}
	h, err := openHost(ctx, dir, ams.Config{Backend: backend, Guest: android.New(android.Options{})}, func(m *ams.Manager) error {
		return m.Settings.Set(ctx, "node.workers_per_queue", fmt.Sprint(lxdCallers))
	})
	if err != nil {
		return nil, nil, errors.Join(err, backend.Close())
	}
	end := func() {
		h.close()
		_ = backend.Close() // always nil
	}
	if err := h.prepare(ctx, dir); err != nil {
		end()
		return nil, nil, err
	}
	return h, end, nil
}

// prepare adds the image and lets the nodes take any number of instances.
func (h *host) prepare(ctx context.Context, dir string) error {
	nodes, _, err := h.Nodes.List(ctx, ams.NodeFilter{}, ams.Page{})
	if err != nil {
		return err
	}
	rate, disk := 100.0, 10_000*ams.Gigabyte
	for _, n := range nodes {
		if err := h.Nodes.Set(ctx, n.Name, ams.NodePatch{CPURate: &rate, MemoryRate: &rate, Disk: &disk}); err != nil {
			return err
		}
	}
	file, err := os.Create(filepath.Join(dir, "image.tar.gz"))
	if err != nil {
		return err
	}
	defer file.Close()
	if err := lxdrun.BuildImage(file); err != nil {
		return err
	}
	if _, err := file.Seek(0, 0); err != nil {
		return err
	}
	op, err := h.Images.Add(ctx, "bench", file, ams.ImageOptions{})
	return h.wait(ctx, op, err)
}

// benchResources are what each instance of launch.lxd gets.
var benchResources = ams.Resources{CPUs: 1, Memory: 3 * ams.Gigabyte, DiskSize: 3 * ams.Gigabyte}

// launchLXD launches n instances and returns how many seconds that took; then it
// deletes them.
func (h *host) launchLXD(ctx context.Context, n int) (float64, error) {
	ids := make([]string, n)
	began := time.Now()
	err := atATime(lxdCallers, n, func(i int) error {
		op, err := h.Instances.Launch(ctx, ams.LaunchRequest{Resources: benchResources})
		if err != nil {
			return err
		}
		ids[i] = op.Resources["instance"][0]
		return h.wait(ctx, op, nil)
	})
	took := time.Since(began).Seconds()
	if err != nil {
		return 0, err
	}
	return took, atATime(lxdCallers, n, func(i int) error {
		op, err := h.Instances.Delete(ctx, ids[i], true)
		return h.wait(ctx, op, err)
	})
}

// countRequests launches some instances on either way through a proxy that counts
// what is asked of LXD.
func countRequests(ctx context.Context, socket, fingerprint string) ([]string, error) {
	dir, err := os.MkdirTemp("", "ams-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	p, err := openProxy(filepath.Join(dir, "proxy"), socket)
	if err != nil {
		return nil, err
	}
	defer p.close()
	const n = 8
	h, closeHost, err := openLXDHost(ctx, dir, p.path)
	if err != nil {
		return nil, err
	}
	defer closeHost()
	p.reset()
	ids := make([]string, n)
	err = atATime(1, n, func(i int) error {
		op, err := h.Instances.Launch(ctx, ams.LaunchRequest{Resources: benchResources})
		if err != nil {
			return err
		}
		ids[i] = op.Resources["instance"][0]
		return h.wait(ctx, op, nil)
	})
	ours := p.reset()
	if err != nil {
		return nil, err
	}
	err = atATime(1, n, func(i int) error {
		op, err := h.Instances.Delete(ctx, ids[i], true)
		return h.wait(ctx, op, err)
	})
	if err != nil {
		return nil, err
	}
	b, err := openByHand(p.path, fingerprint)
	if err != nil {
		return nil, err
	}
	defer b.c.Disconnect()
	p.reset()
	if _, err := b.launchOnly(ctx, n); err != nil {
		return nil, err
	}
	hand := p.reset()
	if err := b.remove(n); err != nil {
		return nil, err
	}
	return []string{"requests per launch: ours    " + perLaunch(ours, n), "                     by hand " + perLaunch(hand, n)}, nil
}

func perLaunch(counts map[string]int, n int) string {
	var texts []string
	sum := 0.0
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		each := float64(counts[what]) / float64(n)
		sum += each
		texts = append(texts, fmt.Sprintf("%.3g %s", each, what))
	}
	return fmt.Sprintf("%.3g: %s", sum, strings.Join(texts, ", "))
}
