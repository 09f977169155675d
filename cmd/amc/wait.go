package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openams/ams"
	"github.com/openams/ams/client"
)

// condition is what is waited for: a key and its value.
type condition struct{ key, value string }

func (p *program) waitCommand() *cobra.Command {
	var conditions []string
	var selector string
	cmd := &cobra.Command{
		Use: "wait <application or instance>", Short: "Wait until an application or an instance is as it should be", Args: cobra.ExactArgs(1),
		Long: "Wait until an application or an instance is as it should be: without a condition, until an application is ready, or an instance is running.\n\n" +
			"Conditions of an instance: status, node, type, app. Of an application: status, published; with --selector version=<number>, of that version.\n" +
			"Of several conditions one must hold.",
		RunE: p.with(func(ctx context.Context, c *client.Client, args []string) error {
			return waitFor(ctx, c, args[0], conditions, selector)
		}),
	}
	cmd.Flags().StringArrayVarP(&conditions, "condition", "c", nil, "<key>=<value> (may be repeated)")
	cmd.Flags().StringVarP(&selector, "selector", "s", "", "version=<number>")
	timeout(cmd)
	return cmd
}

// waitPoll is how often to look.
const waitPoll = 200 * time.Millisecond

func waitFor(ctx context.Context, c *client.Client, name string, texts []string, selector string) error {
	var wanted []condition
	for _, text := range texts {
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("--condition is %q; it must be <key>=<value>", text)
		}
		wanted = append(wanted, condition{key, value})
	}
	number := -1
	if selector != "" {
		text, ok := strings.CutPrefix(selector, "version=")
		n, err := strconv.Atoi(text)
		if !ok || err != nil {
			return fmt.Errorf("--selector is %q; it must be version=<number>", selector)
		}
		number = n
	}
	look := func() (map[string]string, string, error) { return applicationState(ctx, c, name, number) }
	if _, _, err := look(); ams.CodeOf(err) == ams.ErrNotFound && number < 0 {
		if _, err := c.Instances.Get(ctx, name); err != nil {
			return fmt.Errorf("there is neither an application nor an instance %q", name)
		}
		look = func() (map[string]string, string, error) { return instanceState(ctx, c, name) }
	}
	for {
		state, failure, err := look()
		if err != nil && ams.CodeOf(err) != ams.ErrUnavailable {
			return err
		}
		done, err := met(state, wanted)
		switch {
		case err != nil || done:
			return err
		case len(wanted) == 0 && failure != "":
			return errors.New(failure)
		}
		select {
		case <-time.After(waitPoll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// met reports whether one of the conditions holds.
func met(state map[string]string, wanted []condition) (bool, error) {
	if len(wanted) == 0 {
		return state["status"] == state["good"] && state["good"] != "", nil
	}
	for _, w := range wanted {
		have, ok := state[w.key]
		if state != nil && !ok {
			return false, fmt.Errorf("there is no condition %q", w.key)
		}
		if ok && slices.Contains(strings.Split(w.value, ","), have) {
			return true, nil
		}
	}
	return false, nil
}

func applicationState(ctx context.Context, c *client.Client, name string, number int) (map[string]string, string, error) {
	if number >= 0 {
		v, err := c.Applications.Version(ctx, name, number)
		if err != nil {
			return nil, "", err
		}
		return map[string]string{"status": string(v.Status), "published": strconv.FormatBool(v.Published), "good": "active"}, v.ErrorMessage, nil
	}
	a, err := c.Applications.Get(ctx, name)
	if err != nil {
		return nil, "", err
	}
	failure := ""
	if a.Status == ams.ApplicationError {
		failure = fmt.Sprintf("application %q is in error; see: amc application show %s", a.Name, a.Name)
	}
	return map[string]string{
		"status": string(a.Status), "published": strconv.FormatBool(a.Published), "immutable": strconv.FormatBool(a.Immutable),
		"vm": strconv.FormatBool(a.VM), "instance-type": a.Manifest.InstanceType, "good": "ready",
	}, failure, nil
}

func instanceState(ctx context.Context, c *client.Client, name string) (map[string]string, string, error) {
	in, err := c.Instances.Get(ctx, name)
	if err != nil {
		return nil, "", err
	}
	failure := ""
	if in.Status == ams.InstanceError {
		failure = fmt.Sprintf("instance %q is in error: %s", in.Name, in.ErrorMessage)
	}
	return map[string]string{"status": string(in.Status), "node": in.Node, "type": kindOf(&in), "app": in.ApplicationName, "good": "running"}, failure, nil
}
