//go:build race

package aggregator

// simSeedsDefault is small because the simulation is one goroutine's work, which the race detector makes ten times as
// long and finds nothing in.
const simSeedsDefault = 40
