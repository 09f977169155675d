package client_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/amstest"
	"github.com/openams/ams/client"
)

// open starts a service and returns it with a client of it.
func open(t *testing.T) (*amstest.Server, *client.Client) {
	t.Helper()
	s := amstest.NewServer(t)
	c, err := client.Open("unix://"+s.Socket, client.Options{})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return s, c
}

// wait waits for an operation that must succeed.
func wait(t *testing.T, c *client.Client) func(op ams.Operation, err error) ams.Operation {
	return func(op ams.Operation, err error) ams.Operation {
		t.Helper()
		require.NoError(t, err)
		op, err = c.Operations.Wait(t.Context(), op.ID)
		require.NoError(t, err)
		return op
	}
}

func TestLife(t *testing.T) {
	ctx := t.Context()
	s, c := open(t)
	wait := wait(t, c)
	since, err := s.Newest(ctx)
	require.NoError(t, err)
	wait(c.Images.Add(ctx, "jammy:android15:amd64", strings.NewReader("an image"), ams.ImageOptions{Default: true}))
	p, err := ams.OpenPackage("../examples/apps/hello/package")
	require.NoError(t, err)
	defer p.Close()
	wait(c.Applications.Create(ctx, p, ams.CreateOptions{}))
	app, err := c.Applications.Get(ctx, "hello")
	require.NoError(t, err)
	require.Equal(t, ams.ApplicationReady, app.Status)
	require.Eventually(t, func() bool {
		v, err := c.Applications.Version(ctx, "hello", 0)
		return err == nil && v.Published
	}, 10*time.Second, 10*time.Millisecond)
	op := wait(c.Instances.Launch(ctx, ams.LaunchRequest{Application: "hello", Name: "one", Tags: []string{"a"}}))
	in, err := c.Instances.Get(ctx, "one")
	require.NoError(t, err)
	require.Equal(t, op.Resources["instance"], []string{in.ID})
	there, err := s.Instances.Get(ctx, "one")
	require.NoError(t, err)
	require.Equal(t, there.Resources, in.Resources)
	require.Equal(t, there.Address, in.Address)
	list, total, err := c.Instances.List(ctx, ams.InstanceFilter{Tags: []string{"a"}, Status: []ams.InstanceStatus{ams.InstanceRunning}}, ams.Page{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, 1, total)
	require.Equal(t, in, list[0])

	var out, fail bytes.Buffer
	code, err := c.Instances.Exec(ctx, "one", ams.ExecRequest{Command: []string{"cat"}, Stdin: strings.NewReader("hello"), Stdout: &out, Stderr: &fail})
	require.NoError(t, err)
	require.Zero(t, code)

	wait(c.Instances.Delete(ctx, "one", true))
	_, err = c.Instances.Get(ctx, "one")
	require.ErrorIs(t, err, ams.ErrNotFound)
	require.NoError(t, c.Settings.Set(ctx, "scheduler.strategy", "binpack"))
	value, err := c.Settings.Get(ctx, "scheduler.strategy")
	require.NoError(t, err)
	require.Equal(t, "binpack", value)
	require.ErrorIs(t, c.Settings.Set(ctx, "scheduler.strategy", "best"), ams.ErrInvalid)

	// Every event from here on, once and in order.
	newest, err := s.Newest(ctx)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	last := since
	for e, err := range c.Events(ctx, since) {
		require.NoError(t, err)
		require.Greater(t, e.Seq, last)
		if last = e.Seq; last == newest {
			break
		}
	}
	require.Equal(t, newest, last)
}
