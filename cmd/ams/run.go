package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openams/ams"
	"github.com/openams/ams/metrics"
	"github.com/openams/ams/rest"
	"github.com/openams/ams/simplestreams"
	"github.com/openams/ams/storage/sqlite"
)

// run is the program.
func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	var path string
	flags := config{}
	read := func(cmd *cobra.Command) (config, error) {
		c, err := readConfig(path, cmd.Flags().Changed("config"))
		if err != nil {
			return c, err
		}
		for name, field := range map[string]struct{ from, to *string }{
			"data-dir": {&flags.DataDir, &c.DataDir}, "socket": {&flags.Socket, &c.Socket}, "https-address": {&flags.HTTPSAddress, &c.HTTPSAddress},
			"backend": {&flags.Backend, &c.Backend}, "lxd-socket": {&flags.LXD.Socket, &c.LXD.Socket}, "log-level": {&flags.LogLevel, &c.LogLevel},
			"log-format": {&flags.LogFormat, &c.LogFormat},
		} {
			// The command line goes before the environment, and that before the file.
			if value, ok := os.LookupEnv("AMS_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))); ok {
				*field.to = value
			}
			if cmd.Flags().Changed(name) {
				*field.to = *field.from
			}
		}
		return c, c.check()
	}
	root := &cobra.Command{
		Use: "ams", Short: "Run Android applications on a LXD cluster", SilenceUsage: true, SilenceErrors: true, Args: cobra.NoArgs,
		Long: "Run Android applications on a LXD cluster, and serve the REST interface on a unix socket and over TLS.\n\n" +
			"What the flags say can be said in the file settings.yaml too, and in variables such as AMS_DATA_DIR.",
		Version: ams.DefaultRelease + ".0",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := read(cmd)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), c, errOut)
		},
	}
	f := root.PersistentFlags()
	f.StringVar(&path, "config", "/etc/ams/settings.yaml", "the file with the settings of the daemon")
	f.StringVar(&flags.DataDir, "data-dir", "/var/lib/ams", "where the database, packages and certificates are kept")
	f.StringVar(&flags.Socket, "socket", "", "the unix socket to serve (default <data-dir>/unix.socket)")
	f.StringVar(&flags.HTTPSAddress, "https-address", "", "where to serve TLS, such as :8444 (default nowhere)")
	f.StringVar(&flags.Backend, "backend", "lxd", "lxd, or fake for a cluster in memory")
	f.StringVar(&flags.LXD.Socket, "lxd-socket", "", "LXD's unix socket (default where LXD has it)")
	f.StringVar(&flags.LogLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&flags.LogFormat, "log-format", "text", "text or json")
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	root.CompletionOptions.DisableDefaultCmd = true
	return root.ExecuteContext(ctx)
}

// logger returns where the daemon writes what nobody is told.
func (c *config) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // it has been checked
	opts := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// serve runs the daemon until ctx ends.
func serve(ctx context.Context, c config, errOut io.Writer) (err error) {
	log := c.logger(errOut)
	if err := os.MkdirAll(c.DataDir, 0o711); err != nil {
		return err
	}
	// Whoever has the database has the directory: nobody else makes certificates in it.
	store, err := sqlite.Open(filepath.Join(c.DataDir, "ams.db"), nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	place, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, place.close()) }()
	id, err := clusterID(c.DataDir)
	if err != nil {
		return err
	}

	counts := metrics.New(metrics.Options{})
	m, err := ams.New(ams.Config{
		Store: store, Backend: place.backend, Guest: place.guest, ImageServer: simplestreams.New(), Logger: log, Observer: counts.Observer(),
	})
	if err != nil {
		return err
	}
	counts.Bind(m)
	handler := rest.NewHandler(m, rest.Options{
		AllowedUIDs: c.AllowedUIDs, ClusterID: id, ClusterName: c.ClusterName, Metrics: counts.Handler(), Logger: log,
	})

	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- m.Run(running) }()
	servers, err := c.listen(handler, m, log)
	if err != nil {
		stop()
		return errors.Join(err, <-ended)
	}
	for _, at := range servers.where {
		log.Info("serving", "at", at)
	}
	go func() {
		if m.Ready(running) == nil {
			notify("READY=1")
			log.Info("ready")
		}
	}()
	select {
	case <-ctx.Done():
		log.Info("stopping")
	case err = <-ended:
		ended <- nil
	case err = <-servers.failed:
	}
	notify("STOPPING=1")
	servers.stop()
	stop()
	if runErr := <-ended; runErr != nil {
		err = errors.Join(err, fmt.Errorf("the manager: %w", runErr))
	}
	return err
}
