package broker

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// lockDir takes the directory for this process. The lock is the kernel's, so it ends with the process, however that
// ends; the file's content only names the owner for whoever comes second.
func lockDir(dir string) (*flock.Flock, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create the data directory: %w", err)
	}
	path := filepath.Join(dir, "LOCK")
	lock := flock.New(path)
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the data directory %s: %w", dir, err)
	}
	if !ok {
		return nil, &InUseError{Dir: dir, PID: readPID(path)}
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		_ = lock.Unlock()
		return nil, fmt.Errorf("lock the data directory %s: %w", dir, err)
	}
	return lock, nil
}

// InUseError says that another process (or another broker of this one) has the data directory.
type InUseError struct {
	Dir string
	PID int // 0 when unknown
}

// Error names the directory, its owner and the remedy.
func (e *InUseError) Error() string {
	owner := "another process"
	if e.PID != 0 {
		owner = "process " + strconv.Itoa(e.PID)
	}
	return fmt.Sprintf("data directory %s is in use by %s; stop it or choose another --data-dir", e.Dir, owner)
}

func readPID(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}
