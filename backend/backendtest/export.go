package backendtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

func testExport(e *test) {
	if e.images == nil || e.publisher == nil {
		e.Fatal("Export is tested with the help of Images and Publish")
	}
	e.Run("Imported", e.run(exportImported))
	e.Run("Published", e.run(exportPublished))
	e.Run("Shared", e.run(exportShared))
	e.Run("NotOurs", e.run(exportNotOurs))
	e.Run("GivenUp", e.run(exportGivenUp))
}

// export reads the image behind an alias.
func (e *test) export(alias string) []byte {
	e.Helper()
	r, err := e.exporter.OpenImage(e.ctx, e.cluster, alias)
	require.NoError(e, err)
	content, err := io.ReadAll(r)
	require.NoError(e, err)
	require.NoError(e, r.Close())
	return content
}

// published publishes a new instance, which is deleted.
func (e *test) published() ams.BackendImage {
	e.Helper()
	spec := e.create()
	made, err := e.publisher.Publish(e.ctx, spec.Ref, "published-"+newID())
	require.NoError(e, err)
	require.NoError(e, e.b.Delete(e.ctx, spec.Ref))
	return made
}

func exportImported(e *test) {
	made := e.importImage(1)
	content := e.export(made.Alias)
	require.Len(e, content, int(made.Size))
	want, err := io.ReadAll(e.h.Image(e.T, 1))
	require.NoError(e, err)
	require.True(e, bytes.Equal(want, content), "what was imported")
	require.NoError(e, e.images.DeleteImage(e.ctx, e.cluster, made.Alias))
}

// exportPublished takes a published image to another cluster after it was deleted
// in its own.
func exportPublished(e *test) {
	made := e.published()
	content := e.export(made.Alias)
	require.Len(e, content, int(made.Size))
	sum := sha256.Sum256(content)
	require.Equal(e, made.Fingerprint, hex.EncodeToString(sum[:]))
	require.NoError(e, e.images.DeleteImage(e.ctx, e.cluster, made.Alias))
	require.False(e, e.h.Operator.HasImage(e.T, made.Fingerprint))

	other := *e
	other.cluster = e.cluster + "-2"
	moved, err := e.images.ImportImage(e.ctx, other.cluster, "moved-"+newID(), unified(bytes.NewReader(content)))
	require.NoError(e, err)
	require.Equal(e, made.Fingerprint, moved.Fingerprint)
	require.Equal(e, made.Architecture, moved.Architecture)
	require.Equal(e, made.Size, moved.Size)
	spec := other.spec()
	spec.Fingerprint = moved.Fingerprint
	other.cleanup(spec.Ref)
	require.NoError(e, e.b.Create(e.ctx, spec))
	require.NoError(e, e.b.Start(e.ctx, spec.Ref))
	other.remove(spec.Ref)
	require.True(e, bytes.Equal(content, other.export(moved.Alias)))

	// Whose it is does not travel in it.
	e.h.Operator.RemoveAlias(e.T, moved.Alias)
	moved.Alias = ""
	other.hasImages(moved)
	e.nothingLeft()
	require.NoError(e, e.images.DeleteFingerprint(e.ctx, e.cluster, moved.Fingerprint))
	other.hasImages(moved)
	require.NoError(e, e.images.DeleteFingerprint(e.ctx, other.cluster, moved.Fingerprint))
	other.nothingLeft()
	alias := "alias-" + newID()
	fingerprint := e.h.Operator.AddImage(e.T, alias, bytes.NewReader(content))
	e.h.Operator.RemoveAlias(e.T, alias)
	e.nothingLeft()
	require.NoError(e, e.images.DeleteFingerprint(e.ctx, e.cluster, fingerprint))
	require.True(e, e.h.Operator.HasImage(e.T, fingerprint), "somebody brought it")
	e.h.Operator.RemoveImage(e.T, fingerprint)
}

