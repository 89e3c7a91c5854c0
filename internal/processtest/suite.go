package processtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"reckoner/internal/embedded/chdb"
)

// Suite is what the tests of a package share: the binary, and the thread that starts its processes.
type Suite struct {
	binary string
	lib    string // of the embedded ClickHouse
	spawn  chan func()
}

// Main builds the binary, hands the suite over, runs the tests, and returns the status for os.Exit. With race the binary
// has the race detector, else it is built as it is delivered.
func Main(m *testing.M, race bool, use func(*Suite)) int {
	dir, err := os.MkdirTemp("", "reckoner-test-")
	var s *Suite
	if err == nil {
		s, err = newSuite(dir, race)
	}
	status := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, "prepare the tests:", err)
	} else {
		use(s)
		status = m.Run()
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "after the tests:", err)
		status = max(status, 1)
	}
	return status
}

func newSuite(dir string, race bool) (*Suite, error) {
	s := &Suite{binary: filepath.Join(dir, "reckoner"), spawn: make(chan func())}
	build := exec.Command("go", "build", "-o", s.binary, "reckoner/cmd/reckoner")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if race {
		build = exec.Command("go", "build", "-race", "-o", s.binary, "reckoner/cmd/reckoner")
	}
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the binary: %w\n%s", err, out)
	}
	var err error
	if s.lib, err = chdb.Library(context.Background(), chdb.LibraryOptions{Progress: os.Stderr}); err != nil {
		return nil, fmt.Errorf("the embedded ClickHouse is needed for these tests: %w", err)
	}
	// Processes end with the thread that started them, so one thread starts them all and never ends.
	go func() {
		runtime.LockOSThread()
		for start := range s.spawn {
			start()
		}
	}()
	return s, nil
}
