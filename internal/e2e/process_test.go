package e2e_test

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
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a running reckoner.
type process struct {
	name   string
	cmd    *exec.Cmd
	out    output // standard output
	log    output // standard error
	exited chan struct{}
}

// output collects what a process writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// start runs the binary. env are settings, KEY=VALUE. The process is ended with the test, in good order.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{name: args[0], cmd: exec.Command(shared.binary, args...), exited: make(chan struct{})}
	p.cmd.Dir = t.TempDir() // no settings file lies there
	p.cmd.Env = append(environ(t), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.log
	p.cmd.SysProcAttr = endsWithParent()
	started := make(chan error)
	shared.spawn <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		t.Fatalf("start %v: %v", args, err)
	}
	go func() {
		_ = p.cmd.Wait() // the state tells
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGCONT) // it may be stopped, or gone
		if !p.gone() {
			p.terminate(t)
		}
		p.check(t)
	})
	return p
}

// environ is the environment without settings of whoever runs the tests, with a cache of the test's own.
func environ(t *testing.T) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "RECKONER_") {
			env = append(env, v)
		}
	}
	return append(env, "RECKONER_LIBCHDB="+shared.lib, "XDG_CACHE_HOME="+t.TempDir())
}

// check fails the test for what no process may ever do, and shows the log of a test that failed.
func (p *process) check(t *testing.T) {
	log := p.log.String()
	for _, never := range []string{"DATA RACE", "panic: ", "fatal error: ", "ran into a defect"} {
		if strings.Contains(log, never) {
			t.Errorf("%s wrote %q", p.name, never)
		}
	}
	if t.Failed() {
		t.Logf("the log of %s (status %d):\n%s", p.name, p.cmd.ProcessState.ExitCode(), tail(log, 16<<10))
	}
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

func (p *process) gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// wait returns the exit status, -1 when a signal ended the process.
func (p *process) wait(t *testing.T, within time.Duration) int {
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
	return p.cmd.ProcessState.ExitCode()
}

// terminate asks a process to end, which it must do in good order.
func (p *process) terminate(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	if status := p.wait(t, 30*time.Second); status != 0 {
		t.Errorf("%s ended with status %d after SIGTERM, want 0", p.name, status)
	}
}

// kill ends a process as a power cut would.
func (p *process) kill(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGKILL)
	p.wait(t, 10*time.Second)
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("send %s to %s: %v", s, p.name, err)
	}
}

// run runs a command to its end and returns its status.
func run(t *testing.T, env []string, args ...string) (status int, p *process) {
	t.Helper()
	p = start(t, env, args...)
	return p.wait(t, time.Minute), p
}

// eventually polls until a condition holds. It says what is missing, "" when nothing is.
func eventually(t *testing.T, within time.Duration, missing func() string) {
	t.Helper()
	deadline := time.Now().Add(within)
	tick := time.NewTicker(20 * time.Millisecond)
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

// freeAddress returns an address that nobody listens on, of ports that the system gives to nobody who does not ask for
// them: a process that was killed finds its own again.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(20000+rand.IntN(12000)))
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

func testdata(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func setting(key string, value any) string {
	return fmt.Sprintf("RECKONER_%s=%v", strings.ToUpper(strings.ReplaceAll(key, ".", "_")), value)
}
