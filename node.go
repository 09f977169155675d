package ams

import (
	"context"
	"time"
)

// NodeStatus says whether a node can take work.
type NodeStatus string

// The node statuses.
const (
	NodeInitializing NodeStatus = "initializing" // it is being joined to the cluster
	NodeOnline       NodeStatus = "online"
	NodeOffline      NodeStatus = "offline"
	NodeDeleted      NodeStatus = "deleted" // still in the cluster, and not used any more; no list shows it
)

// Node is one machine of the backend's cluster, with the ledger of what was
// given away on it.
type Node struct {
	Name string // the backend's name of it; the key
	Rev  int64

	Status        NodeStatus
	StatusMessage string // what is being done with it, or went wrong
	Architecture  string // "x86_64", "aarch64"
	Address       string
	VMs           bool // can run virtual machines
	Detected      Capacity
	NUMA          []NUMANode
	Pool          string // the storage pool
	Network       string // the network of its instances, with its own address: "10.77.0.1/20"
	NetworkMTU    int
	GPUs          []NodeGPU // ordered by PCI address
	VPUs          []NodeVPU // likewise

	// What the operator set. Zero means "as detected", or the default.
	CPUs          int
	Memory        Size
	Disk          Size
	CPURate       float64 // over-commit; default 4
	MemoryRate    float64 // over-commit; default 2
	GPUSlots      *int    // of each card that has no number of its own; see NodeGPU
	EncoderSlots  *int    // likewise
	PublicAddress string  // where exposed services are reached
	Subnet        string  // of the machine, for people: "10.1.0.0/16"
	Tags          []string
	Unschedulable bool
	Managed       bool // AMS has joined it to the cluster and set it up

	Draining  bool      // no more instances come, and those that are here go
	Join      *NodeJoin // how it is to join the cluster, while it does not
	Leave     bool      // it is to be removed
	Keep      bool      // but to stay in the backend's cluster
	Force     bool      // with what is on it
	Deadline  time.Time // of the removal, while the node does not answer
	Operation string    // the operation that waits for it

	// The ledger.
	Used      Charge // the sum of Charged of the instances here
	Instances int    // how many instances are charged here
	TCPPorts  Spans  // of the services of instances here
	UDPPorts  Spans
	Hosts     Spans // of the network, given to instances here: 1 is its first address
	NextHost  int   // where the search for the next begins
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Capacity is what a node has.
type Capacity struct {
	CPUs     int
	Memory   Size
	Disk     Size // the storage pool's size
	DiskFree Size // what is physically free in it
}

// Charge is what an instance takes from its node. All GPU and encoder slots of
// an instance are of one card, and so are its VPU slots.
type Charge struct {
	CPUs   int
	Memory Size
	Disk   Size

	GPUSlots     int
	EncoderSlots int
	VPUSlots     int
}

// minus returns c without d.
func (c Charge) minus(d Charge) Charge {
	return Charge{
		CPUs: c.CPUs - d.CPUs, Memory: c.Memory - d.Memory, Disk: c.Disk - d.Disk,
		GPUSlots: c.GPUSlots - d.GPUSlots, EncoderSlots: c.EncoderSlots - d.EncoderSlots, VPUSlots: c.VPUSlots - d.VPUSlots,
	}
}

// NodeFilter chooses nodes. Every field that is set must match.
type NodeFilter struct {
	Status []NodeStatus // any of them
}

// Nodes is the service for nodes. Nodes come and go with the backend's cluster.
type Nodes struct{ m *Manager }

// Get returns the node, or ErrNotFound.
func (s *Nodes) Get(ctx context.Context, name string) (Node, error) {
	var n Node
	err := s.m.view(ctx, func(tx Tx) (err error) {
		n, err = findNode(tx, name)
		return err
	})
	return n, err
}

func (c *change) node(name string) (Node, error) { return findNode(c, name) }

// findNode finds a node that is in use.
func findNode(tx Tx, name string) (Node, error) {
	n, err := tx.Nodes().Get(name)
	if err == nil && n.Status == NodeDeleted {
		err = notFound("node", name)
	}
	return n, wrapName(err, "node", name)
}

// List returns the nodes that match the filter in order of name, cut to the
// page, and how many match in all.
func (s *Nodes) List(ctx context.Context, filter NodeFilter, page Page) ([]Node, int, error) {
	var list []Node
	var total int
	err := s.m.view(ctx, func(tx Tx) (err error) {
		if len(filter.Status) == 0 {
			filter.Status = []NodeStatus{NodeInitializing, NodeOnline, NodeOffline}
		}
		list, total, err = listPage(tx.Nodes(), filter, page)
		return err
	})
	return list, total, err
}

// putNode stores a node that changed; what waits for room looks again.
func (c *change) putNode(n Node, action string) error {
	n.UpdatedAt = c.now
	c.lifecycle("node", n.Name, action, "")
	c.wake = append(c.wake, wakePlace)
	return c.storeNode(n)
}
