package backendtest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

func testExec(e *test) {
	stopped := e.create()
	_, err := e.execer.Exec(e.ctx, stopped.Ref, ams.ExecRequest{Command: []string{"true"}})
	require.ErrorIs(e, err, ams.ErrState, "in a stopped instance")
	e.remove(stopped.Ref)

	ref := e.start().Ref
	defer e.remove(ref)
	e.Run("Exit", e.in(execExit, ref))
	e.Run("Streams", e.in(execStreams, ref))
	e.Run("Many", e.in(execMany, ref))
	e.Run("Large", e.in(execLarge, ref))
	e.Run("Cancel", e.in(execCancel, ref))
	e.Run("Terminal", e.in(execTerminal, ref))
	e.Run("Resize", e.in(execResize, ref))
	e.Run("Signal", e.in(execSignal, ref))
}

func (e *test) in(f func(*test, ams.Ref), ref ams.Ref) func(*testing.T) {
	return func(t *testing.T) {
		sub := *e
		sub.T = t
		f(&sub, ref)
	}
}

// sh runs a script and returns what came of it.
func (e *test) sh(ref ams.Ref, script string, stdin io.Reader) (exit int, stdout, stderr string) {
	e.Helper()
	var out, errs bytes.Buffer
	exit, err := e.execer.Exec(e.ctx, ref, ams.ExecRequest{
		Command: []string{"sh", "-c", script},
		Stdin:   stdin,
		Stdout:  &out,
		Stderr:  &errs,
	})
	require.NoError(e, err)
	return exit, out.String(), errs.String()
}

func execExit(e *test, ref ams.Ref) {
	for _, want := range []int{0, 1, 3, 77, 255} {
		exit, out, errs := e.sh(ref, fmt.Sprintf("exit %d", want), nil)
		require.Equal(e, want, exit)
		require.Empty(e, out+errs)
	}
	exit, err := e.execer.Exec(e.ctx, ref, ams.ExecRequest{Command: []string{"sh", "-c", "echo lost; exit 4"}})
	require.NoError(e, err)
	require.Equal(e, 4, exit, "with no streams at all")
	exit, err = e.execer.Exec(e.ctx, ref, ams.ExecRequest{Command: []string{"/no/such/program"}})
	if err == nil {
		require.Equal(e, 127, exit, "a program that is not there")
	}
	_, err = e.execer.Exec(e.ctx, ref, ams.ExecRequest{})
	require.ErrorIs(e, err, ams.ErrInvalid)
}

func execStreams(e *test, ref ams.Ref) {
	exit, out, errs := e.sh(ref, "echo to-out; echo to-err >&2; exit 5", nil)
	require.Equal(e, 5, exit)
	require.Equal(e, "to-out\n", out)
	require.Equal(e, "to-err\n", errs)

	exit, out, _ = e.sh(ref, "cat", text("some input\nwithout a newline at its end"))
	require.Zero(e, exit)
	require.Equal(e, "some input\nwithout a newline at its end", out)

	_, out, _ = e.sh(ref, "cat; echo end", nil)
	require.Equal(e, "end\n", out, "no input is an empty input")

	exit, _, _ = e.sh(ref, "exit 0", io.LimitReader(zeros{}, 10<<20))
	require.Zero(e, exit, "input that nobody reads")

	var env bytes.Buffer
	_, err := e.execer.Exec(e.ctx, ref, ams.ExecRequest{
		Command: []string{"sh", "-c", "echo $AMS_TEST"},
		Env:     map[string]string{"AMS_TEST": "a value"},
		Stdout:  &env,
	})
	require.NoError(e, err)
	require.Equal(e, "a value\n", env.String())
}

