package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/openams/ams"
)

// show prints for people: headings, and lines with the seconds since the start.
type show struct {
	out   io.Writer
	began time.Time
}

func newShow(out io.Writer) *show { return &show{out: out, began: time.Now()} }

func (s *show) head(title string) { fmt.Fprintf(s.out, "\n%s\n", title) }

func (s *show) line(format string, args ...any) {
	fmt.Fprintf(s.out, "  %5.1fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

func (s *show) text(line string) { fmt.Fprintf(s.out, "          %s\n", line) }

// work is an operation under way, and what to call it.
type work struct {
	label string
	op    ams.Operation
}

// follow shows the progress of operations until all have ended, and returns the
// error of one that failed. It reads the Manager's events; a program that has
// nothing to show calls Operations.Wait instead.
func (t *tour) follow(ctx context.Context, all ...work) error {
	labels, instances := map[string]string{}, map[string]string{}
	for _, w := range all {
		labels[w.op.ID] = w.label
		for _, id := range w.op.Resources["instance"] {
			instances[id] = w.label
		}
	}
	// From where the last call left off: nothing is missed in between.
	for e, err := range t.Events(ctx, t.seen) {
		if err != nil {
			return err
		}
		t.seen = e.Seq
		if e.Kind == "instance" {
			t.showInstance(e, instances[e.ID])
			continue
		}
		label, ours := labels[e.ID]
		switch {
		case !ours:
		case e.Action == "created" || e.Action == "progress":
			t.show.line("%s: %s", label, e.Message)
		case e.Action == string(ams.OperationSuccess):
			t.show.line("%s: done", label)
			delete(labels, e.ID)
		case e.Action == string(ams.OperationFailure) || e.Action == string(ams.OperationCancelled):
			return fmt.Errorf("%s: %s", label, e.Message)
		}
		if len(labels) == 0 {
			return nil
		}
	}
	return context.Cause(ctx)
}

// showInstance shows what became of an instance. One that was not launched by
// name is the base instance that a bootstrap happens in.
func (t *tour) showInstance(e ams.Event, label string) {
	switch status := ams.InstanceStatus(e.Action); {
	case status == ams.InstanceCreated || status == ams.InstancePrepared:
	case label == "":
		t.show.line("bootstrap: base instance is %s", status)
	default:
		t.show.line("%s: is %s", label, status)
	}
}
