package rest

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

func eventRoutes() []Route {
	return []Route{
		{
			Method: http.MethodGet, Path: "/1.0/events", Name: "events", Kind: Websocket, Access: Access{Secret: true},
			Doc: "Opens a websocket on which events come.",
			Query: []Parameter{
				{"type", "string", "all, operation or lifecycle, with a comma between each; all is the default"},
				{"since", "integer", "begin after the event of this seq; without it, with what comes from now on"},
				{"token", "string", "of POST /1.0/events/auth, in place of credentials"},
			},
			serve: openEvents,
		},
		{
			Method: http.MethodPost, Path: "/1.0/events/auth", Name: "events_auth", Kind: Sync, Access: authenticated(),
			Doc: "Issues a token for opening the events websocket once, within a minute.", Result: api.EventAuth{}, serve: authEvents,
		},
	}
}

func authEvents(q *request) (response, error) {
	return result{value: api.EventAuth{Token: q.h.guard.events.issue(q.caller, q.h.now())}}, nil
}

// wanted reads which events are asked for; nil is all.
func wanted(s string) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	var kinds []string
	for kind := range strings.SplitSeq(s, ",") {
		switch kind {
		case api.EventAll:
			return nil, nil
		case api.EventOperation, api.EventLifecycle:
			kinds = append(kinds, kind)
		case "operations":
			kinds = append(kinds, api.EventOperation)
		case "logging": // there was such a type; nothing comes of it
			kinds = append(kinds, kind)
		default:
			return nil, ams.Errorf(ams.ErrInvalid, "type is %.40q; it must be all, operation or lifecycle", kind)
		}
	}
	return kinds, nil
}

// pingTime is how often a websocket is asked whether it lives, and how long it may
// take to say so, or to take an event.
const pingTime = 30 * time.Second

func openEvents(q *request) (response, error) {
	who := q.caller
	if token := q.URL.Query().Get("token"); token != "" {
		if who = q.h.guard.events.redeem(token, q.h.now()); who == nil {
			return nil, unauthorized("the token of the events websocket is wrong, used or too old")
		}
	}
	if who == nil || !who.known {
		return nil, errDenied()
	}
	kinds, err := wanted(q.URL.Query().Get("type"))
	if err != nil {
		return nil, err
	}
	since, err := q.number("since")
	if err != nil {
		return nil, err
	}
	if !isUpgrade(q.Request) {
		return nil, withStatus(http.StatusUpgradeRequired, ams.ErrInvalid, "this is a websocket; the request must ask for an upgrade")
	}
	s := subscriber{h: q.h, request: q.Request, who: who, token: q.URL.Query().Get("token") != "", kinds: kinds}
	if since != nil {
		return s.serveSince(q.Context(), q.w, int64(*since))
	}
	at, leave, err := q.h.events.subscribe(q.Context())
	if err != nil {
		return nil, err
	}
	defer leave()
	return s.serve(q.Context(), q.w, at)
}

// subscriber is one events websocket.
type subscriber struct {
	h       *Handler
	request *http.Request
	who     *caller
	token   bool // it has no credentials but its token
	kinds   []string
}

// accept takes the connection over. What the client sends is read and dropped.
func (s *subscriber) accept(ctx context.Context, w http.ResponseWriter) (*websocket.Conn, context.Context, error) {
	ws, err := upgrade(w, s.request)
	if err != nil {
		return nil, nil, err
	}
	ws.SetReadLimit(4096)
	return ws, ws.CloseRead(ctx), nil
}

// serve sends events from the frame with number at on.
func (s *subscriber) serve(ctx context.Context, w http.ResponseWriter, at int64) (response, error) {
	ws, ctx, err := s.accept(ctx, w)
	if err != nil {
		return taken{}, nil //nolint:nilerr // it has been answered
	}
	defer ws.CloseNow() //nolint:errcheck // whatever became of it
	revoked, err := s.h.guard.revoked(ctx)
	if err != nil {
		return taken{}, nil //nolint:nilerr // the client sees the end
	}
	ping := time.NewTicker(pingTime)
	defer ping.Stop()
	var frames []frame
	for {
		var more <-chan struct{}
		var ok bool
		if frames, more, ok = s.h.events.after(at, frames); !ok {
			_ = ws.Close(websocket.StatusPolicyViolation, "events were missed: they are read too slowly")
			return taken{}, nil
		}
		for _, f := range frames {
			at++
			if (s.kinds == nil || slices.Contains(s.kinds, f.kind)) && f.sees(s.who) && send(ctx, ws, f.data) != nil {
				return taken{}, nil
			}
		}
		frames = shrink(frames)
		select {
		case <-more:
		case <-ping.C:
			if ping := pinged(ctx, ws); ping != nil {
				return taken{}, nil //nolint:nilerr // it is gone
			}
		case <-revoked:
			if revoked = s.again(ctx); revoked == nil {
				_ = ws.Close(websocket.StatusPolicyViolation, "this client is not trusted any more")
				return taken{}, nil
			}
		case <-ctx.Done():
			return taken{}, nil
		}
	}
}

// serveSince sends the events kept since then, and then those that come: for a client
// that was away. It reads the log itself.
func (s *subscriber) serveSince(ctx context.Context, w http.ResponseWriter, since int64) (response, error) {
	if newest, err := s.h.m.Newest(ctx); err != nil || since < 0 || since > newest {
		if err == nil {
			err = withStatus(http.StatusGone, ams.ErrGone, "there is no event %d yet, the newest is %d", since, newest)
		}
		return nil, err
	}
	ws, ctx, err := s.accept(ctx, w)
	if err != nil {
		return taken{}, nil //nolint:nilerr // it has been answered
	}
	defer ws.CloseNow() //nolint:errcheck // whatever became of it
	revoked, err := s.h.guard.revoked(ctx)
	if err != nil {
		return taken{}, nil //nolint:nilerr // the client sees the end
	}
	for e, err := range s.h.m.Events(ctx, since) {
		if err != nil {
			_ = ws.Close(websocket.StatusPolicyViolation, "events since then are not kept any more")
			return taken{}, nil
		}
		select {
		case <-revoked:
			if revoked = s.again(ctx); revoked == nil {
				_ = ws.Close(websocket.StatusPolicyViolation, "this client is not trusted any more")
				return taken{}, nil
			}
		default:
		}
		f, ok := s.h.events.frame(ctx, e)
		if ok && (s.kinds == nil || slices.Contains(s.kinds, f.kind)) && f.sees(s.who) && send(ctx, ws, f.data) != nil {
			return taken{}, nil
		}
	}
	return taken{}, nil
}

// again finds out who the subscriber is now; nil says that it is nobody any more.
func (s *subscriber) again(ctx context.Context) <-chan struct{} {
	if !s.token {
		who, err := s.h.guard.identify(s.request)
		if err != nil || !who.known {
			return nil
		}
		s.who = who
	}
	revoked, err := s.h.guard.revoked(ctx)
	if err != nil {
		return nil
	}
	return revoked
}

// send sends one event, within a bound.
func send(ctx context.Context, ws *websocket.Conn, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	return ws.Write(ctx, websocket.MessageText, data)
}

// pinged asks whether the other end lives.
func pinged(ctx context.Context, ws *websocket.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	return ws.Ping(ctx)
}

// shrink lets go of what a burst has left.
func shrink(frames []frame) []frame {
	if cap(frames) > 64 {
		return nil
	}
	clear(frames)
	return frames
}
