package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

// maxReply bounds an answer that is not a file.
const maxReply = 256 << 20

// call is one request.
type call struct {
	method string
	path   string // below /1.0
	query  url.Values
	body   any       // sent as JSON; nil is none
	file   io.Reader // sent as it is, instead
	about  any       // what the file is, as JSON
	digest string    // of the file; empty is not told
}

// path joins elements, with what is special in them hidden.
func path(elements ...string) string {
	var b bytes.Buffer
	for _, e := range elements {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(e))
	}
	return b.String()
}

// send sends a request, and returns the answer if it is not an error. Its body must be
// closed.
func (c *Client) send(ctx context.Context, q call) (*http.Response, error) {
	u := *c.base
	target, err := url.Parse("/1.0" + q.path)
	if err != nil {
		return nil, ams.Errorf(ams.ErrInvalid, "%w", err)
	}
	u.Path, u.RawPath, u.RawQuery = target.Path, target.RawPath, q.query.Encode()
	var body io.Reader
	switch {
	case q.file != nil:
		body = io.NopCloser(q.file) // it is the caller's to close
	case q.body != nil:
		data, err := json.Marshal(q.body)
		if err != nil {
			return nil, ams.Errorf(ams.ErrInvalid, "%w", err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, q.method, u.String(), body)
	if err != nil {
		return nil, ams.Errorf(ams.ErrInvalid, "%w", err)
	}
	switch {
	case q.file != nil:
		req.Header.Set("Content-Type", "application/octet-stream")
		if q.about != nil {
			data, err := json.Marshal(q.about)
			if err != nil {
				return nil, ams.Errorf(ams.ErrInvalid, "%w", err)
			}
			req.Header.Set("X-AMS-Request", string(data))
		}
		if q.digest != "" {
			req.Header.Set("X-AMS-Fingerprint", q.digest)
		}
	case q.body != nil || q.method == http.MethodPatch:
		req.Header.Set("Content-Type", "application/json")
	}
	if err := c.authorize(ctx, req.Header); err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, failed(ctx, err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		defer res.Body.Close() //nolint:errcheck // it is only read
		return nil, refusal(res)
	}
	return res, nil
}

// authorize adds what says who the caller is.
func (c *Client) authorize(ctx context.Context, h http.Header) error {
	h.Set("User-Agent", c.opts.UserAgent)
	if c.opts.Token == nil {
		return nil
	}
	token, err := c.opts.Token(ctx)
	if err == nil {
		h.Set("Authorization", "Bearer "+token)
	}
	return err
}

// failed is the error of a request that was not answered.
func failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	var own *ams.Error
	if errors.As(err, &own) {
		return own // of the reader of a file
	}
	return ams.Errorf(ams.ErrUnavailable, "the service does not answer: %v", err) //nolint:errorlint // a deadline in it is not the caller's
}

// do sends a request and decodes the metadata of the answer.
func (c *Client) do(ctx context.Context, q call, into any) (total int, err error) {
	if q.file == nil {
		bound, cancel := context.WithTimeout(ctx, c.opts.Timeout)
		defer cancel()
		ctx = bound
	}
	return c.decode(ctx, q, into)
}

func (c *Client) decode(ctx context.Context, q call, into any) (total int, err error) {
	res, err := c.send(ctx, q)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close() //nolint:errcheck // it is only read
	var reply api.Reply
	if err := json.NewDecoder(io.LimitReader(res.Body, maxReply)).Decode(&reply); err != nil {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		return 0, ams.Errorf(ams.ErrUnavailable, "the service answers what is no reply: %w", err)
	}
	if reply.Type == api.ReplyError {
		return 0, replyError(res.StatusCode, &reply)
	}
	if into == nil || len(reply.Metadata) == 0 {
		return reply.TotalSize, nil
	}
	if err := json.Unmarshal(reply.Metadata, into); err != nil {
		return 0, ams.Errorf(ams.ErrUnavailable, "the service answers what was not asked for: %w", err)
	}
	return reply.TotalSize, nil
}

// get reads an object.
func (c *Client) get(ctx context.Context, path string, query url.Values, into any) (int, error) {
	return c.do(ctx, call{method: http.MethodGet, path: path, query: query}, into)
}

// begin sends a request that begins an operation.
func (c *Client) begin(ctx context.Context, q call) (ams.Operation, error) {
	var op api.Operation
	if _, err := c.do(ctx, q, &op); err != nil {
		return ams.Operation{}, err
	}
	return operation(&op), nil
}

// finish is begin for what takes effect at once.
func (c *Client) finish(ctx context.Context, q call) error {
	op, err := c.begin(ctx, q)
	if err == nil && !op.Done() {
		_, err = c.Operations.Wait(ctx, op.ID)
	}
	return err
}

// listQuery is the query of a list.
func listQuery(page ams.Page) url.Values {
	v := url.Values{"recursion": {"1"}}
	if page.Limit > 0 {
		v.Set("limit", strconv.Itoa(page.Limit))
	}
	if page.Offset > 0 {
		v.Set("offset", strconv.Itoa(page.Offset))
	}
	return v
}

// setText sets a parameter that is not empty.
func setText(v url.Values, name, value string) {
	if value != "" {
		v.Set(name, value)
	}
}

func setFlag(v url.Values, name string, value *bool) {
	if value != nil {
		v.Set(name, strconv.FormatBool(*value))
	}
}
