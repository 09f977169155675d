package client

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

// dial opens a websocket.
func (c *Client) dial(ctx context.Context, path string, query url.Values) (*websocket.Conn, error) {
	u := *c.base
	u.Path, u.RawQuery = "/1.0"+path, query.Encode()
	h := http.Header{}
	if err := c.authorize(ctx, h); err != nil {
		return nil, err
	}
	bound, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	ws, res, err := websocket.Dial(bound, u.String(), &websocket.DialOptions{HTTPClient: c.http, HTTPHeader: h, CompressionMode: websocket.CompressionDisabled}) //nolint:bodyclose // it has none that is open
	switch {
	case err == nil:
		ws.SetReadLimit(16 << 20)
		return ws, nil
	case res != nil && res.StatusCode >= http.StatusBadRequest:
		return nil, refusal(res)
	}
	return nil, failed(ctx, err)
}

// Events yields the events after the one with the given number, and then those that
// come; see ams.Manager. Since -1 begins with what comes from now on. A connection that
// breaks is made again where it was left: no event is missed, and none comes twice.
//
// The events of operations that only the service's interface knows, such as commands,
// come without a number, and may be missed when the connection breaks. An error is the
// last thing yielded: ErrGone when events after since are no longer kept; ErrDenied.
func (c *Client) Events(ctx context.Context, since int64) iter.Seq2[ams.Event, error] {
	return func(yield func(ams.Event, error) bool) {
		for tries := 0; ctx.Err() == nil; tries++ {
			more, err := c.readEvents(ctx, &since, func(e ams.Event) bool {
				tries = 0
				return yield(e, nil)
			})
			switch {
			case ctx.Err() != nil || !more && err == nil:
				return
			case !more:
				yield(ams.Event{}, err)
				return
			}
			select {
			case <-time.After(min(100*time.Millisecond<<min(tries, 6), 5*time.Second)):
			case <-ctx.Done():
			}
		}
	}
}

// readEvents reads from one connection, and reports whether to make another.
func (c *Client) readEvents(ctx context.Context, since *int64, yield func(ams.Event) bool) (more bool, err error) {
	query := url.Values{}
	if *since >= 0 {
		query.Set("since", strconv.FormatInt(*since, 10))
	}
	ws, err := c.dial(ctx, "/events", query)
	if err != nil {
		return ams.CodeOf(err) == ams.ErrUnavailable || ams.CodeOf(err) == "", err
	}
	defer ws.CloseNow() //nolint:errcheck // whatever became of it
	for {
		_, data, err := ws.Read(ctx)
		if err != nil {
			var closed websocket.CloseError
			if errors.As(err, &closed) && closed.Code == websocket.StatusPolicyViolation {
				if strings.Contains(closed.Reason, "not trusted") {
					return false, ams.Errorf(ams.ErrDenied, "%s", closed.Reason)
				}
				if *since < 0 || strings.Contains(closed.Reason, "not kept") {
					return false, ams.Errorf(ams.ErrGone, "%s", closed.Reason)
				}
			}
			return true, err
		}
		var e api.Event
		if json.Unmarshal(data, &e) != nil {
			continue
		}
		out := event(&e)
		if e.Seq > 0 {
			if e.Seq <= *since {
				continue
			}
			*since = e.Seq
		}
		if !yield(out) {
			return false, nil
		}
	}
}

// event returns an event as package ams knows it.
func event(e *api.Event) ams.Event {
	out := ams.Event{Seq: e.Seq, Time: e.Timestamp, Type: ams.EventType(e.Type)}
	if e.Type == api.EventOperation {
		var o api.Operation
		if json.Unmarshal(e.Metadata, &o) == nil {
			op := operation(&o)
			out.Kind, out.ID, out.Action, out.Message = "operation", op.ID, string(op.Status), op.Description
		}
		return out
	}
	var l api.Lifecycle
	if json.Unmarshal(e.Metadata, &l) == nil {
		out.Kind, out.Action, _ = strings.Cut(l.Action, "-")
		out.ID, out.Message = lastElement(l.Source), l.Message
		if out.Kind == "instance" {
			switch out.Action {
			case "scheduled":
				out.Action = "prepared"
			case "removed":
				out.Action = "deleted"
			case "failed":
				out.Action = "error"
			}
		}
	}
	return out
}
