package simplestreams

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"

	"github.com/openams/ams"
)

// HandlerOptions say who may read a stream. The zero value lets everybody.
type HandlerOptions struct {
	User, Password string // basic authentication
	Token          string // or a bearer token
}

// Handler serves images from a directory as a simplestreams server, for tests and
// for clusters without a way out. In the directory there is
//
//	SERIES/FLAVOUR/ARCH/VERSION/
//
// for example jammy/android15/amd64/1.30.1-1/, with one unified image, image.tar
// or image.tar.gz, .xz, .bz2 or .zst; or metadata.tar, compressed or not, and
// rootfs.squashfs or rootfs.tar, compressed or not; for a virtual machine
// metadata.tar and disk.qcow2.
//
// The lists are made when they are asked for: what is put there appears, and what
// is taken away disappears. A version that has a file whose name begins with a dot
// or ends in .part is not listed, so copy to such a name and rename. Files are
// hashed once; a list that has to wait for the hash of a large file takes that long
// the first time.
type Handler struct {
	root *os.Root
	opts HandlerOptions
	tree *tree
}

var _ http.Handler = (*Handler)(nil)

// NewHandler opens the directory. The caller closes the Handler.
func NewHandler(dir string, opts HandlerOptions) (*Handler, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot serve images: %w", err)
	}
	return &Handler{root: root, opts: opts, tree: newTree(root)}, nil
}

// Close closes the directory.
func (h *Handler) Close() error { return h.root.Close() }

// The files of the stream; all others are below "images/", as in the directory.
const (
	indexPath    = "streams/v1/index.json"
	productsPath = "streams/v1/images.json"
	imagesPrefix = "images/"
)

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	case !h.allowed(r):
		w.Header().Set("WWW-Authenticate", `Basic realm="images"`)
		http.Error(w, "credentials are needed", http.StatusUnauthorized)
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	switch below, ok := strings.CutPrefix(name, imagesPrefix); {
	case ok:
		h.file(w, r, below)
	case name == indexPath:
		h.list(w, r, h.tree.index)
	case name == productsPath:
		h.list(w, r, h.tree.products)
	default:
		http.NotFound(w, r)
	}
}

func (h *Handler) allowed(r *http.Request) bool {
	equal := func(a, b string) bool {
		x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
		return subtle.ConstantTimeCompare(x[:], y[:]) == 1
	}
	user, password, basic := r.BasicAuth()
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case h.opts == HandlerOptions{}:
		return true
	case h.opts.Token != "" && bearer:
		return equal(token, h.opts.Token)
	case h.opts.User != "" && basic:
		return equal(user, h.opts.User) && equal(password, h.opts.Password)
	}
	return false
}

// list sends a list that is made now.
func (h *Handler) list(w http.ResponseWriter, r *http.Request, write func(*http.Request) (any, error)) {
	list, err := write(r)
	if err != nil {
		if r.Context().Err() == nil {
			http.Error(w, "the images cannot be listed", http.StatusInternalServerError)
		}
		return
	}
	data, err := json.Marshal(list)
	if err != nil {
		http.Error(w, "the images cannot be listed", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	_, _ = w.Write(data) // whoever asked has gone
}

// file sends a file of an image, whole or in ranges.
func (h *Handler) file(w http.ResponseWriter, r *http.Request, name string) {
	if strings.Count(name, "/") != 4 || hidden(path.Base(name)) {
		http.NotFound(w, r)
		return
	}
	f, err := h.root.Open(name)
	if err != nil {
		status := http.StatusNotFound
		if !errors.Is(err, fs.ErrNotExist) {
			status = http.StatusForbidden
		}
		http.Error(w, http.StatusText(status), status)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", fmt.Sprintf(`"%x-%x"`, info.Size(), info.ModTime().UnixNano()))
	http.ServeContent(w, r, "", info.ModTime(), f)
}

// hidden reports whether a file is not finished, or not for anybody.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".part")
}

// Path is where a version of an image belongs in a Handler's directory, for example
// "jammy/android15/amd64/1.30.1-1". ErrInvalid for a name that is not
// "series:flavour:arch", or a version that is no name of a directory.
func Path(name, version string) (string, error) {
	if !validName(name) || version == "" || hidden(version) || strings.ContainsAny(version, `/\`) {
		return "", ams.Errorf(ams.ErrInvalid, "image %q, version %q: the name must be series:flavour:arch, and the version the name of a directory", name, version)
	}
	return strings.ReplaceAll(name, ":", "/") + "/" + version, nil
}
