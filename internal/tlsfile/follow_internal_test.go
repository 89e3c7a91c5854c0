package tlsfile

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnusableFilesAreTriedAgain: what keeps a file from being read may end without a change of the file, as when its
// mode is put right. It is told once.
func TestUnusableFilesAreTriedAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var denied error
	read := func() (string, error) {
		text, err := os.ReadFile(file)
		return string(text), errors.Join(err, denied)
	}
	write("old")
	var log bytes.Buffer
	f, err := follow([]string{file}, read, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	write("renewed")
	denied = os.ErrPermission
	for range 3 {
		if got := f.current(); got != "old" {
			t.Fatalf("%q, which may not be read", got)
		}
	}
	if n := strings.Count(log.String(), "cannot be used"); n != 1 {
		t.Errorf("told %d times: %s", n, log.String())
	}
	denied = nil
	if got := f.current(); got != "renewed" {
		t.Errorf("%q, and the file may be read now", got)
	}
}
