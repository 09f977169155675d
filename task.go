package ams

import (
	"cmp"
	"context"
	"slices"
)

// Task is a piece of work under way: an object that is not at rest.
type Task struct {
	ID     string // that of the operation that waits for it, else the object's
	Kind   string // "instance", "version", "image" or "node"
	Object string // its id
	// Status is that of an instance; or "running", for any other; or "error" while
	// a failure is being cleaned up after, and "shutdown" while a deletion is.
	Status string
	Text   string // the step at hand, for people
}

// Tasks lists the work under way, ordered by kind and object. It is derived from
// the rows at hand, and so is right after any restart.
func (m *Manager) Tasks(ctx context.Context) ([]Task, error) {
	var tasks []Task
	err := m.view(ctx, func(tx Tx) error {
		tasks = nil
		no := false
		instances, err := tx.Instances().List(InstanceFilter{Resting: &no}, Page{})
		if err != nil {
			return err
		}
		for i := range instances {
			tasks = append(tasks, instances[i].task())
		}
		versions, err := tx.Versions().List(VersionFilter{Status: []VersionStatus{VersionInitializing, VersionDeleted}}, Page{})
		if err != nil {
			return err
		}
		for _, v := range versions {
			t := Task{ID: cmp.Or(v.Operation, v.ID), Kind: "version", Object: v.ID, Status: "running"}
			if v.Status == VersionDeleted {
				t.Status = "shutdown"
			}
			tasks = append(tasks, t)
		}
		images, err := tx.Images().List(ImageFilter{}, Page{})
		if err != nil {
			return err
		}
		for i := range images {
			if im := &images[i]; im.busy() {
				tasks = append(tasks, Task{ID: cmp.Or(im.Operation, im.ID), Kind: "image", Object: im.ID, Status: "running"})
			}
		}
		nodes, err := tx.Nodes().List(NodeFilter{}, Page{})
		for _, n := range nodes {
			if n.Operation != "" {
				tasks = append(tasks, Task{ID: n.Operation, Kind: "node", Object: n.Name, Status: "running", Text: n.StatusMessage})
			}
		}
		return err
	})
	slices.SortFunc(tasks, func(a, b Task) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Object, b.Object))
	})
	return tasks, err
}

func (in *Instance) task() Task {
	t := Task{ID: cmp.Or(in.Operation, in.ID), Kind: "instance", Object: in.ID, Status: string(in.Status), Text: in.StatusMessage}
	switch {
	case in.Want == WantDeleted || in.Want == WantStopped && in.Failure == "":
		t.Status = "shutdown"
	case in.Failure != "":
		t.Status = "error"
	}
	return t
}
