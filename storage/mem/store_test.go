package mem_test

import (
	"testing"

	"github.com/openams/ams"
	"github.com/openams/ams/storage/mem"
	"github.com/openams/ams/storage/storagetest"
)

func TestStore(t *testing.T) {
	storagetest.Run(t, func(*testing.T) ams.Store { return mem.New() })
}

func TestStoreReplayed(t *testing.T) {
	storagetest.Run(t, func(*testing.T) ams.Store { return storagetest.Replay(mem.New()) })
}

func TestReplayIsInvisible(t *testing.T) {
	for seed := range uint64(20) {
		storagetest.Compare(t, mem.New(), storagetest.Replay(mem.New()), seed)
	}
}
