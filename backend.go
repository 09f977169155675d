package ams

import (
	"context"
	"io"
	"time"
)

// Backend runs instances. Two come with this module: backend/lxd and
// backend/fake. It must be safe for concurrent use.
//
// All verbs are idempotent on the id the Manager chose: after a crash, or an
// answer that was lost, the Manager asks again, and asking twice has the effect
// of asking once. All verbs end when ctx does. A Backend marks what it makes
// with Ref.Cluster and Ref.ID and never touches anything else.
//
// Errors are classified: ErrUnavailable where trying again may help (the Manager
// does, until the instance's deadline), ErrNotFound, ErrExists, ErrState,
// ErrNoSpace, ErrUnsupported, ErrInvalid where it will not.
type Backend interface {
	// Nodes returns all machines, also those that are offline.
	Nodes(ctx context.Context) ([]NodeInfo, error)
	// Create makes a stopped instance on spec.Node. If one with this id and this
	// spec.Attempt exists, the result is nil; with another attempt it is
	// ErrExists, and so it is if the name is taken by something that is not
	// ours. A failed Create leaves nothing behind that List does not show.
	Create(ctx context.Context, spec InstanceSpec) error
	// Start starts a stopped instance; nil if it runs, frozen or not. ErrNotFound.
	Start(ctx context.Context, ref Ref) error
	// Stop stops a running instance; nil if it is stopped. Without force the
	// instance is asked to shut down, and forced after grace. ErrNotFound.
	Stop(ctx context.Context, ref Ref, force bool, grace time.Duration) error
	// Delete removes a stopped or broken instance with its data; nil if there is
	// none. ErrState if it runs.
	Delete(ctx context.Context, ref Ref) error
	// Get returns what is seen of one instance. ErrNotFound means that it does
	// certainly not exist; where that cannot be told now it is ErrUnavailable.
	Get(ctx context.Context, ref Ref) (Seen, error)
	// List returns everything that carries the cluster's mark, and nothing else.
	// Instances on nodes that do not answer have power PowerUnknown; they may lack
	// Attempt, and may even be somebody else's.
	List(ctx context.Context, cluster string) ([]Seen, error)
}

// The Error.Kind of errors that say that something else has what an instance was to
// get: its address, or a port of its node. The Manager gives it another one, and tries
// again.
const (
	KindAddress = "address"
	KindPort    = "port"
)

// Ref names one instance to a backend.
type Ref struct {
	Cluster string // the mark of the Manager's store: 1 to 64 of A-Z a-z 0-9 - _
	ID      string
	Node    string // where the Manager placed it
}

// InstanceSpec is what a backend needs to make an instance.
type InstanceSpec struct {
	Ref
	Attempt     string // tells tries of one instance apart; a mark
	Fingerprint string // the image, as ImageKeeper or Publisher named it
	VM          bool
	CPUs        int
	PinCPUs     bool // CPUs of its own instead of a share of the time of all
	Memory      Size
	Disk        Size
	// CPUSet are the CPUs it may use, as LXD writes them: "0-7,16-23". Empty is any.
	CPUSet string
	// GPU and VPU are the PCI addresses of the cards it gets; empty is none.
	GPU, VPU string
	// Address is the IPv4 address it gets on its node's network. Empty leaves
	// that to the network.
	Address string
	Proxies []Proxy // ports of its node that lead to ports of its own
	// Labels are shown to people who look at the backend itself: "name",
	// "application", "version", "tags", … A key is of a-z and -, a value one line;
	// all of them are 1 KiB at most. What breaks this is ErrInvalid.
	Labels map[string]string
}

// Power is what a backend sees of an instance.
type Power string

// The powers.
const (
	PowerAbsent  Power = "absent"  // certainly not there
	PowerStopped Power = "stopped" //
	PowerRunning Power = "running" //
	PowerFrozen  Power = "frozen"  // it runs, but gets no time; see Freezer
	PowerBroken  Power = "broken"  // half made; can only be deleted
	PowerUnknown Power = "unknown" // its node does not answer
)

// Proxy leads a range of ports of the node to ports of the instance.
type Proxy struct {
	Protocol string // "tcp" or "udp"
	// Listen is the node's address to listen on, as an IP: "0.0.0.0" is all.
	Listen   string
	NodePort int // the first port on the node
	Port     int // the first port inside the instance
	Count    int // how many ports, at least 1
}

// Seen is what a backend reports of an instance.
type Seen struct {
	ID      string
	Attempt string // the mark it was created with
	Node    string
	Power   Power
	Address string // IPv4; empty when stopped or not yet known
}

// NodeInfo is what a backend reports of a node.
type NodeInfo struct {
	Name         string
	Online       bool
	Architecture string // "x86_64", "aarch64"
	Address      string
	VMs          bool // can run virtual machines
	Capacity     Capacity
	GPUs         []GPU
	VPUs         []VPU
	NUMA         []NUMANode // empty, or one: no placement by memory locality

	Pool string // the storage pool its disks are in
	// Subnet is the IPv4 network of its instances with the node's own address in
	// it: "10.77.0.1/20". Where it is set, the Manager chooses the addresses.
	Subnet     string
	NetworkMTU int // of that network; 0 is not known
}

