// Ams is the daemon: it runs Android applications on a LXD cluster, and serves the REST
// interface on a unix socket and, where it is told to, over TLS.
//
//	ams --backend fake --data-dir /tmp/ams   # to try it, without LXD
//
// See docs/guides/daemon.md.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "ams:", err)
		os.Exit(1)
	}
}
