package backendtest

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// console is a command with a terminal that runs in the background.
type console struct {
	control chan ams.ExecControl
	input   *io.PipeWriter
	done    chan int

	mu     sync.Mutex
	output bytes.Buffer
}

// Write collects what the command writes.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.output.Write(p)
}

func (c *console) has(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Contains(c.output.String(), text)
}

// console runs a script with a terminal of 25 lines of 80 characters, or without.
func (e *test) console(ref ams.Ref, script string, terminal bool) *console {
	c := &console{control: make(chan ams.ExecControl), done: make(chan int, 1)}
	input, w := io.Pipe()
	c.input = w
	req := ams.ExecRequest{Command: []string{"sh", "-c", script}, Stdin: input, Stdout: c, Control: c.control}
	if terminal {
		req.Interactive, req.Width, req.Height = true, 80, 25
	}
	ctx, cancel := context.WithCancel(e.ctx)
	e.Cleanup(cancel)
	go func() {
		defer input.Close() //nolint:errcheck // it returns nil
		exit, err := e.execer.Exec(ctx, ref, req)
		if err != nil {
			exit = -1
		}
		c.done <- exit
	}()
	return c
}

// execResize changes the size of a terminal, which the command sees.
func execResize(e *test, ref ams.Ref) {
	const tries = 100
	c := e.console(ref, strings.Repeat("stty size; read x;", tries), true)
	e.eventually("the first size", func() bool { return c.has("25 80") })
	c.control <- ams.ExecControl{Width: 132, Height: 43}
	e.eventually("the second size", func() bool {
		_, err := c.input.Write([]byte("\n"))
		require.NoError(e, err)
		return c.has("43 132")
	})
	require.False(e, c.has("0 0"))
	c.control <- ams.ExecControl{} // says nothing
	c.control <- ams.ExecControl{Signal: 15}
	require.Equal(e, 128+15, c.ends(e))
}

// execSignal ends commands with signals.
func execSignal(e *test, ref ams.Ref) {
	for _, terminal := range []bool{false, true} {
		for _, signal := range []int{9, 15, 2} {
			c := e.console(ref, "echo ready; read x; echo over", terminal)
			e.eventually("the command runs", func() bool { return c.has("ready") })
			c.control <- ams.ExecControl{Width: 10, Height: 10} // of no terminal, or of one nobody looks at
			c.control <- ams.ExecControl{Signal: signal}
			if signal == 2 { // a channel that is closed says nothing more
				close(c.control)
			}
			require.Equal(e, 128+signal, c.ends(e))
			require.False(e, c.has("over"))
		}
	}
}

// ends waits for the end of the command and returns how it ended.
func (c *console) ends(e *test) int {
	e.Helper()
	var exit int
	e.eventually("the command ends", func() bool {
		select {
		case exit = <-c.done:
			return true
		default:
			return false
		}
	})
	return exit
}
