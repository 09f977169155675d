package rest

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/openams/ams"
)

// readLog answers with a log that was kept, or with what is written to one of a running
// instance.
func readLog(q *request, _ string) (response, error) {
	follow, err := q.flag("follow")
	if err != nil {
		return nil, err
	}
	id, name := q.PathValue("id"), q.PathValue("name")
	if follow {
		return following{q: q, id: id, name: name}, nil
	}
	log, err := q.h.m.Instances.OpenLog(q.Context(), id, name)
	if err != nil {
		return nil, err
	}
	return raw{ReadCloser: log, contentType: "text/plain; charset=utf-8", size: -1}, nil
}

// followTail is how much of a log comes before what is new.
const followTail = 64 << 10

// following is an answer that goes on until the client leaves, or the instance ends.
type following struct {
	q        *request
	id, name string
}

func (f following) write(h *Handler, w http.ResponseWriter, r *http.Request) error {
	out := &flushed{ctx: r.Context(), w: w, control: http.NewResponseController(w)}
	err := h.m.Instances.FollowLog(r.Context(), f.id, f.name, followTail, out)
	if !out.begun && err != nil && ams.CodeOf(err) != "" {
		return failure{err}.write(h, w, r)
	}
	return err
}

// flushed is a writer whose reader sees all at once, and may wait, but not stand still.
type flushed struct {
	ctx     context.Context //nolint:containedctx // of the request
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

func (f *flushed) Write(b []byte) (int, error) {
	if !f.begun {
		f.begun = true
		f.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		f.w.WriteHeader(http.StatusOK)
	}
	_ = f.control.SetWriteDeadline(time.Now().Add(writeTime)) // where there are deadlines
	n, err := f.w.Write(b)
	if err == nil {
		err = f.control.Flush()
	}
	return n, err
}

var _ io.Writer = (*flushed)(nil)
