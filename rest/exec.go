package rest

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

const (
	// connectTime is how long a client may take to open the websockets of a command.
	connectTime = 30 * time.Second
	// maxMessage bounds a message on a websocket of a command.
	maxMessage = 1 << 20
	// controlName is the websocket that resizes the terminal and sends signals.
	controlName = "control"
)

// command is a command in an instance and its websockets: "0", "1", "2" for the three
// streams, or "0" alone for the terminal of an interactive one; and "control".
type command struct {
	instance    string // its id
	interactive bool
	secrets     map[string]string // by websocket

	mu      sync.Mutex
	taken   map[string]bool // websockets that were opened
	sockets map[string]*websocket.Conn
	ready   chan struct{} // closed when all but control are open
	over    chan struct{} // closed when all has been sent
	control chan ams.ExecControl
}

// streams are the websockets a command needs.
func (c *command) streams() []string {
	if c.interactive {
		return []string{"0"}
	}
	return []string{"0", "1", "2"}
}

// newSecret returns 32 random bytes in hexadecimal.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// execute begins a command. It runs once its websockets are open.
func execute(q *request, key string) (response, error) {
	var post api.InstanceExec
	if err := q.body(&post); err != nil {
		return nil, err
	}
	in, err := q.h.m.Instances.Get(q.Context(), q.PathValue("id"))
	if err != nil {
		return nil, err
	}
	switch {
	case len(post.Command) == 0 || post.Command[0] == "":
		return nil, ams.Errorf(ams.ErrInvalid, "command is empty")
	case post.Width < 0 || post.Width > 1<<15 || post.Height < 0 || post.Height > 1<<15:
		return nil, ams.Errorf(ams.ErrInvalid, "width and height must be from 0 to 32768")
	case in.Status != ams.InstanceRunning:
		return nil, ams.Errorf(ams.ErrState, "instance %q is %s: commands run in running ones", in.Name, in.Status)
	}
	if q.h.locals.commands() >= q.h.opts.MaxCommands {
		return nil, ams.Errorf(ams.ErrUnavailable, "%d commands run, the most", q.h.opts.MaxCommands)
	}
	c := &command{
		instance: in.ID, interactive: post.Interactive, secrets: map[string]string{controlName: newSecret()},
		taken: map[string]bool{}, sockets: map[string]*websocket.Conn{},
		ready: make(chan struct{}), over: make(chan struct{}), control: make(chan ams.ExecControl, 16),
	}
	fds := map[string]any{controlName: c.secrets[controlName]}
	for _, name := range c.streams() {
		c.secrets[name] = newSecret()
		fds[name] = c.secrets[name]
	}
	ctx, stop := context.WithCancel(background(q.Context()))
	n := q.h.locals.add(q.h.now(), api.Operation{
		Class: api.ClassWebsocket, Description: "Executing command",
		Resources: map[string][]string{key: {"/1.0/" + key + "/" + in.ID}},
		Metadata:  map[string]any{api.MetadataFDs: fds},
	}, func(who *caller) bool { return who.may("instance", in.ID, "can_exec") }, stop, c)
	go q.h.guard.watch(ctx, q.Request, func(who *caller) bool { return who.may("instance", in.ID, "can_exec") }, stop)
	go q.h.runCommand(ctx, stop, n, c, post)
	return begun{n.get()}, nil
}

// runCommand waits for the websockets, runs the command, and ends its operation.
func (h *Handler) runCommand(ctx context.Context, stop context.CancelFunc, n *local, c *command, post api.InstanceExec) {
	defer stop()
	defer close(c.over)
	wait := time.NewTimer(connectTime)
	defer wait.Stop()
	select {
	case <-c.ready:
	case <-wait.C:
		c.close()
		n.end(h.now(), api.Failure, "the websockets of the command were not opened within "+connectTime.String(), nil)
		return
	case <-ctx.Done():
		c.close()
		n.end(h.now(), api.Cancelled, "cancelled", nil)
		return
	}
	req := ams.ExecRequest{
		Command: post.Command, Env: post.Environment, Interactive: post.Interactive,
		Width: post.Width, Height: post.Height, Control: c.control,
	}
	stdin := &socketReader{ctx: ctx, ws: c.socket("0")}
	req.Stdin = stdin
	if c.interactive {
		stdin.gone = stop // whoever sat at the terminal has left
		req.Stdout = &socketWriter{ctx: ctx, ws: c.socket("0")}
	} else {
		req.Stdout = &socketWriter{ctx: ctx, ws: c.socket("1")}
		req.Stderr = &socketWriter{ctx: ctx, ws: c.socket("2")}
	}
	exit, err := h.m.Instances.Exec(ctx, c.instance, req)
	c.finish()
	switch {
	case err == nil:
		n.end(h.now(), api.Success, "", map[string]any{api.MetadataReturn: exit})
	case ctx.Err() != nil:
		n.end(h.now(), api.Cancelled, "cancelled", nil)
	default:
		n.end(h.now(), api.Failure, err.Error(), map[string]any{api.MetadataErrorCode: string(ams.CodeOf(err))})
	}
}

func (c *command) socket(name string) *websocket.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sockets[name]
}

