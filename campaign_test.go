package ams_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
)

var (
	campaignNodes     = flag.Int("campaign.nodes", 20, "how many nodes the campaign has")
	campaignInstances = flag.Int("campaign.instances", 1000, "how many instances it is to run at a time")
	campaignTime      = flag.Duration("campaign.time", 20*time.Minute, "how long it lasts, in simulated time")
	campaignSeed      = flag.Uint64("campaign.seed", 1, "what happens in it")
)

// TestCampaign keeps a cluster full of instances that are launched, stopped, started, copied
// and deleted, with ports, cards and prewarmed instances, while nodes are lost and
// come back, the backend restarts, and the Manager is killed. At its end ledger,
// store and backend must agree, and no port, card slot or address be given twice.
// It is the large one among the simulations: see make chaos.
func TestCampaign(t *testing.T) {
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		opts := slow
		opts.Nodes = simNodes(*campaignNodes)
		for i := range opts.Nodes {
			opts.Nodes[i].Capacity.CPUs = 256
			opts.Nodes[i].Capacity.Memory = 1024 * ams.Gigabyte
		}
		opts.BootTime = 200 * time.Millisecond // the steps of a boot are too short to be written down
		opts.FreezeTime, opts.ClaimTime = 10*time.Millisecond, 100*time.Millisecond
		w := newWorld(t, opts, func(c *ams.Config) { c.DrainTimeout = time.Nanosecond })
		w.application("candy")
		require.NoError(t, w.Applications.SetPrewarm(w.ctx, "candy", 10))
		c := &campaign{w: w, alive: map[string]bool{}, peak: 0}
		ctx, cancel := context.WithTimeout(t.Context(), *campaignTime)
		defer cancel()
		rnd := rand.New(rand.NewPCG(*campaignSeed, 0))
		var busy sync.WaitGroup
		callers := max(8, *campaignInstances/100)
		for n := range callers {
			caller := rand.New(rand.NewPCG(rnd.Uint64(), uint64(n)))
			busy.Go(func() { c.run(ctx, caller) })
		}
		for ctx.Err() == nil {
			c.trouble(rnd)
			sleep(ctx, time.Duration(rnd.IntN(60))*time.Second)
		}
		busy.Wait()
		w.heal()
		for n := range *campaignNodes {
			w.fake.SetOnline(fmt.Sprint("node", n), true)
		}
		time.Sleep(10 * time.Minute)
		w.audit()
		_, n, err := w.Instances.List(w.ctx, ams.InstanceFilter{}, ams.Page{})
		require.NoError(t, err)
		require.Positive(t, n)
		require.GreaterOrEqual(t, c.peak, *campaignInstances*9/10, "so many were to run at a time")
		t.Logf("%d calls of the backend, %d instances at most, %d at the end", len(w.fake.Calls()), c.peak, n)
	})
	t.Logf("%s of the cluster's time took %s", *campaignTime, time.Since(began))
}

// campaign is what the callers know of together.
type campaign struct {
	w *world

	mu    sync.Mutex
	alive map[string]bool
	names []string
	peak  int
	made  int
}

// pick returns an instance that may be there.
func (c *campaign) pick(rnd *rand.Rand) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.names) > 0 {
		i := rnd.IntN(len(c.names))
		if name := c.names[i]; c.alive[name] {
			return name
		}
		c.names[i] = c.names[len(c.names)-1]
		c.names = c.names[:len(c.names)-1]
	}
	return ""
}

func (c *campaign) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alive[name] = true
	c.names = append(c.names, name)
	c.peak = max(c.peak, len(c.alive))
}

func (c *campaign) drop(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.alive, name)
}

func (c *campaign) full() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.alive) >= *campaignInstances
}

