//go:build linux || darwin

package chdb

import "syscall"

// keepSignals runs call and puts the handlers of the deadly signals back as
// they were. libchdb sets them to their defaults whenever its own handlers are
// switched off and on every connect (chdb_reset_signal_handlers); without Go's
// handler a nil dereference anywhere in the process would end it instead of
// being a panic that can be recovered.
func keepSignals(call func()) {
	signals := [...]syscall.Signal{
		syscall.SIGABRT, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGILL,
		syscall.SIGSEGV, syscall.SIGSYS, syscall.SIGTRAP, syscall.SIGTSTP,
	}
	var before [len(signals)]action
	for i, sig := range signals {
		signalAction(sig, nil, &before[i])
	}
	call()
	for i, sig := range signals {
		signalAction(sig, &before[i], nil)
	}
}