// finish tells the client that each stream has ended, and closes the websockets.
func (c *command) finish() {
	ctx, cancel := context.WithTimeout(context.Background(), pingTime)
	defer cancel()
	for _, name := range c.streams() {
		if name == "0" && !c.interactive {
			continue
		}
		_ = c.socket(name).Write(ctx, websocket.MessageText, nil) // it may be gone
	}
	c.close()
}

// close closes the websockets. Those that are opened from now on are refused.
func (c *command) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.secrets {
		c.taken[name] = true
	}
	for _, ws := range c.sockets {
		go ws.Close(websocket.StatusNormalClosure, "") //nolint:errcheck // it waits for the other end
	}
}

// connectCommand opens a websocket of a command.
func connectCommand(q *request) (response, error) {
	n := q.h.locals.find(q.PathValue("id"))
	if n == nil {
		if _, err := q.h.m.Operations.Get(q.Context(), q.PathValue("id")); err != nil {
			return nil, err
		}
		return nil, ams.Errorf(ams.ErrInvalid, "operation %s has no websockets", q.PathValue("id"))
	}
	if n.exec == nil {
		return nil, ams.Errorf(ams.ErrInvalid, "operation %s has no websockets", q.PathValue("id"))
	}
	if q.h.guard.guesses.blocked(q.Request, q.h.now()) {
		return nil, withStatus(http.StatusTooManyRequests, ams.ErrDenied, "too many wrong guesses; wait a minute")
	}
	name := n.exec.named(q.URL.Query().Get("secret"))
	switch {
	case name == "":
		q.h.guard.guesses.failed(q.Request, q.h.now())
		return nil, withStatus(http.StatusUnauthorized, ams.ErrDenied, "the secret is missing or wrong")
	case !isUpgrade(q.Request):
		return nil, withStatus(http.StatusUpgradeRequired, ams.ErrInvalid, "this is a websocket; the request must ask for an upgrade")
	case !n.exec.take(name):
		return nil, ams.Errorf(ams.ErrConflict, "this websocket was opened before, or the command has ended")
	}
	ws, err := upgrade(q.w, q.Request)
	if err != nil {
		n.exec.give(name)
		return taken{}, nil //nolint:nilerr // it has been answered
	}
	ws.SetReadLimit(maxMessage)
	n.exec.opened(name, ws)
	if name == controlName {
		n.exec.controlled(q.Context(), ws)
	}
	// The connection is in the hands of this request until the command has ended.
	select {
	case <-n.exec.over:
	case <-q.Context().Done():
	}
	return taken{}, nil
}

// named returns the websocket that a secret is of; empty is none. It takes as long for
// a secret that is nearly right as for one that is not.
func (c *command) named(secret string) string {
	found := ""
	for name, have := range c.secrets {
		if subtle.ConstantTimeCompare([]byte(have), []byte(secret)) == 1 {
			found = name
		}
	}
	return found
}

// take claims a websocket, and reports whether it was free.
func (c *command) take(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.taken[name]
	c.taken[name] = true
	return !was
}

// give gives a websocket back that was not opened in the end.
func (c *command) give(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken[name] = false
}

func (c *command) opened(name string, ws *websocket.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sockets[name] = ws
	for _, name := range c.streams() {
		if c.sockets[name] == nil {
			return
		}
	}
	if name != controlName {
		close(c.ready)
	}
}

// controlled passes on what comes on the control websocket, until it closes.
func (c *command) controlled(ctx context.Context, ws *websocket.Conn) {
	for {
		_, data, err := ws.Read(ctx)
		if err != nil {
			return
		}
		var m api.ExecControl
		if json.Unmarshal(data, &m) != nil {
			continue // as other servers do
		}
		var control ams.ExecControl
		switch m.Command {
		case api.ControlResize:
			width, errW := strconv.Atoi(m.Args["width"])
			height, errH := strconv.Atoi(m.Args["height"])
			if errW != nil || errH != nil || width <= 0 || height <= 0 || width > 1<<15 || height > 1<<15 {
				continue
			}
			control.Width, control.Height = width, height
		case api.ControlSignal:
			if m.Signal <= 0 || m.Signal > 64 {
				continue
			}
			control.Signal = m.Signal
		default:
			continue
		}
		select {
		case c.control <- control:
		case <-c.over:
			return
		case <-ctx.Done():
			return
		}
	}
}

// socketReader reads a stream from a websocket. It ends with the connection, with a
// close, and with a message of text.
type socketReader struct {
	ctx  context.Context //nolint:containedctx // of the command
	ws   *websocket.Conn
	gone func() // called when the other end has gone; may be nil
	r    io.Reader
	end  bool
}

func (s *socketReader) Read(b []byte) (int, error) {
	for !s.end {
		if s.r == nil {
			kind, r, err := s.ws.Reader(s.ctx)
			if err != nil || kind == websocket.MessageText {
				s.end = true
				if err != nil && s.gone != nil {
					s.gone()
				}
				break
			}
			s.r = r
		}
		n, err := s.r.Read(b)
		if err != nil { // of this message, or of all
			s.r = nil
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, io.EOF
}

// socketWriter writes a stream to a websocket. A client that does not read holds the
// command up, as a pipe would.
type socketWriter struct {
	ctx context.Context //nolint:containedctx // of the command
	ws  *websocket.Conn
}

func (s *socketWriter) Write(b []byte) (int, error) {
	if err := s.ws.Write(s.ctx, websocket.MessageBinary, b); err != nil {
		return 0, err
	}
	return len(b), nil
}
