package sqlite

import (
	"context"
	"database/sql/driver"

	"github.com/openams/ams"
)

// schemas is how the rows of each noun lie in their tables.
type schemas struct {
	applications *schema[ams.Application, ams.ApplicationFilter]
	versions     *schema[ams.Version, ams.VersionFilter]
	addons       *schema[ams.Addon, ams.AddonFilter]
	images       *schema[ams.Image, ams.ImageFilter]
	instances    *schema[ams.Instance, ams.InstanceFilter]
	nodes        *schema[ams.Node, ams.NodeFilter]
	operations   *schema[ams.Operation, ams.OperationFilter]
	settings     *schema[ams.Setting, ams.SettingFilter]
	identities   *schema[ams.Identity, ams.IdentityFilter]
	groups       *schema[ams.Group, ams.GroupFilter]
	joinTokens   *schema[ams.JoinToken, ams.JoinTokenFilter]
}

func newSchemas() *schemas {
	return &schemas{
		applications: applicationSchema(),
		versions:     versionSchema(),
		addons:       addonSchema(),
		images:       imageSchema(),
		instances:    instanceSchema(),
		nodes:        nodeSchema(),
		operations:   operationSchema(),
		settings:     settingSchema(),
		identities:   identitySchema(),
		groups:       groupSchema(),
		joinTokens:   joinTokenSchema(),
	}
}

// tx is one transaction, for as long as the function it was given to runs.
type tx struct {
	ctx     context.Context // of the View; context.Background in an Update
	conn    *conn
	schemas *schemas
	update  bool
	ended   bool
	failure error // the first failure of SQLite itself: nothing can follow it
}

var _ ams.Tx = (*tx)(nil)

func (t *tx) Applications() ams.Table[ams.Application, ams.ApplicationFilter] {
	return table[ams.Application, ams.ApplicationFilter]{t, t.schemas.applications}
}

func (t *tx) Versions() ams.Table[ams.Version, ams.VersionFilter] {
	return table[ams.Version, ams.VersionFilter]{t, t.schemas.versions}
}

func (t *tx) Addons() ams.Table[ams.Addon, ams.AddonFilter] {
	return table[ams.Addon, ams.AddonFilter]{t, t.schemas.addons}
}

func (t *tx) Images() ams.Table[ams.Image, ams.ImageFilter] {
	return table[ams.Image, ams.ImageFilter]{t, t.schemas.images}
}

func (t *tx) Instances() ams.Table[ams.Instance, ams.InstanceFilter] {
	return table[ams.Instance, ams.InstanceFilter]{t, t.schemas.instances}
}

func (t *tx) Nodes() ams.Table[ams.Node, ams.NodeFilter] {
	return table[ams.Node, ams.NodeFilter]{t, t.schemas.nodes}
}

func (t *tx) Operations() ams.Table[ams.Operation, ams.OperationFilter] {
	return table[ams.Operation, ams.OperationFilter]{t, t.schemas.operations}
}

func (t *tx) Settings() ams.Table[ams.Setting, ams.SettingFilter] {
	return table[ams.Setting, ams.SettingFilter]{t, t.schemas.settings}
}

func (t *tx) Identities() ams.Table[ams.Identity, ams.IdentityFilter] {
	return table[ams.Identity, ams.IdentityFilter]{t, t.schemas.identities}
}

func (t *tx) Groups() ams.Table[ams.Group, ams.GroupFilter] {
	return table[ams.Group, ams.GroupFilter]{t, t.schemas.groups}
}

func (t *tx) JoinTokens() ams.Table[ams.JoinToken, ams.JoinTokenFilter] {
	return table[ams.JoinToken, ams.JoinTokenFilter]{t, t.schemas.joinTokens}
}

func (t *tx) Events() ams.EventLog { return events{t} }

// run calls fn with the transaction and ends it. A failure of SQLite that fn
// kept to itself comes out all the same.
func (t *tx) run(fn func(ams.Tx) error) error {
	defer func() { t.ended = true }()
	if err := fn(t); err != nil {
		return err
	}
	return t.failure
}

// readable returns why nothing can be read: the transaction is over, has failed,
// or its context is done.
func (t *tx) readable() error {
	switch {
	case t.ended:
		return ams.Errorf(ams.ErrInternal, "transaction used after its end")
	case t.failure != nil:
		return t.failure
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

// query reads from the database.
func (t *tx) query(sql string, args []driver.Value, columns int, each func([]driver.Value) error) error {
	return t.noteFailure(t.conn.query(sql, args, columns, each))
}

// noteFailure remembers err if it is a failure of SQLite, and returns it.
func (t *tx) noteFailure(err error) error {
	if t.failure == nil && isFailure(err) {
		t.failure = err
	}
	return err
}
