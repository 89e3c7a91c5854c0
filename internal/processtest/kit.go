package processtest

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Eventually polls until a condition holds. It says what is missing, "" when nothing is.
func Eventually(t testing.TB, within time.Duration, missing func() string) {
	t.Helper()
	deadline := time.Now().Add(within)
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		why := missing()
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, why)
		}
		<-tick.C
	}
}

// FreeAddress returns an address that nobody listens on, of ports that the system gives to nobody who does not ask for
// them: a process that was killed finds its own again. Packages are tested at the same time, so each has ten thousand ports
// of its own, from low on. Until the test has ended nobody else gets the same address.
func FreeAddress(t testing.TB, low int) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(low + rand.IntN(10000))
		if !reserve(t, port) {
			continue
		}
		addr := net.JoinHostPort("127.0.0.1", port)
		l, err := net.Listen("tcp", addr)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err == nil {
			err = l.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		return addr
	}
	t.Fatal("no free port was found")
	return ""
}

// reserve makes a file of a port's name; false: another test has it. One that was left behind by a test that was killed is
// nobody's after a while.
func reserve(t testing.TB, port string) bool {
	t.Helper()
	path := filepath.Join(os.TempDir(), "reckoner-test-port-"+port)
	if left, err := os.Stat(path); err == nil && time.Since(left.ModTime()) > 2*time.Hour {
		_ = os.Remove(path) // another test may have been faster
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(path) }) // the next test finds another port
	_ = f.Close()                             // nothing was written
	return true
}

// Setting returns a setting as an environment variable.
func Setting(key string, value any) string {
	return fmt.Sprintf("RECKONER_%s=%v", strings.ToUpper(strings.ReplaceAll(key, ".", "_")), value)
}

// Get returns the status and the body, or 0 and why there is none.
func Get(url string) (int, string) {
	client := http.Client{Timeout: 10 * time.Second}
	res, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}
