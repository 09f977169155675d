// Command cluster runs a private LXD cluster on this machine until it is
// interrupted, and says how to reach it: see scripts/cluster.sh.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/openams/ams/internal/lxdrun"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, w io.Writer) error {
	n := 3
	if len(args) > 0 {
		var err error
		if n, err = strconv.Atoi(args[0]); err != nil || n < 1 || n > 9 {
			return fmt.Errorf("%q is not a number of members from 1 to 9", args[0])
		}
	}
	c, err := lxdrun.StartCluster(ctx, n)
	if err != nil {
		return err
	}
	image := filepath.Join(c.Members[0].Dir, "test-image.tar.gz")
	if err := buildImage(image); err != nil {
		return err
	}
	fmt.Fprintf(w, "An LXD cluster of %d members runs; ^C ends it.\n\n", n)
	for i, d := range c.Members {
		fmt.Fprintf(w, "  lxd%d  https://%s:8443  socket %s\n", i, d.Address, d.Socket)
	}
	fmt.Fprintf(w, "\n  the trust password is %s, and an image to import is %s\n\n  export LXD_DIR=%s\n  lxc cluster list\n", lxdrun.TrustPassword, image, c.Members[0].Dir)
	<-ctx.Done()
	return c.Stop(context.WithoutCancel(ctx))
}

func buildImage(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := lxdrun.BuildImage(f); err != nil {
		_ = f.Close() // the other error counts
		return err
	}
	return f.Close()
}
