package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/openams/ams"
)

// services100 is how long a launch with a hundred services takes until it is
// committed, their ports among it. The baseline is the same launch without any.
func services100(ctx context.Context, o options) (result, error) {
	dir, err := os.MkdirTemp("", "ams-bench-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	h, err := openFakeHost(ctx, dir)
	if err != nil {
		return result{}, err
	}
	defer h.close()
	var services []ams.Service
	for i := range 100 {
		services = append(services, ams.Service{Port: 1000 + i, Protocols: []string{"tcp", "udp"}})
	}
	n := 60
	if o.quick {
		n = 10
	}
	ours, base, err := interleave(n,
		func() (float64, error) { return h.launchTime(ctx, services) },
		func() (float64, error) { return h.launchTime(ctx, nil) })
	if err != nil {
		return result{}, err
	}
	r := result{Ours: median(ours), Baseline: median(base), Unit: "ms", Ratio: median(ratios(ours, base)), goal: "ours < 100"}
	r.notes = append(r.notes, fmt.Sprintf("%d launches each, SQLite at synchronous=FULL; p99 %.1f ms, without services %.1f ms", n, quantile(ours, 0.99), quantile(base, 0.99)))
	return r, nil
}

// launchTime launches an instance, returns how many milliseconds it took until that
// was committed, and deletes it.
func (h *host) launchTime(ctx context.Context, services []ams.Service) (float64, error) {
	began := time.Now()
	op, err := h.Instances.Launch(ctx, ams.LaunchRequest{Resources: ams.Resources{CPUs: 1}, Services: services})
	took := time.Since(began).Seconds() * 1000
	if err := h.wait(ctx, op, err); err != nil {
		return 0, err
	}
	op, err = h.Instances.Delete(ctx, op.Resources["instance"][0], true)
	return took, h.wait(ctx, op, err)
}
