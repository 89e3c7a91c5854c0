//go:build ops

package opstest_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"reckoner/internal/processtest"
)

// shared is what all tests share. It is written before the first of them runs.
var shared *processtest.Suite

func TestMain(m *testing.M) {
	flag.Parse()
	for _, tool := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(tool); err != nil {
			fmt.Fprintf(os.Stderr, "these tests need %s on the PATH, of Debian's package prometheus: %v\n", tool, err)
			os.Exit(1)
		}
	}
	os.Exit(processtest.Main(m, false, func(s *processtest.Suite) { shared = s }))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t testing.TB, within time.Duration, missing func() string) {
	t.Helper()
	processtest.Eventually(t, within, missing)
}

func freeAddress(t testing.TB) string {
	t.Helper()
	return processtest.FreeAddress(t, 20000)
}

func setting(key string, value any) string { return processtest.Setting(key, value) }
