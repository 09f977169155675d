package api

import "encoding/json"

// Version is the version in every path: "/1.0/instances".
const Version = "1.0"

// ReplyType says what a reply is.
type ReplyType string

// The reply types.
const (
	ReplySync  ReplyType = "sync"  // done; Metadata is the result
	ReplyAsync ReplyType = "async" // begun; Metadata is an Operation
	ReplyError ReplyType = "error" // refused; Error says why
)

// Reply is what every answer is wrapped in, but files.
type Reply struct {
	Type       ReplyType       `json:"type"`
	TotalSize  int             `json:"total_size,omitempty"` // of the list that Metadata is a page of
	Status     string          `json:"status"`
	StatusCode StatusCode      `json:"status_code"`
	Operation  string          `json:"operation"` // its path, of an async reply
	ErrorCode  int             `json:"error_code"`
	Error      string          `json:"error"`
	Metadata   json.RawMessage `json:"metadata"`
}
