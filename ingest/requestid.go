package ingest

import (
	"net/http"
	"strings"
)

const requestIDHeader = "X-Request-Id"

// requestID returns the caller's id of the request if it is sane, else a new one. It is echoed and logged, so it must
// not be able to forge either.
func requestID(h http.Header, newID func() string) string {
	id := h.Get(requestIDHeader)
	if id == "" || len(id) > 128 || strings.ContainsFunc(id, insane) {
		return newID()
	}
	return id
}

func insane(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return false
	default:
		return !strings.ContainsRune("-_.:/+=@", r)
	}
}
