package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams/backend/fake"
)

func TestTwoLives(t *testing.T) {
	hello, err := filepath.Abs("../apps/hello/package")
	require.NoError(t, err)
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, os.WriteFile("image", []byte("an image"), 0o600))
	// The fake cluster keeps its state in a file, and so outlives the program.
	life := func(commands ...string) string {
		var out strings.Builder
		b, err := fake.Open(fake.Options{File: filepath.Join(dir, "cluster")})
		require.NoError(t, err)
		defer b.Close()
		require.NoError(t, run(t.Context(), b, b, strings.NewReader(strings.Join(commands, "\n")), &out))
		return out.String()
	}
	require.Equal(t, `add image: success
create application: success
launch instance: success
one hello running node0
`, life("image android "+filepath.Join(dir, "image"), "app "+hello, "launch hello one", "list"))
	require.Equal(t, `one hello running node0
error: instance "one" already exists
error: unknown command "lunch"
error: application "hi" not found
stop instance: success
one hello stopped node0
delete instance: success
`, life("list", "launch hello one", "lunch", "launch hi two", "stop one", "list", "delete one", "list"))
}
