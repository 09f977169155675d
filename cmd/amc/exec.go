package main

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/openams/ams"
	"github.com/openams/ams/client"
)

func (p *program) execCommand() *cobra.Command {
	var plain bool
	var env []string
	cmd := &cobra.Command{
		Use: "exec <instance> [--] <command>…", Short: "Run a command in an instance", Args: cobra.MinimumNArgs(2), ValidArgsFunction: p.names(instanceNames),
		Long: "Run a command in an instance. At a terminal it gets one. amc exits with the exit code of the command.",
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			command := args[1:]
			if command[0] == "--" {
				command = command[1:]
			}
			return p.exec(ctx, c, args[0], command, env, plain)
		}),
	}
	cmd.Flags().BoolVarP(&plain, "force-noninteractive", "T", false, "give it no terminal")
	cmd.Flags().StringArrayVar(&env, "env", nil, "<name>=<value> (may be repeated)")
	cmd.Flags().SetInterspersed(false)
	return cmd
}

func (p *program) shellCommand() *cobra.Command {
	return &cobra.Command{
		Use: "shell <instance>", Short: "Open a shell in an instance", Args: cobra.ExactArgs(1), ValidArgsFunction: p.names(instanceNames),
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			return p.exec(ctx, c, args[0], []string{"sh", "-c", "if command -v bash >/dev/null; then exec bash -l; fi; exec sh -l"}, nil, false)
		}),
	}
}

// exec runs a command and exits as it does.
func (p *program) exec(ctx context.Context, c *client.Client, instance string, command, env []string, plain bool) error {
	req := ams.ExecRequest{Command: command, Stdin: p.in, Stdout: p.out, Stderr: p.err, Env: map[string]string{}}
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		req.Env[name] = value
	}
	in, isFile := p.in.(*os.File)
	out, outFile := p.out.(*os.File)
	if !plain && isFile && outFile && term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(out.Fd())) { //nolint:gosec // it fits
		restore, control, err := terminal(in, out, &req)
		if err != nil {
			return err
		}
		defer restore()
		defer close(control)
	}
	code, err := c.Instances.Exec(ctx, instance, req)
	if err == nil && code != 0 {
		return exitCode(code)
	}
	return err
}

// terminal hands the terminal over to a command, with its size from now on.
func terminal(in, out *os.File, req *ams.ExecRequest) (restore func(), done chan struct{}, err error) {
	old, err := term.MakeRaw(int(in.Fd())) //nolint:gosec // it fits
	if err != nil {
		return nil, nil, err
	}
	control := make(chan ams.ExecControl, 4)
	req.Interactive, req.Control = true, control
	req.Width, req.Height, _ = term.GetSize(int(out.Fd())) //nolint:gosec // 0 is the default
	if t, ok := os.LookupEnv("TERM"); ok {
		req.Env["TERM"] = t
	}
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	done = make(chan struct{})
	go func() {
		defer signal.Stop(resized)
		for {
			select {
			case <-resized:
				if w, h, err := term.GetSize(int(out.Fd())); err == nil { //nolint:gosec // it fits
					select {
					case control <- ams.ExecControl{Width: w, Height: h}:
					case <-done:
						return
					}
				}
			case <-done:
				return
			}
		}
	}()
	return func() { _ = term.Restore(int(in.Fd()), old) }, done, nil //nolint:gosec // nothing more can be done
}
