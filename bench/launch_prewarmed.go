package main

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/openams/ams"
	"github.com/openams/ams/internal/lxdrun"
)

// standing is how many instances stand by in each round of launch.prewarmed.
const standing = 8

// launchPrewarmed is how long a launch takes, from the request until the instance
// runs, where instances stand by. The baseline is the same launch written with
// LXD's client: create, start, and one exec of the guest's command for a start of the
// same version. Both are done one after another on one private daemon, in turn.
func launchPrewarmed(ctx context.Context, o options) (result, error) {
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
	v, err := h.benchApplication(ctx)
	if err != nil {
		return result{}, err
	}
	b, err := openByHand(d.Socket, v.Fingerprint)
	if err != nil {
		return result{}, err
	}
	defer b.c.Disconnect()
	b.version = &v
	rounds := 12
	if o.quick {
		rounds = 2
	}
	var ours, hand []float64
	for range rounds {
		a, err := h.claimAll(ctx)
		if err != nil {
			return result{}, err
		}
		c, err := b.launchTimes(ctx, standing)
		if err != nil {
			return result{}, err
		}
		ours, hand = append(ours, a...), append(hand, c...)
	}
	r := result{Ours: quantile(ours, 0.5), Baseline: quantile(hand, 0.5), Unit: "ms", goal: "ratio <= 0.1"}
	r.Ratio = r.Ours / r.Baseline
	r.notes = append(r.notes,
		fmt.Sprintf("%d launches each, one after another, from the request until it runs; %d stand by", len(ours), standing),
		fmt.Sprintf("p50 %.1f ms, p99 %.1f ms; by hand p50 %.1f ms, p99 %.1f ms", quantile(ours, 0.5), quantile(ours, 0.99), quantile(hand, 0.5), quantile(hand, 0.99)),
		fmt.Sprintf("ratio of the p99: %.3f", quantile(ours, 0.99)/quantile(hand, 0.99)))
	return r, nil
}

// benchApplication makes an application and returns its version.
func (h *host) benchApplication(ctx context.Context) (ams.Version, error) {
	var pkg bytes.Buffer
	z := zip.NewWriter(&pkg)
	f, err := z.Create("manifest.yaml")
	if err == nil {
		_, err = io.WriteString(f, "name: bench\nimage: bench\nresources:\n  cpus: 1\n")
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return ams.Version{}, err
	}
	op, err := h.Applications.Create(ctx, &pkg, ams.CreateOptions{})
	if err := h.wait(ctx, op, err); err != nil {
		return ams.Version{}, err
	}
	return h.Applications.Version(ctx, "bench", 0)
}

// claimAll waits until instances stand by, launches as many, and returns how many
// milliseconds each took; then it deletes them.
func (h *host) claimAll(ctx context.Context) ([]float64, error) {
	if err := h.Applications.SetPrewarm(ctx, "bench", standing); err != nil {
		return nil, err
	}
	for {
		p, err := h.Applications.Prewarmed(ctx, "bench")
		if err != nil {
			return nil, err
		}
		if p.Ready == standing {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(time.Second) // LXD tidies up after boots
	var times []float64
	var ids []string
	for range standing {
		began := time.Now()
		op, err := h.Instances.Launch(ctx, ams.LaunchRequest{Application: "bench", UserData: "hello"})
		if err := h.wait(ctx, op, err); err != nil {
			return nil, err
		}
		times = append(times, time.Since(began).Seconds()*1000)
		ids = append(ids, op.Resources["instance"][0])
	}
	if err := h.Applications.SetPrewarm(ctx, "bench", 0); err != nil {
		return nil, err
	}
	for _, id := range ids {
		op, err := h.Instances.Delete(ctx, id, true)
		if err := h.wait(ctx, op, err); err != nil {
			return nil, err
		}
	}
	return times, h.quiet(ctx)
}

// quiet waits until no instance is left.
func (h *host) quiet(ctx context.Context) error {
	yes := true
	for {
		_, n, err := h.Instances.List(ctx, ams.InstanceFilter{Standby: &yes}, ams.Page{})
		if err != nil || n == 0 {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// launchTimes makes n instances one after another and returns how many
// milliseconds each took; then it deletes them.
func (b *byHand) launchTimes(ctx context.Context, n int) ([]float64, error) {
	var times []float64
	for i := range n {
		began := time.Now()
		if err := b.one(ctx, byHandName(i)); err != nil {
			return nil, err
		}
		times = append(times, time.Since(began).Seconds()*1000)
	}
	return times, b.remove(n)
}
