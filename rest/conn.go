package rest

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"slices"
	"syscall"
)

// conn is a connection, as far as it says who calls.
type conn struct {
	unix bool
	uid  uint32 // of the process at the other end of a unix socket
	ok   bool   // uid is known
}

// local reports whether it is a unix socket of this machine.
func (c *conn) local() bool { return c.unix }

// ConnContext is for http.Server.ConnContext: without it callers on a unix socket
// are not known.
func (h *Handler) ConnContext(ctx context.Context, c net.Conn) context.Context {
	over := &conn{}
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if u, ok := c.(*net.UnixConn); ok {
		over.unix = true
		over.uid, over.ok = peer(u)
	}
	return context.WithValue(ctx, connKey, over)
}

// peer returns the user of the process at the other end.
func peer(u *net.UnixConn) (uid uint32, ok bool) {
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(fd uintptr) {
		cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
		if err == nil {
			uid, ok = cred.Uid, true
		}
	})
	return uid, ok && err == nil
}

// trusted reports whether a unix socket's caller may do everything: root, the user
// this program runs as, and those that were allowed.
func (c *conn) trusted(allowed []uint32) bool {
	return c.unix && c.ok && (c.uid == 0 || c.uid == uint32(os.Geteuid()) || slices.Contains(allowed, c.uid)) //nolint:gosec // it fits
}