// run launches until there are enough, and then does this and that.
func (c *campaign) run(ctx context.Context, rnd *rand.Rand) {
	for ctx.Err() == nil {
		if !c.full() {
			c.launch(ctx, rnd)
			continue
		}
		sleep(ctx, time.Duration(rnd.IntN(10_000))*time.Millisecond)
		name := c.pick(rnd)
		m := c.w.now.Load()
		var op ams.Operation
		var err error
		switch rnd.IntN(6) {
		case 0:
			op, err = m.Instances.Stop(ctx, name, rnd.IntN(2) == 0)
		case 1:
			op, err = m.Instances.Start(ctx, name, ams.StartOptions{DropLogs: true})
		case 2:
			op, err = m.Instances.Restart(ctx, name, false)
		case 3:
			c.copy(ctx, rnd, name)
			continue
		default:
			if op, err = m.Instances.Delete(ctx, name, rnd.IntN(2) == 0); err == nil {
				c.drop(name)
			}
		}
		c.wait(ctx, op, err)
	}
}

func (c *campaign) wait(ctx context.Context, op ams.Operation, err error) {
	if err != nil {
		return
	}
	bound, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	_, _ = c.w.now.Load().Operations.Wait(bound, op.ID) // it may fail: much goes wrong
}

func (c *campaign) name(kind string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made++
	return fmt.Sprint(kind, "-", c.made)
}

func (c *campaign) launch(ctx context.Context, rnd *rand.Rand) {
	req := ams.LaunchRequest{Name: c.name("inst"), Resources: ams.Resources{CPUs: 1 + rnd.IntN(3)}}
	switch rnd.IntN(16) {
	case 0, 1, 4, 5:
		req.Resources = ams.Resources{}
		req.Application = "candy"
	case 2:
		req.Resources.GPUSlots = ptr(1)
	case 3:
		req.MaxRunDuration = time.Duration(5+rnd.IntN(60)) * time.Minute
	}
	for i := range rnd.IntN(3) {
		req.Services = append(req.Services, ams.Service{Port: 10 + i, Protocols: [][]string{{"tcp"}, {"udp"}, {"tcp", "udp"}}[rnd.IntN(3)]})
	}
	op, err := c.w.now.Load().Instances.Launch(ctx, req)
	if err != nil {
		sleep(ctx, time.Second)
		return
	}
	c.add(req.Name)
	c.wait(ctx, op, nil)
}

func (c *campaign) copy(ctx context.Context, rnd *rand.Rand, source string) {
	name := c.name("copy")
	op, err := c.w.now.Load().Instances.Launch(ctx, ams.LaunchRequest{Name: name, Source: source, NoStart: rnd.IntN(2) == 0})
	if err == nil {
		c.add(name)
	}
	c.wait(ctx, op, err)
}

// trouble makes one thing go wrong.
func (c *campaign) trouble(rnd *rand.Rand) {
	w := c.w
	switch rnd.IntN(6) {
	case 0, 1:
		node := fmt.Sprint("node", rnd.IntN(*campaignNodes))
		w.fake.SetOnline(node, false)
		time.AfterFunc(time.Duration(rnd.IntN(180))*time.Second, func() { w.fake.SetOnline(node, true) })
	case 2:
		if rnd.IntN(10) == 0 { // a power cut of everything is rare
			w.fake.Restart()
		}
	case 3:
		w.stop() // at once, as if it was killed
		time.Sleep(time.Duration(rnd.IntN(20)) * time.Second)
		w.start()
	case 4:
		verbs := []string{fake.VerbCreate, fake.VerbStart, fake.VerbStop, fake.VerbDelete, fake.VerbConfigure, fake.VerbUnfreeze}
		w.fake.Lose(verbs[rnd.IntN(len(verbs))], 1+rnd.IntN(20))
	case 5:
		verbs := []string{fake.VerbCreate, fake.VerbGet, fake.VerbList, fake.VerbCopy}
		w.fake.Fail(verbs[rnd.IntN(len(verbs))], 1+rnd.IntN(20), ams.Errorf(ams.ErrUnavailable, "no answer"))
	}
}
