package ingest

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// waitMax is the longest that a request may wait for its outcome.
const waitMax = 30 * time.Second

// preferredWait reads the preference `wait` of RFC 7240, in whole seconds; more than waitMax is waitMax. The first one
// counts. One that makes no sense is ignored, as the RFC has it, and so is a wait of 0.
func preferredWait(h http.Header) time.Duration {
	for _, header := range h.Values("Prefer") {
		for preference := range strings.SplitSeq(header, ",") {
			token, _, _ := strings.Cut(preference, ";") // parameters of a preference
			name, value, _ := strings.Cut(token, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			value = strings.Trim(strings.TrimSpace(value), `"`)
			seconds, err := strconv.ParseUint(value, 10, 32)
			if errors.Is(err, strconv.ErrRange) {
				return waitMax
			} else if err != nil {
				return 0
			}
			return min(time.Duration(seconds)*time.Second, waitMax)
		}
	}
	return 0
}

// applied tells the caller which wait was used.
func applied(h http.Header, wait time.Duration) {
	h.Set("Preference-Applied", "wait="+strconv.Itoa(int(wait/time.Second)))
}
