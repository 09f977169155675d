package storagetest_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/storage/mem"
	"github.com/openams/ams/storage/storagetest"
)

// recorder is a test that fails without anyone being told.
type recorder struct {
	testing.TB
	mu     sync.Mutex
	failed bool
	text   strings.Builder
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
	fmt.Fprintf(&r.text, format+"\n", args...)
}

func (r *recorder) FailNow() {
	r.mu.Lock()
	r.failed = true
	r.mu.Unlock()
	runtime.Goexit()
}

func (r *recorder) Helper() {}

// failing returns the names of the properties that the store does not have, of
// the named one or of all.
func failing(t *testing.T, name string, open func() ams.Store) (names []string) {
	t.Helper()
	for _, p := range storagetest.Properties() {
		if name != "" && p.Name != name {
			continue
		}
		r := &recorder{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.Check(r, open())
		}()
		<-done
		if r.failed {
			names = append(names, p.Name)
		}
	}
	return names
}

// broken is a store whose transactions go through a function.
type broken struct {
	ams.Store
	wrap func(ams.Tx) ams.Tx
}

func (b broken) View(ctx context.Context, fn func(ams.Tx) error) error {
	return b.Store.View(ctx, func(tx ams.Tx) error { return fn(b.wrap(tx)) })
}

func (b broken) Update(ctx context.Context, fn func(ams.Tx) error) error {
	return b.Store.Update(ctx, func(tx ams.Tx) error { return fn(b.wrap(tx)) })
}

// settingsTx changes the settings of a transaction, instancesTx the instances,
// and logTx the events.
type settingsTx struct {
	ams.Tx
	table ams.Table[ams.Setting, ams.SettingFilter]
}

func (t settingsTx) Settings() ams.Table[ams.Setting, ams.SettingFilter] { return t.table }

type instancesTx struct {
	ams.Tx
	table ams.Table[ams.Instance, ams.InstanceFilter]
}

func (t instancesTx) Instances() ams.Table[ams.Instance, ams.InstanceFilter] { return t.table }

type logTx struct {
	ams.Tx
	log ams.EventLog
}

func (t logTx) Events() ams.EventLog { return t.log }

// The faulty tables and logs.
type (
	settings  = ams.Table[ams.Setting, ams.SettingFilter]
	instances = ams.Table[ams.Instance, ams.InstanceFilter]

	noConflict struct{ settings }
	noOrder    struct{ settings }
	noOffset   struct{ settings }
	keepsRows  struct{ settings }
	lostField  struct{ instances }
	sharedRows struct {
		instances
		rows map[string]ams.Instance
	}
	ignoredFilter struct {
		instances
		clear func(*ams.InstanceFilter)
	}
	endlessLog struct{ ams.EventLog }
	untrimmed  struct{ ams.EventLog }
)

func (n noConflict) Put(row ams.Setting) error {
	if row.Rev != 0 {
		if old, err := n.Get(row.Key); err == nil {
			row.Rev = old.Rev
		}
	}
	return n.settings.Put(row)
}

func (n noOrder) List(f ams.SettingFilter, p ams.Page) ([]ams.Setting, error) {
	rows, err := n.settings.List(f, p)
	if len(rows) > 1 {
		rows[0], rows[1] = rows[1], rows[0]
	}
	return rows, err
}

func (n noOffset) List(f ams.SettingFilter, p ams.Page) ([]ams.Setting, error) {
	return n.settings.List(f, ams.Page{Limit: p.Limit})
}

func (keepsRows) Delete(string) error { return nil }

func (l lostField) Get(id string) (ams.Instance, error) {
	row, err := l.instances.Get(id)
	row.UserData = ""
	return row, err
}

func (s sharedRows) Put(row ams.Instance) error {
	err := s.instances.Put(row)
	if err == nil {
		row.Rev++
		s.rows[row.ID] = row
	}
	return err
}

func (s sharedRows) Get(id string) (ams.Instance, error) {
	row, err := s.instances.Get(id)
	if kept, ok := s.rows[id]; ok && err == nil && kept.Rev == row.Rev {
		return kept, nil
	}
	return row, err
}

func (i ignoredFilter) List(f ams.InstanceFilter, p ams.Page) ([]ams.Instance, error) {
	i.clear(&f)
	return i.instances.List(f, p)
}

func (e endlessLog) Since(seq int64, _ int) ([]ams.Event, error) {
	return e.EventLog.Since(seq, 1<<30)
}

