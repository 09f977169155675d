package lxd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/canonical/lxd/shared/api"
	"github.com/gorilla/websocket"

	"github.com/openams/ams"
)

// killTime is how long a command that was killed may take to end; then its
// connections are cut.
const killTime = 2 * time.Second

const sigkill = 9

// Exec implements ams.Execer. A program that is not there ends with 127.
//
// With a terminal, the end of req.Stdin does not end the command's input; and of
// a command that ends within milliseconds LXD 5.0 loses the output now and then,
// in about one of a hundred, whatever the client. Without one nothing is lost.
//
// A read of req.Stdin that never returns is left behind with a goroutine, which
// ends when it does.
func (b *Backend) Exec(ctx context.Context, ref ams.Ref, req ams.ExecRequest) (int, error) {
	if len(req.Command) == 0 {
		return 0, ams.Errorf(ams.ErrInvalid, "exec: the command is empty")
	}
	if err := checkRef(ref); err != nil {
		return 0, err
	}
	if err := b.own(ctx, ref); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	// The session outlives ctx, so that there is time to kill.
	c, s, err := b.link.session(context.WithoutCancel(ctx), b.cfg.Project, "", true)
	if err != nil {
		return 0, b.classify(ctx, err)
	}
	defer s.close()
	e := &execution{c: c, path: b.path("instances", instanceName(ref.ID), "exec"), req: req}
	type outcome struct{ err error }
	done := make(chan outcome, 1)
	go func() { done <- outcome{e.run(s.ctx)} }()
	select {
	case out := <-done:
		err = out.err
	case <-ctx.Done():
		e.kill()
		select {
		case <-done:
		case <-time.After(killTime):
		}
		return 0, ctx.Err()
	}
	if err == nil {
		return e.exit, nil
	}
	return 0, b.execError(ctx, ref, err)
}

// execError says why a command did not run.
func (b *Backend) execError(ctx context.Context, ref ams.Ref, err error) error {
	var stream *streamError
	if errors.As(err, &stream) {
		return stream.err
	}
	i, getErr := b.get(ctx, ref)
	switch {
	case getErr != nil:
		return getErr
	case power(i) != ams.PowerRunning:
		return ams.Errorf(ams.ErrState, "instance %q is %s, not running", ref.ID, power(i))
	}
	return b.classify(ctx, err)
}

// path returns the path of something in the backend's project.
func (b *Backend) path(parts ...string) string {
	for n, p := range parts {
		parts[n] = url.PathEscape(p)
	}
	return "/1.0/" + strings.Join(parts, "/") + "?project=" + url.QueryEscape(b.cfg.Project)
}

// execution is a command that runs.
type execution struct {
	c    server
	path string
	req  ams.ExecRequest
	exit int

	mu      sync.Mutex
	control *websocket.Conn // nil until it is connected
	killed  bool
}

// run runs the command and returns once every byte of its output was written.
func (e *execution) run(ctx context.Context) error {
	op, secrets, err := e.start()
	if err != nil {
		return err
	}
	// LXD runs the command once its streams are connected, and forgets it five seconds
	// after its end: whoever waits for that had better be there before.
	type result struct {
		op  *api.Operation
		err error
	}
	waited := make(chan result, 1)
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		end, err := e.wait(waiting, op.ID)
		waited <- result{end, err}
	}()
	conns, err := e.connect(op.ID, secrets)
	if err != nil {
		return forgotten(err)
	}
	outputs := map[string]io.Writer{"1": e.req.Stdout, "2": e.req.Stderr}
	if e.req.Interactive {
		outputs = map[string]io.Writer{"0": e.req.Stdout}
	}
	copied := make(chan error, len(outputs))
	for fd, w := range outputs {
		go func() { copied <- receive(conns[fd], w) }()
	}
	go send(conns["0"], e.req.Stdin, e.req.Interactive)
	go drain(conns[api.SecretNameControl])
	ended := make(chan struct{})
	defer close(ended)
	go e.steer(ended)
	if !e.req.Interactive {
		go drain(conns["0"])
	}

	end := <-waited
	if end.err != nil {
		return forgotten(end.err)
	}
	for range outputs {
		if copyErr := <-copied; copyErr != nil {
			err = copyErr
		}
	}
	if err != nil {
		return err
	}
	code, ok := end.op.Metadata["return"].(float64)
	if !ok {
		return failed(end.op.Err)
	}
	e.exit = int(code)
	return nil
}

// forgotten is an error that may say that LXD does not know the operation any more: it
// forgets one five seconds after its end, which on a busy machine can be before it was
// asked how that was. What the command has done is not known then.
func forgotten(err error) error {
	if api.StatusErrorCheck(err, http.StatusNotFound) {
		return &streamError{ams.Errorf(ams.ErrUnavailable, "LXD has forgotten how the command ended: %w", err)}
	}
	return err
}

