package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/openams/ams"
	"github.com/openams/ams/client"
)

// program is one run of amc.
type program struct {
	in  io.Reader
	out io.Writer
	err io.Writer
	env func(string) (string, bool)

	remote string // of the flag
	client *client.Client
}

// exitCode is an error that says nothing more: what there was to say has been said.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// explain says what to do about an error, where that is known.
func explain(err error) string {
	text := err.Error()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "timed out; the service goes on with it. See: amc operation list"
	case errors.Is(err, context.Canceled):
		return "interrupted; the service goes on with it. See: amc operation list"
	case ams.CodeOf(err) == ams.ErrUnavailable:
		return text + "\nIs the service running? See: amc remote list"
	case ams.CodeOf(err) == ams.ErrDenied && text == "Not Authorized":
		return "this client may not do that. See: amc auth permissions list"
	case ams.CodeOf(err) == ams.ErrNoCapacity:
		return text + "\nSee what the nodes have: amc node list"
	}
	return text
}

// run runs a command.
func (p *program) run(ctx context.Context, args []string) error {
	root := &cobra.Command{
		Use: "amc", Short: "Manage Android applications and instances", SilenceErrors: true, SilenceUsage: true,
		Long: "Manage Android applications and instances.\n\n" +
			"Exit codes: 0 for success, 1 for an error; of exec, the exit code of the command in the instance.",
		Version: ams.DefaultRelease + ".0",
	}
	root.PersistentFlags().StringVar(&p.remote, "remote", "", "the remote to talk to (default that of: amc remote set-default)")
	complete(root.RegisterFlagCompletionFunc("remote", p.names(remoteNames)))
	root.AddGroup(&cobra.Group{ID: "instances", Title: "Instances:"}, &cobra.Group{ID: "things", Title: "Applications, images and nodes:"}, &cobra.Group{ID: "service", Title: "The service:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("instances", p.launchCommand("launch"), p.launchCommand("init"), p.copyCommand(), p.listCommand(), p.showCommand(), p.startCommand(), p.stopCommand(),
		p.restartCommand(), p.deleteCommand(), p.setCommand(), p.execCommand(), p.shellCommand(), p.logsCommand(), p.showLogCommand(), p.publishCommand(), p.explainCommand())
	add("things", p.applicationCommand(), p.imageCommand(), p.addonCommand(), p.nodeCommand())
	add("service", p.configCommand(), p.authCommand(), p.remoteCommand(), p.operationCommand(), p.registryCommand(), p.infoCommand(), p.waitCommand(), p.monitorCommand())
	root.SetArgs(args)
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	return root.ExecuteContext(ctx)
}

// complete takes the error of something that is only wrong if this program is.
func complete(err error) {
	if err != nil {
		panic(err)
	}
}

// connect returns the client of the remote that is meant.
func (p *program) connect() (*client.Client, error) {
	if p.client != nil {
		return p.client, nil
	}
	r, err := p.readRemotes()
	if err != nil {
		return nil, err
	}
	name := p.remote
	if name == "" {
		name = r.Default
	}
	remote, ok := r.Remotes[name]
	if !ok {
		return nil, fmt.Errorf("there is no remote %q; see: amc remote list", name)
	}
	p.client, err = p.open(name, remote)
	return p.client, err
}

// with runs fn with a client, within the time that a command may take.
func (p *program) with(fn func(ctx context.Context, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := p.connect()
		if err != nil {
			return err
		}
		ctx := cmd.Context()
		if f := cmd.Flags().Lookup("timeout"); f != nil {
			if limit, err := time.ParseDuration(f.Value.String()); err == nil && limit > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, limit)
				defer cancel()
			}
		}
		return fn(ctx, c, args)
	}
}

// timeout adds the flag that bounds a wait.
func timeout(cmd *cobra.Command) { timeoutOf(cmd, 5*time.Minute) }

func timeoutOf(cmd *cobra.Command, d time.Duration) {
	cmd.Flags().DurationP("timeout", "t", d, "how long to wait")
}

// wait waits for an operation unless it is not to.
func wait(ctx context.Context, c *client.Client, no bool, op ams.Operation, err error) error {
	if err != nil || no || op.Done() {
		if err == nil {
			err = op.Err()
		}
		return err
	}
	_, err = c.Operations.Wait(ctx, op.ID)
	return err
}

// subject returns the id of what an operation is about.
func subject(op ams.Operation, kind string) string {
	if ids := op.Resources[kind]; len(ids) > 0 {
		return ids[0]
	}
	return ""
}

// openFile opens a package: a file, or a directory as it would be packed.
func openFile(path string) (io.ReadCloser, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	return ams.OpenPackage(path)
}
