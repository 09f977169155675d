package ams

import (
	"context"
	"errors"
	"time"
)

func wakeNode(name string) wake { return wake{key: "node/" + name, lane: "nodes"} }

// passNode does what is wanted of a node: join, drain, leave.
func (e *engine) passNode(ctx context.Context, name string) {
	var n Node
	err := e.m.view(ctx, func(tx Tx) (err error) {
		n, err = tx.Nodes().Get(name)
		return err
	})
	again := time.Duration(0)
	switch {
	case err != nil:
		err = ignoreNotFound(err)
	case n.Join != nil:
		again, err = e.join(ctx, &n)
	case n.Draining:
		again, err = e.drain(ctx, &n)
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		e.m.log.Error("working on a node failed and will be tried again", "node", name, "error", err)
		again = e.m.cfg.CompareInterval
	}
	if again > 0 {
		w := wakeNode(name)
		e.queue.AddAfter(w.key, w.lane, again)
	}
}

// join joins the node. It returns when to look again.
func (e *engine) join(ctx context.Context, n *Node) (time.Duration, error) {
	keeper, ok := BackendAs[NodeKeeper](e.m.backend)
	if !ok {
		return 0, e.joinFailed(ctx, n, Errorf(ErrUnsupported, "the backend cannot add nodes"))
	}
	err := e.m.call(ctx, "add node", &Instance{Node: n.Name}, joinTime, func(ctx context.Context) error { return keeper.AddNode(ctx, *n.Join) })
	switch {
	case ctx.Err() != nil:
		return 0, nil
	case errors.Is(err, ErrUnavailable) && e.m.now().Before(n.UpdatedAt.Add(joinTime)):
		e.m.log.Warn("a node could not be joined and will be tried again", "node", n.Name, "error", err)
		return 5 * time.Second, nil
	case err != nil:
		return 0, e.joinFailed(ctx, n, err)
	}
	err = e.m.update(ctx, func(c *change) error {
		row, err := c.Nodes().Get(n.Name)
		if err != nil || row.Join == nil {
			return ignoreNotFound(err)
		}
		row.Join, row.Status = nil, NodeOffline // until it was looked at
		return c.putNode(row, "initialized")
	})
	if err != nil {
		return 0, err
	}
	if err := e.refreshNodes(ctx); err != nil {
		return 0, err
	}
	return 0, e.m.update(ctx, func(c *change) error {
		row, err := c.Nodes().Get(n.Name)
		if err != nil {
			return ignoreNotFound(err)
		}
		if err := c.finish(row.Operation, nil); err != nil {
			return err
		}
		row.Operation = ""
		return c.storeNode(row)
	})
}

// joinFailed forgets a node that did not join.
func (e *engine) joinFailed(ctx context.Context, n *Node, reason error) error {
	return e.m.update(ctx, func(c *change) error {
		row, err := c.Nodes().Get(n.Name)
		if err != nil || row.Join == nil {
			return ignoreNotFound(err)
		}
		if err := c.finish(row.Operation, reason); err != nil {
			return err
		}
		c.lifecycle("node", row.Name, string(NodeDeleted), reason.Error())
		return c.deleteNode(row.Name)
	})
}

// drain empties the node, and removes it if that is wanted.
func (e *engine) drain(ctx context.Context, n *Node) (time.Duration, error) {
	left := 0
	err := e.m.update(ctx, func(c *change) error {
		left = 0
		on, err := c.Instances().List(InstanceFilter{Node: n.Name}, Page{})
		if err != nil {
			return err
		}
		for i := range on {
			in := &on[i]
			if n.Force || in.Held == holdsAll {
				left++
			}
			switch {
			case in.Want == WantDeleted:
			case in.Standby:
				err = c.discard(in)
			case n.Force && (n.Leave || !in.Base):
				if err = c.supersede(in, WantDeleted, n.Leave); err == nil {
					in.Resting, in.Attempts, in.RetryAt = false, 0, time.Time{}
					err = c.putInstance(*in)
				}
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return 0, err
	case left > 0 && !(n.Leave && n.Force && n.Status != NodeOnline):
		return 5 * time.Second, nil // what ends there wakes us as well
	case n.Leave:
		return e.leave(ctx, n)
	}
	return 0, e.m.update(ctx, func(c *change) error {
		row, err := c.Nodes().Get(n.Name)
		if err != nil || !row.Draining || row.Leave {
			return ignoreNotFound(err)
		}
		if err := c.finish(row.Operation, nil); err != nil {
			return err
		}
		row.Draining, row.Force, row.Operation = false, false, ""
		return c.putNode(row, "drained")
	})
}

// leave takes the node out of the cluster.
func (e *engine) leave(ctx context.Context, n *Node) (time.Duration, error) {
	if !n.Keep {
		keeper, ok := BackendAs[NodeKeeper](e.m.backend)
		if !ok {
			return 0, e.stays(ctx, n, Errorf(ErrUnsupported, "the backend cannot remove nodes"))
		}
		err := e.m.call(ctx, "remove node", &Instance{Node: n.Name}, joinTime, func(ctx context.Context) error {
			return keeper.RemoveNode(ctx, n.Name, n.Force)
		})
		switch {
		case ctx.Err() != nil:
			return 0, nil
		case errors.Is(err, ErrUnavailable) && e.m.now().Before(n.Deadline):
			e.m.log.Warn("a node could not be removed and will be tried again", "node", n.Name, "error", err)
			return 5 * time.Second, nil
		case err != nil:
			return 0, e.stays(ctx, n, err)
		}
	}
	return 0, e.m.update(ctx, func(c *change) error {
		row, err := c.Nodes().Get(n.Name)
		if err != nil {
			return ignoreNotFound(err)
		}
		if !row.Keep {
			return c.nodeGone(&row)
		}
		if err := c.finish(row.Operation, nil); err != nil {
			return err
		}
		row.Status, row.Operation, row.Leave, row.Draining, row.Force, row.Keep = NodeDeleted, "", false, false, false, false
		return c.putNode(row, string(NodeDeleted))
	})
}

// stays ends the removal of a node that could not be removed.
func (e *engine) stays(ctx context.Context, n *Node, reason error) error {
	return e.m.update(ctx, func(c *change) error {
		row, err := c.Nodes().Get(n.Name)
		if err != nil || !row.Leave {
			return ignoreNotFound(err)
		}
		if err := c.finish(row.Operation, reason); err != nil {
			return err
		}
		row.Leave, row.Draining, row.Force, row.Keep, row.Operation = false, false, false, false, ""
		row.Unschedulable = true // it was to go
		return c.putNode(row, "updated")
	})
}

// cancelNode ends the draining of a node.
func (c *change) cancelNode(name, operation string) error {
	n, err := c.Nodes().Get(name)
	if err != nil || n.Operation != operation || !n.Draining || n.Leave {
		return ignoreNotFound(err)
	}
	if err := c.finish(operation, nil); err != nil {
		return err
	}
	n.Draining, n.Force, n.Operation = false, false, ""
	return c.putNode(n, "updated")
}
