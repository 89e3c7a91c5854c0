package crash

import (
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

var known = Steps{"writer": {"open", "sync"}, "reader": {"open"}}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestParse(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"", ""},
		{"writer:sync:1", ""},
		{"reader:open:17", ""},
		{"reader:sync:1", "reader:open, writer:open, writer:sync"},
		{"nobody:sync:1", "reader:open, writer:open, writer:sync"},
		{"writer:sync", "component:step:n"},
		{"writer:sync:1:1", "component:step:n"},
		{"writer:sync:0", "1 or more"},
		{"writer:sync:-3", "1 or more"},
		{"writer:sync:x", "1 or more"},
		{"writer::1", "component:step:n"},
		{":", "component:step:n"},
	} {
		p, err := Parse(c.text, known, quiet())
		switch {
		case c.says == "" && err != nil:
			t.Errorf("%q: %v", c.text, err)
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), Env)):
			t.Errorf("%q: error %v does not say %q", c.text, err, c.says)
		case (p == nil) != (c.text == "" || err != nil):
			t.Errorf("%q: point %v", c.text, p)
		}
	}
}

// TestTheNthTimeOfOneStep counts announcements of many goroutines: exactly the one that was asked for ends the process.
func TestTheNthTimeOfOneStep(t *testing.T) {
	p, err := Parse("writer:sync:300", known, quiet())
	if err != nil {
		t.Fatal(err)
	}
	var died atomic.Int64
	p.die = func() { died.Add(1) }
	if p.At("reader") != nil || (*Point)(nil).At("writer") != nil {
		t.Error("a component that is not meant is told to announce its steps")
	}
	at := p.At("writer")
	announce := func(n int) {
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				for range n / 10 {
					at("open")
					at("sync")
				}
			})
		}
		all.Wait()
	}
	if announce(290); died.Load() != 0 {
		t.Error("it ended the process too early")
	}
	if announce(400); died.Load() != 1 {
		t.Errorf("it ended the process %d times", died.Load())
	}
}

// TestItIsAKill runs this test again in a process of its own, which ends by the signal that nobody can catch, before
// its deferred calls.
func TestItIsAKill(t *testing.T) {
	if os.Getenv(Env) != "" {
		p, err := Parse(os.Getenv(Env), known, quiet())
		if err != nil {
			t.Fatal(err)
		}
		defer os.Exit(3)
		p.At("writer")("sync")
		t.Fatal("it went on")
	}
	c := exec.Command(os.Args[0], "-test.run=^TestItIsAKill$")
	c.Env = append(os.Environ(), Env+"=writer:sync:1")
	out, err := c.CombinedOutput()
	status, ok := c.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		t.Errorf("it ended with %v (%v): %s", c.ProcessState, err, out)
	}
}
