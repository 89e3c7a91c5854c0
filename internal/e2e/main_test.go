package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"reckoner/internal/embedded/chdb"
)

var seedFlag = flag.Uint64("e2e.seed", 0, "seed of the random moments of kills; 0 takes a new one")

// suite is what all tests share. It is written before the first of them runs.
type suite struct {
	binary string
	lib    string // of the embedded ClickHouse
	spawn  chan func()
}

var shared suite

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "reckoner-e2e-")
	if err == nil {
		err = shared.prepare(dir)
	}
	status := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
	} else {
		status = m.Run()
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		status = max(status, 1)
	}
	os.Exit(status)
}

func (s *suite) prepare(dir string) error {
	s.binary = filepath.Join(dir, "reckoner")
	args := append(append([]string{"build"}, raceFlags...), "-o", s.binary, "reckoner/cmd/reckoner")
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("build the binary: %w\n%s", err, out)
	}
	var err error
	if s.lib, err = chdb.Library(context.Background(), chdb.LibraryOptions{Progress: os.Stderr}); err != nil {
		return fmt.Errorf("the embedded ClickHouse is needed for these tests: %w", err)
	}
	// Processes end with the thread that started them, so that one thread starts them all and never ends.
	s.spawn = make(chan func())
	go func() {
		runtime.LockOSThread()
		for start := range s.spawn {
			start()
		}
	}()
	return nil
}
