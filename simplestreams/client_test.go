package simplestreams

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// server serves a handler, with the client to ask it.
func server(t *testing.T, h http.Handler) (*Client, ams.ImageSource) {
	t.Helper()
	s := httptest.NewServer(h)
	c := New()
	c.limits = limits{connect: 5 * time.Second, answer: 2 * time.Second, silence: 2 * time.Second}
	t.Cleanup(func() {
		c.Close()
		s.CloseClientConnections()
		s.Close()
	})
	return c, ams.ImageSource{URL: s.URL}
}

// stream is a directory with images, and its handler.
func stream(t *testing.T, opts HandlerOptions, files ...string) (*Handler, string) {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		name := filepath.Join(dir, files[i])
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o750))
		require.NoError(t, os.WriteFile(name, []byte(files[i+1]), 0o600))
	}
	h, err := NewHandler(dir, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h, dir
}

func sha(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func read(t *testing.T, c *Client, from ams.ImageSource, file ams.RemoteFile) (string, error) {
	t.Helper()
	r, err := c.Open(t.Context(), from, file)
	if err != nil {
		return "", err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	return string(data), err
}

func TestServeAndRead(t *testing.T) {
	h, dir := stream(t, HandlerOptions{},
		"jammy/android15/amd64/1.9.0-1/image.tar.gz", "old",
		"jammy/android15/amd64/1.30.1-2/metadata.tar.xz", "meta",
		"jammy/android15/amd64/1.30.1-2/rootfs.squashfs", "rootfs",
		"jammy/android15/amd64/1.30.1-2/README", "not for clients",
		"jammy/android15/amd64/1.31.0-1/image.tar", "unfinished",
		"jammy/android15/amd64/1.31.0-1/more.part", "…",
		"noble/aaos16/arm64/20260101/metadata.tar", "meta",
		"noble/aaos16/arm64/20260101/disk.qcow2", "disk",
		"noble/aaos16/sparc/1/image.tar", "no such machine",
		"noble/empty/amd64/1/README", "nothing",
	)
	c, from := server(t, h)
	list, err := c.Images(t.Context(), from)
	require.NoError(t, err)
	at := "images/jammy/android15/amd64/"
	want := []ams.RemoteImage{
		{Name: "jammy:android15:amd64", Architecture: "x86_64", Variant: "android", Versions: []ams.RemoteVersion{
			{ID: "1.9.0-1", Files: []ams.RemoteFile{{Path: at + "1.9.0-1/image.tar.gz", Size: 3, SHA256: sha("old")}}},
			{ID: "1.30.1-2", Files: []ams.RemoteFile{
				{Path: at + "1.30.1-2/metadata.tar.xz", Size: 4, SHA256: sha("meta")},
				{Path: at + "1.30.1-2/rootfs.squashfs", Size: 6, SHA256: sha("rootfs"), Rootfs: true},
			}},
		}},
		{Name: "noble:aaos16:arm64", Architecture: "aarch64", Variant: "aaos", VM: true, Versions: []ams.RemoteVersion{
			{ID: "20260101", Files: []ams.RemoteFile{
				{Path: "images/noble/aaos16/arm64/20260101/metadata.tar", Size: 4, SHA256: sha("meta")},
				{Path: "images/noble/aaos16/arm64/20260101/disk.qcow2", Size: 4, SHA256: sha("disk"), Rootfs: true},
			}},
		}},
	}
	require.Equal(t, want, list)
	for _, file := range want[0].Versions[1].Files {
		content, err := read(t, c, from, file)
		require.NoError(t, err)
		require.Len(t, content, int(file.Size))
	}
	// What is finished appears, what is taken away disappears.
	require.NoError(t, os.Rename(filepath.Join(dir, "jammy/android15/amd64/1.31.0-1/more.part"), filepath.Join(dir, "jammy/android15/amd64/1.31.0-1/more")))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "noble")))
	list, err = c.Images(t.Context(), from)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "1.31.0-1", list[0].Versions[2].ID)
}

