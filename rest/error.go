package rest

import (
	"context"
	"errors"
	"net/http"

	"github.com/openams/ams"
)

// httpError is an error with a status of its own.
type httpError struct {
	status int
	error
}

func (e httpError) Unwrap() error { return e.error }

// withStatus returns an error that is answered with that status.
func withStatus(status int, code ams.Code, format string, args ...any) error {
	return httpError{status, ams.Errorf(code, format, args...)}
}

// statusOf returns the HTTP status that goes with an error.
func statusOf(err error) int {
	var own httpError
	if errors.As(err, &own) {
		return own.status
	}
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return http.StatusRequestEntityTooLarge
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return http.StatusServiceUnavailable
	}
	switch ams.CodeOf(err) {
	case ams.ErrInvalid, ams.ErrState, ams.ErrUnsupported, ams.ErrFailed, ams.ErrCancelled:
		return http.StatusBadRequest
	case ams.ErrDenied:
		return http.StatusForbidden
	case ams.ErrNotFound, ams.ErrGone:
		return http.StatusNotFound
	case ams.ErrExists, ams.ErrConflict, ams.ErrInUse:
		return http.StatusConflict
	case ams.ErrTooLarge:
		return http.StatusRequestEntityTooLarge
	case ams.ErrNoCapacity, ams.ErrNoSpace, ams.ErrUnavailable, ams.ErrTimeout:
		return http.StatusServiceUnavailable
	case ams.ErrCorrupt, ams.ErrInternal:
	}
	return http.StatusInternalServerError
}
