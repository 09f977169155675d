package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/openams/ams"
	"github.com/openams/ams/client"
)

// remotes is the file remotes.yaml.
type remotes struct {
	Default string            `yaml:"default"`
	Remotes map[string]remote `yaml:"remotes"`
}

// remote is one service.
type remote struct {
	URL         string `yaml:"url" json:"url"`
	Certificate string `yaml:"certificate,omitempty" json:"-"` // of the service, in PEM
}

const localRemote = "local"

// dir is where the configuration is: $AMC_DIR, or a directory in the user's own.
func (p *program) dir() (string, error) {
	if dir, ok := p.env("AMC_DIR"); ok && dir != "" {
		return dir, nil
	}
	base, err := os.UserConfigDir()
	return filepath.Join(base, "amc"), err
}

// socket is where the service of this machine is: $AMS_SOCKET, or where the daemon has it.
func (p *program) socket() string {
	if path, ok := p.env("AMS_SOCKET"); ok && path != "" {
		return path
	}
	return "/var/lib/ams/unix.socket"
}

func (p *program) readRemotes() (remotes, error) {
	r := remotes{Default: localRemote}
	dir, err := p.dir()
	if err != nil {
		return r, err
	}
	data, err := os.ReadFile(filepath.Join(dir, "remotes.yaml"))
	if err == nil {
		err = yaml.Unmarshal(data, &r)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return r, fmt.Errorf("remotes.yaml: %w", err)
	}
	if r.Remotes == nil {
		r.Remotes = map[string]remote{}
	}
	if _, ok := r.Remotes[localRemote]; !ok {
		r.Remotes[localRemote] = remote{URL: "unix://" + p.socket()}
	}
	return r, nil
}

// change changes remotes.yaml, whole or not at all.
func (p *program) change(fn func(*remotes) error) error {
	r, err := p.readRemotes()
	if err != nil {
		return err
	}
	if err := fn(&r); err != nil {
		return err
	}
	if l := r.Remotes[localRemote]; l.URL == "unix://"+p.socket() {
		delete(r.Remotes, localRemote) // it is there anyway
	}
	data, err := yaml.Marshal(&r)
	if err != nil {
		return err
	}
	dir, err := p.dir()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, "remotes.yaml"), data)
}

// replaceFile writes a file that only its owner may read, whole or not at all.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

// keyPair returns this client's certificate and key, in PEM; it makes them the first time.
func (p *program) keyPair() (certificate, key []byte, err error) {
	dir, err := p.dir()
	if err != nil {
		return nil, nil, err
	}
	path := filepath.Join(dir, "client.pem")
	both, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		host, _ := os.Hostname() // it is only a name
		if certificate, key, err = client.NewKeyPair("amc-" + host); err != nil {
			return nil, nil, err
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, nil, err
		}
		return certificate, key, replaceFile(path, slices.Concat(certificate, key))
	}
	if err != nil {
		return nil, nil, err
	}
	at := bytes.Index(both, []byte("-----BEGIN PRIVATE KEY"))
	if at < 0 {
		return nil, nil, fmt.Errorf("%s has no key", path)
	}
	return both[:at], both[at:], nil
}

// open returns a client of a remote.
func (p *program) open(name string, r remote) (*client.Client, error) {
	opts := client.Options{UserAgent: "amc/" + ams.DefaultRelease}
	if strings.HasPrefix(r.URL, "https://") {
		block, _ := pem.Decode([]byte(r.Certificate))
		if block == nil {
			return nil, fmt.Errorf("the certificate of remote %q is not known; add it again", name)
		}
		server, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certificate, key, err := p.keyPair()
		if err != nil {
			return nil, err
		}
		if opts.TLS, err = client.TLSConfig(certificate, key, server); err != nil {
			return nil, err
		}
	}
	return client.Open(r.URL, opts)
}

func remoteNames(_ context.Context, p *program) ([]string, error) {
	r, err := p.readRemotes()
	var names []string
	for name := range r.Remotes {
		names = append(names, name)
	}
	return names, err
}

