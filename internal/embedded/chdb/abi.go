package chdb

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
)

// library holds the C functions of libchdb that the package calls. The C
// structures behind the pointers are opaque.
type library struct {
	setSignalHandlers func(enabled int32)
	connect           func(argc int32, argv unsafe.Pointer) unsafe.Pointer
	closeConn         func(conn unsafe.Pointer)
	query             func(conn, sql unsafe.Pointer, sqlLen uintptr, format unsafe.Pointer, formatLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, count uintptr) unsafe.Pointer
	stream            func(conn, sql unsafe.Pointer, sqlLen uintptr, format unsafe.Pointer, formatLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, count uintptr) unsafe.Pointer
	fetch             func(conn, stream unsafe.Pointer) unsafe.Pointer
	cancelStream      func(conn, stream unsafe.Pointer)
	destroyResult     func(result unsafe.Pointer)
	resultBuffer      func(result unsafe.Pointer) unsafe.Pointer
	resultLength      func(result unsafe.Pointer) uintptr
	resultError       func(result unsafe.Pointer) string
	resultElapsed     func(result unsafe.Pointer) float64
	resultRows        func(result unsafe.Pointer) uint64
	resultBytes       func(result unsafe.Pointer) uint64
	rowsScanned       func(result unsafe.Pointer) uint64
	bytesScanned      func(result unsafe.Pointer) uint64
	rowsWritten       func(result unsafe.Pointer) uint64
	bytesWritten      func(result unsafe.Pointer) uint64
}

// load opens the shared library and binds its functions. A library that lacks
// one of them is of another version, and is refused.
func load(path string) (*library, error) {
	// The system keeps the cause of a failure by thread: on another one it is empty.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w (it needs glibc; the file must be libchdb %s for %s/%s: point %s at one, or unset it to have it fetched)",
			path, because(err), Version, runtime.GOOS, runtime.GOARCH, EnvLibrary)
	}
	lib := &library{}
	for name, function := range map[string]any{
		"chdb_set_signal_handlers_enabled": &lib.setSignalHandlers,
		"chdb_connect":                     &lib.connect,
		"chdb_close_conn":                  &lib.closeConn,
		"chdb_query_with_params_n":         &lib.query,
		"chdb_stream_query_with_params_n":  &lib.stream,
		"chdb_stream_fetch_result":         &lib.fetch,
		"chdb_stream_cancel_query":         &lib.cancelStream,
		"chdb_destroy_query_result":        &lib.destroyResult,
		"chdb_result_buffer":               &lib.resultBuffer,
		"chdb_result_length":               &lib.resultLength,
		"chdb_result_error":                &lib.resultError,
		"chdb_result_elapsed":              &lib.resultElapsed,
		"chdb_result_rows_read":            &lib.resultRows,
		"chdb_result_bytes_read":           &lib.resultBytes,
		"chdb_result_storage_rows_read":    &lib.rowsScanned,
		"chdb_result_storage_bytes_read":   &lib.bytesScanned,
		"chdb_result_rows_written":         &lib.rowsWritten,
		"chdb_result_bytes_written":        &lib.bytesWritten,
	} {
		symbol, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("%s has no function %s: it is not libchdb %s; point RECKONER_LIBCHDB at the right file, or unset it", path, name, Version)
		}
		purego.RegisterFunc(function, symbol)
	}
	return lib, nil
}

// because returns the cause of a failed load, in words where the system has none.
func because(err error) error {
	if strings.TrimSpace(err.Error()) == "" {
		return errors.New("the system's loader refused it and did not say why")
	}
	return err
}

// dial makes one connection to the data at path; nil means that the engine
// refused, and it does not say why.
func (l *library) dial(args []string) unsafe.Pointer {
	argv := make([]unsafe.Pointer, len(args)+1)
	for i, arg := range args {
		argv[i] = unsafe.Pointer(unsafe.SliceData(append([]byte(arg), 0)))
	}
	conn := l.connect(int32(len(args)), unsafe.Pointer(unsafe.SliceData(argv)))
	runtime.KeepAlive(argv)
	return conn
}

// start begins a query; with stream the result is fetched in chunks.
func (l *library) start(conn unsafe.Pointer, stream bool, sql, format string, params []param) unsafe.Pointer {
	names, nameLens := make([]unsafe.Pointer, len(params)+1), make([]uintptr, len(params)+1)
	values, valueLens := make([]unsafe.Pointer, len(params)+1), make([]uintptr, len(params)+1)
	for i, p := range params {
		names[i], nameLens[i] = cString(p.name)
		values[i], valueLens[i] = cString(p.value)
	}
	sqlPtr, sqlLen := cString(sql)
	formatPtr, formatLen := cString(format)
	call := l.query
	if stream {
		call = l.stream
	}
	result := call(conn, sqlPtr, sqlLen, formatPtr, formatLen,
		unsafe.Pointer(unsafe.SliceData(names)), unsafe.Pointer(unsafe.SliceData(nameLens)),
		unsafe.Pointer(unsafe.SliceData(values)), unsafe.Pointer(unsafe.SliceData(valueLens)), uintptr(len(params)))
	runtime.KeepAlive(names)
	runtime.KeepAlive(values)
	runtime.KeepAlive(sqlPtr)
	runtime.KeepAlive(formatPtr)
	return result
}

// cString gives a copy of s in C's form: the length is told, and a zero byte
// follows it all the same.
func cString(s string) (unsafe.Pointer, uintptr) {
	b := make([]byte, len(s)+1)
	copy(b, s)
	return unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(s))
}
