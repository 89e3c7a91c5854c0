//go:build !linux

package processtest

import "syscall"

func endsWithParent() *syscall.SysProcAttr { return nil }
