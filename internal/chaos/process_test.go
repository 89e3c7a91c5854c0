package chaos_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is one place in the installation: it is started, ended and started again, always with the same arguments.
type process struct {
	name string
	args []string
	env  []string
	ops  string // host:port of its operators' port
	dir  string // its data directory, where it has one

	log    *os.File
	cmd    *exec.Cmd
	exited chan struct{}
	starts int
	ended  bool // by us
}

// newProcess returns a process that was never started. It is ended with the test, in good order.
func newProcess(t *testing.T, name string, env []string, args ...string) *process {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), name+".log"))
	must(t, err)
	p := &process{name: name, args: args, env: env, log: log}
	t.Cleanup(func() {
		p.check(t)
		must(t, log.Close())
	})
	return p
}

// start starts the process, with more environment for this time.
func (p *process) start(t *testing.T, env ...string) {
	t.Helper()
	p.cmd = exec.Command(shared.binary, p.args...)
	p.cmd.Dir = t.TempDir() // no settings file lies there
	p.cmd.Env = append(append(environ(), p.env...), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = endsWithParent()
	started := make(chan error)
	shared.spawn <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", p.name, err)
	}
	p.starts++
	p.ended = false
	exited := make(chan struct{})
	p.exited = exited
	cmd := p.cmd
	go func() {
		_ = cmd.Wait() // the state tells
		close(exited)
	}()
}

// environ is the environment without settings of whoever runs the tests.
func environ() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "RECKONER_") {
			env = append(env, v)
		}
	}
	return append(env, "RECKONER_LIBCHDB="+shared.lib)
}

func (p *process) running() bool {
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

// wait returns how the process ended; it fails the test when it did not in time.
func (p *process) wait(t *testing.T, within time.Duration) syscall.WaitStatus {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(within):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // its stacks tell where it hangs
		select {
		case <-p.exited:
		case <-time.After(5 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.exited
		}
		t.Errorf("%s did not end within %s", p.name, within)
	}
	return p.status(t)
}

// status returns how a process ended that has.
func (p *process) status(t *testing.T) syscall.WaitStatus {
	t.Helper()
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok {
		t.Fatalf("%s: no wait status", p.name)
	}
	return status
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("send %s to %s: %v", s, p.name, err)
	}
}

// kill ends a process as a power cut would. It may be gone already.
func (p *process) kill(t *testing.T) {
	t.Helper()
	p.ended = true
	p.signal(t, syscall.SIGKILL)
	p.wait(t, 10*time.Second)
}

// terminate asks a process to end, which it must do in good order.
func (p *process) terminate(t *testing.T) {
	t.Helper()
	p.ended = true
	p.signal(t, syscall.SIGTERM)
	if status := p.wait(t, 40*time.Second); status.ExitStatus() != 0 {
		t.Errorf("%s ended with status %v after SIGTERM, want 0", p.name, status)
	}
}

// dies waits until a process kills itself. It reports whether it did in time; then it must have been by the crash point.
func (p *process) dies(t *testing.T, within time.Duration) bool {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(within):
		return false
	}
	p.ended = true
	if status := p.status(t); !status.Signaled() || status.Signal() != syscall.SIGKILL {
		t.Fatalf("%s ended with %v instead of killing itself\n%s", p.name, p.cmd.ProcessState, p.tail())
	}
	return true
}

// check ends the process, and fails the test for what no process may ever do.
func (p *process) check(t *testing.T) {
	if p.cmd == nil {
		return
	}
	if p.running() {
		p.signal(t, syscall.SIGCONT) // it may be frozen
		p.terminate(t)
	} else if !p.ended {
		t.Errorf("%s ended by itself: %v", p.name, p.cmd.ProcessState)
	}
	log, err := os.ReadFile(p.log.Name())
	must(t, err)
	for _, never := range []string{"DATA RACE", "panic: ", "fatal error: ", "ran into a defect"} {
		if bytes.Contains(log, []byte(never)) {
			t.Errorf("%s wrote %q", p.name, never)
		}
	}
	if t.Failed() {
		t.Logf("the log of %s:\n%s", p.name, p.tail())
	}
}

func (p *process) tail() string {
	const most = 12 << 10
	log, err := os.ReadFile(p.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(log[max(0, len(log)-most):])
}

// memory returns a line of the process's status in bytes, such as VmHWM, the most it ever held. 0: not on this system.
func (p *process) memory(line string) int64 {
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

// run runs a command to its end and returns its status and what it wrote.
func run(t *testing.T, env []string, args ...string) (int, string) {
	t.Helper()
	p := newProcess(t, args[0], env, args...)
	p.start(t)
	status := p.wait(t, 3*time.Minute).ExitStatus()
	p.ended = true
	return status, p.tail()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually polls until a condition holds. It says what is missing, "" when nothing is.
func eventually(t *testing.T, within time.Duration, missing func() string) {
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

// pause lets time pass: the moment of a fault is one thing that time decides here.
func pause(d time.Duration) { <-time.After(d) }

// freeAddress returns an address that nobody listens on, of ports that the system gives to nobody who does not ask for
// them: a process that was killed finds its own again.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(10000+rand.IntN(10000)))
		l, err := net.Listen("tcp", addr)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		must(t, err)
		must(t, l.Close())
		return addr
	}
	t.Fatal("no free port was found")
	return ""
}

func setting(key string, value any) string {
	return fmt.Sprintf("RECKONER_%s=%v", strings.ToUpper(strings.ReplaceAll(key, ".", "_")), value)
}
