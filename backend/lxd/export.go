package lxd

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/openams/ams"
)

// OpenImage implements ams.ImageExporter. The image may be on any member of a
// cluster. The reader ends with ctx.
func (b *Backend) OpenImage(ctx context.Context, cluster, alias string) (io.ReadCloser, error) {
	if err := checkAlias(cluster, alias); err != nil {
		return nil, err
	}
	have, found, err := b.ownAlias(ctx, cluster, alias)
	if ams.CodeOf(err) == ams.ErrExists || err == nil && !found {
		return nil, &ams.Error{Code: ams.ErrNotFound, Kind: "image", ID: alias}
	}
	if err != nil {
		return nil, err
	}
	c, s, err := b.link.session(ctx, b.cfg.Project, "", false)
	if err != nil {
		return nil, b.classify(ctx, err)
	}
	// Not with the client's own method: it writes to files, and seeks in them.
	req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, b.link.base()+b.path("images", have.Fingerprint, "export"), nil)
	var resp *http.Response
	if err == nil {
		resp, err = roundTrip(c, req) //nolint:bodyclose // the session closes it
	}
	if err == nil {
		kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // what it cannot parse is no form
		if strings.HasPrefix(kind, "multipart/") {
			err = ams.Errorf(ams.ErrUnsupported, "image %q is in two files", alias)
		}
	}
	if err != nil {
		s.close() // the body too
		return nil, b.classify(ctx, err)
	}
	return &imageReader{body: resp.Body, close: s.close, fail: func(err error) error { return b.classify(ctx, err) }}, nil
}

// imageReader is an image on its way.
type imageReader struct {
	body  io.Reader
	close func()
	fail  func(error) error
}

func (r *imageReader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.fail(err)
	}
	return n, err
}

func (r *imageReader) Close() error {
	r.close()
	return nil
}