// GPU is a graphics card as it was detected.
type GPU struct {
	PCIAddress string // "0000:65:00.0"; names the card, also across reboots
	Type       string // "amd", "intel", "nvidia"
	RenderName string // "renderD128"; may be another after a reboot
	NUMANode   int
}

// VPU is a video processing unit as it was detected.
type VPU struct {
	PCIAddress string
	Type       string // "netint" or "unknown"
	Model      string
	NUMANode   int
	Slots      int
}

// NUMANode is a part of a machine whose CPUs are near each other.
type NUMANode struct {
	ID   int
	CPUs string // "0-7,16-23"
}

// The optional abilities of a backend. BackendAs finds them, also behind
// wrappers.

// Watcher is a Backend that tells of changes. Without it the Manager compares
// periodically only.
type Watcher interface {
	// Watch calls changed with the id of each instance of the cluster whose state
	// may have changed, until ctx ends or the connection is lost; changed does
	// not block. Losing an event is allowed: the Manager compares as well.
	Watch(ctx context.Context, cluster string, changed func(id string)) error
}

// Execer is a Backend that runs commands inside instances. Without it Exec is
// ErrUnsupported and there must be a Guest that needs none.
type Execer interface {
	// Exec runs a command in a running instance and returns its exit code once
	// it has ended and every byte of its output was written; of an Interactive
	// one the last may be lost. ErrState if the instance is not running. When ctx
	// ends, the command is killed.
	Exec(ctx context.Context, ref Ref, req ExecRequest) (exit int, err error)
}

// ExecRequest is a command to run inside an instance.
type ExecRequest struct {
	Command []string          // program and arguments; no shell is involved
	Env     map[string]string //
	Stdin   io.Reader         // nil is an empty input
	Stdout  io.Writer         // nil discards
	Stderr  io.Writer         // nil discards; not used when Interactive

	Interactive   bool // with a terminal
	Width, Height int  // of the terminal

	// Control resizes the terminal and sends signals while the command runs. Who
	// made the channel may close it; nil is none.
	Control <-chan ExecControl
}

// ExecControl is a message to a command that runs. One field is set.
type ExecControl struct {
	Width, Height int // the terminal's new size
	Signal        int // the number of a signal, such as 15
}

// LogReader is a Backend that can read an instance's logs, running or stopped.
// Without it failed instances keep no logs.
type LogReader interface {
	// Logs lists the log files; Digest is empty in them. Names may have slashes.
	Logs(ctx context.Context, ref Ref) ([]LogFile, error)
	// OpenLog returns one of them, or ErrNotFound. The caller closes it.
	OpenLog(ctx context.Context, ref Ref, name string) (io.ReadCloser, error)
}

// ImageKeeper is a Backend that takes images as files. Without it Images.Add is
// ErrUnsupported.
type ImageKeeper interface {
	// ImportImage stores an image under the alias. If the alias exists and is
	// ours, that image is the result and nothing is read; an alias that is not
	// ours is ErrExists. ErrInvalid if the files are not an image.
	ImportImage(ctx context.Context, cluster, alias string, files ImageFiles) (BackendImage, error)
	// DeleteImage removes the alias, and the image if it is ours and no other
	// alias is left on it; nil if there is none.
	DeleteImage(ctx context.Context, cluster, alias string) error
	// ListImages returns all images with the cluster's mark, one entry per alias,
	// and one with an empty Alias for an image that has none.
	ListImages(ctx context.Context, cluster string) ([]BackendImage, error)
	// DeleteFingerprint removes an image with the cluster's mark that has no
	// alias; nil if there is none.
	DeleteFingerprint(ctx context.Context, cluster, fingerprint string) error
}

// Publisher is a Backend that turns a stopped instance into an image. Without it
// applications cannot be created.
type Publisher interface {
	// Publish stores the instance's file system as an image under the alias,
	// without compression. If the alias exists and is ours, that image is the
	// result. ErrState if the instance runs.
	Publish(ctx context.Context, ref Ref, alias string) (BackendImage, error)
}

// ImageExporter is a Backend that gives images out as files. Without it
// Applications.Export is ErrUnsupported.
type ImageExporter interface {
	// OpenImage begins to read the image behind an alias of ours, as one file that
	// ImportImage takes: a unified tarball. The file's SHA-256 is the image's
	// fingerprint where the image was published by Publisher. The caller closes
	// it; reading ends when ctx does. ErrNotFound; ErrUnsupported for an image that
	// is in two files.
	OpenImage(ctx context.Context, cluster, alias string) (io.ReadCloser, error)
}

// ImageFiles is an image on its way in: one file, or two.
type ImageFiles struct {
	Meta   io.Reader // a unified tarball, or the metadata tarball of a split image
	Rootfs io.Reader // the root file system of a split image; nil for a unified one
}

// BackendImage is an image as a backend has it.
type BackendImage struct {
	Alias        string
	Fingerprint  string // how Create names it
	Architecture string
	Size         int64     // bytes
	CreatedAt    time.Time // when the backend got it
}

// BackendAs finds an ability of a backend: b itself, or what b wraps, as told by
// a method Unwrap() Backend.
func BackendAs[T any](b Backend) (T, bool) {
	for b != nil {
		if t, ok := b.(T); ok {
			return t, true
		}
		u, ok := b.(interface{ Unwrap() Backend })
		if !ok {
			break
		}
		b = u.Unwrap()
	}
	var zero T
	return zero, false
}
