package ams

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/openams/ams/internal/xid"
)

// joinTime bounds how long a node that does not answer is tried, to join or leave.
const joinTime = 15 * time.Minute

// NodeRemoval says how a node is removed.
type NodeRemoval struct {
	// Force deletes the instances on it first, and removes it even if it does not
	// answer.
	Force bool
	// KeepInCluster leaves it a member of the backend's cluster: AMS only stops
	// using it. Add, with Unmanaged, takes it back.
	KeepInCluster bool
}

// Add joins a machine to the backend's cluster, with the settings given. The
// operation ends when it is online. A join that fails leaves nothing behind: not
// the row, and on both sides nothing. Joining cannot be cancelled; nodes join one
// at a time. The trust password or token is stored until the join has ended.
//
// Errors: ErrInvalid with all problems at once; ErrExists; ErrUnsupported.
func (s *Nodes) Add(ctx context.Context, join NodeJoin, settings NodePatch) (Operation, error) {
	if _, ok := BackendAs[NodeKeeper](s.m.backend); !ok {
		return Operation{}, Errorf(ErrUnsupported, "the backend cannot add nodes")
	}
	if err := errors.Join(join.check(), settings.check()); err != nil {
		return Operation{}, Errorf(ErrInvalid, "%w", err)
	}
	if len(settings.GPUs) > 0 {
		return Operation{}, Errorf(ErrInvalid, "the cards of a node are not known before it is added")
	}
	opID := xid.UUID(s.m.now())
	err := s.m.update(ctx, func(c *change) error {
		n, err := c.Nodes().Get(join.Name)
		switch {
		case err == nil && n.Status != NodeDeleted:
			return &Error{Code: ErrExists, Kind: "node", ID: join.Name}
		case ignoreNotFound(err) != nil:
			return err
		}
		n.Name, n.Status, n.Managed, n.Join, n.Operation = join.Name, NodeInitializing, !join.Unmanaged, &join, opID
		n.Address, n.Leave, n.Force = join.Address, false, false
		if n.Rev == 0 {
			n.CreatedAt = c.now
		}
		settings.apply(&n)
		c.wake = append(c.wake, wakeNode(n.Name))
		if err := c.putNode(n, string(NodeInitializing)); err != nil {
			return err
		}
		return c.newOperation(opID, "add node", false, map[string][]string{"node": {n.Name}})
	})
	if err != nil {
		return Operation{}, wrapName(err, "node", join.Name)
	}
	return s.m.Operations.Get(ctx, opID)
}

func (j *NodeJoin) check() error {
	faults := newManifestFaults()
	if !validHostname(j.Name) {
		faults.add("name", j.Name, "name %s is not allowed: must be 3-63 letters, digits or hyphens, without a hyphen at either end", quote(j.Name))
	}
	host, port, err := net.SplitHostPort(j.Address)
	if err != nil {
		host, port = j.Address, ""
	}
	if n, err := strconv.Atoi(port); port != "" && (err != nil || n < 1 || n > maxPort) || host == "" || len(host) > 255 || textFault(host) != "" {
		faults.add("address", j.Address, "address %s is not a host or host:port", quote(j.Address))
	}
	if j.TrustPassword != "" && j.TrustToken != "" {
		faults.add("trust-token", "", "set either trust-password or trust-token, not both")
	}
	if j.TrustPassword == "" && j.TrustToken == "" && !j.Unmanaged {
		faults.add("trust-token", "", "a trust-password or trust-token is required")
	}
	if p, err := netip.ParsePrefix(j.Subnet); j.Subnet != "" && (err != nil || !p.Addr().Is4() || p.Bits() > 30) {
		faults.add("network-subnet", j.Subnet, "network-subnet %s is not an IPv4 address with its network, such as 192.168.100.1/20", quote(j.Subnet))
	}
	if j.NetworkMTU < 0 || j.NetworkMTU > 65535 || j.NetworkMTU > 0 && j.NetworkMTU < 576 {
		faults.add("network-bridge-mtu", strconv.Itoa(j.NetworkMTU), "network-bridge-mtu %d is out of range (576-65535)", j.NetworkMTU)
	}
	for field, value := range map[string]string{"storage-pool": j.StoragePool, "network": j.Network} {
		if fault := charsetFault(value, false); value != "" && fault != "" {
			faults.add(field, value, "%s %s is not allowed: %s", field, quote(value), fault)
		}
	}
	if fault := textFault(j.StorageDevice); fault != "" {
		faults.add("storage-device", j.StorageDevice, "storage-device %s is not allowed: %s", quote(j.StorageDevice), fault)
	}
	return faults.err()
}

