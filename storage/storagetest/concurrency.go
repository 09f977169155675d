package storagetest

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// concurrencyProperties returns the promises about many callers.
func concurrencyProperties() []Property {
	return []Property{
		{"concurrency/no update is lost", checkCounter},
		{"concurrency/failures among updates", checkMixed},
		{"concurrency/views see whole updates", checkTorn},
		{"concurrency/cancelled callers", checkImpatient},
	}
}

// assertNoError is for goroutines that are not the test's own.
func assertNoError(t testing.TB, err error) { assert.NoError(t, err) }

// exitGoroutine ends the goroutine as a failed test does.
func exitGoroutine() { runtime.Goexit() }

// parallel runs fn in n goroutines and waits for them.
func parallel(n int, fn func(i int)) {
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { fn(i) })
	}
	group.Wait()
}

// add adds one to a number in a setting.
func add(tx ams.Tx, key string) error {
	text, err := getSetting(tx, key)
	if err != nil {
		return err
	}
	n, _ := strconv.Atoi(text) // "" is 0
	return setSetting(tx, key, strconv.Itoa(n+1))
}

func checkCounter(t testing.TB, s ams.Store) {
	parallel(16, func(i int) {
		for range 25 {
			assertNoError(t, s.Update(context.Background(), func(tx ams.Tx) error {
				if err := add(tx, "all"); err != nil {
					return err
				}
				return add(tx, fmt.Sprint(i))
			}))
		}
	})
	requireSetting(t, s, "all", "400")
	for i := range 16 {
		requireSetting(t, s, fmt.Sprint(i), "25")
	}
}

// checkMixed has updates fail, panic and succeed side by side.
func checkMixed(t testing.TB, s ams.Store) {
	parallel(16, func(i int) {
		for j := range 30 {
			func() {
				defer func() {
					if r := recover(); r != nil {
						assert.Equal(t, "own panic", r)
					}
				}()
				err := s.Update(context.Background(), func(tx ams.Tx) error {
					if err := add(tx, "all"); err != nil {
						return err
					}
					if err := tx.Events().Append(ams.Event{ID: fmt.Sprint(i, j)}); err != nil {
						return err
					}
					switch j % 3 {
					case 1:
						return ams.ErrState
					case 2:
						panic("own panic")
					}
					return nil
				})
				if j%3 == 0 {
					assertNoError(t, err)
				} else {
					assert.ErrorIs(t, err, ams.ErrState)
				}
			}()
		}
	})
	requireSetting(t, s, "all", "160")
	view(t, s, func(tx ams.Tx) error {
		events, err := tx.Events().Since(0, 1000)
		require.Len(t, events, 160)
		return err
	})
}

func checkTorn(t testing.TB, s ams.Store) {
	parallel(8, func(i int) {
		for range 40 {
			if i < 4 {
				assertNoError(t, s.Update(context.Background(), func(tx ams.Tx) error {
					if err := add(tx, "one"); err != nil {
						return err
					}
					return add(tx, "two")
				}))
				continue
			}
			assertNoError(t, s.View(context.Background(), func(tx ams.Tx) error {
				one, err := getSetting(tx, "one")
				if err != nil {
					return err
				}
				two, err := getSetting(tx, "two")
				assert.Equal(t, one, two)
				return err
			}))
		}
	})
	requireSetting(t, s, "two", "160")
}

// checkImpatient has callers give up while they wait: what returned nil is there,
// and nothing else.
func checkImpatient(t testing.TB, s ams.Store) {
	var mu sync.Mutex
	done := 0
	parallel(16, func(i int) {
		for j := range 20 {
			ctx, cancel := context.WithCancel(context.Background())
			if (i+j)%2 == 0 {
				go cancel()
			}
			err := s.Update(ctx, func(tx ams.Tx) error { return add(tx, "all") })
			cancel()
			if err == nil {
				mu.Lock()
				done++
				mu.Unlock()
			} else {
				assert.ErrorIs(t, err, context.Canceled)
			}
		}
	})
	require.GreaterOrEqual(t, done, 160)
	requireSetting(t, s, "all", strconv.Itoa(done))
}
