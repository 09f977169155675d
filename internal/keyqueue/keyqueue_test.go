package keyqueue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOneRunPerKeyAndBoundPerLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		inKey, runs := map[string]int{}, map[string]int{}
		var inLane, most atomic.Int32
		q := New(func(string) int { return 3 }, func(ctx context.Context, key string) {
			mu.Lock()
			inKey[key]++
			require.Equal(t, 1, inKey[key])
			runs[key]++
			mu.Unlock()
			most.Store(max(most.Load(), inLane.Add(1)))
			time.Sleep(time.Millisecond)
			inLane.Add(-1)
			mu.Lock()
			inKey[key]--
			mu.Unlock()
		})
		q.Open(t.Context())
		for i := range 500 {
			q.Add(fmt.Sprint("k", rand.IntN(20)), "lane")
			if i%50 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		time.Sleep(time.Second)
		<-q.Close()
		require.Len(t, runs, 20)
		require.EqualValues(t, 3, most.Load())
		require.Empty(t, q.entries, "an idle key must be forgotten")
		require.Empty(t, q.lanes)
	})
}

func TestAddDuringRunRunsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		var q *Queue
		q = New(func(string) int { return 1 }, func(ctx context.Context, key string) {
			if n.Add(1) == 1 {
				q.Add(key, "other")
				q.Add(key, "other")
			}
		})
		q.Open(t.Context())
		q.Add("k", "lane")
		synctest.Wait()
		require.EqualValues(t, 2, n.Load())
		<-q.Close()
	})
}

func TestAddAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		q := New(func(string) int { return 1 }, func(context.Context, string) { n.Add(1) })
		q.Open(t.Context())
		q.AddAfter("k", "lane", time.Hour)
		q.AddAfter("k", "lane", 2*time.Hour) // the later call decides
		time.Sleep(90 * time.Minute)
		require.Zero(t, n.Load())
		time.Sleep(time.Hour)
		require.EqualValues(t, 1, n.Load())
		q.AddAfter("k", "lane", time.Hour)
		q.Add("k", "lane") // sooner: the timer is spent
		time.Sleep(3 * time.Hour)
		require.EqualValues(t, 2, n.Load())
		<-q.Close()
	})
}

func TestInterruptAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Int32
		q := New(func(string) int { return 5 }, func(ctx context.Context, _ string) {
			<-ctx.Done()
			ended.Add(1)
		})
		ctx, stop := context.WithCancel(t.Context())
		q.Open(ctx)
		q.Add("a", "l")
		q.Add("b", "l")
		synctest.Wait()
		require.True(t, q.Running("a"))
		q.Interrupt("a")
		synctest.Wait()
		require.EqualValues(t, 1, ended.Load())
		require.False(t, q.Running("a"))
		done := q.Close()
		q.Add("c", "l") // closed: ignored
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("b still runs")
		default:
		}
		stop()
		<-done
		require.EqualValues(t, 2, ended.Load())
	})
}
