package ams

import "time"

// InstanceStatus is what an instance is seen to be.
type InstanceStatus string

// The instance statuses.
const (
	InstanceCreated  InstanceStatus = "created"  // recorded, not placed on a node
	InstancePrepared InstanceStatus = "prepared" // a node is chosen and charged
	InstanceStarted  InstanceStatus = "started"  // booting, hooks running
	InstanceRunning  InstanceStatus = "running"  // fully up
	InstanceStopped  InstanceStatus = "stopped"  // stopped; can be started again with its data
	InstanceError    InstanceStatus = "error"    // failed and stopped; see ErrorMessage and Logs
	InstanceDeleted  InstanceStatus = "deleted"  // going away; seen only in events
	InstanceUnknown  InstanceStatus = "unknown"  // its node does not answer
)

// Want is what was asked for an instance.
type Want string

// What can be wanted of an instance.
const (
	WantPrepared Want = "prepared" // exists on its node, never started
	WantRunning  Want = "running"
	WantStopped  Want = "stopped"
	WantDeleted  Want = "deleted"
)

// Instance is one Android container, or the base instance that a version of an
// application is built in.
type Instance struct {
	ID   string // 20 characters; ids made later sort later
	Rev  int64
	Name string // unique; "ams-<id>" unless the request named it
	Base bool   // a base instance: it bootstraps a version and is then deleted

	ApplicationID   string // empty for a raw instance
	ApplicationName string
	Version         int    // of the application; -1 for a raw instance
	ImageID         string // the image launched (raw) or built upon (base); empty otherwise
	ImageVersion    int    // of the image; -1 where ImageID is empty
	Fingerprint     string // the backend's name of the image it is made from
	Architecture    string // "x86_64", "aarch64"; empty fits any node

	VM           bool
	Node         string // where it is; empty until it is placed
	Resources    Resources
	Tags         []string
	NodeTags     []string // tags its node must have
	UserData     string   // at most 10 KiB of text
	Features     []string
	VideoEncoder VideoEncoder // as asked for; see GPUEncoder
	GPUEncoder   bool         // it encodes video on a GPU, and has a slot for that while it runs
	Addons       []AddonUse   // of a raw instance; installed when it first starts
	Config       InstanceConfig
	Services     []NodeService // with their ports on the node while it runs
	GPU          string        // the PCI address of the card it has slots of, while it runs
	VPU          string        // likewise

	DeleteProtected bool          // no request deletes it
	Source          string        // the id of the instance it is a copy of; empty for any other
	Lifetime        time.Duration // how long it may run; 0 is for ever
	Expires         time.Time     // when that is over; zero until it first runs

	Status        InstanceStatus
	StatusMessage string // what is being done now; cleared at running
	ErrorMessage  string // why the status is error
	Address       string // IPv4 on its node's network; see NodeInfo.Subnet
	Logs          []LogFile

	Want      Want
	Force     bool      // the stop or deletion wanted is not to be graceful
	Restart   bool      // once stopped, it is to run again
	Deadline  time.Time // by when the wanted state must be reached; zero is never
	Operation string    // the id of the operation that waits for the wanted state

	// Progress that a restart must know.
	Attempt      string    // the mark it is created with: the operation that made it
	Made         bool      // the backend has been, or is about to be, asked to create it
	Held         held      // how much of its node it holds
	Charged      Charge    // what its node's ledger holds for it
	Host         int       // its address, as a number in its node's network; 0 is none
	Bootstrapped bool      // base: the package is installed; publish next
	Standby      bool      // waits, booted and frozen, for a launch to claim it; nobody's yet
	Warm         bool      // it is booted up to just before its app starts
	Prewarm      Prewarm   // what the launch asked for, while it waits
	Stale        staleness // what the backend is to be told
	HasAddons    bool      // raw: its addons are installed
	HasRun       bool      // its software has been started at least once, so it holds data
	Failure      Code      // set while a failure is being cleaned up after, and in status error
	Attempts     int       // tries of the current step that failed
	RetryAt      time.Time // not before this instant
	Resting      bool      // nothing is left to do for it

	CreatedAt time.Time
	UpdatedAt time.Time
}

// LogFile is a log that was kept when an instance failed.
type LogFile struct {
	Name   string // for example "system.log"
	Size   int64  // bytes
	Digest string // the blob that holds it
}

// InstanceFilter chooses instances. Every field that is set must match.
type InstanceFilter struct {
	ID              string
	Name            string
	ApplicationID   string
	ApplicationName string
	Version         *int // of the application
	ImageID         string
	ImageVersion    *int
	Node            string
	Status          []InstanceStatus // any of them
	Tags            []string         // all of them
	Base            *bool
	Standby         *bool
	VM              *bool
	Resting         *bool  // false: there is work left to do
	After           string // ids above this one
}
