package killtest

import (
	"context"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams/internal/lxdrun"
	"github.com/openams/ams/internal/lxdtest"
)

// TestChaosOnCluster kills the program again and again on a real cluster of three,
// whose members are killed and restarted meanwhile. AMS_CHAOS says for how long,
// such as "10m"; by default it is a short while.
func TestChaosOnCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("runs three LXD daemons")
	}
	c := lxdtest.RequireCluster(t)
	k := newKiller(t, 0, 0)
	k.kills, k.model.rough = 0, true
	last := 15 * time.Second
	if s := os.Getenv("AMS_CHAOS"); s != "" {
		var err error
		last, err = time.ParseDuration(s)
		require.NoError(t, err, "AMS_CHAOS")
	}
	k.until = time.Now().Add(last)
	k.orders.Backend, k.orders.Workers, k.orders.Most = "lxd", 6, 9
	k.orders.Socket, k.orders.Image = c.Members[0].Socket, lxdtest.ImageFile(t)
	k.early, k.least, k.most = 100*time.Millisecond, time.Second, 12*time.Second
	ctx, end := context.WithCancel(context.Background())
	var trouble sync.WaitGroup
	trouble.Go(func() { harass(ctx, t, c, rand.New(rand.NewPCG(uint64(k.orders.Seed), 99))) })
	k.calm = func() {
		end()
		trouble.Wait()
	}
	defer k.calm()
	k.run()
	k.auditLXD(c.Members[0])
}

// harass kills members of a cluster but the first, or restarts any, and lets them
// be for a while. When ctx ends, all run.
func harass(ctx context.Context, t *testing.T, c *lxdrun.Cluster, r *rand.Rand) {
	rest := func(most time.Duration) {
		select {
		case <-time.After(time.Duration(r.Int64N(int64(most)))):
		case <-ctx.Done():
		}
	}
	for ctx.Err() == nil {
		rest(20 * time.Second)
		if ctx.Err() != nil {
			return
		}
		member := c.Members[r.IntN(len(c.Members))]
		if member != c.Members[0] {
			if err := member.Kill(); err != nil {
				t.Error("killing a member:", err)
			}
			rest(25 * time.Second) // beyond the time after which it counts as offline
		}
		if err := member.Restart(context.WithoutCancel(ctx)); err != nil {
			t.Error("restarting a member:", err)
		}
	}
}