func TestHandlerKeepsInside(t *testing.T) {
	h, dir := stream(t, HandlerOptions{}, "jammy/android15/amd64/1/image.tar", "content", "jammy/android15/amd64/1/.secret", "s", "top", "secret")
	outside := filepath.Join(t.TempDir(), "outside")
	require.NoError(t, os.WriteFile(outside, []byte("secret"), 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "jammy/android15/amd64/1/rootfs.squashfs")))
	_, from := server(t, h)
	for _, name := range []string{
		"top", "images/top", "images/jammy", "images/jammy/android15/amd64/1", "images/jammy/android15/amd64/1/rootfs.squashfs",
		"images/jammy/android15/amd64/1/.secret", "images/jammy/android15/amd64/1/..%2f..%2f..%2f..%2f..%2ftop", "images/../top", "streams/v1/other.json", "",
	} {
		resp, err := http.Get(from.URL + "/" + name)
		require.NoError(t, err)
		data, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.GreaterOrEqual(t, resp.StatusCode, 400, name)
		require.NotContains(t, string(data), "secret", name)
	}
	resp, err := http.Post(from.URL+"/"+indexPath, "", nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
	req, err := http.NewRequest(http.MethodGet, from.URL+"/images/jammy/android15/amd64/1/image.tar", nil)
	require.NoError(t, err)
	req.Header.Set("Range", "bytes=3-")
	resp, err = http.DefaultClient.Do(req)
	require.NoError(t, err)
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "tent", string(data))
}

func TestCredentials(t *testing.T) {
	for _, c := range []struct {
		opts HandlerOptions
		auth string
		code ams.Code
	}{
		{HandlerOptions{User: "me", Password: "pass:word"}, "me:pass:word", ""},
		{HandlerOptions{User: "me", Password: "pass:word"}, "me:canary", ams.ErrDenied},
		{HandlerOptions{Token: "token"}, "bearer:token", ""},
		{HandlerOptions{Token: "token"}, "bearer:canary", ams.ErrDenied},
		{HandlerOptions{Token: "token"}, "", ams.ErrDenied},
		{HandlerOptions{}, "canary", ams.ErrInvalid},
	} {
		h, _ := stream(t, c.opts)
		client, from := server(t, h)
		from.Auth = c.auth
		_, err := client.Images(t.Context(), from)
		if c.code == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, c.code)
		require.NotContains(t, err.Error(), "canary")
	}
}

func TestCredentialsStayWithTheServer(t *testing.T) {
	var got []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = append(got, r.Header.Get("Authorization")) }))
	defer other.Close()
	c, from := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL, http.StatusFound)
		case "/here":
			http.Redirect(w, r, "/there", http.StatusFound)
		default:
			got = append(got, r.Header.Get("Authorization"))
		}
	}))
	from.Auth = "bearer:token"
	for _, name := range []string{"away", "here"} {
		_, err := read(t, c, from, ams.RemoteFile{Path: name, SHA256: sha("")})
		require.NoError(t, err)
	}
	require.Equal(t, []string{"", "Bearer token"}, got)
}

