package ingest

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"reckoner"
)

// frontierStatus is an HTTP status and the gRPC code that goes with it. message, where set, replaces what an error says.
type frontierStatus struct {
	http, code int
	message    string
}

const internalMessage = "internal server error"

// frontierStatusOf is the one table of this dialect's errors.
func frontierStatusOf(err error) frontierStatus {
	switch {
	case errors.Is(err, errNoRoute):
		return frontierStatus{http.StatusNotFound, 5, "Not Found"}
	case errors.Is(err, errNoMethod):
		return frontierStatus{http.StatusNotImplemented, 12, "Method Not Allowed"}
	case errors.Is(err, errSlowBody):
		return frontierStatus{http.StatusRequestTimeout, 4, errSlowBody.Error()}
	}
	switch reckoner.CodeOf(err) {
	case reckoner.Invalid:
		return frontierStatus{http: http.StatusBadRequest, code: 3}
	case reckoner.Unauthenticated:
		return frontierStatus{http: http.StatusUnauthorized, code: 16}
	case reckoner.Forbidden:
		return frontierStatus{http: http.StatusForbidden, code: 7}
	case reckoner.NotFound:
		return frontierStatus{http: http.StatusNotFound, code: 5}
	case reckoner.AlreadyExists:
		return frontierStatus{http: http.StatusConflict, code: 6}
	case reckoner.FailedPrecondition:
		return frontierStatus{http: http.StatusBadRequest, code: 9}
	case reckoner.TooLarge:
		return frontierStatus{http: http.StatusRequestEntityTooLarge, code: 8}
	case reckoner.TooMany:
		return frontierStatus{http: http.StatusTooManyRequests, code: 8}
	case reckoner.Unavailable:
		return frontierStatus{http: http.StatusServiceUnavailable, code: 14}
	default:
		return frontierStatus{http.StatusInternalServerError, 13, internalMessage}
	}
}

// frontierFail answers with an error. What it says is the message of the Error, never its cause.
func frontierFail(c *call, err error) {
	st := frontierStatusOf(err)
	message := st.message
	if e, ok := errors.AsType[*reckoner.Error](err); ok && message == "" {
		message = e.Error()
	}
	h := c.w.Header()
	switch st.http {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", challenge)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		askRetry(h)
	case http.StatusRequestTimeout, http.StatusRequestEntityTooLarge:
		h.Set("Connection", "close") // the rest of the body may still be coming
	}
	writeJSON(c.w, st.http, appendFrontierError(nil, st.code, message))
}

func appendFrontierError(b []byte, code int, message string) []byte {
	b = append(b, `{"code":`...)
	b = strconv.AppendInt(b, int64(code), 10)
	b = append(b, `,"message":`...)
	b, _ = jsontext.AppendQuote(b, message) // bytes that are not UTF-8 are replaced, which is what is wanted
	return append(b, `,"details":[]}`...)
}
