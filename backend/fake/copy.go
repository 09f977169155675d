package fake

import (
	"context"

	"github.com/openams/ams"
)

var _ ams.Copier = (*Backend)(nil)

// Copy implements ams.Copier. It takes CreateTime.
func (b *Backend) Copy(ctx context.Context, spec ams.InstanceSpec, source ams.Ref) error {
	if source.Cluster != spec.Cluster || source.ID == spec.ID {
		return b.call(ctx, VerbCopy, spec.ID, func() error {
			return ams.Errorf(ams.ErrInvalid, "copying %q: the source must be another instance of the same cluster", source.ID)
		})
	}
	return b.create(ctx, VerbCopy, spec, func(made *instance) error {
		from, err := b.finds(source)
		switch {
		case err != nil:
			return err
		case from.on():
			return ams.Errorf(ams.ErrState, "instance %q runs: only stopped ones are copied", source.ID)
		case from.Power == ams.PowerBroken:
			return ams.Errorf(ams.ErrState, "instance %q is half made", source.ID)
		}
		made.Fingerprint, made.VM, made.CopyOf = from.Fingerprint, from.VM, from.ID
		return nil
	})
}
