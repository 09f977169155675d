package metrics_test

import (
	"archive/zip"
	"bytes"
	"context"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/metrics"
	"github.com/openams/ams/storage/mem"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// world is a Manager that runs on a fake cluster, with a Collector.
type world struct {
	*ams.Manager
	t         *testing.T
	store     ams.Store
	fake      *fake.Backend
	collector *metrics.Collector
	stop      func()
}

// cluster has two machines, the first with a card of each kind.
func cluster() fake.Options {
	node := func(name string) ams.NodeInfo {
		return ams.NodeInfo{
			Name: name, Online: true, Architecture: "x86_64",
			Capacity: ams.Capacity{CPUs: 8, Memory: 32 * ams.Gigabyte, Disk: 500 * ams.Gigabyte, DiskFree: 400 * ams.Gigabyte},
		}
	}
	big := node("big")
	big.GPUs = []ams.GPU{{PCIAddress: "0000:65:00.0", Type: "nvidia"}}
	big.VPUs = []ams.VPU{{PCIAddress: "0000:81:00.0", Type: "netint", Slots: 4}}
	return fake.Options{
		Nodes: []ams.NodeInfo{big, node("small")}, CreateTime: time.Second, StartTime: time.Second,
		BootTime: 4 * time.Second, ClaimTime: 50 * time.Millisecond, StopTime: time.Second,
	}
}

// bubble runs fn on a cluster in a bubble, with the application candy.
func bubble(t *testing.T, fn func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, store: mem.New(), fake: fake.New(cluster())}
		w.start()
		t.Cleanup(func() { w.stop() })
		w.wait(w.Images.Add(t.Context(), "android", strings.NewReader("an image"), ams.ImageOptions{}))
		w.wait(w.Applications.Create(t.Context(), pkg("name: candy"), ams.CreateOptions{}))
		fn(t, w)
	})
}

// start begins a life of the program: everything but store and cluster is new.
func (w *world) start() {
	quiet := slog.New(slog.DiscardHandler)
	w.collector = metrics.New(metrics.Options{Logger: quiet})
	m, err := ams.New(ams.Config{
		Store: w.store, Backend: w.fake, Blobs: blobs(w.store), Logger: quiet, Observer: w.collector.Observer(),
	})
	require.NoError(w.t, err)
	w.Manager = m
	w.collector.Bind(m)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	require.NoError(w.t, m.Ready(w.t.Context()))
	w.stop = func() {
		cancel()
		require.NoError(w.t, <-ended)
		w.stop = func() {}
	}
}

func blobs(s ams.Store) ams.BlobStore { return s.(interface{ Blobs() ams.BlobStore }).Blobs() }

func (w *world) wait(op ams.Operation, err error) ams.Operation {
	w.t.Helper()
	require.NoError(w.t, err)
	op, err = w.Operations.Wait(w.t.Context(), op.ID)
	require.NoError(w.t, err)
	return op
}

func (w *world) launch(req ams.LaunchRequest) string {
	w.t.Helper()
	if req.Application == "" {
		req.Application = "candy"
	}
	return w.wait(w.Instances.Launch(w.t.Context(), req)).Resources["instance"][0]
}

// scrape returns what the handler serves.
func (w *world) scrape() string { return scrape(w.t, w.collector) }

func scrape(t *testing.T, c *metrics.Collector) string {
	t.Helper()
	rec := httptest.NewRecorder()
	c.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, 200, rec.Code, rec.Body)
	return rec.Body.String()
}

// shows requires series, each as in the text format without the prefix.
func (w *world) shows(series ...string) {
	w.t.Helper()
	text := w.scrape()
	for _, s := range series {
		require.Contains(w.t, text, "\nams_cluster_"+s+"\n")
	}
}

// strict returns a registry that checks what the collector describes and collects.
func strict(t *testing.T, c *metrics.Collector) *prometheus.Registry {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	require.NoError(t, r.Register(c))
	return r
}

// pkg is a package with a manifest and nothing else.
func pkg(manifest string) io.Reader {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("manifest.yaml")
	if err == nil {
		_, err = io.WriteString(f, manifest)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		panic(err)
	}
	return &b
}

func ptr[T any](v T) *T { return &v }
