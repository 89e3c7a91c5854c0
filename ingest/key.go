package ingest

import (
	"fmt"
	"net/http"
	"unicode/utf8"

	"reckoner"
)

// idempotencyKey is the header whose value is the id of what a request reports, so that a retry is known by it.
const idempotencyKey = "Idempotency-Key"

// givenKey returns the caller's key, word for word, whether there is one, and what is wrong with it.
func givenKey(h http.Header) (key string, given bool, why string) {
	keys := h.Values(idempotencyKey)
	switch {
	case len(keys) == 0:
		return "", false, ""
	case len(keys) > 1:
		return "", true, "given more than once"
	}
	return keys[0], true, badID(keys[0])
}

// badID says what keeps a text from being an id, or nothing.
func badID(id string) string {
	if id == "" || len(id) > reckoner.MaxIDBytes || !utf8.ValidString(id) {
		return fmt.Sprintf("want 1 to %d bytes of UTF-8", reckoner.MaxIDBytes)
	}
	return ""
}
