// Package simplestreams reads image servers that speak simplestreams, as
// ams.Config.ImageServer, and serves such a stream from a directory.
package simplestreams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"

	"github.com/canonical/lxd/shared/simplestreams"

	"github.com/openams/ams"
)

// The bounds of what is read of a server beside the images themselves.
const (
	maxMetadata = 32 << 20 // bytes, of each file
	maxIndexes  = 100      // files with products
	maxProducts = 2000     // in all
	maxVersions = 200      // of a product
)

// Client reads image servers. It is safe for concurrent use. It follows at most
// five redirects, none from https to http, and shows the credentials to nobody but
// the server it was told. It does not look at the proxy variables of the
// environment.
type Client struct {
	limits limits

	mu         sync.Mutex
	transports map[way]*http.Transport
}

var _ ams.ImageServer = (*Client)(nil)

// New returns a Client.
func New() *Client {
	return &Client{limits: defaultLimits(), transports: map[way]*http.Transport{}}
}

// Close closes the connections that are not in use.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.transports {
		t.CloseIdleConnections()
	}
	clear(c.transports)
}

// Images implements ams.ImageServer. Products and versions that instances cannot be
// made from are left out, and so are files without a length or a SHA-256.
func (c *Client) Images(ctx context.Context, from ams.ImageSource) ([]ams.RemoteImage, error) {
	var index simplestreams.Stream
	err := c.metadata(ctx, from, "streams/v1/index.json", &index)
	if errors.Is(err, ams.ErrNotFound) {
		return nil, ams.Errorf(ams.ErrInvalid, "%s is not an image server: it has no streams/v1/index.json", from.URL)
	}
	if err != nil {
		return nil, err
	}
	files := productFiles(&index)
	if len(files) > maxIndexes {
		return nil, ams.Errorf(ams.ErrInvalid, "the image server lists %d files of products (maximum %d)", len(files), maxIndexes)
	}
	all := map[string]simplestreams.Product{}
	for _, file := range files {
		var products simplestreams.Products
		if err := c.metadata(ctx, from, file, &products); err != nil {
			return nil, err
		}
		for key, product := range products.Products {
			all[key] = product
		}
		if len(all) > maxProducts {
			return nil, ams.Errorf(ams.ErrInvalid, "the image server has more than %d products", maxProducts)
		}
	}
	return images(all)
}

// Open implements ams.ImageServer.
func (c *Client) Open(ctx context.Context, from ams.ImageSource, file ams.RemoteFile) (io.ReadCloser, error) {
	if !validPath(file.Path) {
		return nil, ams.Errorf(ams.ErrInvalid, "image file %q: not a path below the server's URL", file.Path)
	}
	body, err := c.get(ctx, from, file.Path)
	if err != nil {
		return nil, err
	}
	return newChecked(body, file), nil
}

// metadata reads a JSON file.
func (c *Client) metadata(ctx context.Context, from ams.ImageSource, name string, to any) error {
	body, err := c.get(ctx, from, name)
	if err != nil {
		return err
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, maxMetadata+1))
	switch {
	case err != nil:
		return err
	case len(data) > maxMetadata:
		return ams.Errorf(ams.ErrInvalid, "%s of the image server is larger than %d bytes", name, maxMetadata)
	}
	if err := json.Unmarshal(data, to); err != nil {
		return ams.Errorf(ams.ErrInvalid, "%s of the image server cannot be read: %w", name, err)
	}
	return nil
}

// get asks for a file below the server's URL.
func (c *Client) get(ctx context.Context, from ams.ImageSource, name string) (io.ReadCloser, error) {
	base, err := sourceURL(from.URL)
	if err != nil {
		return nil, err
	}
	authorization, err := credentials(from.Auth)
	if err != nil {
		return nil, err
	}
	transport, err := c.transport(from)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath(name).String(), nil)
	if err != nil {
		cancel(nil)
		return nil, ams.Errorf(ams.ErrInvalid, "image server: %w", err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	client := &http.Client{Transport: transport, CheckRedirect: checkRedirect}
	resp, err := client.Do(req)
	if err != nil {
		err = requestError(ctx, err)
		cancel(nil)
		return nil, err
	}
	if err := statusError(resp, name); err != nil {
		_ = resp.Body.Close() // nothing of it is wanted
		cancel(nil)
		return nil, err
	}
	return newBody(ctx, resp.Body, cancel, c.limits.silence), nil
}

// sourceURL checks the URL of a server.
func sourceURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, ams.Errorf(ams.ErrInvalid, "the URL of the image server cannot be read")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, ams.Errorf(ams.ErrInvalid, "the URL of the image server must begin with http:// or https:// and a host")
	case u.User != nil:
		return nil, ams.Errorf(ams.ErrInvalid, "the URL of the image server must not have credentials in it")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, ams.Errorf(ams.ErrInvalid, "the URL of the image server must end with its path")
	}
	return u, nil
}

// credentials turns "user:password" or "bearer:token" into a header.
func credentials(auth string) (string, error) {
	if auth == "" {
		return "", nil
	}
	user, secret, ok := strings.Cut(auth, ":")
	if !ok || user == "" {
		return "", ams.Errorf(ams.ErrInvalid, "the credentials for the image server must be user:password or bearer:token")
	}
	if user == "bearer" {
		return "Bearer " + secret, nil
	}
	req := http.Request{Header: http.Header{}}
	req.SetBasicAuth(user, secret)
	return req.Header.Get("Authorization"), nil
}

// validPath reports whether a path stays below the server's URL.
func validPath(name string) bool {
	return name != "" && path.Clean("/"+name) == "/"+name && !strings.ContainsAny(name, "\\?#") && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func statusError(resp *http.Response, name string) error {
	code := ams.ErrInvalid
	switch s := resp.StatusCode; {
	case s == http.StatusOK:
		return nil
	case s == http.StatusUnauthorized || s == http.StatusForbidden || s == http.StatusProxyAuthRequired:
		code = ams.ErrDenied
	case s == http.StatusNotFound || s == http.StatusGone:
		code = ams.ErrNotFound
	case s >= 500 || s == http.StatusTooManyRequests || s == http.StatusRequestTimeout:
		code = ams.ErrUnavailable
	}
	return ams.Errorf(code, "the image server answered %q to %s", fmt.Sprint(resp.StatusCode, " ", http.StatusText(resp.StatusCode)), name)
}
