// Command metrics serves the metrics of a Manager on a cluster in memory: see
// http://127.0.0.1:9464/metrics.
package main

import (
	"context"
	"log"
	"net/http"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/metrics"
	"github.com/openams/ams/storage/mem"
)

func main() {
	m, handler, err := open(ams.Config{Store: mem.New(), Backend: fake.New(fake.Options{NodeCount: 3})})
	if err != nil {
		log.Fatal(err)
	}
	go m.Run(context.Background())
	http.Handle("/metrics", handler)
	log.Fatal(http.ListenAndServe("127.0.0.1:9464", nil))
}

// open returns a Manager and what serves its metrics.
func open(cfg ams.Config) (*ams.Manager, http.Handler, error) {
	collector := metrics.New(metrics.Options{})
	cfg.Observer = collector.Observer() // counts what happens
	m, err := ams.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	collector.Bind(m) // what there is is read from its store
	return m, collector.Handler(), nil
}
