package chaos_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"reckoner/internal/processtest"
)

var (
	roundsFlag = flag.Int("rounds", 0, "rounds of TestChaos; 0: as many as fit a minute")
	seedFlag   = flag.Uint64("seed", 0, "seed of TestChaos; 0 takes a new one")
	outageFlag = flag.Duration("outage", time.Minute, "how long ClickHouse is stopped in TestClickHouseIsStopped")
	kafkaFlag  = flag.String("kafka", os.Getenv("KAFKA"), "Kafka of TestChaos: embedded (also when empty), or apache, which needs a JDK and Maven")
)

// shared is what all tests share. It is written before the first of them runs.
var shared *processtest.Suite

// The binary is the one that is delivered: the race detector has its turn in internal/e2e, and here it would only slow
// down what is to be interrupted.
func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(processtest.Main(m, false, func(s *processtest.Suite) { shared = s }))
}

// dice returns a source of chance and says how to have it again.
func dice(t *testing.T) *rand.Rand {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	fmt.Fprintf(t.Output(), "seed: -seed %d\n", seed)
	return rand.New(rand.NewPCG(seed, 11))
}
