package chdb

import (
	"syscall"
	"unsafe"

	"github.com/ebitengine/purego"
)

// action is libc's struct sigaction, kept as opaque bytes.
type action [64]byte

func signalAction(sig syscall.Signal, set, old *action) {
	symbol, err := purego.Dlsym(purego.RTLD_DEFAULT, "sigaction")
	if err != nil {
		return // every libSystem has it
	}
	_, _, _ = purego.SyscallN(symbol, uintptr(sig), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)))
}
