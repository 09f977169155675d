package ams

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Code says what kind of thing went wrong. Each code is itself an error, so a
// caller asks with errors.Is and never reads text:
//
//	if errors.Is(err, ams.ErrNotFound) { … }
type Code string

// The codes. Every error that a Manager, Store or Backend returns carries one of
// them, except the two errors of package context, which pass untouched.
const (
	// ErrInvalid: the input breaks a rule; the message names the field and the rule.
	ErrInvalid Code = "invalid"
	// ErrNotFound: the named object does not exist.
	ErrNotFound Code = "not found"
	// ErrExists: an object of that name or id exists already.
	ErrExists Code = "already exists"
	// ErrConflict: the object changed, or another operation on it is in flight.
	ErrConflict Code = "conflict"
	// ErrState: the object is not in a state that allows the request.
	ErrState Code = "wrong state"
	// ErrInUse: something still refers to the object.
	ErrInUse Code = "in use"
	// ErrNoCapacity: no node can take the request now.
	ErrNoCapacity Code = "no capacity"
	// ErrNoSpace: a disk is full.
	ErrNoSpace Code = "no space"
	// ErrTooLarge: the input is over a stated bound.
	ErrTooLarge Code = "too large"
	// ErrUnsupported: this backend or this object cannot do that, ever.
	ErrUnsupported Code = "not supported"
	// ErrUnavailable: the backend, a node or the store does not answer now; trying again may work.
	ErrUnavailable Code = "unavailable"
	// ErrDenied: the caller, or AMS itself at a server it asked, may not do that.
	ErrDenied Code = "denied"
	// ErrTimeout: the time allowed for the work ran out.
	ErrTimeout Code = "timed out"
	// ErrCancelled: the operation was cancelled by request.
	ErrCancelled Code = "cancelled"
	// ErrFailed: work inside an instance failed: a hook, an installation, a boot.
	ErrFailed Code = "failed"
	// ErrGone: the wanted events are no longer kept.
	ErrGone Code = "gone"
	// ErrCorrupt: stored data is damaged, or was written by a newer version.
	ErrCorrupt Code = "corrupt"
	// ErrInternal: a fault of this library or of the store.
	ErrInternal Code = "internal"
)

// Error returns the code's text.
func (c Code) Error() string { return string(c) }

// Error is the one error type of this module. All fields but Code are optional.
type Error struct {
	Code Code   // what kind of thing went wrong; never empty
	Kind string // the kind of object: "application", "instance", …
	ID   string // the object's id or name as the caller gave it
	Err  error  // the cause; its text is the message
}

// Error returns "<kind> "<id>": <cause>", leaving out what is not set. The id is
// quoted, and cut at 64 bytes.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Kind)
	if e.ID != "" {
		if e.Kind != "" {
			b.WriteByte(' ')
		}
		id := e.ID
		if len(id) > 64 {
			id = id[:64] + "…"
		}
		fmt.Fprintf(&b, "%q", id)
	}
	switch {
	case e.Err == nil && b.Len() == 0:
		return string(e.Code)
	case e.Err == nil && e.Code == ErrExists:
		return b.String() + " already exists"
	case e.Err == nil && e.Code == ErrNotFound:
		return b.String() + " not found"
	case e.Err == nil:
		return b.String() + ": " + string(e.Code)
	case b.Len() == 0:
		return e.Err.Error()
	default:
		return b.String() + ": " + e.Err.Error()
	}
}

// Is reports whether target is the error's code.
func (e *Error) Is(target error) bool {
	c, ok := target.(Code)
	return ok && c == e.Code
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the first *Error in err's chain, "" for nil and for
// the errors of package context, and ErrInternal for anything else.
func CodeOf(err error) Code {
	var e *Error
	switch {
	case err == nil, isContext(err):
		return ""
	case errors.As(err, &e):
		return e.Code
	}
	var c Code
	if errors.As(err, &c) {
		return c
	}
	return ErrInternal
}

// Errorf returns an *Error of the given code whose cause is formatted as by
// fmt.Errorf. It is for implementers of Store, Backend and Guest.
func Errorf(code Code, format string, args ...any) error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...)}
}

// isContext reports whether err comes from a cancelled or expired context.
func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
