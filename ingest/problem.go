package ingest

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"reckoner"
)

// invalidField is one field of a request, or one parameter of its query, and what is wrong with it.
type invalidField struct{ field, message string }

// fieldsError is a request whose fields are wrong: all of them, in the order of the request. Its code is Invalid. A
// dialect gathers with add and ends with err, so that a caller hears of everything at once.
type fieldsError struct{ fields []invalidField }

func (e *fieldsError) add(field, message string) {
	e.fields = append(e.fields, invalidField{field, message})
}

// has reports whether something is said of a field.
func (e *fieldsError) has(field string) bool {
	return slices.ContainsFunc(e.fields, func(f invalidField) bool { return f.field == field })
}

// err returns e, or nil when no field is wrong.
func (e *fieldsError) err() error {
	if len(e.fields) == 0 {
		return nil
	}
	return e
}

// Error names every field.
func (e *fieldsError) Error() string {
	texts := make([]string, len(e.fields))
	for i, f := range e.fields {
		texts[i] = f.field + ": " + f.message
	}
	return strings.Join(texts, "; ")
}

// Unwrap gives the error its code.
func (e *fieldsError) Unwrap() error {
	return &reckoner.Error{Code: reckoner.Invalid, Message: "invalid fields"}
}

// badField is a request with one wrong field.
func badField(field, message string) error {
	return &fieldsError{[]invalidField{{field, message}}}
}

// errVersion says that what a request was to change is not of the version that it expects.
var errVersion = &reckoner.Error{Code: reckoner.FailedPrecondition, Message: "it was changed by somebody else; read it again"}

// problemStatus is the one table of the errors of the dialects that answer with problems: usages, /v1 and /admin.
//
// A text that cannot be read as JSON is 400; what can be read and makes no sense is 422, with invalidFields.
func problemStatus(err error) int {
	switch {
	case errors.Is(err, errNoRoute):
		return http.StatusNotFound
	case errors.Is(err, errNoMethod):
		return http.StatusMethodNotAllowed
	case errors.Is(err, errSlowBody):
		return http.StatusRequestTimeout
	case errors.Is(err, errVersion):
		return http.StatusPreconditionFailed
	}
	switch reckoner.CodeOf(err) {
	case reckoner.Invalid:
		if len(invalidFields(err)) > 0 {
			return http.StatusUnprocessableEntity
		}
		return http.StatusBadRequest
	case reckoner.Unauthenticated:
		return http.StatusUnauthorized
	case reckoner.Forbidden:
		return http.StatusForbidden
	case reckoner.NotFound:
		return http.StatusNotFound
	case reckoner.AlreadyExists, reckoner.FailedPrecondition:
		return http.StatusConflict
	case reckoner.TooLarge:
		return http.StatusRequestEntityTooLarge
	case reckoner.TooMany:
		return http.StatusTooManyRequests
	case reckoner.Unavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// invalidFields returns what err says of fields: those of a fieldsError, or the one of an Error.
func invalidFields(err error) []invalidField {
	if e, ok := errors.AsType[*fieldsError](err); ok {
		return e.fields
	}
	if e, ok := errors.AsType[*reckoner.Error](err); ok && e.Field != "" {
		return []invalidField{{e.Field, e.Message}}
	}
	return nil
}

// problemFail answers with an error as a problem in the sense of RFC 9457, sent as application/json. What it says is the
// message of the Error, never its cause.
func problemFail(c *call, err error) {
	status := problemStatus(err)
	h := c.w.Header()
	switch status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", challenge)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		askRetry(h)
	case http.StatusRequestTimeout, http.StatusRequestEntityTooLarge:
		h.Set("Connection", "close") // the rest of the body may still be coming
	}
	if e, ok := errors.AsType[*noMethodError](err); ok {
		h.Set("Allow", strings.Join(e.allow, ", "))
	}
	writeJSON(c.w, status, appendProblem(nil, c.r.URL.EscapedPath(), status, err))
}

// problemDetail is what a caller is told.
func problemDetail(err error, status int) string {
	switch {
	case status == http.StatusInternalServerError:
		return internalMessage
	case status == http.StatusUnprocessableEntity:
		return "the request has fields that are not valid; invalidFields names each"
	}
	if e, ok := errors.AsType[*reckoner.Error](err); ok {
		return e.Error()
	}
	return err.Error() // of this package: no path, no method, a slow body
}

// appendProblem writes type, title, status, detail and instance (the path), and invalidFields where there are any. Bytes
// that are not UTF-8 are replaced.
func appendProblem(b []byte, path string, status int, err error) []byte {
	b = append(b, `{"type":"about:blank","title":`...)
	b, _ = jsontext.AppendQuote(b, http.StatusText(status))
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, `,"detail":`...)
	b, _ = jsontext.AppendQuote(b, problemDetail(err, status))
	b = append(b, `,"instance":`...)
	b, _ = jsontext.AppendQuote(b, path)
	if status == http.StatusUnprocessableEntity {
		b = append(b, `,"invalidFields":[`...)
		for i, f := range invalidFields(err) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, `{"field":`...)
			b, _ = jsontext.AppendQuote(b, f.field)
			b = append(b, `,"message":`...)
			b, _ = jsontext.AppendQuote(b, f.message)
			b = append(b, '}')
		}
		b = append(b, ']')
	}
	return append(b, '}')
}
