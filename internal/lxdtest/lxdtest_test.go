package lxdtest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams/internal/lxdtest"
)

func TestRequire(t *testing.T) {
	d := lxdtest.Require(t)
	require.Same(t, d, lxdtest.Require(t))
	c := lxdtest.Connect(t, d)
	lxdtest.Launch(t, c, "one", lxdtest.ImageAlias)
	s, _, err := c.GetInstanceState("one")
	require.NoError(t, err)
	require.Equal(t, "Running", s.Status)
}
