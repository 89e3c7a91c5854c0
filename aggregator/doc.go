// Package aggregator turns the log of usage events into rows of the ledger, each event counted once.
//
// Each partition is a deterministic state machine: its state and its rows are a pure function of the log's prefix.
// The machine (machine.go, decide.go) reads no clock, rolls no dice and looks nothing up but its own state. Rows are
// keyed by position and totals are absolute values versioned by position, so a batch may be written any number of
// times, by any number of owners, and the ledger is the same. That is the whole of exactly-once; there are no
// transactions across systems.
//
// One batch goes read → decide → ledger → dead letters → awaited outcomes → state → group offset (commit.go). Killed
// between any two steps, it is decided again from the state before it and gives the same rows.
package aggregator
