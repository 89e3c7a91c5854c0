//go:build !race

package aggregator

const simSeedsDefault = 300
