package api

import "slices"

// StatusCode is the number of a status: of an operation, or of a reply.
type StatusCode int

// The status codes. From 200 on they are final.
const (
	OperationCreated StatusCode = 100
	Started          StatusCode = 101
	Stopped          StatusCode = 102
	Running          StatusCode = 103
	Cancelling       StatusCode = 104
	Pending          StatusCode = 105
	Starting         StatusCode = 106
	Stopping         StatusCode = 107
	Aborting         StatusCode = 108
	Freezing         StatusCode = 109
	Frozen           StatusCode = 110
	Thawed           StatusCode = 111
	Error            StatusCode = 112
	Success          StatusCode = 200
	Failure          StatusCode = 400
	Cancelled        StatusCode = 401
)

// String returns the text of the status; it is empty for a code that is none.
func (c StatusCode) String() string {
	switch c {
	case OperationCreated:
		return "Operation created"
	case Started:
		return "Started"
	case Stopped:
		return "Stopped"
	case Running:
		return "Running"
	case Cancelling:
		return "Cancelling"
	case Pending:
		return "Pending"
	case Starting:
		return "Starting"
	case Stopping:
		return "Stopping"
	case Aborting:
		return "Aborting"
	case Freezing:
		return "Freezing"
	case Frozen:
		return "Frozen"
	case Thawed:
		return "Thawed"
	case Error:
		return "Error"
	case Success:
		return "Success"
	case Failure:
		return "Failure"
	case Cancelled:
		return "Cancelled"
	}
	return ""
}

// Final reports whether nothing follows it.
func (c StatusCode) Final() bool { return c >= Success }

// ApplicationCode returns the number of an application's status; 0 is unknown.
func ApplicationCode(status string) int {
	return codeOf(status, "initializing", "ready", "deleted")
}

// ImageCode returns the number of the status of an image, of a version of one, or of
// a version of an application; 0 is unknown.
func ImageCode(status string) int {
	return codeOf(status, "initializing", "created", "active", "deleted", "available", "queued")
}

// InstanceCode returns the number of an instance's status; 0 is unknown.
func InstanceCode(status string) int {
	return codeOf(status, "created", "prepared", "started", "running", "stopped", "deleted")
}

// NodeCode returns the number of a node's status; 0 is unknown.
func NodeCode(status string) int {
	return codeOf(status, "created", "initializing", "initialized", "online", "offline", "deleted")
}

// codeOf numbers statuses from 1 on; error is -1 for all.
func codeOf(status string, names ...string) int {
	if status == "error" {
		return -1
	}
	return slices.Index(names, status) + 1
}
