package e2e_test

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"reckoner/internal/processtest"
)

// process is a running reckoner.
type process struct {
	*processtest.Process
	out *processtest.Output // standard output
	log *processtest.Output // standard error
}

// start runs the binary. env are settings, KEY=VALUE. The process is ended with the test, in good order.
func start(t testing.TB, env []string, args ...string) *process {
	t.Helper()
	p := shared.New(t, args[0], env, args...)
	p.Start(t)
	return &process{p, p.Out, p.Log}
}

// run runs a command to its end and returns its status.
func run(t testing.TB, env []string, args ...string) (status int, p *process) {
	t.Helper()
	p = start(t, env, args...)
	return p.wait(t, time.Minute), p
}

func (p *process) gone() bool { return !p.Running() }

// wait returns the exit status, -1 when a signal ended the process.
func (p *process) wait(t testing.TB, within time.Duration) int {
	t.Helper()
	return p.Wait(t, within).ExitStatus()
}

func (p *process) terminate(t testing.TB) {
	t.Helper()
	p.Terminate(t)
}

func (p *process) kill(t testing.TB) {
	t.Helper()
	p.Kill(t)
}

func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	p.Signal(t, s)
}

func tail(s string, n int) string { return processtest.Tail(s, n) }

func eventually(t testing.TB, within time.Duration, missing func() string) {
	t.Helper()
	processtest.Eventually(t, within, missing)
}

func freeAddress(t testing.TB) string {
	t.Helper()
	return processtest.FreeAddress(t, 20000)
}

func setting(key string, value any) string { return processtest.Setting(key, value) }

func get(url string) (int, string) { return processtest.Get(url) }

func testdata(t testing.TB, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}
