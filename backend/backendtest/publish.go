package backendtest

import (
	"context"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

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
	e.Run("Twice", e.run(publishTwice))
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

// publishTwice makes two images of one instance, as two versions of an application
// that are the same inside: deleting one leaves the other.
func publishTwice(e *test) {
	spec := e.create()
	var made []ams.BackendImage
	for range 2 {
		m, err := e.publisher.Publish(e.ctx, spec.Ref, "published-"+newID())
		require.NoError(e, err)
		made = append(made, m)
	}
	e.remove(spec.Ref)
	if e.images == nil {
		for _, m := range made {
			e.h.Operator.RemoveImage(e.T, m.Fingerprint)
		}
		return
	}
	e.hasImages(made...)
	require.NoError(e, e.images.DeleteImage(e.ctx, e.cluster, made[0].Alias))
	e.hasImages(made[1])
	spec.Fingerprint = made[1].Fingerprint
	require.NoError(e, e.b.Create(e.ctx, spec))
	e.remove(spec.Ref)
	require.NoError(e, e.images.DeleteImage(e.ctx, e.cluster, made[1].Alias))
}
