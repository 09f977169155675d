package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/storage/mem"
)

func TestServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, handler, err := open(ams.Config{
			Store: mem.New(), Backend: fake.New(fake.Options{NodeCount: 3}), Logger: slog.New(slog.DiscardHandler),
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx) }()
		require.NoError(t, m.Ready(ctx))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		require.Contains(t, w.Body.String(), "\nams_cluster_nodes_total 3\n")
		cancel()
		require.NoError(t, <-ended)
	})
}
