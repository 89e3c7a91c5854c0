package chdb

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// newSpool makes a file in memory, which has no name on any disk and is gone
// when it is closed, however that comes about. The engine opens it by the path.
func newSpool(string) (file *os.File, path string, err error) {
	fd, err := unix.MemfdCreate("reckoner insert", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, "", fmt.Errorf("memory for the data of an insert: %w", err)
	}
	return os.NewFile(uintptr(fd), "insert"), fmt.Sprintf("/proc/self/fd/%d", fd), nil
}

func dropSpool(file *os.File) { _ = file.Close() }