// TestBadServers asks servers of every kind of badness for a list and for a file.
func TestBadServers(t *testing.T) {
	answer := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
		}
	}
	stop := make(chan struct{})
	defer close(stop)
	hang := func(r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-stop:
		}
	}
	endless := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	}
	for name, c := range map[string]struct {
		serve      http.HandlerFunc
		list, file ams.Code
	}{
		"not found":   {http.NotFound, ams.ErrInvalid, ams.ErrNotFound},
		"not an list": {answer(200, "<html>"), ams.ErrInvalid, ams.ErrInvalid},
		"a bad list":  {answer(200, `{"index": [1]}`), ams.ErrInvalid, ams.ErrInvalid},
		"denied":      {answer(403, ""), ams.ErrDenied, ams.ErrDenied},
		"broken":      {answer(500, ""), ams.ErrUnavailable, ams.ErrUnavailable},
		"busy":        {answer(429, ""), ams.ErrUnavailable, ams.ErrUnavailable},
		"odd":         {answer(418, ""), ams.ErrInvalid, ams.ErrInvalid},
		"endless":     {endless, ams.ErrInvalid, ams.ErrInvalid},
		"no answer":   {func(_ http.ResponseWriter, r *http.Request) { hang(r) }, ams.ErrUnavailable, ams.ErrUnavailable},
		"silence": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "con")
			_ = http.NewResponseController(w).Flush()
			hang(r)
		}, ams.ErrUnavailable, ams.ErrUnavailable},
		"half a file": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "7")
			_, _ = io.WriteString(w, "con")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, ams.ErrUnavailable, ams.ErrUnavailable},
		"a short file": {answer(200, "con"), ams.ErrInvalid, ams.ErrInvalid},
		"a long file":  {answer(200, "contents"), ams.ErrInvalid, ams.ErrInvalid},
		"a wrong file": {answer(200, "contenT"), ams.ErrInvalid, ams.ErrInvalid},
		"a loop":       {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, ams.ErrInvalid, ams.ErrInvalid},
		"credentials": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://u:p@127.0.0.1:1/", http.StatusFound)
		}, ams.ErrInvalid, ams.ErrInvalid},
		"another way": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "ftp://x/y", http.StatusFound) }, ams.ErrInvalid, ams.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			client, from := server(t, c.serve)
			_, err := client.Images(t.Context(), from)
			require.ErrorIs(t, err, c.list)
			_, err = read(t, client, from, ams.RemoteFile{Path: "file", Size: 7, SHA256: sha("content")})
			require.ErrorIs(t, err, c.file)
		})
	}
}

func TestBadSources(t *testing.T) {
	c := New()
	defer c.Close()
	for _, u := range []string{"", "ftp://a/", "http://", "http://user:canary@a/", "http://[", "/a", "http://a/?b", "http://a/#b"} {
		_, err := c.Images(t.Context(), ams.ImageSource{URL: u})
		require.ErrorIs(t, err, ams.ErrInvalid, u)
		require.NotContains(t, err.Error(), "canary")
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	_, err := c.Images(t.Context(), ams.ImageSource{URL: gone.URL})
	require.ErrorIs(t, err, ams.ErrUnavailable)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Images(ctx, ams.ImageSource{URL: gone.URL})
	require.ErrorIs(t, err, context.Canceled)
	for _, name := range []string{"", "../x", "/x", "a//b", "a/../b", `a\b`, "a?b", "a\nb"} {
		_, err := c.Open(t.Context(), ams.ImageSource{URL: gone.URL}, ams.RemoteFile{Path: name})
		require.ErrorIs(t, err, ams.ErrInvalid, name)
	}
}

func TestTLSAndProxy(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1") // is not used
	h, _ := stream(t, HandlerOptions{})
	s := httptest.NewTLSServer(h)
	defer s.Close()
	s.Config.ErrorLog = nil
	c := New()
	defer c.Close()
	_, err := c.Images(t.Context(), ams.ImageSource{URL: s.URL})
	require.ErrorIs(t, err, ams.ErrInvalid, "its certificate is not known")
	_, err = c.Images(t.Context(), ams.ImageSource{URL: s.URL, AllowInsecure: true})
	require.NoError(t, err)

	asked := ""
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		target, err := url.Parse("http://" + r.Host)
		if err != nil || target.Host != "images.example" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		h.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	_, err = c.Images(t.Context(), ams.ImageSource{URL: "http://images.example/", Proxy: proxy.URL})
	require.NoError(t, err)
	require.Equal(t, "http://images.example/"+productsPath, asked)
}

// TestNothingIsLeft closes answers half read.
func TestNothingIsLeft(t *testing.T) {
	content := strings.Repeat("x", 8<<20)
	c, from := server(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, content) }))
	before := runtime.NumGoroutine()
	for range 20 {
		r, err := c.Open(t.Context(), from, ams.RemoteFile{Path: "file", Size: int64(len(content)), SHA256: sha(content)})
		require.NoError(t, err)
		_, err = io.ReadFull(r, make([]byte, 1000))
		require.NoError(t, err)
		require.NoError(t, r.Close())
	}
	c.Close()
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+5 }, 5*time.Second, 10*time.Millisecond)
}
