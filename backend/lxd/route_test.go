package lxd

import (
	"errors"
	"net/url"
	"testing"

	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

func TestRoute(t *testing.T) {
	r := &route{given: []string{"a:1", "b:1"}}
	require.Equal(t, []string{"a:1", "b:1"}, r.order())
	require.False(t, r.use("a:1"))
	r.learn([]string{"c:1", "b:1", "a:1"})
	require.Equal(t, []string{"a:1", "b:1", "c:1"}, r.order())
	require.True(t, r.use("c:1"))
	require.False(t, r.use("c:1"))
	require.Equal(t, []string{"c:1", "a:1", "b:1"}, r.order())
	r.learn([]string{"d:1"})
	require.Equal(t, []string{"a:1", "b:1", "d:1"}, r.order(), "c has left the cluster")
	require.True(t, func() bool { r.use("b:1"); return r.use("a:1") }())
}

func TestLearn(t *testing.T) {
	l := &link{}
	l.learn([]api.ClusterMember{
		{URL: "https://10.0.0.1:8443", Status: "Offline"},
		{URL: "https://[fd42::2]:8443", Status: "Online"},
		{URL: "https://host", Status: "Online"},
		{URL: "http://10.0.0.4:8443", Status: "Online"},
		{URL: "::", Status: "Online"},
	})
	require.Equal(t, []string{"[fd42::2]:8443", "host:443", "10.0.0.1:8443"}, l.route.order())
}

func TestLost(t *testing.T) {
	for err, want := range map[error]bool{
		&url.Error{Op: "Get", URL: "x", Err: errors.New("connection refused")}: true,
		api.StatusErrorf(500, "no"):         false,
		ams.Errorf(ams.ErrInvalid, "never"): false,
	} {
		require.Equal(t, want, lost(err), "%v", err)
	}
	require.False(t, lost(nil))
}
