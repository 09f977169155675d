package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/amstest"
	"github.com/openams/ams/api"
)

// world is a service and a client that sends requests as they are given.
type world struct {
	*amstest.Server
	t    *testing.T
	http *http.Client
	base string
}

func newWorld(t *testing.T, opts amstest.Options) *world {
	t.Helper()
	s := amstest.NewServerWith(t, opts)
	return &world{Server: s, t: t, http: s.HTTP(), base: "http://unix"}
}

// answer is what came back.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
	api.Reply
}

// do sends a request. A body that is a string is sent as it is, with no Content-Type; any
// other is sent as JSON.
func (w *world) do(method, path string, body any, header ...string) answer {
	w.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	case io.Reader:
		r = b
	default:
		data, err := json.Marshal(b)
		require.NoError(w.t, err)
		r = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.base+path, r)
	require.NoError(w.t, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := w.http.Do(req)
	require.NoError(w.t, err, path)
	defer res.Body.Close()
	a := answer{t: w.t, status: res.StatusCode, header: res.Header}
	a.body, err = io.ReadAll(res.Body)
	require.NoError(w.t, err)
	if res.Header.Get("Content-Type") == "application/json" && !bytes.Contains(a.body[:min(40, len(a.body))], []byte("openapi")) {
		require.NoError(w.t, json.Unmarshal(a.body, &a.Reply), string(a.body))
	}
	return a
}

// into decodes the metadata of an answer that must be a success.
func (a answer) into(v any) {
	a.t.Helper()
	require.Equal(a.t, api.ReplySync, a.Type, string(a.body))
	require.Equal(a.t, http.StatusOK, a.status)
	require.NoError(a.t, json.Unmarshal(a.Metadata, v))
}

// operation waits for the operation of an answer, and returns how it ended.
func (w *world) operation(a answer) api.Operation {
	w.t.Helper()
	require.Equal(w.t, api.ReplyAsync, a.Type, string(a.body))
	require.Equal(w.t, http.StatusAccepted, a.status)
	var op api.Operation
	require.NoError(w.t, json.Unmarshal(a.Metadata, &op))
	require.Equal(w.t, "/1.0/operations/"+op.ID, a.Operation)
	require.Equal(w.t, a.Operation, a.header.Get("Location"))
	w.do(http.MethodGet, a.Operation+"/wait?timeout=30", nil).into(&op)
	require.True(w.t, op.StatusCode.Final(), op)
	return op
}

// done is operation for one that must succeed; it returns the id of the object in it.
func (w *world) done(a answer) string {
	w.t.Helper()
	op := w.operation(a)
	require.Equal(w.t, "", op.Err)
	require.Equal(w.t, api.Success, op.StatusCode)
	for _, paths := range op.Resources {
		if len(paths) > 0 {
			return paths[0][strings.LastIndexByte(paths[0], '/')+1:]
		}
	}
	return ""
}

// refused checks that a request was refused.
func (a answer) refused(status int, text string) {
	a.t.Helper()
	require.Equal(a.t, api.ReplyError, a.Type, string(a.body))
	require.Equal(a.t, status, a.status, a.Error)
	require.Equal(a.t, status, a.ErrorCode)
	require.Contains(a.t, a.Error, text)
}

// pack makes an application package.
func pack(t *testing.T, manifest string) []byte {
	t.Helper()
	return zipped(t, map[string]string{"manifest.yaml": manifest})
}

// application makes an image and an application of it, and returns the id of that.
func (w *world) application(name string) string {
	w.t.Helper()
	w.image()
	return w.done(w.do(http.MethodPost, "/1.0/applications?vm=false", bytes.NewReader(pack(w.t, "name: "+name+"\n")),
		"Content-Type", "application/octet-stream", "X-AMS-Request", ""))
}

// image adds the default image.
func (w *world) image() string {
	w.t.Helper()
	id := w.done(w.do(http.MethodPost, "/1.0/images", strings.NewReader("an image"), "Content-Type", "application/octet-stream",
		"X-AMS-Request", `{"name":"jammy:android15:amd64","path":"","default":true,"type":"container"}`))
	return id
}

func TestLife(t *testing.T) {
	w := newWorld(t, amstest.Options{})
	app := w.application("candy")
	var a api.Application
	w.do(http.MethodGet, "/1.0/applications/candy", nil).into(&a)
	require.Equal(t, app, a.ID)
	require.Equal(t, 2, a.StatusCode)
	w.operationsOf(app)
	require.Eventually(t, func() bool {
		w.do(http.MethodGet, "/1.0/applications/"+app, nil).into(&a)
		return a.Published
	}, 10*time.Second, 10*time.Millisecond)
	id := w.done(w.do(http.MethodPost, "/1.0/instances?no_wait=false", api.InstancesPost{AppID: app, Name: "one"}))
	var in api.Instance
	w.do(http.MethodGet, "/1.0/instances/one", nil).into(&in)
	require.Equal(t, id, in.ID)
	require.Equal(t, "running", in.Status)
	require.Equal(t, 4, in.StatusCode)
	require.EqualValues(t, 3*ams.Gigabyte, in.Resources.Memory)
	var list []string
	w.do(http.MethodGet, "/1.0/instances", nil).into(&list)
	require.Equal(t, []string{"/1.0/instances/" + id}, list)
	w.do(http.MethodGet, "//1.0/containers/", nil).into(&list)
	require.Equal(t, []string{"/1.0/containers/" + id}, list)
	stop := "stopped"
	w.done(w.do(http.MethodPatch, "/1.0/instances/"+id+"?no_wait=false", api.InstancePatch{DesiredStatus: &stop}))
	w.do(http.MethodGet, "/1.0/instances/"+id, nil).into(&in)
	require.Equal(t, "stopped", in.Status)
	w.done(w.do(http.MethodDelete, "/1.0/instances/"+id, api.Delete{}))
	w.do(http.MethodGet, "/1.0/instances/"+id, nil).refused(http.StatusNotFound, "not found")
}

// operationsOf waits until nothing is being done to an application.
func (w *world) operationsOf(app string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	ops, _, err := w.Operations.List(ctx, ams.OperationFilter{}, ams.Page{})
	require.NoError(w.t, err)
	for _, op := range ops {
		if len(op.Resources["application"]) > 0 && op.Resources["application"][0] == app {
			_, err := w.Operations.Wait(ctx, op.ID)
			require.NoError(w.t, err)
		}
	}
}
