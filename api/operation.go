package api

import "time"

// The classes of operations.
const (
	ClassTask      = "task"
	ClassWebsocket = "websocket" // it is worked with over its websockets
)

// Operation is work under way, or ended.
type Operation struct {
	ID          string              `json:"id"`
	Class       string              `json:"class"`
	Description string              `json:"description"`
	CreatedAt   time.Time           `json:"created_at"`
	UpdatedAt   time.Time           `json:"updated_at"`
	Status      string              `json:"status"`
	StatusCode  StatusCode          `json:"status_code"`
	Resources   map[string][]string `json:"resources"` // paths of the objects it works on, by collection
	Metadata    map[string]any      `json:"metadata"`
	MayCancel   bool                `json:"may_cancel"`
	Err         string              `json:"err"` // why it failed; not empty once it did
	// ServerAddress is where the operation is worked on; it is always empty.
	ServerAddress string `json:"server_address"`
}

// The keys of Operation.Metadata.
const (
	MetadataFDs       = "fds"        // the secrets of the websockets of a command, by name
	MetadataReturn    = "return"     // the exit code of a command that ended
	MetadataProgress  = "progress"   // the step at hand, for people
	MetadataErrorCode = "error_code" // of ams.Code, why it failed
)

// Task is work that goes on.
type Task struct {
	ID         string `json:"id"`
	Status     string `json:"status"`
	ObjectID   string `json:"object_id"`
	ObjectType string `json:"object_type"`
	Text       string `json:"text,omitempty"` // the step at hand, for people
}
