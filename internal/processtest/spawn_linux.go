package processtest

import "syscall"

// endsWithParent makes the kernel kill a process when the thread that started it ends, so that a test run that is cut
// off leaves nothing behind.
func endsWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
