package processtest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is one place in an installation: it is started, ended and started again, always with the same arguments. It is
// for one goroutine, but for what it says.
type Process struct {
	Name string
	Out  *Output // standard output of all starts
	Log  *Output // standard error of all starts

	suite  *Suite
	args   []string
	env    []string
	dir    string // where it runs; no settings file lies there
	cmd    *exec.Cmd
	exited chan struct{}
	ended  bool // and the test knows it
}

// Output is what a process wrote. It may be read meanwhile.
type Output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write adds to the output.
func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

// String returns everything.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Tail returns the last n bytes of a text, with a mark where something is missing.
func Tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// New returns a process that was never started. env are settings, KEY=VALUE. It is ended with the test, in good order.
func (s *Suite) New(t testing.TB, name string, env []string, args ...string) *Process {
	t.Helper()
	p := &Process{Name: name, Out: &Output{}, Log: &Output{}, suite: s, args: args, env: env, dir: t.TempDir()}
	t.Cleanup(func() { p.check(t) })
	return p
}

// Run runs a command to its end, which must come in time, and returns it and its exit status.
func (s *Suite) Run(t testing.TB, within time.Duration, env []string, args ...string) (status int, p *Process) {
	t.Helper()
	p = s.New(t, args[0], env, args...)
	p.Start(t)
	return p.Wait(t, within).ExitStatus(), p
}

// Start starts the process, with more environment for this time.
func (p *Process) Start(t testing.TB, env ...string) {
	t.Helper()
	p.cmd = exec.Command(p.suite.binary, p.args...)
	p.cmd.Dir = p.dir
	p.cmd.Env = append(append(p.environ(), p.env...), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.Out, p.Log
	p.cmd.SysProcAttr = endsWithParent()
	started := make(chan error)
	p.suite.spawn <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", p.Name, err)
	}
	p.ended = false
	cmd, exited := p.cmd, make(chan struct{})
	p.exited = exited
	go func() {
		_ = cmd.Wait() // the state tells
		close(exited)
	}()
}

// environ is the environment without settings of whoever runs the tests, with a cache of the process's own.
func (p *Process) environ() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "RECKONER_") {
			env = append(env, v)
		}
	}
	return append(env, "RECKONER_LIBCHDB="+p.suite.lib, "XDG_CACHE_HOME="+p.dir)
}

// Running reports whether the process was started and did not end.
func (p *Process) Running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// State says how the process ended that has.
func (p *Process) State() string { return p.cmd.ProcessState.String() }

// Wait returns how the process ended; it fails the test when it did not in time.
func (p *Process) Wait(t testing.TB, within time.Duration) syscall.WaitStatus {
	t.Helper()
	if !p.gone(within) {
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // its stacks tell where it hangs
		if !p.gone(5 * time.Second) {
			_ = p.cmd.Process.Kill()
			<-p.exited
		}
		t.Errorf("%s did not end within %s", p.Name, within)
	}
	p.ended = true
	return p.status(t)
}

// gone reports whether the process ended in time.
func (p *Process) gone(within time.Duration) bool {
	if !p.Running() {
		return true
	}
	select {
	case <-p.exited:
		return true
	case <-time.After(within):
		return false
	}
}

func (p *Process) status(t testing.TB) syscall.WaitStatus {
	t.Helper()
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok {
		t.Fatalf("%s: no wait status", p.Name)
	}
	return status
}

// Signal sends a signal. The process may be gone already.
func (p *Process) Signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("send %s to %s: %v", s, p.Name, err)
	}
}

// Kill ends a process as a power cut would. It may be gone already.
func (p *Process) Kill(t testing.TB) {
	t.Helper()
	p.Signal(t, syscall.SIGKILL)
	p.Wait(t, 10*time.Second)
}

// Terminate asks a process to end, which it must do in good order.
func (p *Process) Terminate(t testing.TB) {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
	if status := p.Wait(t, 40*time.Second); status.ExitStatus() != 0 {
		t.Errorf("%s ended with status %v after SIGTERM, want 0", p.Name, status)
	}
}

// Dies waits until a process kills itself. It reports whether it did in time; then it must have been by a crash point.
func (p *Process) Dies(t testing.TB, within time.Duration) bool {
	t.Helper()
	if !p.gone(within) {
		return false
	}
	p.ended = true
	if status := p.status(t); !status.Signaled() || status.Signal() != syscall.SIGKILL {
		t.Fatalf("%s ended with %s instead of killing itself\n%s", p.Name, p.State(), Tail(p.Log.String(), logged))
	}
	return true
}

// Ready waits until the process says on its operators' port that it serves.
func (p *Process) Ready(t testing.TB, ops string) {
	t.Helper()
	Eventually(t, time.Minute, func() string {
		if !p.Running() {
			t.Fatalf("%s ended before it was ready: %s\n%s", p.Name, p.State(), Tail(p.Log.String(), logged))
		}
		if status, body := Get("http://" + ops + "/readyz"); status != http.StatusOK {
			return fmt.Sprintf("%s is not ready: %d %s", p.Name, status, body)
		}
		return ""
	})
}

// Memory returns a line of the process's status in bytes, such as VmHWM, the most it ever held. 0: not on this system.
func (p *Process) Memory(line string) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for l := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(l, line+":"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			if err == nil {
				return n << 10
			}
		}
	}
	return 0
}

// logged is how much of a log a failed test shows, bytes.
const logged = 16 << 10

// check ends the process, and fails the test for what no process may ever do.
func (p *Process) check(t testing.TB) {
	if p.cmd == nil {
		return
	}
	if p.Running() {
		p.Signal(t, syscall.SIGCONT) // it may be frozen
		p.Terminate(t)
	} else if !p.ended {
		t.Errorf("%s ended by itself: %s", p.Name, p.State())
	}
	log := p.Log.String()
	for _, never := range []string{"DATA RACE", "panic: ", "fatal error: ", "ran into a defect"} {
		if strings.Contains(log, never) {
			t.Errorf("%s wrote %q", p.Name, never)
		}
	}
	if t.Failed() {
		t.Logf("the log of %s (%s):\n%s", p.Name, p.State(), Tail(log, logged))
	}
}
