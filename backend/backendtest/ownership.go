package backendtest

import (
	"io"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// testClusters has two Managers on one backend.
func testClusters(e *test) {
	ours := e.start()
	theirs := ours
	theirs.Cluster = e.cluster + "-2"

	list, err := e.b.List(e.ctx, theirs.Cluster)
	require.NoError(e, err)
	require.Empty(e, list)
	e.untouched(theirs)
	e.power(ams.PowerRunning, ours.Ref)
	require.Equal(e, "attempt-1", e.listed(ours.Ref).Attempt)
	e.remove(ours.Ref)
}

// testForeignInstance has an instance without a mark where ours would be.
func testForeignInstance(e *test) {
	spec := e.spec()
	name := "ams-" + spec.ID
	e.h.Operator.AddInstance(e.T, name)
	defer e.h.Operator.RemoveInstance(e.T, name)
	e.untouched(spec)
	list, err := e.b.List(e.ctx, e.cluster)
	require.NoError(e, err)
	require.Empty(e, list)
	all, err := e.b.List(e.ctx, "")
	if err != nil {
		require.ErrorIs(e, err, ams.ErrInvalid)
	}
	require.Empty(e, all, "an empty mark must match nothing")
	require.True(e, e.h.Operator.HasInstance(e.T, name))
}

// untouched asks everything of an instance whose name is taken by what is not
// ours.
func (e *test) untouched(spec ams.InstanceSpec) {
	e.Helper()
	require.ErrorIs(e, e.b.Create(e.ctx, spec), ams.ErrExists)
	e.absent(spec.Ref)
	require.ErrorIs(e, e.b.Start(e.ctx, spec.Ref), ams.ErrNotFound)
	require.ErrorIs(e, e.b.Stop(e.ctx, spec.Ref, false, time.Second), ams.ErrNotFound)
	require.ErrorIs(e, e.b.Stop(e.ctx, spec.Ref, true, 0), ams.ErrNotFound)
	require.NoError(e, e.b.Delete(e.ctx, spec.Ref))
	if e.execer != nil {
		_, err := e.execer.Exec(e.ctx, spec.Ref, ams.ExecRequest{Command: []string{"true"}})
		require.ErrorIs(e, err, ams.ErrNotFound)
	}
	if e.logReader != nil {
		_, err := e.logReader.Logs(e.ctx, spec.Ref)
		require.ErrorIs(e, err, ams.ErrNotFound)
	}
	if e.publisher != nil {
		_, err := e.publisher.Publish(e.ctx, spec.Ref, newID())
		require.ErrorIs(e, err, ams.ErrNotFound)
	}
	e.unable(spec.Ref)
}

// unable uses the further abilities on an instance that is not there for us.
func (e *test) unable(ref ams.Ref) {
	e.Helper()
	spec := e.spec()
	spec.Ref = ref
	if e.configurer != nil {
		require.ErrorIs(e, e.configurer.Configure(e.ctx, spec), ams.ErrNotFound)
	}
	if e.freezer != nil {
		require.ErrorIs(e, e.freezer.Freeze(e.ctx, ref), ams.ErrNotFound)
		require.ErrorIs(e, e.freezer.Unfreeze(e.ctx, ref), ams.ErrNotFound)
	}
	if e.copier != nil {
		other := e.spec()
		other.Cluster = ref.Cluster
		require.ErrorIs(e, e.copier.Copy(e.ctx, other, ref), ams.ErrNotFound)
		e.absent(other.Ref)
	}
	if e.follower != nil {
		require.ErrorIs(e, e.follower.FollowLog(e.ctx, ref, "system.log", 0, io.Discard), ams.ErrNotFound)
	}
}
