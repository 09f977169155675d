package fakebackend

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/storage/mem"
)

// newShop runs a Manager on a cluster of one small node, with the game "chess".
func newShop(t *testing.T) (*Shop, *fake.Backend) {
	cluster := fake.New(fake.Options{
		Nodes: []ams.NodeInfo{{
			Name: "small", Online: true, Architecture: "x86_64",
			Capacity: ams.Capacity{CPUs: 1, Memory: 3 * ams.Gigabyte, Disk: 100 * ams.Gigabyte, DiskFree: 100 * ams.Gigabyte},
		}},
		BootTime: time.Minute, // of the bubble's time, which costs nothing
	})
	m, err := ams.New(ams.Config{Store: mem.New(), Backend: cluster, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	require.NoError(t, m.Ready(ctx))

	wait := func(op ams.Operation, err error) {
		require.NoError(t, err)
		_, err = m.Operations.Wait(ctx, op.ID)
		require.NoError(t, err)
	}
	wait(m.Images.Add(ctx, "android", strings.NewReader("an image"), ams.ImageOptions{}))
	pkg, err := ams.OpenPackage("testdata/chess")
	require.NoError(t, err)
	defer pkg.Close()
	wait(m.Applications.Create(ctx, pkg, ams.CreateOptions{}))
	return &Shop{Manager: m}, cluster
}

func TestRent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop, _ := newShop(t)
		began := time.Now()
		node, err := shop.Rent(t.Context(), "chess", "ada")
		require.NoError(t, err)
		require.Equal(t, "small", node)
		require.Equal(t, time.Minute, time.Since(began))

		again, err := shop.Rent(t.Context(), "chess", "ada")
		require.NoError(t, err)
		require.Equal(t, node, again)
	})
}

func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop, _ := newShop(t)
		_, err := shop.Rent(t.Context(), "chess", "ada")
		require.NoError(t, err)
		_, err = shop.Rent(t.Context(), "chess", "bob")
		require.NoError(t, err)
		_, err = shop.Rent(t.Context(), "chess", "cyd") // memory is given away twice at most
		require.ErrorIs(t, err, ErrFull)
	})
}

func TestGameThatDoesNotStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop, cluster := newShop(t)
		cluster.FailGuest(fake.GuestFault{Phase: ams.PhaseStart, Step: "start app", Tail: "no licence", Times: 1})
		_, err := shop.Rent(t.Context(), "chess", "ada")
		require.ErrorIs(t, err, ams.ErrFailed)
		require.ErrorContains(t, err, "no licence")
		synctest.Wait() // until the clean-up is done

		_, err = shop.Rent(t.Context(), "chess", "ada")
		require.NoError(t, err, "the failed session is not in the way")
	})
}

func TestNodeIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop, cluster := newShop(t)
		cluster.Fail(fake.VerbCreate, 3, ams.Errorf(ams.ErrUnavailable, "no route to host"))
		_, err := shop.Rent(t.Context(), "chess", "ada")
		require.NoError(t, err, "the Manager tries again by itself")
	})
}
