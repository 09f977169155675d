package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/coder/websocket"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

// Exec runs a command in a running instance, and returns its exit code once all of its
// output has been written; see ams.Instances. When ctx ends the command is killed.
func (s *Instances) Exec(ctx context.Context, idOrName string, req ams.ExecRequest) (int, error) {
	var op api.Operation
	_, err := s.c.do(ctx, call{method: http.MethodPost, path: path("instances", idOrName, "exec"), body: api.InstanceExec{
		Command: req.Command, Environment: req.Env, Interactive: req.Interactive, Width: req.Width, Height: req.Height,
	}}, &op)
	if err != nil {
		return 0, err
	}
	e := &execution{c: s.c, op: &op, req: &req}
	defer e.close()
	if err := e.connect(ctx); err != nil {
		s.c.abandon(ctx, op.ID)
		return 0, err
	}
	written := e.copy(ctx)
	ended := make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
			s.c.abandon(ctx, op.ID)
		case <-ended:
		}
	}()
	defer close(ended)
	for range written.n {
		if err := <-written.errs; err != nil && ctx.Err() == nil {
			s.c.abandon(ctx, op.ID)
			return 0, err
		}
	}
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	return s.c.exit(ctx, op.ID)
}

// abandon cancels an operation whose outcome nobody waits for.
func (c *Client) abandon(ctx context.Context, id string) {
	_ = c.Operations.Cancel(context.WithoutCancel(ctx), id) // it may have ended
}

// exit waits for the end of a command, and returns its exit code.
func (c *Client) exit(ctx context.Context, id string) (int, error) {
	if _, err := c.Operations.Wait(ctx, id); err != nil {
		return 0, err
	}
	var op api.Operation
	if _, err := c.get(ctx, path("operations", id), nil, &op); err != nil {
		return 0, err
	}
	code, ok := op.Metadata[api.MetadataReturn].(float64)
	if !ok {
		return 0, ams.Errorf(ams.ErrUnavailable, "the service does not tell how the command ended")
	}
	return int(code), nil
}

// execution is a command and its websockets.
type execution struct {
	c       *Client
	op      *api.Operation
	req     *ams.ExecRequest
	sockets map[string]*websocket.Conn
}

// connect opens the websockets: that of control first, for the command runs once the
// others are open.
func (e *execution) connect(ctx context.Context) error {
	secrets, _ := e.op.Metadata[api.MetadataFDs].(map[string]any)
	e.sockets = map[string]*websocket.Conn{}
	for _, name := range []string{"control", "0", "1", "2"} {
		secret, ok := secrets[name].(string)
		if !ok {
			continue // an interactive command has no 1 and 2
		}
		ws, err := e.c.dial(ctx, path("operations", e.op.ID, "websocket"), url.Values{"secret": {secret}})
		if err != nil {
			return err
		}
		e.sockets[name] = ws
	}
	if e.sockets["0"] == nil {
		return ams.Errorf(ams.ErrUnavailable, "the service does not tell how to reach the command")
	}
	return nil
}

func (e *execution) close() {
	for _, ws := range e.sockets {
		_ = ws.CloseNow() // it may be closed
	}
}

// outputs are the streams that a command writes.
type outputs struct {
	n    int
	errs chan error
}

// copy begins to copy the streams.
func (e *execution) copy(ctx context.Context) outputs {
	out := map[string]io.Writer{"1": e.req.Stdout, "2": e.req.Stderr}
	if e.req.Interactive {
		out = map[string]io.Writer{"0": e.req.Stdout}
	}
	o := outputs{len(out), make(chan error, len(out))}
	for name, w := range out {
		go func() { o.errs <- receive(ctx, e.sockets[name], w) }()
	}
	go e.input(ctx)
	go e.steer(ctx)
	return o
}

// receive copies a stream to w until it ends: with a message of text, or a close.
func receive(ctx context.Context, ws *websocket.Conn, w io.Writer) error {
	if w == nil {
		w = io.Discard
	}
	for {
		kind, r, err := ws.Reader(ctx)
		switch {
		case websocket.CloseStatus(err) != -1 || errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return ams.Errorf(ams.ErrUnavailable, "the stream of the command broke off: %w", err)
		case kind == websocket.MessageText:
			return nil
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
	}
}

// input copies the standard input. Its end is told with a message of text.
func (e *execution) input(ctx context.Context) {
	ws := e.sockets["0"]
	if e.req.Stdin != nil {
		buffer := make([]byte, 32<<10)
		for {
			n, err := e.req.Stdin.Read(buffer)
			if n > 0 && ws.Write(ctx, websocket.MessageBinary, buffer[:n]) != nil {
				return
			}
			if err != nil {
				break
			}
		}
	}
	if !e.req.Interactive {
		_ = ws.Write(ctx, websocket.MessageText, nil) // the command may have ended
	}
}

// steer passes on sizes of the terminal, and signals.
func (e *execution) steer(ctx context.Context) {
	ws := e.sockets["control"]
	if ws == nil || e.req.Control == nil {
		return
	}
	for {
		var c ams.ExecControl
		select {
		case control, ok := <-e.req.Control:
			if !ok {
				return
			}
			c = control
		case <-ctx.Done():
			return
		}
		m := api.ExecControl{Command: api.ControlResize, Args: map[string]string{"width": strconv.Itoa(c.Width), "height": strconv.Itoa(c.Height)}}
		if c.Signal != 0 {
			m = api.ExecControl{Command: api.ControlSignal, Signal: c.Signal}
		}
		data, err := json.Marshal(m)
		if err != nil || ws.Write(ctx, websocket.MessageText, data) != nil {
			return
		}
	}
}
