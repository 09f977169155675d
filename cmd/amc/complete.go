package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/openams/ams"
)

// completeTime bounds the look-up of names for the shell.
const completeTime = 2 * time.Second

// names completes an argument with live names. A service that does not answer is no
// reason to disturb whoever types.
func (p *program) names(list func(context.Context, *program) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx := cmd.Context()
		if ctx == nil {
			ctx = context.Background()
		}
		ctx, cancel := context.WithTimeout(ctx, completeTime)
		defer cancel()
		found, err := list(ctx, p)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

func instanceNames(ctx context.Context, p *program) ([]string, error) {
	c, err := p.connect()
	if err != nil {
		return nil, err
	}
	list, _, err := c.Instances.List(ctx, ams.InstanceFilter{}, ams.Page{Limit: 1000})
	var found []string
	for _, in := range list {
		found = append(found, in.Name+"\t"+string(in.Status), in.ID+"\t"+in.Name)
	}
	return found, err
}

func applicationNames(ctx context.Context, p *program) ([]string, error) {
	c, err := p.connect()
	if err != nil {
		return nil, err
	}
	list, _, err := c.Applications.List(ctx, ams.ApplicationFilter{}, ams.Page{Limit: 1000})
	var found []string
	for _, a := range list {
		found = append(found, a.Name+"\t"+string(a.Status))
	}
	return found, err
}

func imageNames(ctx context.Context, p *program) ([]string, error) {
	c, err := p.connect()
	if err != nil {
		return nil, err
	}
	list, _, err := c.Images.List(ctx, ams.ImageFilter{}, ams.Page{})
	var found []string
	for _, i := range list {
		found = append(found, i.Name+"\t"+string(i.Status))
	}
	return found, err
}

func addonNames(ctx context.Context, p *program) ([]string, error) {
	c, err := p.connect()
	if err != nil {
		return nil, err
	}
	list, _, err := c.Addons.List(ctx, ams.AddonFilter{}, ams.Page{})
	var found []string
	for _, a := range list {
		found = append(found, a.Name)
	}
	return found, err
}

func nodeNames(ctx context.Context, p *program) ([]string, error) {
	c, err := p.connect()
	if err != nil {
		return nil, err
	}
	list, _, err := c.Nodes.List(ctx, ams.NodeFilter{}, ams.Page{})
	var found []string
	for _, n := range list {
		found = append(found, n.Name+"\t"+string(n.Status))
	}
	return found, err
}

func launchable(ctx context.Context, p *program) ([]string, error) {
	apps, err := applicationNames(ctx, p)
	if err != nil {
		return nil, err
	}
	images, err := imageNames(ctx, p)
	return append(apps, images...), err
}
