package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/openams/ams"
)

// tour is the walk through the main things a Manager does.
type tour struct {
	*ams.Manager
	show  *show
	place *place
	pkg   string
	seen  int64 // the newest event shown
}

var names = [...]string{"hello-1", "hello-2", "hello-3"}

func (t *tour) walk(ctx context.Context) error {
	for _, step := range []struct {
		title string
		do    func(context.Context) error
	}{
		{"Add the image that applications are built on", t.image},
		{"Make an application of " + t.pkg, t.application},
		{"Launch three instances of it", t.launch},
		{t.place.seenBy, t.list},
		{"Run a command in " + names[0], t.exec},
		{"Read the logs of " + names[0], t.logs},
		{"Stop " + names[0] + " and start it again", t.stopStart},
		{"Delete everything", t.delete},
	} {
		t.show.head(step.title)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.title, err)
		}
	}
	return nil
}

func (t *tour) image(ctx context.Context) error {
	if err := t.Ready(ctx); err != nil {
		return err
	}
	if err := t.overcommit(ctx); err != nil {
		return err
	}
	file, err := t.place.image()
	if err != nil {
		return err
	}
	defer file.Close()
	op, err := t.Images.Add(ctx, "quickstart", file, ams.ImageOptions{})
	if err != nil {
		return err
	}
	return t.follow(ctx, work{"image", op})
}

// overcommit lets the nodes promise far more than they have: what stands in for
// Android here needs next to nothing, whatever the application asks for.
func (t *tour) overcommit(ctx context.Context) error {
	nodes, _, err := t.Nodes.List(ctx, ams.NodeFilter{}, ams.Page{})
	if err != nil {
		return err
	}
	rate, disk := 100.0, 1000*ams.Gigabyte
	for _, n := range nodes {
		if err := t.Nodes.Set(ctx, n.Name, ams.NodePatch{CPURate: &rate, MemoryRate: &rate, Disk: &disk}); err != nil {
			return err
		}
	}
	return nil
}

func (t *tour) application(ctx context.Context) error {
	pkg, err := ams.OpenPackage(t.pkg)
	if err != nil {
		return err
	}
	defer pkg.Close()
	op, err := t.Applications.Create(ctx, pkg, ams.CreateOptions{})
	if err != nil {
		return err
	}
	if err := t.follow(ctx, work{"bootstrap", op}); err != nil {
		return err
	}
	app, err := t.Applications.Get(ctx, op.Resources["application"][0])
	if err != nil {
		return err
	}
	v, err := t.Applications.Version(ctx, app.ID, 0)
	if err != nil {
		return err
	}
	t.show.line("%s is %s: version %d, Android package %s, published: %t", app.Name, app.Status, v.Number, v.APK.Package, v.Published)
	return nil
}

func (t *tour) launch(ctx context.Context) error {
	apps, _, err := t.Applications.List(ctx, ams.ApplicationFilter{}, ams.Page{})
	if err != nil {
		return err
	}
	var all []work
	for _, name := range names {
		op, err := t.Instances.Launch(ctx, ams.LaunchRequest{Application: apps[0].ID, Name: name})
		if err != nil {
			return err
		}
		all = append(all, work{name, op})
	}
	return t.follow(ctx, all...)
}

func (t *tour) list(ctx context.Context) error {
	lines, err := t.place.list(ctx, t.Manager)
	if err != nil {
		return err
	}
	for _, line := range lines {
		t.show.text(line)
	}
	return nil
}

func (t *tour) exec(ctx context.Context) error {
	var out strings.Builder
	command := t.place.command
	code, err := t.Instances.Exec(ctx, names[0], ams.ExecRequest{Command: command, Stdout: &out, Stderr: &out})
	if err != nil {
		return err
	}
	t.show.line("%s ended with exit code %d and printed", strings.Join(command, " "), code)
	for line := range strings.Lines(out.String()) {
		t.show.text(strings.TrimSpace(line))
	}
	return nil
}

func (t *tour) logs(ctx context.Context) error {
	logs, err := t.Instances.Logs(ctx, names[0])
	if err != nil {
		return err
	}
	for _, l := range logs {
		t.show.line("%s, %d bytes", l.Name, l.Size)
	}
	t.show.line("%s begins", t.place.log)
	return t.begin(ctx, t.place.log)
}

// begin shows the first lines of a log.
func (t *tour) begin(ctx context.Context, log string) error {
	r, err := t.Instances.OpenLog(ctx, names[0], log)
	if err != nil {
		return err
	}
	defer r.Close()
	lines := bufio.NewScanner(io.LimitReader(r, 1000))
	for n := 0; n < 3 && lines.Scan(); n++ {
		t.show.text(lines.Text())
	}
	return lines.Err()
}

func (t *tour) stopStart(ctx context.Context) error {
	op, err := t.Instances.Stop(ctx, names[0], false)
	if err != nil {
		return err
	}
	if err := t.follow(ctx, work{"stop", op}); err != nil {
		return err
	}
	if op, err = t.Instances.Start(ctx, names[0], ams.StartOptions{}); err != nil {
		return err
	}
	return t.follow(ctx, work{"start", op})
}

func (t *tour) delete(ctx context.Context) error {
	var all []work
	for _, name := range names {
		op, err := t.Instances.Delete(ctx, name, false)
		if err != nil {
			return err
		}
		all = append(all, work{name, op})
	}
	if err := t.follow(ctx, all...); err != nil {
		return err
	}
	apps, _, err := t.Applications.List(ctx, ams.ApplicationFilter{}, ams.Page{})
	if err != nil {
		return err
	}
	op, err := t.Applications.Delete(ctx, apps[0].ID, false)
	if err != nil {
		return err
	}
	if err := t.follow(ctx, work{"application", op}); err != nil {
		return err
	}
	if op, err = t.Images.Delete(ctx, "quickstart", false); err != nil {
		return err
	}
	return t.follow(ctx, work{"image", op})
}
