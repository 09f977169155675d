package client

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

// refusal is the error that an answer is.
func refusal(res *http.Response) error {
	var reply api.Reply
	data, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil || json.Unmarshal(data, &reply) != nil || reply.Error == "" {
		return ams.Errorf(codeOf(res.StatusCode), "the service answers %s", res.Status)
	}
	return replyError(res.StatusCode, &reply)
}

// replyError is the error that a reply tells of, with the code that it was given.
func replyError(status int, reply *api.Reply) error {
	var told map[string]string
	if json.Unmarshal(reply.Metadata, &told) == nil && told[api.MetadataErrorCode] != "" {
		return ams.Errorf(ams.Code(told[api.MetadataErrorCode]), "%s", reply.Error)
	}
	return ams.Errorf(codeOf(status), "%s", reply.Error)
}

// codeOf is the code that goes with a status, where the service did not tell it.
func codeOf(status int) ams.Code {
	switch status {
	case http.StatusBadRequest:
		return ams.ErrInvalid
	case http.StatusUnauthorized, http.StatusForbidden:
		return ams.ErrDenied
	case http.StatusNotFound:
		return ams.ErrNotFound
	case http.StatusConflict, http.StatusPreconditionFailed:
		return ams.ErrConflict
	case http.StatusRequestEntityTooLarge:
		return ams.ErrTooLarge
	case http.StatusGone:
		return ams.ErrGone
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
		return ams.ErrUnavailable
	}
	return ams.ErrInternal
}
