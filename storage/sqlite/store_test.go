package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/storage/mem"
	"github.com/openams/ams/storage/sqlite"
	"github.com/openams/ams/storage/storagetest"
)

// open opens a store that is closed at the end of the test.
func open(t testing.TB, path string, opts *sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(path, opts)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// openFast opens an empty store that does not wait for the disk.
func openFast(t *testing.T) ams.Store {
	return open(t, filepath.Join(t.TempDir(), "ams.db"), &sqlite.Options{Synchronous: sqlite.Off})
}

func TestStore(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) ams.Store { return openFast(t) })
}

func TestStoreReplayed(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) ams.Store { return storagetest.Replay(openFast(t)) })
}

func TestSameAsMem(t *testing.T) {
	for seed := range uint64(40) {
		storagetest.Compare(t, mem.New(), openFast(t), seed)
	}
}
