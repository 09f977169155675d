package lxd

import (
	"context"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
)

// Publish implements ams.Publisher. After an answer that was lost, a publication
// that is under way is waited for, and an image that lacks its alias gets it.
func (b *Backend) Publish(ctx context.Context, ref ams.Ref, alias string) (ams.BackendImage, error) {
	if err := checkAlias(ref.Cluster, alias); err != nil {
		return ams.BackendImage{}, err
	}
	unlock, err := b.locks.lock(ctx, "alias "+alias)
	if err != nil {
		return ams.BackendImage{}, err
	}
	h := &held{unlock: unlock}
	defer h.release()
	have, found, err := b.ownAlias(ctx, ref.Cluster, alias)
	if found || err != nil {
		return have, err
	}
	i, err := b.get(ctx, ref)
	if err != nil {
		return ams.BackendImage{}, err
	}
	if power(i) != ams.PowerStopped {
		return ams.BackendImage{}, ams.Errorf(ams.ErrState, "instance %q is not stopped", ref.ID)
	}
	if err := b.settle(ctx, i.Name); err != nil {
		return ams.BackendImage{}, err
	}
	if err := b.settleImages(ctx); err != nil {
		return ams.BackendImage{}, err
	}
	of := ref.ID + " " + i.Config[markAttempt]
	have, found, err = b.published(ctx, ref.Cluster, alias, of)
	if found || err != nil {
		return have, err
	}
	marks := imageMarks(ref.Cluster, alias)
	marks.Set(imageOf, of)
	post := api.ImagesPost{
		Filename:             marks.Encode(),
		Source:               &api.ImagesPostSource{Type: "instance", Name: i.Name},
		CompressionAlgorithm: "none",
		Aliases:              []api.ImageAlias{{Name: alias, Description: aliasMark(ref.Cluster)}},
	}
	// It makes the fingerprint differ from that of the same under another alias.
	post.Properties = map[string]string{"description": alias + " of " + i.Name}
	err = b.operate(ctx, h, "", func(c server) (client.Operation, error) { return c.CreateImage(post, nil) })
	if err != nil {
		return ams.BackendImage{}, err
	}
	have, found, err = b.published(ctx, ref.Cluster, alias, of)
	if err == nil && !found {
		err = ams.Errorf(ams.ErrUnavailable, "image alias %q was deleted while it was made", alias)
	}
	return have, err
}

// published returns the image that was made of an instance under an alias, which
// it gets if it has none.
func (b *Backend) published(ctx context.Context, cluster, alias, of string) (ams.BackendImage, bool, error) {
	have, found, err := b.ownAlias(ctx, cluster, alias)
	if found || err != nil {
		return have, found, err
	}
	var all []api.Image
	err = b.do(ctx, func(c server) (err error) {
		all, err = c.GetImages()
		return err
	})
	if err != nil {
		return ams.BackendImage{}, false, err
	}
	for _, i := range all {
		marks := marksOf(&i)
		if marks.Get(imageCluster) == cluster && marks.Get(imageAlias) == alias && marks.Get(imageOf) == of && len(i.Aliases) == 0 {
			have, err := b.label(ctx, cluster, alias, i.Fingerprint)
			return have, true, err
		}
	}
	return ams.BackendImage{}, false, nil
}
