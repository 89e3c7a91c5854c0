package chdb

import (
	"fmt"
	"sync"
	"unsafe"
)

// process is the state that libchdb itself keeps once per process: the library
// cannot be loaded twice, and it holds one data directory at a time. It is the
// one package-level variable, because a field of a value could not keep two
// values from disagreeing about it.
var process struct {
	sync.Mutex
	lib     *library
	libPath string
	holder  string // the data directory that is open, or empty
}

// claim loads the library, once, and reserves the process for dir.
func claim(libPath, dir string) (*library, error) {
	process.Lock()
	defer process.Unlock()
	if process.holder != "" {
		return nil, fmt.Errorf("%w: %s is open; close it before opening %s", ErrAnotherEngine, process.holder, dir)
	}
	if process.lib == nil {
		lib, err := load(libPath)
		if err != nil {
			return nil, err
		}
		keepSignals(func() { lib.setSignalHandlers(0) })
		process.lib, process.libPath = lib, libPath
	}
	if process.libPath != libPath {
		return nil, fmt.Errorf("this process has loaded %s and cannot load %s as well", process.libPath, libPath)
	}
	process.holder = dir
	return process.lib, nil
}

// unclaim gives the process back, after the last connection was closed.
func unclaim() {
	process.Lock()
	process.holder = ""
	process.Unlock()
}

// dialGuarded connects with the signal handlers kept, one connect at a time:
// two at once would put back each other's defaults.
func dialGuarded(lib *library, args []string) (conn unsafe.Pointer) {
	process.Lock()
	defer process.Unlock()
	keepSignals(func() { conn = lib.dial(args) })
	return conn
}
