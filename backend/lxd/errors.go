package lxd

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"syscall"

	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
)

// classify gives an error its code: by the HTTP status of what LXD answered;
// what is no answer is ErrUnavailable. When ctx has ended, that is the error.
func (b *Backend) classify(ctx context.Context, err error) error {
	var e *ams.Error
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &e):
		return err
	}
	status, ok := api.StatusErrorMatch(err)
	if !ok {
		// Not wrapped: what ended here is a bound of ours and not the caller's
		// context.
		return ams.Errorf(ams.ErrUnavailable, "LXD: %v", err)
	}
	if strings.Contains(err.Error(), "already defined on another NIC") {
		return &ams.Error{Code: ams.ErrUnavailable, Kind: ams.KindAddress, Err: ams.Errorf(ams.ErrUnavailable, "LXD: %w", err)}
	}
	code := ams.ErrUnavailable
	switch status {
	case http.StatusNotFound:
		code = ams.ErrNotFound
	case http.StatusConflict:
		code = ams.ErrExists
	case http.StatusBadRequest:
		code = ams.ErrInvalid
	case http.StatusNotImplemented, http.StatusMethodNotAllowed:
		code = ams.ErrUnsupported
	case http.StatusInsufficientStorage:
		code = ams.ErrNoSpace
	}
	return ams.Errorf(code, "LXD: %w", err)
}

// opError is why an operation failed: LXD did the work and says what went wrong,
// in words only.
type opError struct{ text string }

func (e *opError) Error() string { return e.text }

// failed returns the error of an operation that failed with that text.
func failed(text string) error {
	code := ams.ErrUnavailable
	for _, full := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT} {
		// What LXD's tools print has no code; it is the system's text.
		if strings.Contains(strings.ToLower(text), full.Error()) {
			code = ams.ErrNoSpace
		}
	}
	err := ams.Errorf(code, "LXD: %w", &opError{text})
	switch {
	case strings.Contains(text, "already defined on another NIC"):
		return &ams.Error{Code: code, Kind: ams.KindAddress, Err: err}
	case strings.Contains(text, "proxy") && strings.Contains(text, syscall.EADDRINUSE.Error()):
		return &ams.Error{Code: code, Kind: ams.KindPort, Err: err}
	}
	return err
}

// refused reports whether LXD looked at a request and said no, as against not
// having answered.
func refused(err error) bool {
	var op *opError
	var status api.StatusError
	return errors.As(err, &op) || errors.As(err, &status) && status.Status() < http.StatusInternalServerError
}
