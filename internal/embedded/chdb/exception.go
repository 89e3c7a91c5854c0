package chdb

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Exception is an error as ClickHouse tells it: Text begins with
// "Code: N. DB::Exception: ".
type Exception struct {
	Code int // ClickHouse's error code, 1002 (UNKNOWN_EXCEPTION) when it gave none
	Text string
}

// Error returns the text of the exception.
func (e *Exception) Error() string { return e.Text }

// The codes this package gives itself; numbers and names are ClickHouse's
// (src/Common/ErrorCodes.cpp).
const (
	codeNotImplemented   = 48
	codeSyntaxError      = 62
	codeUnknownQueryType = 78
	codeNoDataToInsert   = 108
	codeUnknownSetting   = 115
	codeTimeout          = 159
	codeQueryTooLarge    = 229
	codeTooManyQueries   = 202
	codeAborted          = 236
	codeOutfileRefused   = 358
	codeCannotReadAll    = 33
	codeBadArguments     = 36
	codeCannotDecompress = 271
	codeAuthentication   = 516
	codeUnknown          = 1002
)

var codeNames = map[int]string{
	codeNotImplemented: "NOT_IMPLEMENTED", codeSyntaxError: "SYNTAX_ERROR",
	codeUnknownQueryType: "UNKNOWN_TYPE_OF_QUERY", codeNoDataToInsert: "NO_DATA_TO_INSERT",
	codeUnknownSetting: "UNKNOWN_SETTING", codeTimeout: "TIMEOUT_EXCEEDED",
	codeQueryTooLarge: "QUERY_IS_TOO_LARGE", codeTooManyQueries: "TOO_MANY_SIMULTANEOUS_QUERIES",
	codeAborted: "ABORTED", codeOutfileRefused: "INTO_OUTFILE_NOT_ALLOWED",
	codeCannotReadAll: "CANNOT_READ_ALL_DATA", codeBadArguments: "BAD_ARGUMENTS",
	codeCannotDecompress: "CANNOT_DECOMPRESS", codeAuthentication: "AUTHENTICATION_FAILED",
	codeUnknown: "UNKNOWN_EXCEPTION",
}

// exceptionf makes an exception of this package's own.
func exceptionf(code int, format string, args ...any) *Exception {
	return &Exception{Code: code, Text: fmt.Sprintf("Code: %d. DB::Exception: %s (%s)", code, fmt.Sprintf(format, args...), codeNames[code])}
}

var codePrefix = regexp.MustCompile(`^(?:Error: )?Code: (\d+)\. `)

// nestedException matches what the engine repeats in front when it passes an
// error from one layer to the next, and what it then repeats behind.
var nestedException = regexp.MustCompile(`^(Code: \d+\. DB::Exception: )(?:Code: \d+\. DB::Exception: )+`)
var nestedSuffix = regexp.MustCompile(`( \([A-Z0-9_]+\))(?: \(version [^)]*\)\. \([A-Z0-9_]+\))+$`)

// parseException reads the engine's error text; what has no code is unknown.
func parseException(text string) *Exception {
	text = strings.TrimSpace(text)
	found := codePrefix.FindStringSubmatch(text)
	if found == nil {
		return &Exception{Code: codeUnknown, Text: exceptionf(codeUnknown, "%s", text).Text}
	}
	code, err := strconv.Atoi(found[1])
	if err != nil {
		code = codeUnknown
	}
	text = strings.TrimPrefix(text, "Error: ")
	text = nestedException.ReplaceAllString(text, "$1")
	return &Exception{Code: code, Text: nestedSuffix.ReplaceAllString(text, "$1")}
}

// asException gives any error ClickHouse's form.
func asException(err error) *Exception {
	var e *Exception
	if errors.As(err, &e) {
		return e
	}
	return exceptionf(codeUnknown, "%s", err)
}

// statusOf is src/Server/HTTP/exceptionCodeToHTTPStatus.cpp as a table; a code
// that is not in it is a 500. One departs: a server says 403 to a failed login
// and asks for credentials with 401; there is one user here, so it is always 401.
var statusOf = func() map[int]int {
	table := map[int]int{}
	for status, codes := range map[int][]int{
		http.StatusUnauthorized: {194, codeAuthentication},
		http.StatusForbidden:    {192, 193, 497, 512},
		http.StatusBadRequest: {6, 8, 15, 25, 26, 27, codeBadArguments, 37, 38, 41, 44, 53, codeSyntaxError, 72,
			117, 123, 167, 168, 223, 321, 376, 427, 441, 675, 676},
		http.StatusNotFound:              {46, 47, 50, 56, 60, 63, 73, codeUnknownQueryType, 81, codeUnknownSetting, 152, 336, 511},
		http.StatusRequestEntityTooLarge: {codeQueryTooLarge},
		http.StatusNotImplemented:        {codeNotImplemented},
		http.StatusServiceUnavailable:    {76, 209, 439},
		http.StatusLengthRequired:        {381},
		http.StatusRequestTimeout:        {codeTimeout},
	} {
		for _, code := range codes {
			table[code] = status
		}
	}
	return table
}()

// status is the HTTP status ClickHouse answers the exception with.
func (e *Exception) status() int {
	if status, ok := statusOf[e.Code]; ok {
		return status
	}
	return http.StatusInternalServerError
}
