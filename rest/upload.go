package rest

import (
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/openams/ams"
)

// The headers of uploads and downloads.
const (
	headerRequest     = "X-AMS-Request"     // JSON, of an upload
	headerFingerprint = "X-AMS-Fingerprint" // SHA-256 of the body, lower-case hexadecimal
	headerManifest    = "X-AMS-ManifestSha256"
)

// isFile reports whether the body of a request is a file.
func (q *request) isFile() bool {
	kind, _, _ := mime.ParseMediaType(q.Header.Get("Content-Type"))
	return kind == "application/octet-stream"
}

// upload returns the file that a request brings, and its digest, which is empty where
// it is not told. What the client says of the file is decoded into meta; nil is
// nothing.
func (q *request) upload(meta any) (io.Reader, string, error) {
	if text := q.Header.Get(headerRequest); text != "" && meta != nil {
		if err := decodeJSON([]byte(text), meta); err != nil {
			return nil, "", ams.Errorf(ams.ErrInvalid, "%s: %w", headerRequest, err)
		}
	}
	digest := strings.ToLower(q.Header.Get(headerFingerprint))
	if digest != "" && (len(digest) != 64 || strings.Trim(digest, "0123456789abcdef") != "") {
		return nil, "", ams.Errorf(ams.ErrInvalid, "%s is %.80q; it must be a SHA-256 in hexadecimal", headerFingerprint, digest)
	}
	return &steady{q: q, control: http.NewResponseController(q.w)}, digest, nil
}

// steady reads a body that may take as long as it likes, but must not stand still.
type steady struct {
	q       *request
	control *http.ResponseController
}

func (s *steady) Read(b []byte) (int, error) {
	_ = s.control.SetReadDeadline(time.Now().Add(s.q.h.opts.BodyTimeout)) // where there are deadlines
	n, err := s.q.Body.Read(b)
	if isTimeout(err) {
		s.q.stalled.Store(true)
	}
	return n, err
}
