package backendtest

import (
	"context"
	"io"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

func testImages(e *test) {
	e.Run("Import", e.run(imageImport))
	e.Run("Concurrently", e.run(imageConcurrently))
	e.Run("TwoAliases", e.run(imageTwoAliases))
	e.Run("Split", e.run(imageSplit))
	e.Run("Invalid", e.run(imageInvalid))
	e.Run("Stuck", e.run(imageStuck))
	e.Run("ForeignAlias", e.run(imageForeignAlias))
	e.Run("ForeignImage", e.run(imageForeign))
	e.Run("NoAlias", e.run(imageNoAlias))
}

// importImage imports image n under a new alias.
func (e *test) importImage(n int) ams.BackendImage {
	e.Helper()
	alias := "alias-" + newID()
	made, err := e.images.ImportImage(e.ctx, e.cluster, alias, unified(e.h.Image(e.T, n)))
	require.NoError(e, err)
	require.Equal(e, alias, made.Alias)
	require.NotEmpty(e, made.Fingerprint)
	require.Positive(e, made.Size)
	require.Contains(e, []string{"x86_64", "aarch64"}, made.Architecture)
	return made
}

// hasImages checks what ListImages returns.
func (e *test) hasImages(want ...ams.BackendImage) {
	e.Helper()
	list, err := e.images.ListImages(e.ctx, e.cluster)
	require.NoError(e, err)
	require.ElementsMatch(e, want, list)
}

func imageImport(e *test) {
	made := e.importImage(1)
	e.hasImages(made)
	again, err := e.images.ImportImage(e.ctx, e.cluster, made.Alias, unified(unread{e}))
	require.NoError(e, err)
	require.Equal(e, made, again)

	spec := e.spec()
	spec.Fingerprint = made.Fingerprint
	e.cleanup(spec.Ref)
	require.NoError(e, e.b.Create(e.ctx, spec))
	require.NoError(e, e.b.Delete(e.ctx, spec.Ref))

	other := *e
	other.cluster = e.cluster + "-2"
	other.hasImages()
	_, err = e.images.ImportImage(e.ctx, other.cluster, made.Alias, unified(unread{e}))
	require.ErrorIs(e, err, ams.ErrExists, "an alias of another Manager")
	require.NoError(e, e.images.DeleteImage(e.ctx, other.cluster, made.Alias))
	e.hasImages(made)

	for range 2 {
		require.NoError(e, e.images.DeleteImage(e.ctx, e.cluster, made.Alias))
		e.hasImages()
	}
	require.False(e, e.h.Operator.HasImage(e.T, made.Fingerprint))
}

func imageConcurrently(e *test) {
	alias := "alias-" + newID()
	results := make(chan ams.BackendImage, 4)
	e.together(cap(results), func() error {
		made, err := e.images.ImportImage(e.ctx, e.cluster, alias, unified(e.h.Image(e.T, 1)))
		results <- made
		return err
	})
	made := <-results
	for range cap(results) - 1 {
		require.Equal(e, made, <-results)
	}
	e.hasImages(made)
	e.together(4, func() error { return e.images.DeleteImage(e.ctx, e.cluster, alias) })
	require.False(e, e.h.Operator.HasImage(e.T, made.Fingerprint))
}

// imageTwoAliases imports the same bytes twice.
func imageTwoAliases(e *test) {
	one, two := e.importImage(1), e.importImage(1)
	require.Equal(e, one.Fingerprint, two.Fingerprint)
	e.hasImages(one, two)
	require.NoError(e, e.images.DeleteImage(e.ctx, e.cluster, one.Alias))
	e.hasImages(two)
	require.NoError(e, e.images.DeleteImage(e.ctx, e.cluster, two.Alias))
	require.False(e, e.h.Operator.HasImage(e.T, one.Fingerprint))
}

// imageSplit imports images in two files, as it does those in one.
func imageSplit(e *test) {
	alias := "alias-" + newID()
	made, err := e.images.ImportImage(e.ctx, e.cluster, alias, e.h.Split(e.T, 1))
	require.NoError(e, err)
	require.Contains(e, []string{"x86_64", "aarch64"}, made.Architecture)
	e.hasImages(made)
	again, err := e.images.ImportImage(e.ctx, e.cluster, alias, ams.ImageFiles{Meta: unread{e}, Rootfs: unread{e}})
	require.NoError(e, err)
	require.Equal(e, made, again)

	spec := e.spec()
	spec.Fingerprint = made.Fingerprint
	e.cleanup(spec.Ref)
	require.NoError(e, e.b.Create(e.ctx, spec))
	require.NoError(e, e.b.Start(e.ctx, spec.Ref))
	e.remove(spec.Ref)

	same, err := e.images.ImportImage(e.ctx, e.cluster, "alias-"+newID(), e.h.Split(e.T, 1))
	require.NoError(e, err)
	require.Equal(e, made.Fingerprint, same.Fingerprint)
	other, err := e.images.ImportImage(e.ctx, e.cluster, "alias-"+newID(), e.h.Split(e.T, 2))
	require.NoError(e, err)
	require.NotEqual(e, made.Fingerprint, other.Fingerprint)
	e.hasImages(made, same, other)
	for _, i := range []ams.BackendImage{other, made, same} {
		require.True(e, e.h.Operator.HasImage(e.T, i.Fingerprint))
		require.NoError(e, e.images.DeleteImage(e.ctx, e.cluster, i.Alias))
	}
	require.False(e, e.h.Operator.HasImage(e.T, made.Fingerprint))
}

func imageInvalid(e *test) {
	for _, bad := range []string{"", "not an image at all"} {
		for what, files := range map[string]ams.ImageFiles{
			"unified":  unified(text(bad)),
			"metadata": {Meta: text(bad), Rootfs: e.h.Split(e.T, 1).Rootfs},
			"rootfs":   {Meta: e.h.Split(e.T, 1).Meta, Rootfs: text(bad)},
		} {
			_, err := e.images.ImportImage(e.ctx, e.cluster, "alias-"+newID(), files)
			require.ErrorIs(e, err, ams.ErrInvalid, "%s %q", what, bad)
		}
	}
	_, err := e.images.ImportImage(e.ctx, e.cluster, "alias-"+newID(), ams.ImageFiles{})
	require.ErrorIs(e, err, ams.ErrInvalid, "no file")
	for _, mark := range [][2]string{{"", "alias"}, {e.cluster, ""}} {
		_, err := e.images.ImportImage(e.ctx, mark[0], mark[1], unified(e.h.Image(e.T, 1)))
		require.ErrorIs(e, err, ams.ErrInvalid)
	}
	for _, file := range []string{"unified", "metadata", "rootfs"} {
		files := unified(e.h.Image(e.T, 1))
		if file != "unified" {
			files = e.h.Split(e.T, 1)
		}
		broken := &files.Meta
		if file == "rootfs" {
			broken = &files.Rootfs
		}
		*broken = io.MultiReader(io.LimitReader(*broken, 1000), failing{})
		_, err = e.images.ImportImage(e.ctx, e.cluster, "alias-"+newID(), files)
		require.ErrorIs(e, err, io.ErrUnexpectedEOF, "the reader's error")
	}
	require.Never(e, func() bool {
		list, err := e.images.ListImages(e.ctx, e.cluster)
		return err != nil || len(list) > 0
	}, 300*time.Millisecond, 50*time.Millisecond, "part of an image was taken for an image")
}

// imageStuck has files that are never read to their ends: the context ends it.
func imageStuck(e *test) {
	for _, split := range []bool{false, true} {
		r, w := io.Pipe()
		files := unified(io.MultiReader(io.LimitReader(e.h.Image(e.T, 1), 1000), r))
		if split {
			files = e.h.Split(e.T, 1)
			files.Rootfs = io.MultiReader(io.LimitReader(files.Rootfs, 1000), r)
		}
		ctx, cancel := context.WithTimeout(e.ctx, 100*time.Millisecond)
		begun := time.Now()
		_, err := e.images.ImportImage(ctx, e.cluster, "alias-"+newID(), files)
		cancel()
		require.ErrorIs(e, err, context.DeadlineExceeded)
		require.Less(e, time.Since(begun), soon)
		require.NoError(e, w.Close())
	}
	e.hasImages()
}

// imageForeignAlias has an alias that is not ours.
func imageForeignAlias(e *test) {
	alias := "alias-" + newID()
	fingerprint := e.h.Operator.AddImage(e.T, alias, e.h.Image(e.T, 2))
	defer e.h.Operator.RemoveImage(e.T, fingerprint)
	_, err := e.images.ImportImage(e.ctx, e.cluster, alias, unified(e.h.Image(e.T, 1)))
	require.ErrorIs(e, err, ams.ErrExists)
	require.NoError(e, e.images.DeleteImage(e.ctx, e.cluster, alias))
	require.NoError(e, e.images.DeleteFingerprint(e.ctx, e.cluster, fingerprint))
	require.True(e, e.h.Operator.HasImage(e.T, fingerprint))
	e.hasImages()
}

// imageForeign imports bytes that somebody else has imported.
func imageForeign(e *test) {
	fingerprint := e.h.Operator.AddImage(e.T, "alias-"+newID(), e.h.Image(e.T, 2))
	defer e.h.Operator.RemoveImage(e.T, fingerprint)
	made := e.importImage(2)
	require.Equal(e, fingerprint, made.Fingerprint)
	e.hasImages(made)
	require.NoError(e, e.images.DeleteFingerprint(e.ctx, e.cluster, fingerprint))
	e.hasImages(made)
	require.NoError(e, e.images.DeleteImage(e.ctx, e.cluster, made.Alias))
	e.hasImages()
	require.True(e, e.h.Operator.HasImage(e.T, fingerprint))
}

// imageNoAlias has an image of ours whose alias is gone.
func imageNoAlias(e *test) {
	made := e.importImage(1)
	require.NoError(e, e.images.DeleteFingerprint(e.ctx, e.cluster, made.Fingerprint))
	e.hasImages(made)
	e.h.Operator.RemoveAlias(e.T, made.Alias)
	bare := made
	bare.Alias = ""
	e.hasImages(bare)
	require.NoError(e, e.images.DeleteFingerprint(e.ctx, e.cluster+"-2", made.Fingerprint))
	e.hasImages(bare)
	again, err := e.images.ImportImage(e.ctx, e.cluster, made.Alias, unified(e.h.Image(e.T, 1)))
	require.NoError(e, err)
	require.Equal(e, made, again)
	e.hasImages(made)
	e.h.Operator.RemoveAlias(e.T, made.Alias)
	for range 2 {
		require.NoError(e, e.images.DeleteFingerprint(e.ctx, e.cluster, made.Fingerprint))
		e.hasImages()
	}
	require.False(e, e.h.Operator.HasImage(e.T, made.Fingerprint))
}

// unread fails the test when it is read.
type unread struct{ e *test }

func (u unread) Read([]byte) (int, error) {
	u.e.Error("the image was read though its alias is taken")
	return 0, io.EOF
}

// failing is a reader that fails.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// unified is an image in one file.
func unified(r io.Reader) ams.ImageFiles { return ams.ImageFiles{Meta: r} }