func (untrimmed) Trim(int64) error { return nil }

// noRollback commits what failed.
type noRollback struct{ ams.Store }

func (n noRollback) Update(ctx context.Context, fn func(ams.Tx) error) (err error) {
	return errors.Join(n.Store.Update(ctx, func(tx ams.Tx) error {
		err = fn(tx)
		return nil
	}), err)
}

// noContext never looks at the context.
type noContext struct{ ams.Store }

func (n noContext) Update(ctx context.Context, fn func(ams.Tx) error) error {
	return n.Store.Update(context.WithoutCancel(ctx), fn)
}

// lossy runs fn on a stale state: it reads first and writes in a second
// transaction.
type lossy struct{ ams.Store }

func (l lossy) Update(ctx context.Context, fn func(ams.Tx) error) error {
	var writes []func(ams.Tx) error
	err := l.Store.View(ctx, func(tx ams.Tx) error {
		return fn(settingsTx{tx, lossySettings{tx.Settings(), &writes}})
	})
	if err != nil {
		return err
	}
	for range 100 {
		runtime.Gosched() // others get their turn in between, also where there is one CPU
	}
	return l.Store.Update(ctx, func(tx ams.Tx) error {
		for _, write := range writes {
			if err := write(tx); err != nil {
				return err
			}
		}
		return nil
	})
}

type lossySettings struct {
	settings
	writes *[]func(ams.Tx) error
}

func (l lossySettings) Put(row ams.Setting) error {
	*l.writes = append(*l.writes, func(tx ams.Tx) error {
		old, err := tx.Settings().Get(row.Key)
		if err == nil {
			row.Rev = old.Rev
		}
		return tx.Settings().Put(row)
	})
	return nil
}

// TestSuiteFails checks that a store with a fault fails the property that the
// fault is against.
func TestSuiteFails(t *testing.T) {
	onSettings := func(table func(settings) settings) func() ams.Store {
		return func() ams.Store {
			return broken{mem.New(), func(tx ams.Tx) ams.Tx { return settingsTx{tx, table(tx.Settings())} }}
		}
	}
	onInstances := func(table func(instances) instances) func() ams.Store {
		return func() ams.Store {
			return broken{mem.New(), func(tx ams.Tx) ams.Tx { return instancesTx{tx, table(tx.Instances())} }}
		}
	}
	onLog := func(log func(ams.EventLog) ams.EventLog) func() ams.Store {
		return func() ams.Store {
			return broken{mem.New(), func(tx ams.Tx) ams.Tx { return logTx{tx, log(tx.Events())} }}
		}
	}
	ignore := func(unset func(*ams.InstanceFilter)) func() ams.Store {
		return onInstances(func(i instances) instances { return ignoredFilter{i, unset} })
	}
	for name, c := range map[string]struct {
		open     func() ams.Store
		property string
	}{
		"revisions not compared": {onSettings(func(s settings) settings { return noConflict{s} }), "setting/revisions"},
		"rows out of order":      {onSettings(func(s settings) settings { return noOrder{s} }), "setting/order and pages"},
		"offset ignored":         {onSettings(func(s settings) settings { return noOffset{s} }), "setting/order and pages"},
		"delete does nothing":    {onSettings(func(s settings) settings { return keepsRows{s} }), "setting/delete"},
		"a field is lost":        {onInstances(func(i instances) instances { return lostField{i} }), "instance/every field survives"},
		"rows are shared": {func() ams.Store {
			rows := map[string]ams.Instance{}
			return broken{mem.New(), func(tx ams.Tx) ams.Tx { return instancesTx{tx, sharedRows{tx.Instances(), rows}} }}
		}, "instance/rows are values"},
		"filter ID":            {ignore(func(f *ams.InstanceFilter) { f.ID = "" }), "instance/filter/id"},
		"filter Name":          {ignore(func(f *ams.InstanceFilter) { f.Name = "" }), "instance/filter/name"},
		"filter ApplicationID": {ignore(func(f *ams.InstanceFilter) { f.ApplicationID = "" }), "instance/filter/application"},
		"filter Version":       {ignore(func(f *ams.InstanceFilter) { f.Version = nil }), "instance/filter/version"},
		"filter ImageID":       {ignore(func(f *ams.InstanceFilter) { f.ImageID = "" }), "instance/filter/image"},
		"filter ImageVersion":  {ignore(func(f *ams.InstanceFilter) { f.ImageVersion = nil }), "instance/filter/image version"},
		"filter Node":          {ignore(func(f *ams.InstanceFilter) { f.Node = "" }), "instance/filter/node"},
		"filter Status":        {ignore(func(f *ams.InstanceFilter) { f.Status = nil }), "instance/filter/status"},
		"filter second Status": {ignore(func(f *ams.InstanceFilter) { f.Status = f.Status[:min(1, len(f.Status))] }), "instance/filter/statuses"},
		"filter second Tag":    {ignore(func(f *ams.InstanceFilter) { f.Tags = f.Tags[:min(1, len(f.Tags))] }), "instance/filter/tags"},
		"filter Base":          {ignore(func(f *ams.InstanceFilter) { f.Base = nil }), "instance/filter/base"},
		"filter Resting":       {ignore(func(f *ams.InstanceFilter) { f.Resting = nil }), "instance/filter/active"},
		"limit of events":      {onLog(func(l ams.EventLog) ams.EventLog { return endlessLog{l} }), "events/since"},
		"trim does nothing":    {onLog(func(l ams.EventLog) ams.EventLog { return untrimmed{l} }), "events/bounds and trim"},
		"no rollback":          {func() ams.Store { return noRollback{mem.New()} }, "tx/an error rolls back"},
		"context ignored":      {func() ams.Store { return noContext{mem.New()} }, "tx/a cancelled context"},
		"updates are lost":     {func() ams.Store { return lossy{mem.New()} }, "concurrency/no update is lost"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, []string{c.property}, failing(t, c.property, c.open))
		})
	}
}