// Remove takes a node out of the cluster. The operation ends when it is out. Nodes
// leave one at a time, and leaving cannot be cancelled.
//
// Errors: ErrNotFound; ErrState when instances are on it and force is not set;
// ErrConflict when something else is being done with it; ErrUnsupported.
func (s *Nodes) Remove(ctx context.Context, name string, how NodeRemoval) (Operation, error) {
	_, keeps := BackendAs[NodeKeeper](s.m.backend)
	if !keeps && !how.KeepInCluster {
		return Operation{}, Errorf(ErrUnsupported, "the backend cannot remove nodes")
	}
	opID := xid.UUID(s.m.now())
	err := s.m.update(ctx, func(c *change) error {
		n, err := c.node(name)
		switch {
		case err != nil:
			return err
		case n.Operation != "" && !n.Draining:
			return &Error{Code: ErrConflict, Kind: "node", ID: name, Err: fmt.Errorf("another operation on it is under way: %s", n.Operation)}
		case n.Instances > 0 && !how.Force:
			return &Error{Code: ErrState, Kind: "node", ID: name, Err: fmt.Errorf("has %d instances; delete them first, or use force (status: %s)", n.Instances, n.Status)}
		}
		if err := c.finish(n.Operation, Errorf(ErrCancelled, "superseded: the node is to be removed")); err != nil {
			return err
		}
		n.Draining, n.Leave, n.Force, n.Keep, n.Operation, n.Deadline = true, true, how.Force, how.KeepInCluster, opID, c.now.Add(joinTime)
		c.wake = append(c.wake, wakeNode(name))
		if err := c.putNode(n, "leaving"); err != nil {
			return err
		}
		return c.newOperation(opID, "remove node", false, map[string][]string{"node": {name}})
	})
	if err != nil {
		return Operation{}, err
	}
	return s.m.Operations.Get(ctx, opID)
}

// Drain empties a node: no more instances come to it, and the operation ends when
// none runs there any more. With remove, instances that run there are deleted, as
// Instances.Delete does, and so are those that are stopped; builds of applications
// are waited for in any case. The node stays unschedulable thereafter. Cancelling
// the operation ends the draining; what was deleted is gone.
//
// Errors: ErrNotFound; ErrConflict when something else is being done with it.
func (s *Nodes) Drain(ctx context.Context, name string, remove bool) (Operation, error) {
	opID := xid.UUID(s.m.now())
	err := s.m.update(ctx, func(c *change) error {
		n, err := c.node(name)
		switch {
		case err != nil:
			return err
		case n.Operation != "":
			return &Error{Code: ErrConflict, Kind: "node", ID: name, Err: fmt.Errorf("another operation on it is under way: %s", n.Operation)}
		}
		n.Draining, n.Unschedulable, n.Force, n.Operation = true, true, remove, opID
		c.wake = append(c.wake, wakeNode(name))
		if err := c.putNode(n, "draining"); err != nil {
			return err
		}
		return c.newOperation(opID, "drain node", true, map[string][]string{"node": {name}})
	})
	if err != nil {
		return Operation{}, err
	}
	return s.m.Operations.Get(ctx, opID)
}
