// Package storagetest is the test suite of every ams.Store: what the interface
// promises, as named properties. Beside it are wrappers that misbehave within the
// limits of the interface, and a comparison of two stores by random operations.
//
// A store runs it from its own tests, plain and through Replay:
//
//	func TestStore(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) ams.Store { return mem.New() })
//	}
package storagetest

import (
	"io"
	"slices"
	"testing"

	"github.com/openams/ams"
)

// Property is one promise of a store. Check is given an empty store.
type Property struct {
	Name  string
	Check func(t testing.TB, s ams.Store)
}

// Run checks each property on a store of its own. open returns an empty store and
// sees to its being closed at the end of t. The blobs of a store that has a
// method Blobs, and the closing of one that has a method Close, are checked too.
func Run(t *testing.T, open func(t *testing.T) ams.Store) {
	t.Helper()
	for _, p := range Properties() {
		t.Run(p.Name, func(t *testing.T) { p.Check(t, open(t)) })
	}
	if _, ok := open(t).(blobOwner); ok {
		RunBlobs(t, func(t *testing.T) ams.BlobStore { return open(t).(blobOwner).Blobs() })
	}
	if _, ok := open(t).(io.Closer); ok {
		t.Run("closed", func(t *testing.T) { checkClosed(t, open(t)) })
	}
}

// RunBlobs checks each property of a blob store on a store of its own. open
// returns an empty store.
func RunBlobs(t *testing.T, open func(t *testing.T) ams.BlobStore) {
	t.Helper()
	for _, p := range blobProperties() {
		t.Run(p.name, func(t *testing.T) { p.check(t, open(t)) })
	}
}

// Properties returns what Run checks of the tables, the transactions and the
// event log.
func Properties() []Property {
	return slices.Concat(
		tableProperties(applications()),
		tableProperties(versions()),
		tableProperties(addons()),
		tableProperties(images()),
		tableProperties(instances()),
		tableProperties(nodes()),
		tableProperties(operations()),
		tableProperties(settings()),
		tableProperties(identities()),
		tableProperties(groups()),
		tableProperties(joinTokens()),
		nameProperties(),
		txProperties(),
		concurrencyProperties(),
		eventProperties(),
	)
}

// blobOwner is a store that brings its own blobs.
type blobOwner interface{ Blobs() ams.BlobStore }
