package mem

import (
	"context"

	"github.com/openams/ams"
)

// state is all that the store holds. A state that was committed never changes.
type state struct {
	applications rows[ams.Application]
	versions     rows[ams.Version]
	addons       rows[ams.Addon]
	images       rows[ams.Image]
	instances    rows[ams.Instance]
	nodes        rows[ams.Node]
	operations   rows[ams.Operation]
	settings     rows[ams.Setting]
	identities   rows[ams.Identity]
	groups       rows[ams.Group]
	joinTokens   rows[ams.JoinToken]
	events       eventList
}

// tx is one transaction, for as long as the function it was given to runs.
type tx struct {
	ctx    context.Context // of the View; context.Background in an Update
	store  *Store
	state  state // its own
	update bool
	ended  bool
}

var _ ams.Tx = (*tx)(nil)

func (t *tx) Applications() ams.Table[ams.Application, ams.ApplicationFilter] {
	return table[ams.Application, ams.ApplicationFilter]{t, &t.store.schemas.applications, &t.state.applications}
}

func (t *tx) Versions() ams.Table[ams.Version, ams.VersionFilter] {
	return table[ams.Version, ams.VersionFilter]{t, &t.store.schemas.versions, &t.state.versions}
}

func (t *tx) Addons() ams.Table[ams.Addon, ams.AddonFilter] {
	return table[ams.Addon, ams.AddonFilter]{t, &t.store.schemas.addons, &t.state.addons}
}

func (t *tx) Images() ams.Table[ams.Image, ams.ImageFilter] {
	return table[ams.Image, ams.ImageFilter]{t, &t.store.schemas.images, &t.state.images}
}

func (t *tx) Instances() ams.Table[ams.Instance, ams.InstanceFilter] {
	return table[ams.Instance, ams.InstanceFilter]{t, &t.store.schemas.instances, &t.state.instances}
}

func (t *tx) Nodes() ams.Table[ams.Node, ams.NodeFilter] {
	return table[ams.Node, ams.NodeFilter]{t, &t.store.schemas.nodes, &t.state.nodes}
}

func (t *tx) Operations() ams.Table[ams.Operation, ams.OperationFilter] {
	return table[ams.Operation, ams.OperationFilter]{t, &t.store.schemas.operations, &t.state.operations}
}

func (t *tx) Settings() ams.Table[ams.Setting, ams.SettingFilter] {
	return table[ams.Setting, ams.SettingFilter]{t, &t.store.schemas.settings, &t.state.settings}
}

func (t *tx) Identities() ams.Table[ams.Identity, ams.IdentityFilter] {
	return table[ams.Identity, ams.IdentityFilter]{t, &t.store.schemas.identities, &t.state.identities}
}

func (t *tx) Groups() ams.Table[ams.Group, ams.GroupFilter] {
	return table[ams.Group, ams.GroupFilter]{t, &t.store.schemas.groups, &t.state.groups}
}

func (t *tx) JoinTokens() ams.Table[ams.JoinToken, ams.JoinTokenFilter] {
	return table[ams.JoinToken, ams.JoinTokenFilter]{t, &t.store.schemas.joinTokens, &t.state.joinTokens}
}

func (t *tx) Events() ams.EventLog { return events{t} }

// readable returns why nothing can be read.
func (t *tx) readable() error {
	if t.ended {
		return ams.Errorf(ams.ErrInternal, "transaction used after its end")
	}
	return t.ctx.Err()
}

// writable returns why nothing can be written.
func (t *tx) writable() error {
	if !t.update && !t.ended {
		return ams.Errorf(ams.ErrInternal, "write in a View")
	}
	return t.readable()
}
