package chaos_test

import (
	"testing"
	"time"

	"reckoner/internal/processtest"
)

// process is one place in the installation: it is started, ended and started again, always with the same arguments.
type process struct {
	*processtest.Process
	ops string // host:port of its operators' port
	dir string // its data directory, where it has one
}

// newProcess returns a process that was never started. It is ended with the test, in good order.
func newProcess(t *testing.T, name string, env []string, args ...string) *process {
	t.Helper()
	return &process{Process: shared.New(t, name, env, args...)}
}

// ready waits until the process serves.
func (p *process) ready(t *testing.T) {
	t.Helper()
	p.Ready(t, p.ops)
}

// tail is the end of what the process logged.
func (p *process) tail() string { return processtest.Tail(p.Log.String(), 12<<10) }

// run runs a command to its end and returns its status and what it wrote.
func run(t *testing.T, env []string, args ...string) (int, string) {
	t.Helper()
	status, p := shared.Run(t, 3*time.Minute, env, args...)
	return status, p.Log.String() + p.Out.String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, within time.Duration, missing func() string) {
	t.Helper()
	processtest.Eventually(t, within, missing)
}

// pause lets time pass: the moment of a fault is one thing that time decides here.
func pause(d time.Duration) { <-time.After(d) }

func freeAddress(t *testing.T) string {
	t.Helper()
	return processtest.FreeAddress(t, 10000)
}

func setting(key string, value any) string { return processtest.Setting(key, value) }

func get(url string) (int, string) { return processtest.Get(url) }
