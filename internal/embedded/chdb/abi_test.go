package chdb

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// Whatever is no library is refused with the system's reason and the remedy, also when goroutines change threads.
func TestWhatIsNoLibraryIsRefusedWithItsReason(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"text.so": strings.Repeat("no library\n", 100), "empty.so": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for _, path := range []string{filepath.Join(dir, "text.so"), filepath.Join(dir, "empty.so"), filepath.Join(dir, "missing.so"), dir} {
		for range 4 {
			all.Go(func() {
				for range 50 {
					runtime.Gosched()
					_, err := load(path)
					if err == nil {
						t.Errorf("%s was loaded", path)
						return
					}
					cause := strings.TrimPrefix(err.Error(), "load "+path+": ")
					if strings.HasPrefix(cause, " ") || strings.Contains(cause, "did not say why") || !strings.Contains(cause, EnvLibrary) {
						t.Errorf("no reason or no remedy: %v", err)
						return
					}
				}
			})
		}
	}
	all.Wait()
}

func TestAnEmptyCauseIsPutIntoWords(t *testing.T) {
	if got := because(errors.New("")).Error(); !strings.Contains(got, "did not say why") {
		t.Errorf("got %q", got)
	}
	if err := errors.New("wrong class"); !errors.Is(because(err), err) {
		t.Error("a cause is lost")
	}
}
