package metrics_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/metrics"
	"github.com/openams/ams/storage/mem"
)

// TestBootTimes follows an instance through its life. The cluster needs a second
// to make one, a second to start it and four for its software.
func TestBootTimes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.shows("instance_boot_time_seconds_count 0")
		id := w.launch(ams.LaunchRequest{})
		w.shows("instance_boot_time_seconds_count 1", "instance_boot_time_seconds_sum 6",
			`instance_boot_time_seconds_bucket{le="5"} 0`, `instance_boot_time_seconds_bucket{le="6"} 1`)
		w.wait(w.Instances.Restart(t.Context(), id, true))
		w.shows("instance_boot_time_seconds_count 1")
		w.wait(w.Instances.Stop(t.Context(), id, true))
		w.wait(w.Instances.Start(t.Context(), id, ams.StartOptions{}))
		w.shows("instance_boot_time_seconds_count 2", "instance_boot_time_seconds_sum 11")

		// One that waits for a day before it is started has not booted for a day.
		idle := w.launch(ams.LaunchRequest{NoStart: true})
		time.Sleep(24 * time.Hour)
		w.wait(w.Instances.Start(t.Context(), idle, ams.StartOptions{}))
		w.shows("instance_boot_time_seconds_count 3", "instance_boot_time_seconds_sum 16",
			"container_boot_time_seconds_count 3", "container_boot_time_seconds_sum 16", "instance_claim_time_seconds_count 0")

		require.NoError(t, w.Applications.SetPrewarm(t.Context(), "candy", 1))
		synctest.Wait()
		w.shows(`prewarmed_wanted{application="candy"} 1`, `prewarmed_ready{application="candy"} 0`)
		sleep()
		w.shows(`prewarmed_ready{application="candy"} 1`, "instances_total 2")
		w.launch(ams.LaunchRequest{})
		w.shows("instance_claim_time_seconds_count 1", "instance_claim_time_seconds_sum 0.05", "instance_boot_time_seconds_count 3")
	})
}

// TestReaders follows how far behind those are who read the events.
func TestReaders(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		newest, err := w.Newest(t.Context())
		require.NoError(t, err)
		require.Greater(t, newest, int64(3))
		w.collector.Read("billing", newest-3)
		w.collector.Read("audit", newest)
		w.shows(`event_reader_lag{reader="billing"} 3`, `event_reader_lag{reader="audit"} 0`)
		w.collector.Read("billing", newest+1)
		w.shows(`event_reader_lag{reader="billing"} 0`)
		w.collector.Forget("billing")
		require.NotContains(t, w.scrape(), "billing")
		w.collector.Read("b\xffd", newest-1)
		w.shows(`event_reader_lag{reader="b?d"} 1`)
	})
}

// TestScrapesBounded requires that scrapes do not pile up in front of a store that
// does not answer.
func TestScrapesBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := metrics.New(metrics.Options{Logger: slog.New(slog.DiscardHandler)})
		store := mem.New()
		m, err := ams.New(ams.Config{Store: hanging{store}, Backend: newFake(), Blobs: store.Blobs()})
		require.NoError(t, err)
		c.Bind(m)
		handler := c.Handler()
		codes := map[int]int{}
		var mu sync.Mutex
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				rec := httptest.NewRecorder()
				handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
				mu.Lock()
				defer mu.Unlock()
				codes[rec.Code]++
			})
		}
		all.Wait()
		require.Equal(t, map[int]int{200: 4, 503: 6}, codes)
	})
}
