package kafkatest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// heap keeps four virtual machines small, and quick to start: they live for minutes.
func heap() []string {
	return []string{"-Xms32m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"}
}

// process is a running virtual machine whose output goes to a file.
type process struct {
	name   string
	cmd    *exec.Cmd
	out    string
	exited chan struct{}
}

// spawn starts a command and watches it. The command's output is appended to a file.
func (c *Cluster) spawn(name string, cmd *exec.Cmd) (*process, error) {
	p := &process{name: name, cmd: cmd, out: filepath.Join(c.dir, name+".log"), exited: make(chan struct{})}
	file, err := os.OpenFile(p.out, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // the process has it
	if cmd.Stdout == nil {
		cmd.Stdout = file
	}
	cmd.Stderr, cmd.SysProcAttr = file, endsWithParent()
	if err := c.starter.start(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = cmd.Wait() // the state tells
		close(p.exited)
	}()
	return p, nil
}

func (p *process) gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// kill ends the process, by its id, as a power cut would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may be gone
	<-p.exited
}

// end waits for the process to end by itself, and kills it when it does not.
func (p *process) end(patience time.Duration) {
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-p.exited:
	case <-t.C:
		p.kill()
	}
}

// tail returns the end of what the process wrote.
func (p *process) tail(most int64) string {
	b, err := os.ReadFile(p.out)
	if err != nil {
		return err.Error()
	}
	if cut := int64(len(b)) - most; cut > 0 {
		b = b[cut:]
	}
	state := "running"
	if p.gone() {
		state = p.cmd.ProcessState.String()
	}
	return p.name + " (" + state + "):\n" + string(b)
}
