package chaos_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"reckoner/internal/embedded/chdb"
)

var (
	roundsFlag = flag.Int("rounds", 0, "rounds of TestChaos; 0: as many as fit a minute")
	seedFlag   = flag.Uint64("seed", 0, "seed of TestChaos; 0 takes a new one")
	outageFlag = flag.Duration("outage", time.Minute, "how long ClickHouse is stopped in TestClickHouseIsStopped")
	kafkaFlag  = flag.String("kafka", os.Getenv("KAFKA"), "Kafka of TestChaos: embedded (also when empty), or apache, which needs a JDK and Maven")
)

// suite is what all tests share. It is written before the first of them runs.
type suite struct {
	binary string
	lib    string // of the embedded ClickHouse
	spawn  chan func()
}

var shared suite

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "reckoner-chaos-")
	if err == nil {
		err = shared.prepare(dir)
	}
	status := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
	} else {
		status = m.Run()
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		status = max(status, 1)
	}
	os.Exit(status)
}

// prepare builds the binary as it is delivered: the race detector has its turn in internal/e2e, and here it would only
// slow down what is to be interrupted.
func (s *suite) prepare(dir string) error {
	s.binary = filepath.Join(dir, "reckoner")
	build := exec.Command("go", "build", "-o", s.binary, "reckoner/cmd/reckoner")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the binary: %w\n%s", err, out)
	}
	var err error
	if s.lib, err = chdb.Library(context.Background(), chdb.LibraryOptions{Progress: os.Stderr}); err != nil {
		return fmt.Errorf("the embedded ClickHouse is needed for these tests: %w", err)
	}
	// Processes end with the thread that started them, so one thread starts them all and never ends.
	s.spawn = make(chan func())
	go func() {
		runtime.LockOSThread()
		for start := range s.spawn {
			start()
		}
	}()
	return nil
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
