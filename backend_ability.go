package ams

import (
	"context"
	"io"
)

// Further optional abilities of a backend.

// Configurer is a Backend that changes instances it has made. Without it services
// get no ports, and cards, addresses and limits stay as they were at the creation.
type Configurer interface {
	// Configure gives an existing instance the limits, cards, address, proxies and
	// labels of spec, whether it runs or not, and takes away those that spec does
	// not name; its image, disk and attempt stay. What cannot be changed while it
	// runs takes effect at its next start. ErrNotFound; ErrExists for one that was
	// made by another attempt.
	Configure(ctx context.Context, spec InstanceSpec) error
}

// Freezer is a Backend that can take all time from a running instance and give it
// back. Without it there are no prewarmed instances.
type Freezer interface {
	// Freeze freezes a running instance; nil if it is frozen. ErrState if it is
	// stopped. Stop, with force, and Delete after it work on a frozen one too.
	Freeze(ctx context.Context, ref Ref) error
	// Unfreeze lets a frozen instance go on; nil if it runs. ErrState if it is
	// stopped.
	Unfreeze(ctx context.Context, ref Ref) error
}

// Copier is a Backend that copies instances. Without it a launch with a Source is
// ErrUnsupported.
type Copier interface {
	// Copy is Create, but the disk is a copy of that of another instance of the
	// same cluster, which must be stopped: ErrState if it runs. The source may be
	// on another node. spec.Fingerprint is not used.
	Copy(ctx context.Context, spec InstanceSpec, source Ref) error
}

// LogFollower is a Backend that reads logs as they grow. Without it
// Instances.FollowLog is ErrUnsupported.
type LogFollower interface {
	// FollowLog writes the last lines of a log of a running instance to w, at most
	// tail bytes of them, and then what is added to it, also after it was
	// replaced by a new one, until ctx ends or the instance does, which is nil.
	// ErrNotFound for a log that is not there; ErrState if the instance does not run.
	FollowLog(ctx context.Context, ref Ref, name string, tail int64, w io.Writer) error
}

// NodeKeeper is a Backend that adds machines to its cluster and removes them.
// Without it nodes come and go with the backend's cluster by other means.
type NodeKeeper interface {
	// AddNode joins a machine to the cluster and gives it a storage pool, network
	// and profile, unless join.Unmanaged: then it must be a member already. Nil if
	// a member of that name and address is there. A join that fails leaves both
	// sides as they were. It may take minutes.
	//
	// Errors: ErrInvalid (the trust password or token, the address); ErrExists (a
	// member of that name with another address); ErrState (the machine is part of
	// another cluster, or has instances); ErrUnavailable.
	AddNode(ctx context.Context, join NodeJoin) error
	// RemoveNode takes a member out of the cluster; nil if there is none. With
	// force also one that does not answer, with all that is on it. ErrState if
	// something is on it, and for the last member.
	RemoveNode(ctx context.Context, name string, force bool) error
}

// NodeJoin is a machine that is to join the cluster.
type NodeJoin struct {
	Name    string
	Address string // "host" or "host:port"; the default port is 8443
	// TrustPassword is for LXD before 5.21, TrustToken for any that gives tokens.
	TrustPassword string
	TrustToken    string
	// Unmanaged is a machine that is a member of the cluster already.
	Unmanaged bool

	StoragePool   string // an existing pool of the machine, or the name of the one to make; default "ams0"
	StorageDevice string // a block device, or a directory, for the pool; empty is a file of the driver's choice
	Network       string // the bridge; default "amsbr0"
	Subnet        string // the bridge's address and network; default "192.168.100.1/20"
	NetworkMTU    int    // of the bridge; 0 is LXD's default
}
