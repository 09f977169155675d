package rest

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

// response writes the answer to a request. An error says that the connection has
// failed; nothing can be done about it.
type response interface {
	write(h *Handler, w http.ResponseWriter, r *http.Request) error
}

// result is an answer with what was asked for.
type result struct {
	value any
	total int    // of the list that value is a page of
	etag  string // may be empty
}

func (res result) write(_ *Handler, w http.ResponseWriter, _ *http.Request) error {
	if res.etag != "" {
		w.Header().Set("ETag", res.etag)
	}
	metadata, err := json.Marshal(res.value)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, api.Reply{
		Type: api.ReplySync, TotalSize: res.total, Status: api.Success.String(), StatusCode: api.Success, Metadata: metadata,
	})
}

// begun is an answer with the operation that does what was asked for.
type begun struct{ op api.Operation }

func (b begun) write(_ *Handler, w http.ResponseWriter, _ *http.Request) error {
	metadata, err := json.Marshal(b.op)
	if err != nil {
		return err
	}
	path := "/1.0/operations/" + b.op.ID
	w.Header().Set("Location", path)
	return reply(w, http.StatusAccepted, api.Reply{
		Type: api.ReplyAsync, Status: api.OperationCreated.String(), StatusCode: api.OperationCreated, Operation: path, Metadata: metadata,
	})
}

// raw is an answer that is a file.
type raw struct {
	io.ReadCloser
	contentType string
	size        int64             // -1 is not known
	headers     map[string]string // besides
}

func (f raw) write(_ *Handler, w http.ResponseWriter, r *http.Request) error {
	defer f.Close() //nolint:errcheck // it is only read
	for k, v := range f.headers {
		w.Header().Set(k, v)
	}
	w.Header().Set("Content-Type", f.contentType)
	if f.size >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(f.size, 10))
	}
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	n, err := io.Copy(w, f)
	if err == nil && f.size >= 0 && n != f.size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// taken is an answer that has been given: the connection was taken over.
type taken struct{}

func (taken) write(*Handler, http.ResponseWriter, *http.Request) error { return nil }

// served is an answer that another handler gives.
type served struct{ http.Handler }

func (s served) write(_ *Handler, w http.ResponseWriter, r *http.Request) error {
	s.ServeHTTP(w, r)
	return nil
}

// failure is an answer that says why there is none.
type failure struct{ err error }

func (f failure) write(_ *Handler, w http.ResponseWriter, _ *http.Request) error {
	status, text := statusOf(f.err), f.err.Error()
	code := ams.CodeOf(f.err)
	if code == ams.ErrInternal || code == ams.ErrCorrupt {
		text = "internal error" // its text is for the log
	}
	metadata, err := json.Marshal(map[string]string{api.MetadataErrorCode: string(code)})
	if err != nil {
		return err
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	return reply(w, status, api.Reply{
		Type: api.ReplyError, Status: api.Failure.String(), StatusCode: api.Failure, ErrorCode: status, Error: text, Metadata: metadata,
	})
}

// reply writes an envelope.
func reply(w http.ResponseWriter, status int, body api.Reply) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	b = append(b, '\n')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, err = w.Write(b)
	return err
}
