package ams

import (
	"cmp"
	"context"
	"errors"
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

// Keys that are the Manager's own begin with an underscore: no caller sees them.
const (
	clusterKey = "_cluster" // the mark of everything that is made for this store
	holdKey    = "_hold"    // why nothing unknown is deleted from the backend
)

// Settings is the service for the configuration. Its keys are those of
// SettingKeys, and each method also takes a key's alias in place of its name.
type Settings struct{ m *Manager }

// Get returns the value of a key, its default if it was not set. Of a secret it
// returns only "true" where it is set and "false" where it is not. ErrNotFound for
// a key that does not exist.
func (s *Settings) Get(ctx context.Context, key string) (string, error) {
	k, ok := settingKey(key)
	if !ok {
		return "", unknownSetting(key)
	}
	var value string
	err := s.m.view(ctx, func(tx Tx) (err error) {
		value, err = k.value(tx)
		return err
	})
	if err != nil {
		return "", err
	}
	return k.shown(value), nil
}

// List returns all keys, without their aliases, in order of name, each with the
// value that Get returns.
func (s *Settings) List(ctx context.Context) ([]Setting, error) {
	var list []Setting
	err := s.m.view(ctx, func(tx Tx) error {
		list = nil
		for i := range settingTable {
			k := &settingTable[i]
			v, err := k.value(tx)
			if err != nil {
				return err
			}
			list = append(list, Setting{Key: k.Name, Value: k.shown(v)})
		}
		return nil
	})
	return list, err
}

// Set gives a key a value; the empty value stands for the default. Setting the
// value it has already changes nothing. Spaces around the entries of a list are
// dropped.
//
// Errors: ErrNotFound (no such key; the message may name one that is meant);
// ErrInvalid, naming the rule. Neither an error nor the event of the change holds
// the value of a secret.
func (s *Settings) Set(ctx context.Context, key, value string) error {
	k, ok := settingKey(key)
	if !ok {
		return unknownSetting(key)
	}
	fault := "is read-only"
	if !k.ReadOnly {
		value, fault = k.accept(value)
	}
	if fault != "" {
		return &Error{Code: ErrInvalid, Kind: "configuration item", ID: key, Err: errors.New(fault)}
	}
	if k.form == formPassword && value != "" {
		same, err := s.trustPassword(ctx, value)
		if err != nil || same {
			return err
		}
		if value, err = hashPassword(value); err != nil {
			return err
		}
	}
	return s.m.update(ctx, func(c *change) error {
		row, err := c.Settings().Get(k.Name)
		if ignoreNotFound(err) != nil || cmp.Or(row.Value, k.Default) == value {
			return ignoreNotFound(err)
		}
		if value == k.Default { // not kept, so that it follows the default of a later release
			err = c.Settings().Delete(k.Name)
		} else {
			row.Key, row.Value = k.Name, value
			err = c.Settings().Put(row)
		}
		if err != nil {
			return err
		}
		c.lifecycle("setting", k.Name, "updated", k.shown(value))
		return c.settingChanged(*k, value)
	})
}

// value reads the key in a transaction. A row that an earlier release wrote and
// that breaks today's rules counts as the default.
func (k *SettingKey) value(tx Tx) (string, error) {
	row, err := tx.Settings().Get(k.Name)
	if err != nil {
		return k.Default, ignoreNotFound(err)
	}
	if k.form == formPassword {
		if _, ok := parsePassword(row.Value); !ok {
			return k.Default, nil
		}
		return row.Value, nil
	}
	v, fault := k.accept(row.Value)
	if fault != "" {
		return k.Default, nil
	}
	return v, nil
}

// shown is what callers may see of the key's value.
func (k *SettingKey) shown(value string) string {
	if k.Secret {
		return strconv.FormatBool(value != "")
	}
	return value
}

// text reads a key in a transaction; a secret too, the password as its hash.
func (s *Settings) text(tx Tx, key string) (string, error) {
	k, ok := settingKey(key)
	if !ok {
		return "", unknownSetting(key)
	}
	return k.value(tx)
}

// flag reads a key of the type bool.
func (s *Settings) flag(tx Tx, key string) (bool, error) {
	v, err := s.text(tx, key)
	return v == "true", err
}

// count reads a key of the type int.
func (s *Settings) count(tx Tx, key string) (int, error) {
	v, err := s.text(tx, key)
	n, _ := strconv.Atoi(v) // what text returns keeps the key's rule
	return n, err
}

// number is count outside of a transaction.
func (s *Settings) number(ctx context.Context, key string) (n int, err error) {
	err = s.m.view(ctx, func(tx Tx) (err error) {
		n, err = s.count(tx, key)
		return err
	})
	return n, err
}

// duration reads a key of the type duration.
func (s *Settings) duration(tx Tx, key string) (time.Duration, error) {
	v, err := s.text(tx, key)
	d, _ := time.ParseDuration(v) // what text returns keeps the key's rule
	return d, err
}

// list reads a key of the type list. An empty list is nil.
func (s *Settings) list(tx Tx, key string) ([]string, error) {
	v, err := s.text(tx, key)
	if v == "" {
		return nil, err
	}
	return strings.Split(v, ","), err
}
