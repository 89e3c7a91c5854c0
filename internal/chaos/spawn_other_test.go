//go:build !linux

package chaos_test

import "syscall"

func endsWithParent() *syscall.SysProcAttr { return nil }