func (p *program) remoteCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "remote", Short: "Choose among services"}
	var accept bool
	var kind, token string
	add := &cobra.Command{
		Use: "add <name> <url> [<trust password or join token>]", Short: "Add a service", Args: cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			secret := token
			if len(args) == 3 {
				secret = args[2]
			}
			if kind != "tls" {
				return fmt.Errorf("--auth-type is %q; it must be tls", kind)
			}
			return p.addRemote(cmd.Context(), args[0], args[1], secret, accept)
		},
	}
	add.Flags().BoolVar(&accept, "accept-certificate", false, "trust whatever certificate the service shows")
	add.Flags().StringVar(&kind, "auth-type", "tls", "how to prove who this is: tls")
	add.Flags().StringVar(&token, "token", "", "a join token")
	var f string
	list := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the services", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			r, err := p.readRemotes()
			if err != nil {
				return err
			}
			names, _ := remoteNames(nil, p) //nolint:staticcheck // it asks nobody
			slices.Sort(names)
			t := table{columns: []string{"NAME", "URL", "DEFAULT"}}
			type entry struct {
				Name    string `json:"name"`
				URL     string `json:"url"`
				Default bool   `json:"default"`
			}
			entries := []entry{}
			for _, name := range names {
				is := "NO"
				if name == r.Default {
					is = "YES"
				}
				t.rows = append(t.rows, []string{name, r.Remotes[name].URL, is})
				entries = append(entries, entry{name, r.Remotes[name].URL, name == r.Default})
			}
			t.objects = entries
			return p.print(t, f)
		},
	}
	format(list, &f, "table", "table", "json", "csv")
	existing := func(use, short string, args int, fn func(*remotes, []string) error) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Args: cobra.ExactArgs(args), ValidArgsFunction: p.names(remoteNames),
			RunE: func(_ *cobra.Command, args []string) error {
				return p.change(func(r *remotes) error {
					if _, ok := r.Remotes[args[0]]; !ok {
						return fmt.Errorf("there is no remote %q", args[0])
					}
					return fn(r, args)
				})
			},
		}
	}
	remove := existing("remove <name>", "Forget a service", 1, func(r *remotes, args []string) error {
		switch args[0] {
		case localRemote:
			return errors.New("the remote local is always there")
		case r.Default:
			return fmt.Errorf("remote %q is the default; choose another first: amc remote set-default local", args[0])
		}
		delete(r.Remotes, args[0])
		return nil
	})
	remove.Aliases = []string{"rm"}
	cmd.AddCommand(add, list, remove,
		existing("set-default <name>", "Talk to a service by default", 1, func(r *remotes, args []string) error {
			r.Default = args[0]
			return nil
		}),
		existing("set-url <name> <url>", "Change where a service is", 2, func(r *remotes, args []string) error {
			one := r.Remotes[args[0]]
			one.URL = args[1]
			r.Remotes[args[0]] = one
			return nil
		}))
	return cmd
}

// addRemote adds a service: it shows its certificate and asks, and makes this client
// known there where it has the means.
func (p *program) addRemote(ctx context.Context, name, url, secret string, accept bool) error {
	r, err := p.readRemotes()
	if err != nil {
		return err
	}
	if _, ok := r.Remotes[name]; ok {
		return fmt.Errorf("remote %q already exists", name)
	}
	one := remote{URL: url}
	if strings.HasPrefix(url, "https://") {
		cert, err := client.FetchCertificate(ctx, url)
		if err != nil {
			return err
		}
		if !accept {
			fmt.Fprintf(p.out, "Certificate fingerprint: %s\n", client.Fingerprint(cert.Raw))
			ok, err := p.ask("Is this the certificate of the service? [y/N] ", false)
			if err != nil {
				return errors.New("there is nobody to ask; use --accept-certificate")
			}
			if !ok {
				return errNo
			}
		}
		one.Certificate = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	}
	c, err := p.open(name, one)
	if err != nil {
		return err
	}
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	if status.Auth != "trusted" && secret != "" {
		certificate, _, err := p.keyPair()
		if err != nil {
			return err
		}
		if _, err := c.Identities.Enroll(ctx, certificate, secret); err != nil {
			return err
		}
		status.Auth = "trusted"
	}
	if err := p.change(func(r *remotes) error { r.Remotes[name] = one; return nil }); err != nil {
		return err
	}
	if status.Auth != "trusted" {
		dir, _ := p.dir() // it was found before
		fmt.Fprintf(p.err, "The service does not trust this client yet. There, run: amc config trust add <file>, with the certificate in %s;\nor issue a join token with: amc auth token create, and give it to: amc remote add\n", filepath.Join(dir, "client.pem"))
	}
	return nil
}
