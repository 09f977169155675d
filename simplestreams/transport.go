package simplestreams

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/openams/ams"
)

// limits are the times that a server may take.
type limits struct {
	connect time.Duration // to be connected to, and again for TLS
	answer  time.Duration // to begin its answer
	silence time.Duration // without a byte of it
}

func defaultLimits() limits {
	return limits{connect: 10 * time.Second, answer: 30 * time.Second, silence: time.Minute}
}

const maxRedirects = 5

// way is how a server is reached.
type way struct {
	proxy    string
	insecure bool
}

// maxWays bounds how many ways are kept open.
const maxWays = 8

// transport returns the connections of a way.
func (c *Client) transport(from ams.ImageSource) (*http.Transport, error) {
	w := way{from.Proxy, from.AllowInsecure}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.transports[w]; t != nil {
		return t, nil
	}
	t := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: c.limits.connect}).DialContext,
		TLSHandshakeTimeout:   c.limits.connect,
		ResponseHeaderTimeout: c.limits.answer,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   2,
		ForceAttemptHTTP2:     true,
		DisableCompression:    true,                                                                              // what is hashed is what is sent
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: from.AllowInsecure}, //nolint:gosec // the setting's meaning
	}
	if from.Proxy != "" {
		u, err := url.Parse(from.Proxy)
		if err != nil || u.Host == "" {
			return nil, ams.Errorf(ams.ErrInvalid, "the URL of the proxy for the image server cannot be read")
		}
		t.Proxy = http.ProxyURL(u)
	}
	if len(c.transports) >= maxWays {
		for other, old := range c.transports {
			old.CloseIdleConnections()
			delete(c.transports, other)
		}
	}
	c.transports[w] = t
	return t, nil
}

// redirectError is a redirect that is not followed.
type redirectError struct{ why string }

func (e *redirectError) Error() string { return "the image server redirects " + e.why }

// checkRedirect refuses what could go on for ever or gives less than was asked for,
// and takes the credentials from a request to somebody else.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case len(via) > maxRedirects:
		return &redirectError{"more than five times"}
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return &redirectError{"to something that is not http or https"}
	case req.URL.User != nil:
		return &redirectError{"with credentials"}
	case first.Scheme == "https" && req.URL.Scheme != "https":
		return &redirectError{"from https to http"}
	}
	if req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
		req.Header.Del("Authorization")
	}
	return nil
}

// requestError classifies why there was no answer. Its text has no URL: there may
// be a secret in that of a proxy.
func requestError(ctx context.Context, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var redirect *redirectError
	var certificate *tls.CertificateVerificationError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &redirect), errors.As(err, &certificate):
		return &ams.Error{Code: ams.ErrInvalid, Err: err}
	}
	// Only its text: some network errors pass for the end of a context.
	return ams.Errorf(ams.ErrUnavailable, "the image server does not answer: %s", err.Error())
}

// body is an answer that fails when nothing comes for too long.
type body struct {
	ctx    context.Context //nolint:containedctx // that of the request, which lives as long as its body
	r      io.ReadCloser
	cancel context.CancelCauseFunc
	timer  *time.Timer
	limit  time.Duration
}

func newBody(ctx context.Context, r io.ReadCloser, cancel context.CancelCauseFunc, limit time.Duration) *body {
	b := &body{ctx: ctx, r: r, cancel: cancel, limit: limit}
	b.timer = time.AfterFunc(limit, func() {
		cancel(ams.Errorf(ams.ErrUnavailable, "the image server sent nothing for %s", limit))
	})
	return b
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	switch {
	case err == nil:
		b.timer.Reset(b.limit)
	case errors.Is(err, io.EOF):
	case b.ctx.Err() != nil:
		err = context.Cause(b.ctx)
	default:
		err = ams.Errorf(ams.ErrUnavailable, "the image server broke off: %s", err.Error())
	}
	return n, err
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.timer.Stop()
	b.cancel(nil)
	return b.r.Close()
}

// checked is a file that must be what the list said.
type checked struct {
	io.ReadCloser
	file ams.RemoteFile
	hash hash.Hash
	left int64
}

func newChecked(r io.ReadCloser, file ams.RemoteFile) *checked {
	return &checked{ReadCloser: r, file: file, hash: sha256.New(), left: file.Size}
}

// Read implements io.Reader. Its last call returns why the file is not what it
// should be, if it is not.
func (c *checked) Read(p []byte) (int, error) {
	if c.left < 0 {
		return 0, c.fault("is longer than the %d bytes it should have", c.file.Size)
	}
	if int64(len(p)) > c.left+1 {
		p = p[:c.left+1]
	}
	n, err := c.ReadCloser.Read(p)
	c.left -= int64(n)
	if c.left < 0 {
		n--
		c.hash.Write(p[:n])
		return n, c.fault("is longer than the %d bytes it should have", c.file.Size)
	}
	c.hash.Write(p[:n])
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	sum := hex.EncodeToString(c.hash.Sum(nil))
	switch {
	case c.left > 0:
		return n, c.fault("is %d bytes and should have %d", c.file.Size-c.left, c.file.Size)
	case !strings.EqualFold(sum, c.file.SHA256):
		return n, c.fault("has the SHA-256 %s and should have %s", sum, strings.ToLower(c.file.SHA256))
	}
	return n, io.EOF
}

func (c *checked) fault(format string, args ...any) error {
	return ams.Errorf(ams.ErrInvalid, "image file %s "+format, append([]any{c.file.Path}, args...)...)
}
