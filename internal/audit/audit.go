// Package audit checks what must hold whenever a Manager is at rest: ledger,
// store and backend say the same, nothing is left over, nothing is lost.
package audit

import (
	"context"
	"fmt"

	"github.com/openams/ams"
)

// Check returns everything that does not hold, one sentence each. Call it when
// no operation is under way; a clean-up that still goes on is reported.
func Check(ctx context.Context, store ams.Store, backend ams.Backend) ([]string, error) {
	a := &audit{}
	err := store.View(ctx, func(tx ams.Tx) error { return a.read(tx) })
	if err != nil {
		return nil, err
	}
	seen, err := backend.List(ctx, a.mark)
	if err != nil {
		return nil, err
	}
	a.ledger()
	a.operationsEnded()
	a.instances(seen)
	if keeper, ok := ams.BackendAs[ams.ImageKeeper](backend); ok {
		images, err := keeper.ListImages(ctx, a.mark)
		if err != nil {
			return nil, err
		}
		a.images(images)
	}
	return a.faults, nil
}

type audit struct {
	mark       string
	rows       []ams.Instance
	nodes      []ams.Node
	versions   []ams.Version
	imageRows  []ams.Image
	apps       map[string]ams.Application
	operations []ams.Operation
	faults     []string
}

func (a *audit) fault(format string, args ...any) {
	a.faults = append(a.faults, fmt.Sprintf(format, args...))
}

func (a *audit) read(tx ams.Tx) (err error) {
	mark, err := tx.Settings().Get("_cluster")
	if err != nil {
		return err
	}
	a.mark = mark.Value
	if a.rows, err = tx.Instances().List(ams.InstanceFilter{}, ams.Page{}); err != nil {
		return err
	}
	if a.nodes, err = tx.Nodes().List(ams.NodeFilter{}, ams.Page{}); err != nil {
		return err
	}
	if a.versions, err = tx.Versions().List(ams.VersionFilter{}, ams.Page{}); err != nil {
		return err
	}
	if a.imageRows, err = tx.Images().List(ams.ImageFilter{}, ams.Page{}); err != nil {
		return err
	}
	apps, err := tx.Applications().List(ams.ApplicationFilter{}, ams.Page{})
	if err != nil {
		return err
	}
	a.apps = map[string]ams.Application{}
	for _, app := range apps {
		a.apps[app.ID] = app
	}
	a.operations, err = tx.Operations().List(ams.OperationFilter{}, ams.Page{})
	return err
}

func (a *audit) operationsEnded() {
	for i := range a.operations {
		if op := &a.operations[i]; !op.Done() {
			a.fault("operation %s (%s) is still %s: %s", op.ID, op.Description, op.Status, op.Progress)
		}
	}
}

// powers are what an instance of a status may be seen as.
var powers = map[ams.InstanceStatus][]ams.Power{
	ams.InstanceRunning:  {ams.PowerRunning},
	ams.InstanceStopped:  {ams.PowerStopped},
	ams.InstancePrepared: {ams.PowerStopped},
	ams.InstanceError:    {ams.PowerStopped, ams.PowerAbsent, ams.PowerBroken},
	ams.InstanceStarted:  {ams.PowerFrozen}, // it stands by
}

func (a *audit) instances(seen []ams.Seen) {
	power := map[string]ams.Power{}
	for _, s := range seen {
		power[s.ID] = s.Power
	}
	for i := range a.rows {
		in := &a.rows[i]
		p, ok := power[in.ID]
		if !ok {
			p = ams.PowerAbsent
		}
		delete(power, in.ID)
		if in.Base {
			a.fault("base instance %s is left over (status %s)", in.ID, in.Status)
		}
		if !in.Resting || in.Operation != "" {
			a.fault("instance %s is not at rest (status %s, wanted %s, %s)", in.ID, in.Status, in.Want, in.StatusMessage)
		}
		allowed := false
		for _, q := range powers[in.Status] {
			allowed = allowed || p == q
		}
		if !allowed {
			a.fault("instance %s is %s and the backend shows it as %s", in.ID, in.Status, p)
		}
		if in.Standby != (in.Status == ams.InstanceStarted) {
			a.fault("instance %s rests with status %s", in.ID, in.Status)
		}
		if want := due(in); in.Made && in.Charged != want {
			a.fault("instance %s is %s and charged %+v", in.ID, in.Status, in.Charged)
		}
	}
	for id, p := range power {
		a.fault("the backend has an instance %s (%s) that the store does not know", id, p)
	}
}

// due is what an instance at rest must be charged for.
func due(in *ams.Instance) ams.Charge {
	var c ams.Charge
	r := in.Resources
	if !r.NoDiskReserve {
		c.Disk = r.DiskSize
	}
	if in.Status != ams.InstanceRunning && !in.Standby {
		return c
	}
	c.CPUs, c.Memory = r.CPUs, r.Memory
	if r.GPUSlots != nil {
		c.GPUSlots = *r.GPUSlots
	}
	if r.VPUSlots != nil {
		c.VPUSlots = *r.VPUSlots
	}
	if in.GPUEncoder {
		c.EncoderSlots = 1
	}
	return c
}

func (a *audit) images(found []ams.BackendImage) {
	have := map[string]string{}
	for _, im := range found {
		if im.Alias == "" {
			a.fault("the backend has an image %s without an alias", im.Fingerprint)
			continue
		}
		have[im.Alias] = im.Fingerprint
	}
	expect := func(what, id string, number int, active bool, fingerprint string) {
		alias := fmt.Sprintf("ams-%s-%d", id, number)
		got, ok := have[alias]
		delete(have, alias)
		switch {
		case active && !ok:
			a.fault("the backend lacks image %s of %s", alias, what)
		case active && got != fingerprint:
			a.fault("image %s is %s, the store has %s", alias, got, fingerprint)
		case !active && ok:
			a.fault("image %s of %s is left over", alias, what)
		}
	}
	for _, v := range a.versions {
		if v.Status == ams.VersionInitializing || v.Status == ams.VersionDeleted || v.BaseInstance != "" {
			a.fault("version %s is not at rest (status %s)", v.ID, v.Status)
		}
		if _, ok := a.apps[v.ApplicationID]; !ok {
			a.fault("version %s has no application", v.ID)
		}
		expect("version "+v.ID, v.ApplicationID, v.Number, v.Status == ams.VersionActive, v.Fingerprint)
	}
	for _, im := range a.imageRows {
		for _, v := range im.Versions {
			if v.Status == ams.ImageInitializing || v.Status == ams.ImageQueued || v.Status == ams.ImageDeleted {
				a.fault("image %s version %d is not at rest (status %s)", im.Name, v.Number, v.Status)
			}
			expect("image "+im.Name, im.ID, v.Number, v.Status == ams.ImageActive, v.Fingerprint)
		}
	}
	for alias := range have {
		a.fault("the backend has an image %s that the store does not know", alias)
	}
}
