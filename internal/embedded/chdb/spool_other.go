//go:build !linux

package chdb

import (
	"fmt"
	"os"
)

// newSpool makes a temporary file in the engine's own folder, which is emptied
// whenever the engine is opened.
func newSpool(dir string) (file *os.File, path string, err error) {
	if file, err = os.CreateTemp(dir, "insert-*.data"); err != nil {
		return nil, "", fmt.Errorf("a temporary file for the data of an insert: %w", err)
	}
	return file, file.Name(), nil
}

func dropSpool(file *os.File) {
	_ = file.Close()
	_ = os.Remove(file.Name()) // else removed at the next Open
}