// exportShared has one image under two aliases, one of which it was published
// under: deleting either leaves the other.
func exportShared(e *test) {
	for _, first := range []int{0, 1} {
		made := e.published()
		content := e.export(made.Alias)
		same, err := e.images.ImportImage(e.ctx, e.cluster, "alias-"+newID(), unified(bytes.NewReader(content)))
		require.NoError(e, err)
		require.Equal(e, made.Fingerprint, same.Fingerprint)
		e.hasImages(made, same)
		both := []ams.BackendImage{made, same}
		require.NoError(e, e.images.DeleteImage(e.ctx, e.cluster, both[first].Alias))
		left := both[1-first]
		e.hasImages(left)
		require.True(e, bytes.Equal(content, e.export(left.Alias)))
		spec := e.spec()
		spec.Fingerprint = left.Fingerprint
		e.cleanup(spec.Ref)
		require.NoError(e, e.b.Create(e.ctx, spec))
		require.NoError(e, e.b.Delete(e.ctx, spec.Ref))
		require.NoError(e, e.images.DeleteImage(e.ctx, e.cluster, left.Alias))
		require.False(e, e.h.Operator.HasImage(e.T, made.Fingerprint))
	}
}

// exportNotOurs asks for images that there are none of, or not for us, or not in
// one file.
func exportNotOurs(e *test) {
	open := func(cluster, alias string) error {
		r, err := e.exporter.OpenImage(e.ctx, cluster, alias)
		if err == nil {
			_ = r.Close()
		}
		return err
	}
	require.ErrorIs(e, open(e.cluster, newID()), ams.ErrNotFound)
	require.ErrorIs(e, open("", newID()), ams.ErrInvalid)
	require.ErrorIs(e, open(e.cluster, ""), ams.ErrInvalid)
	made := e.importImage(1)
	require.ErrorIs(e, open(e.cluster+"-2", made.Alias), ams.ErrNotFound, "another Manager's")
	foreign := "alias-" + newID()
	fingerprint := e.h.Operator.AddImage(e.T, foreign, e.h.Image(e.T, 2))
	defer e.h.Operator.RemoveImage(e.T, fingerprint)
	require.ErrorIs(e, open(e.cluster, foreign), ams.ErrNotFound, "somebody's")
	require.NoError(e, e.images.DeleteImage(e.ctx, e.cluster, made.Alias))
	require.ErrorIs(e, open(e.cluster, made.Alias), ams.ErrNotFound, "deleted")

	split := "alias-" + newID()
	_, err := e.images.ImportImage(e.ctx, e.cluster, split, e.h.Split(e.T, 1))
	require.NoError(e, err)
	require.ErrorIs(e, open(e.cluster, split), ams.ErrUnsupported)
	require.NoError(e, e.images.DeleteImage(e.ctx, e.cluster, split))
}

// exportGivenUp reads the beginning of an image only.
func exportGivenUp(e *test) {
	made := e.importImage(1)
	begin := func(ctx context.Context) io.ReadCloser {
		r, err := e.exporter.OpenImage(ctx, e.cluster, made.Alias)
		require.NoError(e, err)
		_, err = io.ReadFull(r, make([]byte, 1))
		require.NoError(e, err)
		return r
	}
	r := begin(e.ctx)
	require.NoError(e, r.Close())
	_, err := io.ReadAll(r)
	require.Error(e, err, "reading what is closed")
	_ = r.Close() // again, which does nothing

	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	r = begin(ctx)
	cancel()
	_, err = io.ReadAll(r)
	require.ErrorIs(e, err, context.Canceled)
	require.NoError(e, r.Close())

	// What is being read may be deleted.
	r = begin(e.ctx)
	require.NoError(e, e.images.DeleteImage(e.ctx, e.cluster, made.Alias))
	rest, err := io.ReadAll(r)
	require.NoError(e, err)
	require.Len(e, rest, int(made.Size)-1)
	require.NoError(e, r.Close())
}
