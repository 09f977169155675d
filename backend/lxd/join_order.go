package lxd

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
)

// joinToken has the cluster make a token for a machine to join with. A token that
// an earlier attempt has left is withdrawn.
func (b *Backend) joinToken(ctx context.Context, back *joinUndo, name string) (string, error) {
	if err := b.withdraw(ctx, name); err != nil {
		return "", err
	}
	var token string
	_, err := b.once(ctx, "", func(c server) error {
		back.token = true // perhaps
		op, err := c.CreateClusterMember(api.ClusterMembersPost{ServerName: name})
		if err != nil {
			return err
		}
		made := op.Get()
		t, err := made.ToClusterJoinToken()
		if err != nil {
			return err
		}
		token = t.String()
		return nil
	})
	return token, b.classify(ctx, err)
}

// withdraw cancels the join tokens for a name.
func (b *Backend) withdraw(ctx context.Context, name string) error {
	return b.do(ctx, func(c server) error {
		all, err := c.GetOperations()
		if err != nil {
			return err
		}
		for _, op := range all {
			// A token for a client has no server's name.
			if op.Class != "token" || op.StatusCode.IsFinal() || op.Metadata["serverName"] != name {
				continue
			}
			if err := c.DeleteOperation(op.ID); err != nil && !api.StatusErrorCheck(err, http.StatusNotFound) {
				return err
			}
		}
		return nil
	})
}

// tryPool makes a pool in the place that is asked for, and removes it: a place that
// does not do is found out before LXD is told to join.
func (b *Backend) tryPool(ctx context.Context, m *machine, join ams.NodeJoin) error {
	if join.StorageDevice == "" {
		return nil
	}
	var pool *api.StoragePool
	err := b.do(ctx, func(c server) (err error) {
		pool, _, err = c.GetStoragePool(cmp.Or(join.StoragePool, b.cfg.Pool))
		return err
	})
	if err != nil {
		return err
	}
	post := api.StoragePoolsPost{Name: pool.Name, Driver: pool.Driver}
	post.Config = maps.Clone(pool.Config)
	if post.Config == nil {
		post.Config = map[string]string{}
	}
	post.Config["source"] = join.StorageDevice
	err = m.do(ctx, func(c server) error { return c.CreateStoragePool(post) })
	if err == nil {
		err = m.do(ctx, func(c server) error { return c.DeleteStoragePool(post.Name) })
	}
	var answer api.StatusError
	if errors.As(err, &answer) {
		return ams.Errorf(ams.ErrInvalid, "storage device %q of the machine at %s: %w", join.StorageDevice, m.address, err)
	}
	return err
}

// order has a machine join, and waits until it has.
func (b *Backend) order(ctx context.Context, m *machine, name, token string, config []api.ClusterMemberConfigKey, members []api.ClusterMember) error {
	put := api.ClusterPut{ServerAddress: m.address, ClusterPassword: token}
	put.ServerName, put.Enabled, put.MemberConfig = name, true, config
	if slices.Contains(m.server.APIExtensions, "explicit_trust_token") {
		put.ClusterPassword, put.ClusterToken = "", token
	}
	err := b.do(ctx, func(c server) error {
		s, _, err := c.GetServer()
		if err == nil {
			put.ClusterCertificate = s.Environment.Certificate
		}
		return err
	})
	if err != nil {
		return err
	}
	put.ClusterAddress = contact(members)
	if put.ClusterAddress == "" {
		return ams.Errorf(ams.ErrUnavailable, "no member of the cluster is online")
	}
	var op api.Operation
	_, err = m.once(ctx, "", func(c server) error {
		sent, err := c.UpdateCluster(put, "")
		if err == nil {
			op = sent.Get()
		}
		return err
	})
	if err != nil {
		return m.classify(ctx, err)
	}
	err = m.await(ctx, op)
	switch {
	case err == nil:
		return nil
	case !answered(err):
		// It shows another certificate from some moment on, and forgets what it trusted.
		return b.appear(ctx, m, name)
	case ams.CodeOf(err) == ams.ErrNoSpace:
		return err
	}
	return ams.Errorf(ams.ErrInvalid, "the machine at %s cannot join: %w", m.address, err) // it said why
}

// contact returns the host and port of a member that is online.
func contact(members []api.ClusterMember) string {
	for _, m := range members {
		if u, err := url.Parse(m.URL); err == nil && m.Status == "Online" {
			return hostPort(u)
		}
	}
	return ""
}

// await waits for the end of an operation of the machine.
func (m *machine) await(ctx context.Context, op api.Operation) error {
	_, err := m.once(ctx, "", func(c server) error {
		for !op.StatusCode.IsFinal() {
			o, _, err := c.GetOperationWait(op.ID, -1)
			if err != nil {
				return err
			}
			op = *o
		}
		if op.StatusCode != api.Success {
			return failed(op.Err)
		}
		return nil
	})
	return err
}

// answered reports whether an error of await tells that the operation has failed.
func answered(err error) bool {
	return refused(err) && !api.StatusErrorCheck(err, http.StatusForbidden, http.StatusNotFound)
}

// appear waits for a machine whose own answer was lost to be a member, or to be
// lost itself.
func (b *Backend) appear(ctx context.Context, m *machine, name string) error {
	ctx, cancel := context.WithTimeout(ctx, onlineTime)
	defer cancel()
	answer := time.Now() // when it last gave one
	for ctx.Err() == nil && time.Since(answer) < lostTime {
		members, err := b.members(ctx)
		if err == nil {
			for _, have := range members {
				if have.ServerName == name && have.Status == "Online" {
					return nil
				}
			}
		}
		if _, err := b.certificateOf(ctx, m.address); err == nil {
			answer = time.Now()
		}
		select {
		case <-ctx.Done():
		case <-time.After(pollTime):
		}
	}
	return ams.Errorf(ams.ErrUnavailable, "the machine at %s was lost while it joined", m.address)
}

// welcome waits until a new member serves its pool. It is a member, whatever comes:
// one that does not is offline.
func (b *Backend) welcome(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, welcomeTime)
	defer cancel()
	for {
		err := b.doOn(ctx, name, func(c server) error {
			_, err := c.GetStoragePoolResources(b.cfg.Pool)
			return err
		})
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pollTime):
		}
	}
	if members, err := b.members(ctx); err == nil {
		b.link.learn(members)
	}
}
