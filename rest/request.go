package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/openams/ams"
)

// request is one request with what is known of it.
type request struct {
	*http.Request
	h      *Handler
	w      http.ResponseWriter
	route  *Route
	caller *caller

	stalled atomic.Bool // its body stopped coming
}

// flag reads a parameter that is true or false: "1", "true", "0", "false". Absent and
// empty are false.
func (q *request) flag(name string) (bool, error) {
	s := q.URL.Query().Get(name)
	if s == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(s)
	if err != nil {
		return false, ams.Errorf(ams.ErrInvalid, "%s is %.40q; it must be true or false", name, s)
	}
	return b, nil
}

// number reads a parameter that is a number; absent and empty are nil.
func (q *request) number(name string) (*int, error) {
	s := q.URL.Query().Get(name)
	if s == "" {
		return nil, nil //nolint:nilnil // none is given
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return nil, ams.Errorf(ams.ErrInvalid, "%s is %.40q; it must be a whole number", name, s)
	}
	return &n, nil
}

// page reads limit and offset. A limit of -1 is no limit.
func (q *request) page() (ams.Page, error) {
	var page ams.Page
	limit, err := q.number("limit")
	if err != nil {
		return page, err
	}
	offset, err := q.number("offset")
	if err != nil {
		return page, err
	}
	if limit != nil {
		if *limit < -1 {
			return page, ams.Errorf(ams.ErrInvalid, "limit is %d; it must be -1 or more", *limit)
		}
		page.Limit = *limit
		if *limit == 0 {
			page.Offset = 1 << 30 // a page of nothing
			return page, nil
		}
	}
	if offset != nil {
		if *offset < 0 {
			return page, ams.Errorf(ams.ErrInvalid, "offset is %d; it must be 0 or more", *offset)
		}
		page.Offset = *offset
	}
	return page, nil
}

// list reads a parameter that is values with a comma between each.
func (q *request) list(name string) []string {
	s := q.URL.Query().Get(name)
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// optional reads a parameter that is true, false or absent.
func (q *request) optional(name string) (*bool, error) {
	if q.URL.Query().Get(name) == "" {
		return nil, nil //nolint:nilnil // none is given
	}
	b, err := q.flag(name)
	return &b, err
}

// errEmpty says that a body has nothing in it.
var errEmpty = errors.New("the body is empty")

// maxDepth bounds how deep JSON may nest.
const maxDepth = 32

// decode reads a body of JSON: one value, no key twice, at most Options.MaxBody bytes.
// Unknown fields are ignored. An empty body is errEmpty, and leaves into as it is.
func (q *request) decode(into any) error {
	body, err := q.readAll()
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return errEmpty
	}
	return decodeJSON(body, into)
}

// body is decode where a body is needed.
func (q *request) body(into any) error {
	err := q.decode(into)
	if errors.Is(err, errEmpty) {
		return ams.Errorf(ams.ErrInvalid, "the body is empty; it must be JSON")
	}
	return err
}

// maybe is decode where a body may be absent.
func (q *request) maybe(into any) error {
	if err := q.decode(into); err != nil && !errors.Is(err, errEmpty) {
		return err
	}
	return nil
}

// readAll reads a body that is small.
func (q *request) readAll() ([]byte, error) {
	if q.ContentLength > q.h.opts.MaxBody {
		return nil, ams.Errorf(ams.ErrTooLarge, "the body has %d bytes, the most is %d", q.ContentLength, q.h.opts.MaxBody)
	}
	control := http.NewResponseController(q.w)
	_ = control.SetReadDeadline(time.Now().Add(q.h.opts.BodyTimeout)) // where there are deadlines
	b, err := io.ReadAll(http.MaxBytesReader(q.w, q.Body, q.h.opts.MaxBody))
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		return nil, ams.Errorf(ams.ErrTooLarge, "the body is over %d bytes", tooBig.Limit)
	case isTimeout(err):
		q.stalled.Store(true)
		return nil, err
	case err != nil:
		return nil, ams.Errorf(ams.ErrInvalid, "the body broke off")
	}
	_ = control.SetReadDeadline(time.Time{})
	return b, nil
}

// isTimeout reports whether a read took too long.
func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// decodeJSON decodes one value.
func decodeJSON(b []byte, into any) error {
	if err := checkJSON(b); err != nil {
		return err
	}
	err := json.Unmarshal(b, into)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return ams.Errorf(ams.ErrInvalid, "%s is a JSON %s; it must be %s", wrong.Field, wrong.Value, typeName(wrong.Type.Kind().String()))
	case errors.As(err, &wrong):
		return ams.Errorf(ams.ErrInvalid, "the body is a JSON %s; it must be an object", wrong.Value)
	case err != nil:
		return ams.Errorf(ams.ErrInvalid, "the body is not as it must be: %w", err)
	}
	return nil
}

// typeName names a type for people.
func typeName(kind string) string {
	switch {
	case strings.HasPrefix(kind, "int"):
		return "a whole number"
	case strings.HasPrefix(kind, "uint"):
		return "a whole number, 0 or more"
	case strings.HasPrefix(kind, "float"):
		return "a number"
	case kind == "bool":
		return "true or false"
	case kind == "slice":
		return "a list"
	case kind == "struct" || kind == "map":
		return "an object"
	}
	return "a " + kind
}

// checkJSON refuses what package json lets pass: keys given twice, nesting without
// end, and something after the value.
func checkJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	type level struct {
		keys map[string]bool // nil is an array
		key  bool            // a key comes next
	}
	var stack []level
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && len(stack) == 0 {
			return nil
		}
		if err != nil {
			return ams.Errorf(ams.ErrInvalid, "the body is not JSON: %w", err)
		}
		top := len(stack) - 1
		if top >= 0 && stack[top].key {
			if key, ok := token.(string); ok {
				if stack[top].keys[key] {
					return ams.Errorf(ams.ErrInvalid, "the body has the key %.60q twice", key)
				}
				stack[top].keys[key], stack[top].key = true, false
				continue
			}
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, level{keys: map[string]bool{}, key: true})
		case json.Delim('['):
			stack = append(stack, level{})
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:top]
		}
		if len(stack) > maxDepth {
			return ams.Errorf(ams.ErrInvalid, "the body nests deeper than %d", maxDepth)
		}
		if n := len(stack) - 1; n >= 0 && stack[n].keys != nil && token != json.Delim('{') {
			stack[n].key = true
		}
		if len(stack) == 0 && d.More() {
			return ams.Errorf(ams.ErrInvalid, "the body has something after its value")
		}
	}
}
