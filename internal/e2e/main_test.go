package e2e_test

import (
	"flag"
	"os"
	"testing"

	"reckoner/internal/processtest"
)

var seedFlag = flag.Uint64("e2e.seed", 0, "seed of the random moments of kills; 0 takes a new one")

// shared is what all tests share. It is written before the first of them runs.
var shared *processtest.Suite

func TestMain(m *testing.M) {
	os.Exit(processtest.Main(m, race, func(s *processtest.Suite) { shared = s }))
}
