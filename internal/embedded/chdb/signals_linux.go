package chdb

import (
	"syscall"
	"unsafe"
)

// action is the kernel's struct sigaction, kept as opaque bytes; no supported
// platform needs more.
type action [64]byte

// signalSetSize is the size in bytes of the kernel's signal set.
const signalSetSize = 8

func signalAction(sig syscall.Signal, set, old *action) {
	// The signal numbers are constants that the kernel knows, so the call
	// cannot fail.
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), signalSetSize, 0, 0)
}
