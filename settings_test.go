package ams_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/storage/mem"
)

// desk is a Manager that does not run, and all that it tells.
type desk struct {
	*ams.Manager
	store  *mem.Store
	events []ams.Event
	log    bytes.Buffer
}

func newDesk(t *testing.T) *desk {
	d := &desk{store: mem.New()}
	var err error
	d.Manager, err = ams.New(ams.Config{
		Store: d.store, Backend: fake.New(fake.Options{}),
		Logger:   slog.New(slog.NewTextHandler(&d.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Observer: ams.Observer{Committed: func(e ams.Event) { d.events = append(d.events, e) }},
	})
	require.NoError(t, err)
	require.NoError(t, d.store.Update(t.Context(), func(tx ams.Tx) error { // for application.addons
		return errors.Join(tx.Addons().Put(ams.Addon{Name: "ssh"}), tx.Addons().Put(ams.Addon{Name: "my-addon.2"}))
	}))
	return d
}

// rows are the settings as they are stored.
func (d *desk) rows(t *testing.T) map[string]string {
	rows := map[string]string{}
	require.NoError(t, d.store.View(t.Context(), func(tx ams.Tx) error {
		list, err := tx.Settings().List(ams.SettingFilter{}, ams.Page{})
		for _, row := range list {
			rows[row.Key] = row.Value
		}
		return err
	}))
	return rows
}

// TestSettingKeys compares the table with what AMS documents, aliases included.
func TestSettingKeys(t *testing.T) {
	want := map[string]string{
		"agent.api.fingerprint": "", "agent.api.token": "", "agent.api.url": "",
		"application.addons": "", "application.auto_publish": "true", "application.auto_update": "true",
		"application.default_abi": "", "application.max_published_versions": "3",
		"container.apt_mirror": "", "container.default_platform": "null", "container.features": "", "container.security_updates": "true",
		"core.debug_address": "", "core.https_address": "", "core.max_requests_per_second": "1000",
		"core.proxy_http": "", "core.proxy_https": "", "core.proxy_ignore_hosts": "", "core.trust_password": "",
		"cpu.limit_mode": "scheduler", "gpu.type": "none",
		"images.allow_insecure": "false", "images.auth": "", "images.update_interval": "5m",
		"images.url": "https://images.anbox-cloud.io/stable/", "images.version_lockstep": "true",
		"instance.apt_mirror": "", "instance.default_platform": "null", "instance.features": "",
		"instance.network_proxy": "", "instance.security_updates": "true",
		"load_balancer.url": "", "node.queue_size": "100", "node.workers_per_queue": "4",
		"oidc.allow_insecure": "false", "oidc.audience": "", "oidc.client_id": "", "oidc.issuer_url": "",
		"openfga.api.fingerprint": "", "openfga.api.token": "", "openfga.api.url": "", "openfga.store.id": "",
		"registry.filter": "", "registry.fingerprint": "", "registry.mode": "pull", "registry.update_interval": "1h", "registry.url": "",
		"scheduler.strategy": "spread",
	}
	require.Len(t, want, 48)
	got := map[string]string{}
	var names, secrets, restart, readOnly []string
	note := func(list *[]string, is bool, name string) {
		if is {
			*list = append(*list, name)
		}
	}
	for _, k := range ams.SettingKeys() {
		got[k.Name] = k.Default
		if k.Alias != "" {
			got[k.Alias] = k.Default
		}
		note(&names, true, k.Name)
		note(&secrets, k.Secret, k.Name)
		note(&restart, k.Restart, k.Name)
		note(&readOnly, k.ReadOnly, k.Name)
		require.True(t, strings.HasSuffix(k.Effect, "."), "%s: an effect is a sentence", k.Name)
		require.NotEmpty(t, k.Rule())
		if k.Type == "int" || k.Type == "duration" {
			require.Less(t, k.Min, k.Max, k.Name)
		}
		require.Equal(t, k.Type == "enum", len(k.Allowed) > 0, k.Name)
	}
	require.Equal(t, want, got)
	require.True(t, slices.IsSorted(names))
	require.Equal(t, []string{"agent.api.token", "core.trust_password", "images.auth", "openfga.api.token"}, secrets)
	require.Equal(t, []string{"node.workers_per_queue"}, restart)
	require.Equal(t, []string{"core.https_address"}, readOnly)

	ams.SettingKeys()[0].Name = "changed"
	for _, k := range ams.SettingKeys() {
		if len(k.Allowed) > 0 {
			k.Allowed[0] = "changed"
		}
	}
	require.Equal(t, "agent.api.fingerprint", ams.SettingKeys()[0].Name, "the caller's changes are its own")
	require.NoError(t, newDesk(t).Settings.Set(t.Context(), "gpu.type", "nvidia"))
	require.Error(t, newDesk(t).Settings.Set(t.Context(), "gpu.type", "changed"))
}

// TestSettingDefaults sets each key to its default and to nothing: neither changes
// anything, and both keep the rule.
func TestSettingDefaults(t *testing.T) {
	d := newDesk(t)
	for _, k := range ams.SettingKeys() {
		if !k.ReadOnly {
			require.NoError(t, d.Settings.Set(t.Context(), k.Name, k.Default))
			require.NoError(t, d.Settings.Set(t.Context(), k.Name, ""))
		}
	}
	require.Empty(t, d.events)
	require.Empty(t, d.rows(t))
}

func TestSettingsAccept(t *testing.T) {
	prints := strings.Repeat("Ab12", 16)
	for key, values := range map[string]map[string]string{ // what is set: what it reads as
		"application.auto_publish":     {"false": "false"},
		"node.queue_size":              {"1": "1", "100000": "100000", "+7": "7", "007": "7"},
		"images.update_interval":       {"10s": "10s", "720h": "720h", "1h30m": "1h30m"},
		"registry.update_interval":     {"1m": "1m", "60s": "60s", "720h": "720h"},
		"registry.mode":                {"push": "push", "manual": "manual"},
		"application.addons":           {"ssh": "ssh", " ssh , my-addon.2 ": "ssh,my-addon.2"},
		"instance.features":            {"android.allow_custom_android_id, x": "android.allow_custom_android_id,x"},
		"registry.filter":              {"game,created_by=anbox, größer": "game,created_by=anbox,größer"},
		"core.proxy_ignore_hosts":      {"localhost,127.0.0.1": "localhost,127.0.0.1", "*": "*", "::1, 10.0.0.0/8,fd00::/8": "::1,10.0.0.0/8,fd00::/8", ".example.com,*.example.org,a.b:443": ".example.com,*.example.org,a.b:443"},
		"agent.api.fingerprint":        {prints: strings.ToLower(prints)},
		"agent.api.url":                {"https://foo.bar:9001": "https://foo.bar:9001", "http://[::1]:80/x?y=z": "http://[::1]:80/x?y=z", "HTTPS://10.0.0.1": "HTTPS://10.0.0.1"},
		"core.debug_address":           {":6060": ":6060", "127.0.0.1:1": "127.0.0.1:1", "[::1]:65535": "[::1]:65535", "host-1.lan:9090": "host-1.lan:9090"},
		"instance.network_proxy":       {"myproxy.com:9090": "myproxy.com:9090", "10.1.2.3:80": "10.1.2.3:80"},
		"images.auth":                  {"user:password": "true", "bearer:token": "true", "user:pass:word with spaces": "true"},
		"oidc.client_id":               {"asfASDweIOBjnDFggFSj": "asfASDweIOBjnDFggFSj", "größe": "größe", strings.Repeat("x", 4096): strings.Repeat("x", 4096)},
		"application.default_abi":      {"arm64-v8a": "arm64-v8a", "armeabi": "armeabi", "x86_64": "x86_64"},
		"core.max_requests_per_second": {"1000000": "1000000"},
	} {
		for value, want := range values {
			d := newDesk(t)
			require.NoError(t, d.Settings.Set(t.Context(), key, value), "%s %q", key, value)
			got, err := d.Settings.Get(t.Context(), key)
			require.NoError(t, err)
			require.Equal(t, want, got, key)
			require.Len(t, d.events, 1)
			require.Equal(t, []string{"setting", key, "updated", want}, []string{d.events[0].Kind, d.events[0].ID, d.events[0].Action, d.events[0].Message})
			require.NoError(t, d.Settings.Set(t.Context(), key, value), "again")
			require.Len(t, d.events, 1)

			require.NoError(t, d.Settings.Set(t.Context(), key, ""))
			require.Len(t, d.events, 2)
			require.Empty(t, d.rows(t), "a default is not kept")
		}
	}
}

func TestSettingAliases(t *testing.T) {
	d, ctx := newDesk(t), t.Context()
	for _, k := range ams.SettingKeys() {
		if k.Alias == "" {
			continue
		}
		value := map[string]string{"url": "http://a.b/", "enum": "webrtc", "list": "x", "bool": "false"}[k.Type]
		require.NoError(t, d.Settings.Set(ctx, k.Alias, value))
		require.Equal(t, k.Name, d.events[len(d.events)-1].ID)
		for _, key := range []string{k.Name, k.Alias} {
			got, err := d.Settings.Get(ctx, key)
			require.NoError(t, err)
			require.Equal(t, value, got)
		}
	}
	require.Len(t, d.rows(t), 4)
	list, err := d.Settings.List(ctx)
	require.NoError(t, err)
	require.Len(t, list, 44)
	for _, s := range list {
		require.NotContains(t, s.Key, "container.")
	}
}

// TestOldSettingRows reads rows that some release before may have written.
func TestOldSettingRows(t *testing.T) {
	d, ctx := newDesk(t), t.Context()
	old := map[string]string{
		"node.workers_per_queue": "5000", "node.queue_size": "+8", "registry.mode": "both", "images.update_interval": "1ms",
		"instance.features": "a,,b", "images.auth": "nonsense", "core.trust_password": "clear text",
		"application.auto_publish": "", "some.key": "x",
	}
	require.NoError(t, d.store.Update(ctx, func(tx ams.Tx) error {
		for key, value := range old {
			if err := tx.Settings().Put(ams.Setting{Key: key, Value: value}); err != nil {
				return err
			}
		}
		return nil
	}))
	list, err := d.Settings.List(ctx)
	require.NoError(t, err)
	for i, k := range ams.SettingKeys() {
		want := k.Default
		switch {
		case k.Name == "node.queue_size":
			want = "8" // it was good, and still is
		case k.Secret:
			want = "false"
		}
		require.Equal(t, ams.Setting{Key: k.Name, Value: want}, list[i])
	}
	n, err := ams.SettingNumber(d.Settings, ctx, "node.workers_per_queue")
	require.NoError(t, err)
	require.Equal(t, 4, n)
	ok, err := ams.TrustPassword(d.Settings, ctx, "clear text")
	require.NoError(t, err)
	require.False(t, ok)

	require.NoError(t, d.Settings.Set(ctx, "registry.mode", "push"))
	require.NoError(t, d.Settings.Set(ctx, "images.update_interval", ""))
	require.Equal(t, "push", d.rows(t)["registry.mode"])
	require.NotContains(t, d.rows(t), "images.update_interval")
}

func TestSettingTypes(t *testing.T) {
	d, ctx := newDesk(t), t.Context()
	for key, value := range map[string]string{
		"application.auto_update": "false", "application.max_published_versions": "12", "images.update_interval": "90s",
		"instance.features": "a, b", "images.auth": "user:password",
	} {
		require.NoError(t, d.Settings.Set(ctx, key, value))
	}
	require.NoError(t, d.store.View(ctx, func(tx ams.Tx) error {
		on, err := ams.SettingFlag(d.Settings, tx, "application.auto_update")
		require.NoError(t, err)
		require.False(t, on)
		on, err = ams.SettingFlag(d.Settings, tx, "application.auto_publish")
		require.NoError(t, err)
		require.True(t, on)
		n, err := ams.SettingCount(d.Settings, tx, "application.max_published_versions")
		require.NoError(t, err)
		require.Equal(t, 12, n)
		interval, err := ams.SettingDuration(d.Settings, tx, "images.update_interval")
		require.NoError(t, err)
		require.Equal(t, 90*time.Second, interval)
		list, err := ams.SettingList(d.Settings, tx, "instance.features")
		require.NoError(t, err)
		require.Equal(t, []string{"a", "b"}, list)
		list, err = ams.SettingList(d.Settings, tx, "registry.filter")
		require.NoError(t, err)
		require.Nil(t, list)
		auth, err := ams.SettingText(d.Settings, tx, "images.auth")
		require.NoError(t, err)
		require.Equal(t, "user:password", auth, "the engine sees it")
		_, err = ams.SettingText(d.Settings, tx, "nosuch")
		require.ErrorIs(t, err, ams.ErrNotFound)
		return nil
	}))
}

const canary = "c4n4ry"

// TestSecretsStaySecret sets the secrets, well and badly, and looks for them in
// everything that anybody is told.
func TestSecretsStaySecret(t *testing.T) {
	d, ctx := newDesk(t), t.Context()
	var told strings.Builder
	tell := func(v ...any) { fmt.Fprintln(&told, v...) }
	for _, k := range ams.SettingKeys() {
		bad := []string{canary + "\n", canary + strings.Repeat("x", 4096), "\xff" + canary}
		switch {
		case k.Name == "images.auth":
			bad = append(bad, canary, ":"+canary, canary+":")
		case k.Type == "url":
			bad = []string{"https://user:" + canary + "@host/", "https://user:%zz" + canary + "@host/"}
		case k.Type == "hostport" || k.Type == "address":
			bad = []string{"user:" + canary + "@host:80"}
		case !k.Secret:
			continue
		}
		for _, value := range bad {
			err := d.Settings.Set(ctx, k.Name, value)
			require.ErrorIs(t, err, ams.ErrInvalid)
			tell(err)
		}
		if !k.Secret {
			continue
		}
		for _, value := range []string{"user:" + canary, "other:" + canary, ""} {
			require.NoError(t, d.Settings.Set(ctx, k.Name, value))
			got, err := d.Settings.Get(ctx, k.Name)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(value != ""), got)
		}
		require.NoError(t, d.Settings.Set(ctx, k.Name, "user:"+canary))
	}
	list, err := d.Settings.List(ctx)
	require.NoError(t, err)
	tell(list)
	tell(d.Settings.Set(ctx, "core.trust_pasword", canary))
	require.Len(t, d.events, 4*4)
	tell(d.events)
	require.NoError(t, d.store.View(ctx, func(tx ams.Tx) error {
		log, err := tx.Events().Since(0, 100)
		require.Len(t, log, 16)
		tell(log)
		return err
	}))
	tell(d.log.String())
	tell(d.rows(t)["core.trust_password"])
	require.NotContains(t, told.String(), canary)
}

func TestTrustPassword(t *testing.T) {
	d, ctx := newDesk(t), t.Context()
	is := func(candidate string) bool {
		ok, err := ams.TrustPassword(d.Settings, ctx, candidate)
		require.NoError(t, err)
		return ok
	}
	require.False(t, is(""), "nobody comes in where none is set")
	require.NoError(t, d.Settings.Set(ctx, "core.trust_password", "sUp3rS3cR3t"))
	first := d.rows(t)["core.trust_password"]
	require.True(t, is("sUp3rS3cR3t"))
	for _, wrong := range []string{"", "sUp3rS3cR3", "sUp3rS3cR3tt", "sup3rs3cr3t", "true", first, strings.Repeat("x", 1<<20)} {
		require.False(t, is(wrong))
	}
	require.NoError(t, d.Settings.Set(ctx, "core.trust_password", "sUp3rS3cR3t"))
	require.Equal(t, first, d.rows(t)["core.trust_password"], "the same changes nothing")
	require.Len(t, d.events, 1)

	require.NoError(t, d.Settings.Set(ctx, "core.trust_password", "another"))
	require.False(t, is("sUp3rS3cR3t"))
	require.True(t, is("another"))
	other := newDesk(t)
	require.NoError(t, other.Settings.Set(ctx, "core.trust_password", "another"))
	require.NotEqual(t, d.rows(t), other.rows(t), "each has a salt of its own")
	require.NoError(t, d.Settings.Set(ctx, "core.trust_password", ""))
	require.False(t, is("another"))
	require.False(t, is(""))

	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err := ams.TrustPassword(other.Settings, ended, "another")
	require.Error(t, err, "a store that does not answer is no wrong password")
}

// TestDamagedPassword reads hashes that are none, or would take for ever.
func TestDamagedPassword(t *testing.T) {
	salt, sum := strings.Repeat("ab", 16), strings.Repeat("cd", 32)
	for _, row := range []string{
		"pbkdf2-sha256$1$" + salt, "pbkdf2-sha256$0$" + salt + "$" + sum, "pbkdf2-sha256$-1$" + salt + "$" + sum,
		"pbkdf2-sha256$10000001$" + salt + "$" + sum, "pbkdf2-sha256$1$$" + sum, "pbkdf2-sha256$1$" + salt + "$",
		"pbkdf2-sha256$1$" + salt + "$" + sum + "$", "scrypt$1$" + salt + "$" + sum, "pbkdf2-sha256$1$xy$" + sum,
	} {
		d, ctx := newDesk(t), t.Context()
		require.NoError(t, d.store.Update(ctx, func(tx ams.Tx) error {
			return tx.Settings().Put(ams.Setting{Key: "core.trust_password", Value: row})
		}))
		got, err := d.Settings.Get(ctx, "core.trust_password")
		require.NoError(t, err)
		require.Equal(t, "false", got, row)
		ok, err := ams.TrustPassword(d.Settings, ctx, "")
		require.NoError(t, err)
		require.False(t, ok)
	}
}
