// Package fakebackend shows how a program that embeds the Manager tests itself:
// shop.go is the program's code, shop_test.go runs it on backend/fake and
// storage/mem, in microseconds and without LXD.
package fakebackend

import (
	"context"
	"errors"
	"fmt"

	"github.com/openams/ams"
)

// ErrFull says that the shop can take no more players now.
var ErrFull = errors.New("all seats are taken, try again later")

// Shop rents out Android games by the session.
type Shop struct{ Manager *ams.Manager }

// Rent starts a session of the game for the player and returns where it runs.
// It is ErrFull when no node has room. A player has one session at a time;
// renting again returns the one there is.
func (s *Shop) Rent(ctx context.Context, game, player string) (address string, err error) {
	m := s.Manager
	op, err := m.Instances.Launch(ctx, ams.LaunchRequest{Application: game, Name: player, Tags: []string{"rented"}})
	switch {
	case errors.Is(err, ams.ErrExists):
		// Rented already, perhaps by an earlier life of this program.
	case errors.Is(err, ams.ErrNoCapacity):
		return "", ErrFull
	case err != nil:
		return "", err
	default:
		if _, err := m.Operations.Wait(ctx, op.ID); err != nil {
			// Nobody wants a session that did not start.
			_, cleanup := m.Instances.Delete(context.WithoutCancel(ctx), player, true)
			return "", errors.Join(fmt.Errorf("starting %s: %w", game, err), cleanup)
		}
	}
	in, err := m.Instances.Get(ctx, player)
	return in.Node, err
}
