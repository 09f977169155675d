package android_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// TestStandbyAndClaim performs a start in its two halves: together they do what a
// start does, in its order, and a claim can be done twice.
func TestStandbyAndClaim(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		for _, name := range []string{"pre-start", "post-start"} {
			m.write("var/lib/anbox/app/hooks/"+name, 0o755, "#!/bin/sh\ncat \"$ANBOX_DIR/userdata\" >>\"$ANBOX_DIR/saw."+name+"\"\n")
		}
		m.steps = nil
		require.NoError(t, m.run(ams.PhaseStandby, application(), nil))
		require.Equal(t, []string{"pre-start hook of application: 0", "boot android: 0"}, m.steps)
		m.steps = nil
		for range 2 {
			require.NoError(t, m.run(ams.PhaseClaim, application(), nil))
		}
		require.Equal(t, []string{"start com.example.candy: 0", "post-start hook of application: 0", "start com.example.candy: 0", "post-start hook of application: 0"}, m.steps)
	})
}
