//go:build !race

package e2e_test

// raceFlags build the binary as the tests are built.
var raceFlags []string
