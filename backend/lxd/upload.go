package lxd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"mime/multipart"
	"net/http"

	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
)

// maxAnswer bounds what is read of an answer that is not a file.
const maxAnswer = 1 << 20

// upload sends an image, marked, without alias, and returns its fingerprint. An
// image that is there already is kept as it is, whosever it is.
//
// The client's own upload is not used: of a split image whose reader fails, it
// sends what there is as if it were all.
func (b *Backend) upload(ctx context.Context, cluster, alias string, files ams.ImageFiles) (string, error) {
	in := newSource()
	var op api.Operation
	sent := make(chan error, 1)
	go func() {
		// The transport returns after its last read, however late that is.
		var err error
		op, err = b.send(ctx, cluster, alias, in, files)
		sent <- err
	}()
	var err error
	select {
	case err = <-sent:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if !in.stop(ctx) || ctx.Err() != nil {
		return "", ctx.Err()
	}
	if in.err != nil {
		return "", in.err
	}
	if err != nil {
		return "", err
	}
	fingerprint := hex.EncodeToString(in.hash.Sum(nil))
	err = b.wait(ctx, op)
	if err == nil {
		return fingerprint, nil
	}
	if ams.CodeOf(err) == ams.ErrNoSpace || !refused(err) {
		return "", err
	}
	// LXD refused it: for it has it, or is about to, or because of what it is.
	if err := b.settleImages(ctx); err != nil {
		return "", err
	}
	getErr := b.do(ctx, func(c server) error {
		_, _, err := c.GetImage(fingerprint)
		return err
	})
	switch {
	case getErr == nil:
		return fingerprint, nil
	case ams.CodeOf(getErr) != ams.ErrNotFound:
		return "", getErr
	}
	return "", ams.Errorf(ams.ErrInvalid, "this is not an image that LXD takes: %w", err)
}

// send sends the request of an upload and returns the operation that it begins.
func (b *Backend) send(ctx context.Context, cluster, alias string, in *source, files ams.ImageFiles) (op api.Operation, err error) {
	name := imageMarks(cluster, alias).Encode()
	body, contentType := in.body(files, name)
	err = b.do(ctx, func(c server) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.link.base()+b.path("images"), body)
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", contentType)
		req.Header.Set("X-LXD-filename", name)
		resp, err := roundTrip(c, req)
		if err != nil {
			return err
		}
		defer resp.Body.Close() //nolint:errcheck // it was read
		var answer api.Response
		if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer); err != nil {
			return err
		}
		return json.Unmarshal(answer.Metadata, &op)
	})
	return op, err
}

// roundTrip sends a request that the client has no method for. What is no success
// is an error; otherwise the caller closes the answer's body.
func roundTrip(c server, req *http.Request) (*http.Response, error) {
	resp, err := c.DoHTTP(req)
	if err != nil || resp.StatusCode < http.StatusMultipleChoices {
		return resp, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	answer := api.Response{}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer); err != nil {
		answer.Error = resp.Status
	}
	return nil, api.NewStatusError(resp.StatusCode, answer.Error)
}

// source is what an upload is read from. It hashes what is read, in its order,
// which makes LXD's fingerprint, and remembers why reading ended.
type source struct {
	turn chan struct{} // holds a token while one reads, and for good once stopped
	over chan struct{} // closed when stopped

	// Of whoever has the turn.
	hash hash.Hash
	err  error
}

func newSource() *source {
	return &source{turn: make(chan struct{}, 1), over: make(chan struct{}), hash: sha256.New()}
}

// stop ends the reading: the transport may go on when its answer is there. It
// waits for a read under way, and reports false if ctx ended before that did.
func (s *source) stop(ctx context.Context) bool {
	defer close(s.over)
	select {
	case s.turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// body returns an upload's body and what kind of body it is. LXD takes the name of
// an image in two files from the second.
func (s *source) body(files ams.ImageFiles, name string) (body io.Reader, contentType string) {
	meta := &sourceReader{s, files.Meta}
	if files.Rootfs == nil {
		return meta, "application/octet-stream"
	}
	rootfs := bufio.NewReaderSize(&sourceReader{s, files.Rootfs}, headSize)
	var head bytes.Buffer // nothing that is written to it fails
	form := multipart.NewWriter(&head)
	part := func(field string) io.Reader {
		head.Reset()
		_, _ = form.CreateFormFile(field, name)
		return bytes.NewReader(bytes.Clone(head.Bytes()))
	}
	end := func() io.Reader {
		head.Reset()
		_ = form.Close()
		return &head
	}
	return io.MultiReader(
		part("metadata"), meta,
		// The second file is not touched before the first has been read.
		&later{open: func() io.Reader {
			field, err := rootfsField(rootfs)
			if err != nil {
				return &sourceReader{s, failing{err}}
			}
			return io.MultiReader(part(field), rootfs, end())
		}},
	), form.FormDataContentType()
}

// headSize is how much of a root file system tells what it is.
const headSize = 512

// rootfsField returns the name of the field that LXD wants a root file system in. LXD
// would take anything, and fail when an instance is made of it.
func rootfsField(rootfs *bufio.Reader) (string, error) {
	head, err := rootfs.Peek(headSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	for _, k := range []struct {
		offset       int
		magic, field string
	}{
		{0, "hsqs", "rootfs"},             // squashfs
		{257, "ustar", "rootfs"},          // tar, and the same compressed:
		{0, "\x1f\x8b", "rootfs"},         // gzip
		{0, "\xfd7zXZ\x00", "rootfs"},     // xz
		{0, "BZh", "rootfs"},              // bzip2
		{0, "\x28\xb5\x2f\xfd", "rootfs"}, // zstd
		{0, "QFI\xfb", "rootfs.img"},      // qcow2, the disk of a virtual machine
	} {
		if len(head) > k.offset && bytes.HasPrefix(head[k.offset:], []byte(k.magic)) {
			return k.field, nil
		}
	}
	return "", ams.Errorf(ams.ErrInvalid, "the root file system is neither squashfs nor a tarball (plain, gzip, xz, bzip2, zstd) nor qcow2")
}

// sourceReader is one file of a source.
type sourceReader struct {
	s *source
	r io.Reader
}

func (r *sourceReader) Read(p []byte) (int, error) {
	select {
	case <-r.s.over:
		return 0, io.ErrClosedPipe
	case r.s.turn <- struct{}{}:
	}
	n, err := r.r.Read(p)
	r.s.hash.Write(p[:n])
	if err != nil && !errors.Is(err, io.EOF) {
		r.s.err = err
	}
	<-r.s.turn
	select {
	case <-r.s.over: // what was given up meanwhile must not look as if it were complete
		return 0, io.ErrClosedPipe
	default:
		return n, err
	}
}

// later is a reader that is made when it is first read.
type later struct {
	open func() io.Reader
	r    io.Reader
}

func (l *later) Read(p []byte) (int, error) {
	if l.r == nil {
		l.r = l.open()
	}
	return l.r.Read(p)
}

// failing is a reader that fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
