package ams

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Setting is the value of one configuration key.
type Setting struct {
	Key   string
	Rev   int64
	Value string
}

// SettingFilter chooses settings; it has no fields yet.
type SettingFilter struct{}

// SettingKey describes a key that can be set.
type SettingKey struct {
	Name    string
	Type    string   // "bool", "int" or "enum"
	Default string   //
	Allowed []string // of an enum
	Min     int      // of an int
	Max     int      // of an int
	Effect  string
	Restart bool // takes effect when Run begins
}

// SettingKeys returns the keys that can be set, in order of name.
func SettingKeys() []SettingKey {
	return []SettingKey{
		{Name: "application.addons", Type: "text"},
		{Name: "application.auto_update", Type: "bool", Default: "true"},
		{Name: "application.default_abi", Type: "text"},
		{Name: "application.max_published_versions", Type: "int", Default: "3", Min: 1, Max: 1000},
		{Name: "cpu.limit_mode", Type: "enum", Default: "scheduler", Allowed: []string{"scheduler", "pinning"}},
		{Name: "instance.default_platform", Type: "text", Default: "null"},
		{Name: "instance.features", Type: "text"},
		{Name: "instance.network_proxy", Type: "text"},
		{Name: "instance.security_updates", Type: "bool", Default: "true"},
		{Name: "instance.apt_mirror", Type: "text"},
		{Name: "images.url", Type: "text", Default: "https://images.anbox-cloud.io/stable/"},
		{Name: "images.auth", Type: "text"},
		{Name: "images.allow_insecure", Type: "bool", Default: "false"},
		{Name: "images.update_interval", Type: "duration", Default: "5m"},
		{Name: "images.version_lockstep", Type: "bool", Default: "true"},
		{Name: "core.proxy_http", Type: "text"},
		{Name: "core.proxy_https", Type: "text"},
		{Name: "core.proxy_ignore_hosts", Type: "text"},
		{Name: "application.auto_publish", Type: "bool", Default: "true", Effect: "publish a version when its bootstrap is done"},
		{Name: "node.workers_per_queue", Type: "int", Default: "4", Min: 1, Max: 1000, Effect: "launches and starts worked on at a time, per node", Restart: true},
		{Name: "scheduler.strategy", Type: "enum", Default: "spread", Allowed: []string{"spread", "binpack"}, Effect: "which of the nodes that fit is taken"},
	}
}

// Keys that are the Manager's own begin with an underscore: no caller sees them.
const (
	clusterKey = "_cluster" // the mark of everything that is made for this store
	holdKey    = "_hold"    // why nothing unknown is deleted from the backend
)

// Settings is the service for the configuration.
type Settings struct{ m *Manager }

// Get returns the value of a key, its default if it was not set. ErrNotFound for
// a key that does not exist.
func (s *Settings) Get(ctx context.Context, key string) (string, error) {
	var value string
	err := s.m.view(ctx, func(tx Tx) (err error) {
		value, err = s.text(tx, key)
		return err
	})
	return value, err
}

// List returns all keys with their values, in order of name.
func (s *Settings) List(ctx context.Context) ([]Setting, error) {
	var list []Setting
	err := s.m.view(ctx, func(tx Tx) error {
		list = nil
		for _, k := range SettingKeys() {
			v, err := s.text(tx, k.Name)
			if err != nil {
				return err
			}
			list = append(list, Setting{Key: k.Name, Value: v})
		}
		return nil
	})
	return list, err
}

// Set gives a key a value; the empty value stands for the default. Setting the
// value it has already changes nothing.
//
// Errors: ErrNotFound (no such key); ErrInvalid, naming the rule.
func (s *Settings) Set(ctx context.Context, key, value string) error {
	k, ok := settingKey(key)
	if !ok {
		return notFound("configuration item", key)
	}
	if value == "" {
		value = k.Default
	}
	if err := k.check(value); err != nil {
		return err
	}
	return s.m.update(ctx, func(c *change) error {
		row, err := c.Settings().Get(key)
		if ignoreNotFound(err) != nil || err == nil && row.Value == value {
			return err
		}
		row.Key, row.Value = key, value
		c.lifecycle("setting", key, "updated", value)
		if err := c.settingChanged(k, value); err != nil {
			return err
		}
		return c.Settings().Put(row)
	})
}

func settingKey(name string) (SettingKey, bool) {
	keys := SettingKeys()
	i := slices.IndexFunc(keys, func(k SettingKey) bool { return k.Name == name })
	if i < 0 {
		return SettingKey{}, false
	}
	return keys[i], true
}

func (k SettingKey) check(value string) error {
	var rule string
	switch k.Type {
	case "bool":
		if value != "true" && value != "false" {
			rule = "true or false"
		}
	case "int":
		if n, err := strconv.Atoi(value); err != nil || n < k.Min || n > k.Max {
			rule = fmt.Sprintf("a whole number from %d to %d", k.Min, k.Max)
		}
	case "enum":
		if !slices.Contains(k.Allowed, value) {
			rule = strings.Join(k.Allowed, " or ")
		}
	}
	if rule != "" {
		return &Error{Code: ErrInvalid, Kind: "configuration item", ID: k.Name, Err: fmt.Errorf("must be %s, got %s", rule, quote(value))}
	}
	return nil
}

// text reads a key in a transaction.
func (s *Settings) text(tx Tx, key string) (string, error) {
	k, ok := settingKey(key)
	if !ok {
		return "", notFound("configuration item", key)
	}
	row, err := tx.Settings().Get(key)
	if CodeOf(err) == ErrNotFound {
		return k.Default, nil
	}
	return row.Value, err
}

func (s *Settings) flag(tx Tx, key string) (bool, error) {
	v, err := s.text(tx, key)
	return v == "true", err
}

func (s *Settings) number(ctx context.Context, key string) (int, error) {
	v, err := s.Get(ctx, key)
	n, _ := strconv.Atoi(v) // it was checked when it was set
	return n, err
}

func (s *Settings) count(tx Tx, key string) (int, error) {
	v, err := s.text(tx, key)
	n, _ := strconv.Atoi(v)
	return n, err
}

func (s *Settings) list(tx Tx, key string) ([]string, error) {
	v, err := s.text(tx, key)
	if v == "" {
		return nil, err
	}
	return strings.Split(v, ","), err
}

func (s *Settings) duration(tx Tx, key string) (time.Duration, error) {
	v, err := s.text(tx, key)
	d, _ := time.ParseDuration(v)
	return d, err
}
