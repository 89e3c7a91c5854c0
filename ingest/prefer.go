package ingest

import (
	"errors"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// waitMax is the longest that a request may wait for its outcome.
const waitMax = 30 * time.Second

// preferences yields the names and values of the preferences of RFC 7240, in their order.
func preferences(h http.Header) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, header := range h.Values("Prefer") {
			for preference := range strings.SplitSeq(header, ",") {
				token, _, _ := strings.Cut(preference, ";") // parameters of a preference
				name, value, _ := strings.Cut(token, "=")
				if !yield(strings.ToLower(strings.TrimSpace(name)), strings.Trim(strings.TrimSpace(value), `"`)) {
					return
				}
			}
		}
	}
}

// preferredWait reads the preference `wait`, in whole seconds; more than waitMax is waitMax. The first one counts. One
// that makes no sense is ignored, as the RFC has it, and so is a wait of 0.
func preferredWait(h http.Header) time.Duration {
	for name, value := range preferences(h) {
		if name != "wait" {
			continue
		}
		seconds, err := strconv.ParseUint(value, 10, 32)
		if errors.Is(err, strconv.ErrRange) {
			return waitMax
		} else if err != nil {
			return 0
		}
		return min(time.Duration(seconds)*time.Second, waitMax)
	}
	return 0
}

// respondAsync reports whether the caller prefers an answer before the outcome is there.
func respondAsync(h http.Header) bool {
	for name := range preferences(h) {
		if name == "respond-async" {
			return true
		}
	}
	return false
}

// applied tells the caller which wait was used.
func applied(h http.Header, wait time.Duration) {
	h.Set("Preference-Applied", "wait="+strconv.Itoa(int(wait/time.Second)))
}
