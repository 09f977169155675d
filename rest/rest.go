package rest

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/openams/ams"
)

// Options says how a Manager is served. The zero value is good.
type Options struct {
	// Version is what GET /1.0/version says. Default ams.DefaultRelease + ".0".
	Version string
	// ClusterID and ClusterName are what GET /1.0 says of the cluster.
	ClusterID   string
	ClusterName string
	// AllowedUIDs are the users, beside root and that of this process, whose
	// processes may do everything through a unix socket.
	AllowedUIDs []uint32
	// Metrics answers GET /1.0/metrics; without it there are none. It gets no body
	// and is asked only on behalf of callers who may see metrics.
	Metrics http.Handler
	// Logger gets refused and failed requests. Default slog.Default().
	Logger *slog.Logger
	// MaxBody bounds a body that is JSON. Default 1 MiB.
	MaxBody int64
	// BodyTimeout bounds how long an upload may stand still, and how long a body of
	// JSON may take. Default 30 seconds.
	BodyTimeout time.Duration
	// MaxSubscribers bounds the open events websockets. Default 20,000.
	MaxSubscribers int
	// MaxCommands bounds the commands that run in instances at a time. Default 1,000.
	MaxCommands int
	// KeepOperations is how long an operation that only this handler knows, such as a
	// command, is kept once it has ended. Default 1 hour.
	KeepOperations time.Duration
	// Measure, if set, is told of each request when it has been answered.
	Measure func(Request)
}

// Request tells of one request, when it has been answered.
type Request struct {
	Handler  string // "https_instances_GET"; the name is of a fixed set
	Method   string
	Status   int
	Took     time.Duration
	Received int64 // bytes of the body
	Sent     int64
}

// Handler serves one Manager. It holds nothing that must be closed: what it does
// besides answering ends with the requests it is done for.
type Handler struct {
	m      *ams.Manager
	opts   Options
	mux    *http.ServeMux
	locals *locals
	events *hub
	guard  *guard
}

// NewHandler returns the handler for a Manager. It checks nothing and starts nothing.
func NewHandler(m *ams.Manager, opts Options) *Handler {
	opts.Version = cmp.Or(opts.Version, ams.DefaultRelease+".0")
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	opts.MaxBody = cmp.Or(opts.MaxBody, 1<<20)
	opts.BodyTimeout = cmp.Or(opts.BodyTimeout, 30*time.Second)
	opts.MaxSubscribers = cmp.Or(opts.MaxSubscribers, 20_000)
	opts.MaxCommands = cmp.Or(opts.MaxCommands, 1000)
	opts.KeepOperations = cmp.Or(opts.KeepOperations, time.Hour)
	h := &Handler{m: m, opts: opts, mux: http.NewServeMux()}
	h.locals = newLocals(opts.KeepOperations)
	h.events = &hub{m: m, most: opts.MaxSubscribers}
	h.guard = &guard{m: m, allowed: opts.AllowedUIDs}
	h.locals.changed = h.events.changed
	byPath := map[string]map[string]*Route{}
	for _, r := range Routes() {
		if byPath[r.Path] == nil {
			byPath[r.Path] = map[string]*Route{}
		}
		byPath[r.Path][r.Method] = &r
	}
	for path, methods := range byPath {
		h.mux.Handle(pattern(path), &resource{h: h, methods: methods})
	}
	h.mux.Handle("/", &resource{h: h})
	return h
}

// now is the time of what is made here.
func (h *Handler) now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

var _ http.Handler = (*Handler)(nil)

type contextKey int

const connKey contextKey = 0

// background returns a context for work that goes on when its request has ended.
func background(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }
