package kafkatest

import (
	"os/exec"
	"runtime"
)

// starter starts processes from one thread that lives as long as it does: on Linux the kernel ends a process with the
// thread that started it, so that no test run that is cut off leaves a broker behind.
type starter struct{ work chan func() }

func newStarter() *starter {
	s := &starter{work: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for f := range s.work {
			f()
		}
	}()
	return s
}

func (s *starter) start(cmd *exec.Cmd) error {
	result := make(chan error)
	s.work <- func() { result <- cmd.Start() }
	return <-result
}

// stop ends the thread, and with it whatever it started that still runs.
func (s *starter) stop() { close(s.work) }
