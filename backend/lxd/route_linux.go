package lxd

import "syscall"

// tcpUserTimeout is the kernel's TCP_USER_TIMEOUT.
const tcpUserTimeout = 0x12

// giveUp bounds how long what was sent may remain unacknowledged.
func giveUp(_, _ string, conn syscall.RawConn) error {
	var failure error
	err := conn.Control(func(fd uintptr) {
		failure = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(silence.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return failure
}
