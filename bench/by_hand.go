package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
	"github.com/openams/ams/guest/android"
)

// byHand is the baseline of launch.lxd: LXD's client, and the guest's command.
type byHand struct {
	c           client.InstanceServer
	fingerprint string
	guest       *android.Guest
	version     *ams.Version // of the application; nil for a raw instance
}

func openByHand(socket, fingerprint string) (*byHand, error) {
	c, err := client.ConnectLXDUnix(socket, nil)
	return &byHand{c, fingerprint, android.New(android.Options{}), nil}, err
}

// launch makes n instances and returns how many seconds that took; then it
// deletes them.
func (b *byHand) launch(ctx context.Context, n int) (float64, error) {
	took, err := b.launchOnly(ctx, n)
	return took, errors.Join(err, b.remove(n))
}

func (b *byHand) launchOnly(ctx context.Context, n int) (float64, error) {
	began := time.Now()
	err := atATime(min(n, lxdCallers), n, func(i int) error { return b.one(ctx, byHandName(i)) })
	return time.Since(began).Seconds(), err
}

func byHandName(i int) string { return fmt.Sprintf("by-hand-%d", i) }

// one makes one instance just like that of a launch, and runs the guest's command
// for a start in it.
func (b *byHand) one(ctx context.Context, name string) error {
	root := map[string]string{"type": "disk", "path": "/", "pool": "default", "size": strconv.FormatInt(int64(benchResources.DiskSize), 10)}
	post := api.InstancesPost{
		Name: name, Type: api.InstanceTypeContainer,
		Source: api.InstanceSource{Type: "image", Fingerprint: b.fingerprint},
	}
	post.Config = map[string]string{
		"user.by": "hand", "boot.autostart": "false",
		"limits.memory":        strconv.FormatInt(int64(benchResources.Memory), 10),
		"limits.cpu.allowance": "100ms/100ms",
	}
	post.Devices = map[string]map[string]string{"root": root}
	if err := done(b.c.CreateInstance(post)); err != nil {
		return err
	}
	if err := done(b.c.UpdateInstanceState(name, api.InstanceStatePut{Action: "start", Timeout: -1}, "")); err != nil {
		return err
	}
	return b.guest.Run(ctx, ams.GuestRun{
		Phase: ams.PhaseStart, Version: b.version,
		Files:  map[string][]byte{"session.yaml": make([]byte, 120)},
		Report: func(ams.GuestStep) {},
		Exec:   func(_ context.Context, req ams.ExecRequest) (int, error) { return b.exec(name, req) },
	})
}

func (b *byHand) exec(name string, req ams.ExecRequest) (int, error) {
	finished := make(chan bool)
	op, err := b.c.ExecInstance(name, api.InstanceExecPost{Command: req.Command, WaitForWS: true},
		&client.InstanceExecArgs{Stdin: io.NopCloser(req.Stdin), Stdout: nopCloser{req.Stdout}, Stderr: nopCloser{req.Stderr}, DataDone: finished})
	if err := done(op, err); err != nil {
		return 0, err
	}
	<-finished
	code, ok := op.Get().Metadata["return"].(float64)
	if !ok {
		return 0, errors.New("LXD gave no exit code")
	}
	return int(code), nil
}

// remove deletes the n instances.
func (b *byHand) remove(n int) error {
	return atATime(lxdCallers, n, func(i int) error {
		err := done(b.c.UpdateInstanceState(byHandName(i), api.InstanceStatePut{Action: "stop", Timeout: -1, Force: true}, ""))
		return errors.Join(err, done(b.c.DeleteInstance(byHandName(i))))
	})
}

func done(op client.Operation, err error) error {
	if err != nil {
		return err
	}
	return op.Wait()
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