// start asks LXD to run the command once its streams are connected.
func (e *execution) start() (*api.Operation, map[string]string, error) {
	resp, _, err := e.c.RawQuery(http.MethodPost, e.path, api.InstanceExecPost{
		Command:     e.req.Command,
		WaitForWS:   true,
		Interactive: e.req.Interactive,
		Environment: e.req.Env,
		Width:       e.req.Width,
		Height:      e.req.Height,
	}, "")
	if err != nil {
		return nil, nil, err
	}
	op, err := resp.MetadataAsOperation()
	if err != nil {
		return nil, nil, err
	}
	var metadata struct {
		FDs map[string]string `json:"fds"`
	}
	raw, err := json.Marshal(op.Metadata)
	if err == nil {
		err = json.Unmarshal(raw, &metadata)
	}
	return op, metadata.FDs, err
}

// connect connects the streams of the command: control first, for LXD runs the
// command as soon as it has the others, and a stream of a command that has ended
// cannot be connected any more.
func (e *execution) connect(op string, secrets map[string]string) (map[string]*websocket.Conn, error) {
	for _, fd := range []string{"0", api.SecretNameControl} {
		if secrets[fd] == "" {
			return nil, fmt.Errorf("LXD offers no stream %q", fd)
		}
	}
	control, err := e.c.GetOperationWebsocket(op, secrets[api.SecretNameControl])
	if err != nil {
		return nil, err
	}
	e.controlled(control)

	conns := map[string]*websocket.Conn{api.SecretNameControl: control}
	type connected struct {
		fd   string
		conn *websocket.Conn
		err  error
	}
	results := make(chan connected, len(secrets))
	for fd, secret := range secrets {
		if fd == api.SecretNameControl {
			continue
		}
		go func() {
			conn, err := e.c.GetOperationWebsocket(op, secret)
			results <- connected{fd, conn, err}
		}()
	}
	for range len(secrets) - 1 {
		r := <-results
		conns[r.fd], err = r.conn, cmp.Or(err, r.err)
	}
	return conns, err
}

// controlled sets the stream that a command is killed through.
func (e *execution) controlled(conn *websocket.Conn) {
	e.mu.Lock()
	e.control = conn
	killed := e.killed
	e.mu.Unlock()
	if killed {
		e.kill()
	}
}

// kill kills the command, now or as soon as it runs.
func (e *execution) kill() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.killed = true
	if e.control != nil {
		e.say(api.InstanceExecControl{Command: "signal", Signal: sigkill})
	}
}

// steer passes on what the caller has to say to the command until that has ended.
func (e *execution) steer(ended <-chan struct{}) {
	for {
		select {
		case c, more := <-e.req.Control:
			if !more {
				return
			}
			e.pass(c)
		case <-ended:
			return
		}
	}
}

// pass passes on one message.
func (e *execution) pass(c ams.ExecControl) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.req.Interactive && c.Width > 0 && c.Height > 0 {
		size := map[string]string{"width": strconv.Itoa(c.Width), "height": strconv.Itoa(c.Height)}
		e.say(api.InstanceExecControl{Command: "window-resize", Args: size})
	}
	if c.Signal > 0 {
		e.say(api.InstanceExecControl{Command: "signal", Signal: c.Signal})
	}
}

// say sends a message to LXD. A command that has ended hears nothing. e.mu is
// held.
func (e *execution) say(message api.InstanceExecControl) {
	_ = e.control.SetWriteDeadline(time.Now().Add(killTime))
	_ = e.control.WriteJSON(message)
}

// wait waits for the end of the command.
func (e *execution) wait(ctx context.Context, id string) (*api.Operation, error) {
	for {
		op, _, err := e.c.GetOperationWait(id, -1)
		if err != nil || op.StatusCode.IsFinal() || ctx.Err() != nil {
			return op, err
		}
	}
}

// streamError is an error of the caller's reader or writer.
type streamError struct{ err error }

func (e *streamError) Error() string { return e.err.Error() }

// receive copies what the command writes to w. LXD ends a stream with a text
// message or by closing it.
func receive(conn *websocket.Conn, w io.Writer) error {
	defer conn.Close() //nolint:errcheck // nothing more comes
	if w == nil {
		w = io.Discard
	}
	for {
		kind, r, err := conn.NextReader()
		if websocket.IsCloseError(err, websocket.CloseNormalClosure) || err == nil && kind == websocket.TextMessage {
			return nil
		}
		if err != nil {
			return err
		}
		to := &writer{w: w}
		if _, err := io.Copy(to, r); err != nil {
			if to.err != nil {
				return &streamError{to.err}
			}
			return err
		}
	}
}

// writer remembers the error of the writer below it.
type writer struct {
	w   io.Writer
	err error
}

func (w *writer) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	w.err = err
	return n, err
}

// send copies r to the command's input and ends that, but for a terminal: LXD
// would take it for a hangup, and kill the command.
func send(conn *websocket.Conn, r io.Reader, terminal bool) {
	if r != nil {
		buf := make([]byte, 32<<10)
		for {
			n, err := r.Read(buf)
			if n > 0 && conn.WriteMessage(websocket.BinaryMessage, buf[:n]) != nil {
				return
			}
			if err != nil {
				break
			}
		}
	}
	if !terminal {
		_ = conn.WriteMessage(websocket.TextMessage, nil)
	}
}

// drain reads what comes besides data, which answers LXD's pings.
func drain(conn *websocket.Conn) {
	for {
		if _, _, err := conn.NextReader(); err != nil {
			return
		}
	}
}
