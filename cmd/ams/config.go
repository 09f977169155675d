package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"
	"gopkg.in/yaml.v3"
)

// config is the file settings.yaml, and what the command line says beside it.
type config struct {
	DataDir      string   `yaml:"data-dir"`
	Socket       string   `yaml:"socket"`
	SocketGroup  string   `yaml:"socket-group"`
	AllowedUIDs  []uint32 `yaml:"allowed_uids"`
	HTTPSAddress string   `yaml:"https-address"`
	Hosts        []string `yaml:"hosts"`
	ClusterName  string   `yaml:"cluster-name"`
	Backend      string   `yaml:"backend"`
	LXD          struct {
		Socket     string   `yaml:"socket"`
		URL        string   `yaml:"url"`
		URLs       []string `yaml:"urls"`
		ClientCert string   `yaml:"client-cert"`
		ClientKey  string   `yaml:"client-key"`
		ServerCert string   `yaml:"server-cert"`
		Project    string   `yaml:"project"`
		Profiles   []string `yaml:"profiles"`
		Pool       string   `yaml:"pool"`
		Network    string   `yaml:"network"`
	} `yaml:"lxd"`
	LogLevel  string `yaml:"log-level"`
	LogFormat string `yaml:"log-format"`
}

// maxConfig bounds the file.
const maxConfig = 1 << 20

// readConfig reads settings.yaml; a file that is not there is an empty one unless it was
// asked for.
func readConfig(path string, asked bool) (config, error) {
	c := config{
		DataDir: "/var/lib/ams", Backend: "lxd", LogLevel: "info", LogFormat: "text", ClusterName: "ams",
	}
	if host, err := os.Hostname(); err == nil {
		c.Hosts = []string{host, "localhost", "127.0.0.1", "::1"}
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && !asked {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	defer f.Close() //nolint:errcheck // it is only read
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return c, err
	}
	if len(data) > maxConfig {
		return c, fmt.Errorf("%s is over %d bytes", path, maxConfig)
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// check fills in what follows from other fields, and names all problems at once.
func (c *config) check() error {
	var problems *multierror.Error
	problem := func(format string, args ...any) { problems = multierror.Append(problems, fmt.Errorf(format, args...)) }
	if !filepath.IsAbs(c.DataDir) {
		abs, err := filepath.Abs(c.DataDir)
		if err != nil {
			problem("data-dir: %w", err)
		}
		c.DataDir = abs
	}
	if c.Socket == "" {
		c.Socket = filepath.Join(c.DataDir, "unix.socket")
	}
	if len(c.Socket) > 107 {
		problem("socket: %s has %d bytes, the most is 107", c.Socket, len(c.Socket))
	}
	if c.Backend != "lxd" && c.Backend != "fake" {
		problem("backend is %q; it must be lxd or fake", c.Backend)
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		problem("log-level is %q; it must be debug, info, warn or error", c.LogLevel)
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		problem("log-format is %q; it must be text or json", c.LogFormat)
	}
	if c.HTTPSAddress != "" {
		if _, _, err := net.SplitHostPort(c.HTTPSAddress); err != nil {
			problem("https-address is %q; it must be <address>:<port>, such as :8444", c.HTTPSAddress)
		}
	}
	l := &c.LXD
	if l.URL != "" && (l.ClientCert == "" || l.ClientKey == "" || l.ServerCert == "") {
		problem("lxd: client-cert, client-key and server-cert must be set with url")
	}
	if l.URL != "" && l.Socket != "" {
		problem("lxd: socket and url exclude each other")
	}
	if problems != nil {
		problems.ErrorFormat = func(all []error) string {
			var lines []string
			for _, err := range all {
				lines = append(lines, err.Error())
			}
			return strings.Join(lines, "\n")
		}
	}
	return problems.ErrorOrNil()
}
