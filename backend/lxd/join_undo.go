package lxd

import (
	"context"
	"maps"
	"net/http"
	"reflect"
	"slices"

	"github.com/canonical/lxd/shared/api"
)

// joinUndo knows what both sides were like before a join.
type joinUndo struct {
	b     *Backend
	m     *machine
	name  string
	token bool // the cluster may have one for it

	looked  bool
	trusted []string       // fingerprints of the certificates that the cluster trusts
	config  map[string]any // of the machine
	profile api.ProfilePut // the machine's default one
}

// look remembers what both sides are like.
func (u *joinUndo) look(ctx context.Context) error {
	err := u.m.do(ctx, func(c server) error {
		p, _, err := c.GetProfile("default")
		if err == nil {
			u.profile = p.Writable()
		}
		return err
	})
	if err != nil {
		return err
	}
	u.config = maps.Clone(u.m.server.Config)
	err = u.b.do(ctx, func(c server) (err error) {
		u.trusted, err = c.GetCertificateFingerprints()
		return err
	})
	u.looked = err == nil
	return err
}

// undo makes both sides what they were. LXD has undone most of it itself, and a
// machine that is dead cannot be helped, so nothing that fails here is told.
func (u *joinUndo) undo(ctx context.Context) {
	u.undoMachine(ctx)
	if u.looked {
		u.undoCluster(ctx)
	}
	if u.m.added {
		_ = u.m.do(ctx, func(c server) error {
			certs, err := c.GetCertificates()
			for _, cert := range certs {
				// Ours comes last: with it goes the right to do this.
				if cert.Name == joinMark && cert.Fingerprint != u.m.own {
					_ = c.DeleteCertificate(cert.Fingerprint)
				}
			}
			_ = c.DeleteCertificate(u.m.own)
			return err
		})
	}
}

// undoCluster removes what the cluster has of the machine.
func (u *joinUndo) undoCluster(ctx context.Context) {
	if u.token {
		_ = u.b.withdraw(ctx, u.name)
	}
	_ = u.b.do(ctx, func(c server) error {
		members, err := c.GetClusterMembers()
		for _, m := range members {
			if m.ServerName == u.name {
				err = c.DeleteClusterMember(u.name, true)
			}
		}
		return err
	})
	if !slices.Contains(u.trusted, u.m.fingerprint) {
		_ = u.b.do(ctx, func(c server) error { return c.DeleteCertificate(u.m.fingerprint) })
	}
}

// undoMachine removes the pools and networks that the machine did not have, which
// is all of them, and restores its settings.
func (u *joinUndo) undoMachine(ctx context.Context) {
	if u.config == nil {
		return
	}
	_ = u.m.do(ctx, func(c server) error {
		s, etag, err := c.GetServer()
		if err != nil || s.Environment.ServerClustered {
			return err
		}
		if p, _, err := c.GetProfile("default"); err == nil && !reflect.DeepEqual(p.Writable(), u.profile) {
			_ = c.UpdateProfile("default", u.profile, "") // it may be what uses a pool
		}
		networks, err := managed(c)
		for _, name := range networks {
			_ = c.DeleteNetwork(name)
		}
		if err != nil {
			return err
		}
		pools, err := c.GetStoragePoolNames()
		for _, name := range pools {
			if e := c.DeleteStoragePool(name); e != nil && !api.StatusErrorCheck(e, http.StatusNotFound) {
				err = e
			}
		}
		if err == nil && !maps.Equal(s.Config, u.config) {
			put := s.Writable()
			put.Config = u.config
			err = c.UpdateServer(put, etag)
		}
		return err
	})
}
