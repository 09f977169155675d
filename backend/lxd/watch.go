package lxd

import (
	"context"
	"encoding/json"
	"path"
	"strings"
	"time"

	"github.com/canonical/lxd/shared/api"

	"github.com/openams/ams"
)

// quiet is how long the stream of events may be silent; LXD pings every ten
// seconds.
const quiet = time.Minute

// maxEvent is how large an event may be.
const maxEvent = 1 << 20

// Watch implements ams.Watcher. It tells of LXD's lifecycle events of instances
// with a name like ours, unless they are known to be another cluster's.
func (b *Backend) Watch(ctx context.Context, cluster string, changed func(id string)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c, s, err := b.link.session(ctx, b.cfg.Project, "", true)
	if err != nil {
		return b.classify(ctx, err)
	}
	defer s.close()
	conn, err := c.RawWebsocket(strings.TrimPrefix(b.path("events"), "/1.0") + "&type=lifecycle")
	if err != nil {
		return b.classify(ctx, err)
	}
	conn.SetReadLimit(maxEvent)
	pong := conn.PingHandler()
	conn.SetPingHandler(func(data string) error {
		_ = conn.SetReadDeadline(time.Now().Add(quiet))
		return pong(data)
	})
	_ = conn.SetReadDeadline(time.Now().Add(quiet))
	for {
		_, data, err := conn.ReadMessage()
		if err != nil {
			return b.classify(ctx, ams.Errorf(ams.ErrUnavailable, "LXD's events: %w", err))
		}
		_ = conn.SetReadDeadline(time.Now().Add(quiet))
		if id := instanceOf(data); id != "" {
			if have := b.known.cluster(instanceName(id)); have == "" || have == cluster {
				changed(id)
			}
		}
	}
}

// instanceOf returns the id in an event about an instance with a name like ours,
// or "".
func instanceOf(data []byte) string {
	var event api.Event
	var about api.EventLifecycle
	if json.Unmarshal(data, &event) != nil || json.Unmarshal(event.Metadata, &about) != nil {
		return ""
	}
	source, _, _ := strings.Cut(about.Source, "?")
	dir, name := path.Split(source)
	if dir != "/1.0/instances/" && dir != "/1.0/containers/" && dir != "/1.0/virtual-machines/" {
		return ""
	}
	id, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return ""
	}
	return id
}
