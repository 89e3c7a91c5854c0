package vercel

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"reckoner/ledger/report/partner"
)

// retryAfterMax bounds how long a partner may have us wait.
const retryAfterMax = time.Hour

// verdict says what a status means. 201 alone is success: any other 2xx is not the partner's, so it may be from a proxy or a
// page at a wrong address, as may a redirect. Those may be tried again, because nobody has said that the report is wrong.
func verdict(status int) partner.Verdict {
	switch {
	case status == http.StatusCreated:
		return partner.Accepted
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status == http.StatusTooEarly, status == http.StatusTooManyRequests:
		return partner.Again
	case status >= 400 && status < 500:
		return partner.Final
	default:
		return partner.Again
	}
}

// reason says why an answer is no success, and what to do. It quotes nothing of the answer.
func reason(code int) error {
	status := strings.TrimSpace(fmt.Sprintf("%d %s", code, http.StatusText(code)))
	switch code {
	case http.StatusBadRequest:
		return fmt.Errorf("the partner answered %s: it does not take this report; its answer says why", status)
	case http.StatusUnauthorized:
		return fmt.Errorf("the partner answered %s: it does not take the access token; see what token_env or token_file names", status)
	case http.StatusForbidden:
		return fmt.Errorf("the partner answered %s: the access token is not for this installation, or may not report", status)
	case http.StatusNotFound:
		return fmt.Errorf("the partner answered %s: it has no such installation there; see its id and base_url", status)
	case http.StatusGone:
		return fmt.Errorf("the partner answered %s: the installation was removed there; take it out of the catalog", status)
	case http.StatusTooManyRequests:
		return fmt.Errorf("the partner answered %s: it asks for fewer requests", status)
	}
	switch {
	case code >= 500:
		return fmt.Errorf("the partner answered %s: it failed", status)
	case code >= 400:
		return fmt.Errorf("the partner answered %s", status)
	case code >= 300:
		return fmt.Errorf("the partner answered %s: redirects are never followed, because the access token would go along; see base_url", status)
	default:
		return fmt.Errorf("the partner answered %s, and only 201 says that it took the report; see whether base_url is the partner's", status)
	}
}

// retryAfter reads seconds or a date. It is never negative, and never more than retryAfterMax; 0: nothing usable is said.
func retryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if header == "" {
		return 0
	}
	if strings.Trim(header, "0123456789") == "" {
		seconds, err := strconv.ParseUint(header, 10, 31)
		if err != nil { // more than fits
			return retryAfterMax
		}
		return min(time.Duration(seconds)*time.Second, retryAfterMax)
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), retryAfterMax)
}