// execMany runs short commands in a row, and some at once: no byte is lost.
func execMany(e *test, ref ams.Ref) {
	for i := range cmp.Or(e.h.Commands, 200) {
		in := fmt.Sprintf("in-%d\n", i)
		exit, out, errs := e.sh(ref, fmt.Sprintf("echo %d; cat; echo err-%d >&2; exit %d", i, i, i%7), text(in))
		require.Equal(e, i%7, exit)
		require.Equal(e, fmt.Sprintf("%d\n%s", i, in), out)
		require.Equal(e, fmt.Sprintf("err-%d\n", i), errs)
	}
	e.together(8, func() error {
		for i := range 5 {
			var out bytes.Buffer
			in := strings.Repeat("x", 1000*i)
			exit, err := e.execer.Exec(e.ctx, ref, ams.ExecRequest{
				Command: []string{"cat"}, Stdin: text(in), Stdout: &out,
			})
			if err != nil || exit != 0 || out.String() != in {
				return fmt.Errorf("exit %d, %d of %d bytes, %w", exit, out.Len(), len(in), err)
			}
		}
		return nil
	})
}

// execLarge sends much through each of the streams.
func execLarge(e *test, ref ams.Ref) {
	size := cmp.Or(e.h.Bulk, 10<<20)
	for _, script := range []string{"cat", "cat >&2"} {
		sent, out, errs := newDigest(), newDigest(), newDigest()
		exit, err := e.execer.Exec(e.ctx, ref, ams.ExecRequest{
			Command: []string{"sh", "-c", script},
			Stdin:   io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{}), size), sent),
			Stdout:  out,
			Stderr:  errs,
		})
		require.NoError(e, err)
		require.Zero(e, exit)
		if script == "cat" {
			errs.equal(e, newDigest())
		} else {
			out, errs = errs, out
			errs.equal(e, newDigest())
		}
		require.EqualValues(e, size, sent.n)
		out.equal(e, sent)
	}
	out, errs, want := newDigest(), newDigest(), newDigest()
	_, _ = io.Copy(want, io.LimitReader(zeros{}, size))
	exit, err := e.execer.Exec(e.ctx, ref, ams.ExecRequest{
		Command: []string{"sh", "-c", fmt.Sprintf("cat; head -c %d /dev/zero >&2", size)},
		Stdin:   io.LimitReader(zeros{}, size),
		Stdout:  out,
		Stderr:  errs,
	})
	require.NoError(e, err)
	require.Zero(e, exit)
	out.equal(e, want)
	errs.equal(e, want)
}

func execCancel(e *test, ref ams.Ref) {
	for _, after := range []time.Duration{10, 100, 1000} {
		ctx, cancel := context.WithTimeout(e.ctx, after*time.Millisecond)
		input, w := io.Pipe()
		begun := time.Now()
		_, err := e.execer.Exec(ctx, ref, ams.ExecRequest{Command: []string{"sleep", "1000"}, Stdin: input})
		cancel()
		_ = w.Close()
		require.ErrorIs(e, err, context.DeadlineExceeded)
		require.Less(e, time.Since(begun), soon)
	}
	exit, out, _ := e.sh(ref, "echo fine", nil)
	require.Zero(e, exit)
	require.Equal(e, "fine\n", out)
}

// execTerminal runs commands with a terminal. They do not end at once: a terminal
// that closes may take with it what nobody has read yet.
func execTerminal(e *test, ref ams.Ref) {
	for range 10 {
		var out bytes.Buffer
		exit, err := e.execer.Exec(e.ctx, ref, ams.ExecRequest{
			Command:     []string{"sh", "-c", "echo out; echo err >&2; sleep 0.3; exit 9"},
			Stdout:      &out,
			Interactive: true,
			Width:       80,
			Height:      25,
		})
		require.NoError(e, err)
		require.Equal(e, 9, exit)
		require.Equal(e, "out\nerr\n", strings.ReplaceAll(out.String(), "\r\n", "\n"))
	}
}

// digest is that of what is written to it, and how much that is.
type digest struct {
	hash.Hash
	n int64
}

func newDigest() *digest { return &digest{Hash: sha256.New()} }

func (d *digest) Write(p []byte) (int, error) {
	d.n += int64(len(p))
	return d.Hash.Write(p)
}

func (d *digest) equal(e *test, want *digest) {
	e.Helper()
	require.Equal(e, want.n, d.n, "bytes")
	require.Equal(e, want.Sum(nil), d.Sum(nil), "their digest")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
