package api

import (
	"encoding/json"
	"time"
)

// The types of events. EventAll is only asked for.
const (
	EventAll       = "all"
	EventOperation = "operation" // Metadata is an Operation
	EventLifecycle = "lifecycle" // Metadata is a Lifecycle
)

// Event is one message of the events websocket.
type Event struct {
	Type      string          `json:"type"`
	Timestamp time.Time       `json:"timestamp"`
	Metadata  json.RawMessage `json:"metadata"`
	// Seq is where the event is in the log. Asked for with ?since=, events after
	// it come again. It is absent from events that are not kept.
	Seq int64 `json:"seq,omitempty"`
}

// Lifecycle is what has become of an object.
type Lifecycle struct {
	Action  string `json:"action"` // "instance-started"
	Source  string `json:"source"` // the path of the object
	Message string `json:"message,omitempty"`
}

// EventAuth lets a client that can send no certificate open the events websocket.
type EventAuth struct {
	Token string `json:"token"` // for ?token=; it is good for a minute
}