// TestSuitePasses checks the recorder: a good store fails nothing.
func TestSuitePasses(t *testing.T) {
	require.Empty(t, failing(t, "", func() ams.Store { return mem.New() }))
}

func TestCompareFails(t *testing.T) {
	for name, wrap := range map[string]func(ams.Tx) ams.Tx{
		"order": func(tx ams.Tx) ams.Tx { return settingsTx{tx, noOrder{tx.Settings()}} },
		"field": func(tx ams.Tx) ams.Tx { return instancesTx{tx, lostField{tx.Instances()}} },
		"trim":  func(tx ams.Tx) ams.Tx { return logTx{tx, untrimmed{tx.Events()}} },
	} {
		t.Run(name, func(t *testing.T) {
			r := &recorder{TB: t}
			done := make(chan struct{})
			go func() {
				defer close(done)
				storagetest.Compare(r, mem.New(), broken{mem.New(), wrap}, 1)
			}()
			<-done
			require.True(t, r.failed)
			require.Contains(t, r.text.String(), "transaction")
		})
	}
}

func TestReplay(t *testing.T) {
	s := storagetest.Replay(mem.New())
	runs := 0
	add := func(tx ams.Tx) error {
		runs++
		return tx.Events().Append(ams.Event{})
	}
	require.NoError(t, s.Update(context.Background(), add))
	require.Equal(t, 2, runs)
	require.NoError(t, s.View(context.Background(), func(tx ams.Tx) error {
		_, newest, err := tx.Events().Bounds()
		require.Equal(t, int64(1), newest)
		return err
	}))
	require.Implements(t, (*interface{ Blobs() ams.BlobStore })(nil), s)
}

func TestFaulty(t *testing.T) {
	before, after := errors.New("before"), errors.New("after")
	s := storagetest.Faulty(mem.New(), func(n int) error {
		switch n {
		case 2:
			return before
		case 3:
			return storagetest.AfterCommit(after)
		case 5:
			return storagetest.AfterCommit(after)
		}
		return nil
	})
	ctx := context.Background()
	newest := func() (newest int64) {
		require.NoError(t, s.View(ctx, func(tx ams.Tx) (err error) {
			_, newest, err = tx.Events().Bounds()
			return err
		}))
		return newest
	}
	add := func(tx ams.Tx) error { return tx.Events().Append(ams.Event{}) }
	require.NoError(t, s.Update(ctx, add))
	require.Equal(t, before, s.Update(ctx, add))
	require.Equal(t, after, s.Update(ctx, add))
	require.Equal(t, int64(2), newest(), "the second failed before, the third after its commit")
	require.ErrorIs(t, s.Update(ctx, func(ams.Tx) error { return ams.ErrState }), ams.ErrState)
}
