package reckoner

import (
	"errors"
	"fmt"
)

// Code classes an error for whoever made the request. Each dialect maps codes to its own answers in one table.
type Code uint8

// The codes.
const (
	Internal           Code = iota // ours; the cause is logged, never shown
	Invalid                        // the request is wrong; sending it again is useless
	Unauthenticated                // no or wrong credentials
	Forbidden                      // the credential may not do this
	NotFound                       // what the request names does not exist
	AlreadyExists                  // the id is taken by other content
	FailedPrecondition             // what the request names is in no state for this
	TooLarge                       // the request is over a limit of size
	TooMany                        // the caller is over its rate
	Unavailable                    // a dependency is down or slow; the same request may succeed later
)

var codeNames = [...]string{
	"internal", "invalid", "unauthenticated", "forbidden", "not_found", "already_exists", "failed_precondition",
	"too_large", "too_many", "unavailable",
}

// String returns the code's name.
func (c Code) String() string {
	if int(c) >= len(codeNames) {
		return fmt.Sprintf("code(%d)", uint8(c))
	}
	return codeNames[c]
}

// Error is an error with a code and a message for whoever made the request. Field names the part of the request
// that is wrong, where one is. Err is the cause; it is for logs.
type Error struct {
	Code    Code
	Field   string
	Message string
	Err     error
}

// Errorf returns an Error with a formatted message. A %w verb sets its cause.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// Error returns the message, with the field before it.
func (e *Error) Error() string {
	if e.Field != "" {
		return e.Field + ": " + e.Message
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the first Error in err's chain, or Internal.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}
