package e2e_test

import "syscall"

// endsWithParent makes the kernel kill a process when the thread that started it ends: no test run that is cut off
// leaves a server behind.
func endsWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
