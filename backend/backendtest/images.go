package backendtest

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

func testImages(e *test) {
	e.Run("Import", e.run(imageImport))
	e.Run("Concurrently", e.run(imageConcurrently))
	e.Run("TwoAliases", e.run(imageTwoAliases))
	e.Run("Invalid", e.run(imageInvalid))
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

func imageInvalid(e *test) {
	for _, bad := range []string{"", "not an image at all"} {
		_, err := e.images.ImportImage(e.ctx, e.cluster, "alias-"+newID(), unified(text(bad)))
		require.ErrorIs(e, err, ams.ErrInvalid, "%q", bad)
	}
	for _, mark := range [][2]string{{"", "alias"}, {e.cluster, ""}} {
		_, err := e.images.ImportImage(e.ctx, mark[0], mark[1], unified(e.h.Image(e.T, 1)))
		require.ErrorIs(e, err, ams.ErrInvalid)
	}
	_, err := e.images.ImportImage(e.ctx, e.cluster, "alias-"+newID(), unified(io.MultiReader(
		io.LimitReader(e.h.Image(e.T, 1), 100), failing{})))
	require.ErrorIs(e, err, io.ErrUnexpectedEOF, "the reader's error")
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

// testPublish makes an image of an instance, and an instance of that.
func testPublish(e *test) {
	spec := e.start()
	alias := "published-" + newID()
	_, err := e.publisher.Publish(e.ctx, spec.Ref, alias)
	require.ErrorIs(e, err, ams.ErrState, "of a running instance")
	if e.execer != nil {
		_, _, errs := e.sh(spec.Ref, "mkdir -p /var/lib/anbox/logs; echo kept > /var/lib/anbox/logs/mark", nil)
		require.Empty(e, errs)
	}
	require.NoError(e, e.b.Stop(e.ctx, spec.Ref, false, 30*time.Second))
	made, err := e.publisher.Publish(e.ctx, spec.Ref, alias)
	require.NoError(e, err)
	require.Equal(e, alias, made.Alias)
	require.Positive(e, made.Size)
	require.NotEqual(e, spec.Fingerprint, made.Fingerprint)
	again, err := e.publisher.Publish(e.ctx, spec.Ref, alias)
	require.NoError(e, err)
	require.Equal(e, made, again)
	require.NoError(e, e.b.Delete(e.ctx, spec.Ref))
	if e.images != nil {
		e.hasImages(made)
	}

	launched := e.spec()
	launched.Fingerprint = made.Fingerprint
	e.cleanup(launched.Ref)
	require.NoError(e, e.b.Create(e.ctx, launched))
	require.NoError(e, e.b.Start(e.ctx, launched.Ref))
	e.remove(launched.Ref)

	e.Run("Concurrently", e.run(publishConcurrently))
	e.Run("Cancelled", e.run(publishCancelled))
	if e.images == nil {
		e.h.Operator.RemoveImage(e.T, made.Fingerprint)
		return
	}
	require.NoError(e, e.images.DeleteImage(e.ctx, e.cluster, alias))
	require.False(e, e.h.Operator.HasImage(e.T, made.Fingerprint))
}

func publishConcurrently(e *test) {
	spec := e.create()
	alias := "published-" + newID()
	results := make(chan ams.BackendImage, 4)
	e.together(cap(results), func() error {
		made, err := e.publisher.Publish(e.ctx, spec.Ref, alias)
		results <- made
		return err
	})
	var all []ams.BackendImage
	for range cap(results) {
		all = append(all, <-results)
	}
	require.Len(e, slices.Compact(all), 1)
	e.remove(spec.Ref)
	if e.images != nil {
		e.hasImages(all[0])
		require.NoError(e, e.images.DeleteImage(e.ctx, e.cluster, alias))
	} else {
		e.h.Operator.RemoveImage(e.T, all[0].Fingerprint)
	}
}

// publishCancelled gives up publications after various times: asking again makes
// one image, and after its deletion none appears.
func publishCancelled(e *test) {
	spec := e.create()
	defer e.remove(spec.Ref)
	alias := "published-" + newID()
	publish := func(after time.Duration) {
		ctx, cancel := context.WithTimeout(e.ctx, after*time.Millisecond)
		defer cancel()
		begun := time.Now()
		_, _ = e.publisher.Publish(ctx, spec.Ref, alias)
		require.Less(e, time.Since(begun), soon)
	}
	for _, after := range []time.Duration{0, 5, 15, 30, 60, 100} {
		publish(after)
		made, err := e.publisher.Publish(e.ctx, spec.Ref, alias)
		require.NoError(e, err)
		if e.images == nil {
			e.h.Operator.RemoveImage(e.T, made.Fingerprint)
			continue
		}
		e.hasImages(made)
		require.NoError(e, e.images.DeleteImage(e.ctx, e.cluster, alias))
		publish(after)
		require.NoError(e, e.images.DeleteImage(e.ctx, e.cluster, alias))
		require.Never(e, func() bool {
			list, err := e.images.ListImages(e.ctx, e.cluster)
			return err == nil && len(list) > 0
		}, 300*time.Millisecond, 50*time.Millisecond, "an image appeared after its deletion")
	}
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
