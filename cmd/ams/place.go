package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/backend/lxd"
	"github.com/openams/ams/guest/android"
)

// place is where instances run.
type place struct {
	backend ams.Backend
	guest   ams.Guest
	close   func() error
}

// open connects to LXD, or makes a cluster in memory.
func (c *config) open(ctx context.Context) (*place, error) {
	if c.Backend == "fake" {
		b := fake.New(fake.Options{
			NodeCount: 3, CreateTime: 200 * time.Millisecond, StartTime: 300 * time.Millisecond,
			BootTime: 2 * time.Second, PublishTime: time.Second, StopTime: 300 * time.Millisecond,
		})
		return &place{backend: b, close: b.Close}, nil
	}
	cfg := lxd.Config{
		Socket: c.LXD.Socket, URL: c.LXD.URL, URLs: c.LXD.URLs, Project: c.LXD.Project, Profiles: c.LXD.Profiles, Pool: c.LXD.Pool, Network: c.LXD.Network,
	}
	for _, file := range []struct {
		name, path string
		to         *string
	}{
		{"client-cert", c.LXD.ClientCert, &cfg.ClientCert}, {"client-key", c.LXD.ClientKey, &cfg.ClientKey}, {"server-cert", c.LXD.ServerCert, &cfg.ServerCert},
	} {
		if file.path == "" {
			continue
		}
		data, err := os.ReadFile(file.path)
		if err != nil {
			return nil, fmt.Errorf("lxd: %s: %w", file.name, err)
		}
		*file.to = string(data)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	b, err := lxd.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &place{backend: b, guest: android.New(android.Options{}), close: b.Close}, nil
}
