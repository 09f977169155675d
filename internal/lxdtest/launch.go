package lxdtest

import (
	"strings"
	"testing"
	"time"

	lxd "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"
)

// Launch makes an instance from the image with that alias and starts it. It is
// removed, forcibly, when the test ends. It does not wait for the network.
func Launch(t testing.TB, c lxd.InstanceServer, name, alias string) {
	t.Helper()
	op, err := c.CreateInstance(api.InstancesPost{
		Name:   name,
		Type:   api.InstanceTypeContainer,
		Source: api.InstanceSource{Type: "image", Alias: alias},
	})
	require.NoError(t, err)
	require.NoError(t, op.Wait())
	t.Cleanup(func() {
		_ = state(c, name, "stop") // it may be stopped
		op, err := c.DeleteInstance(name)
		if err == nil {
			err = op.Wait()
		}
		if err != nil && !strings.Contains(err.Error(), "not found") {
			t.Errorf("removing instance %s: %v", name, err)
		}
	})
	require.NoError(t, state(c, name, "start"))
}

// Stop stops an instance by force.
func Stop(t testing.TB, c lxd.InstanceServer, name string) {
	t.Helper()
	require.NoError(t, state(c, name, "stop"))
}

// state asks for a change of an instance's state and waits for it.
func state(c lxd.InstanceServer, name, action string) error {
	op, err := c.UpdateInstanceState(name, api.InstanceStatePut{
		Action: action, Timeout: int(time.Minute / time.Second), Force: action == "stop",
	}, "")
	if err != nil {
		return err
	}
	return op.Wait()
}
