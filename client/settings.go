package client

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

// Settings is the service for the configuration; see ams.Settings.
type Settings struct{ c *Client }

// Get returns the value of a key, or ErrNotFound; see ams.Settings.
func (s *Settings) Get(ctx context.Context, key string) (string, error) {
	list, err := s.List(ctx)
	if err != nil {
		return "", err
	}
	for _, k := range ams.SettingKeys() {
		if k.Alias == key {
			key = k.Name
		}
	}
	for _, set := range list {
		if set.Key == key {
			return set.Value, nil
		}
	}
	return "", &ams.Error{Code: ams.ErrNotFound, Kind: "setting", ID: key}
}

// List returns all keys in order of name, with their values.
func (s *Settings) List(ctx context.Context) ([]ams.Setting, error) {
	var c api.Config
	if _, err := s.c.get(ctx, "/config", nil, &c); err != nil {
		return nil, err
	}
	list := []ams.Setting{}
	for key, value := range c.Config {
		list = append(list, ams.Setting{Key: key, Value: fmt.Sprint(value)})
	}
	slices.SortFunc(list, func(a, b ams.Setting) int { return strings.Compare(a.Key, b.Key) })
	return list, nil
}

// Set gives a key a value; see ams.Settings.
func (s *Settings) Set(ctx context.Context, key, value string) error {
	return s.c.finish(ctx, call{method: http.MethodPatch, path: "/config", body: api.ConfigPost{Name: key, Value: value}})
}
