package ams

import (
	"context"
	"io"
)

// ImageServer reads an image server. Package simplestreams has one. It must be
// safe for concurrent use and keeps nothing between calls: where the server is
// comes with each, from the settings.
type ImageServer interface {
	// Images lists what the server has, ordered by name. The list is bounded in
	// size and time. Errors: ErrUnavailable where trying again may help; ErrDenied
	// where the credentials are refused; ErrInvalid for a list that cannot be read
	// or breaks a bound, and for a bad URL.
	Images(ctx context.Context, from ImageSource) ([]RemoteImage, error)
	// Open begins to read one file of a version. Reading gives at most file.Size
	// bytes and fails at the end if they are fewer, more, or do not have the hash;
	// a server that sends nothing for a minute is ErrUnavailable. The caller closes
	// it. Errors are those of Images, and ErrNotFound.
	Open(ctx context.Context, from ImageSource, file RemoteFile) (io.ReadCloser, error)
}

// ImageSource says where an image server is.
type ImageSource struct {
	URL           string // of the directory that has streams/v1/index.json
	Auth          string // "user:password", "bearer:token", or empty
	AllowInsecure bool   // the server's certificate is not verified
	Proxy         string // URL of a proxy; empty is none
}

// RemoteImage is an image on an image server.
type RemoteImage struct {
	Name         string // "jammy:android15:amd64"
	Architecture string // as nodes have it: "x86_64", "aarch64"
	Variant      string // "android", "aaos", "generic"; empty is unknown
	VM           bool
	Versions     []RemoteVersion // oldest first
}

// RemoteVersion is one version of a RemoteImage.
type RemoteVersion struct {
	ID    string       // "1.30.1-20260713113525.git79a5c5e"
	Files []RemoteFile // a unified image, or the metadata and the root file system of a split one
}

// RemoteFile is a file on an image server.
type RemoteFile struct {
	Path   string // below the server's URL
	Size   int64  // bytes
	SHA256 string // 64 hexadecimal digits
	Rootfs bool   // the root file system of a split image
}

// Size returns how long all files of the version are together, in bytes.
func (v *RemoteVersion) Size() int64 {
	var n int64
	for _, f := range v.Files {
		n += f.Size
	}
	return n
}
