//go:build !race

package e2e_test

// race says that the binary is built as the tests are, without the race detector.
const race = false
