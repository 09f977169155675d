// Command bench measures this module beside a baseline that is written without
// it, in one run and interleaved with it, for machines are noisy: only ratios
// mean anything. It prints a table and writes build/bench.json, an array of
// {name, ours, baseline, unit, ratio}. Names are stable. Both ways are
// run in turn, in blocks: ours and baseline are the medians of their blocks, and
// ratio is the median of ours divided by baseline, pair by pair; of ingest, whose
// blocks are few, it is that of the medians.
//
//	go run ./bench                   # all
//	go run ./bench -only launch.lxd  # one
//	go run ./bench -only ingest      # all whose names begin with "ingest."
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
)

// result is one line of the table.
type result struct {
	Name     string  `json:"name"`
	Ours     float64 `json:"ours"`
	Baseline float64 `json:"baseline"`
	Unit     string  `json:"unit"`
	Ratio    float64 `json:"ratio"`

	goal  string // for people
	notes []string
}

// benchmark measures one thing. Whatever it makes it removes.
type benchmark struct {
	name string
	run  func(ctx context.Context, o options) (result, error)
}

func benchmarks() []benchmark {
	return []benchmark{
		{"launch.fake", launchFake},
		{"launch.lxd", launchLXD},
		{"launch.prewarmed", launchPrewarmed},
		{"services.100", services100},
		{"place.100", placeOn(100)},
		{"place.1000", placeOn(1000)},
		{"place.10000", placeOn(10000)},
		{"list.100k", list100k},
		{"restart.100k", restart100k},
		{"rss.100k", rss100k},
		{"ingest.rss", ingestRSS},
		{"ingest.package", ingestPackage},
		{"ingest.stored", ingestStored},
		{"ingest.bz2", ingestBzip2},
		{"ingest.image", ingestImage},
	}
}

type options struct {
	quick bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, w io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("only", "", "run the benchmark of this `name` alone, or those of this group")
	out := flags.String("out", filepath.Join("build", "bench.json"), "write the results to this `file`")
	quick := flags.Bool("quick", false, "a tenth of the work, for trying out")
	alone := flags.String("ingest", "", "take in the files of this `directory`, for ingest.rss")
	restart := flags.String("restart", "", "run a Manager on the database in this `directory` until it is ready, for restart.100k and rss.100k")
	profile := flags.String("cpuprofile", "", "write a CPU profile to this `file`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *alone != "" {
		return ingestAlone(ctx, *alone, w)
	}
	if *restart != "" {
		return restartAlone(ctx, *restart, *profile, w)
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	var results []result
	for _, b := range benchmarks() {
		if *only != "" && b.name != *only && !strings.HasPrefix(b.name, *only+".") {
			continue
		}
		r, err := b.run(ctx, options{quick: *quick})
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		r.Name = b.name
		results = append(results, r)
	}
	if len(results) == 0 {
		return fmt.Errorf("there is no benchmark %q", *only)
	}
	table(w, results)
	data, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(*out), 0o755); err != nil {
		return err
	}
	return os.WriteFile(*out, append(data, '\n'), 0o644)
}

func table(w io.Writer, results []result) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "name\tours\tbaseline\tunit\tratio\tgoal")
	for _, r := range results {
		fmt.Fprintf(t, "%s\t%.4g\t%.4g\t%s\t%.3f\t%s\n", r.Name, r.Ours, r.Baseline, r.Unit, r.Ratio, r.goal)
	}
	_ = t.Flush() // nowhere to tell
	for _, r := range results {
		fmt.Fprintf(w, "\n%s\n  %s\n", r.Name, strings.Join(r.notes, "\n  "))
	}
}

// interleave runs the two in turn, ours first in every other pair, so that what
// drifts hits both alike. Each returns its result, of which the pairs' are
// returned.
func interleave(pairs int, ours, baseline func() (float64, error)) (a, b []float64, err error) {
	for i := range pairs {
		order := []func() error{
			func() error { v, err := ours(); a = append(a, v); return err },
			func() error { v, err := baseline(); b = append(b, v); return err },
		}
		if i%2 == 1 {
			slices.Reverse(order)
		}
		for _, f := range order {
			if err := f(); err != nil {
				return nil, nil, err
			}
		}
	}
	return a, b, nil
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// ratios divides pair by pair.
func ratios(a, b []float64) []float64 {
	r := make([]float64, len(a))
	for i := range r {
		r[i] = a[i] / b[i]
	}
	return r
}
