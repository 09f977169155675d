package ams

import "slices"

// MayMove reports whether an instance may go from one status to another.
func MayMove(from, to string) bool {
	return slices.Contains(instanceMoves[InstanceStatus(from)], InstanceStatus(to))
}

// UpdateGolden is the flag -update.
var UpdateGolden = updateGolden

// WithDefaults is what New makes of a Config.
func WithDefaults(c Config) (Config, error) { return c.withDefaults() }
