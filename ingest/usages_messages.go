package ingest

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"reckoner"
)

// subscriptionLengthMax is the longest id of a subscription, in characters.
const subscriptionLengthMax = 50

// usageRequest is what a caller says of one usage. What is wrong with a field's type or form is kept until all fields are
// read.
type usageRequest struct {
	id            string // empty: none given
	subscription  string
	quantity      reckoner.Quantity
	given         bool // the quantity is
	usageTime     time.Time
	acceptPartial bool

	wrong [usageFieldCount]string // by field: what is wrong with it
}

// The fields, in the order in which they are reported.
const (
	usageFieldID = iota + 1
	usageFieldSubscription
	usageFieldQuantity
	usageFieldTime
	usageFieldPartial
	usageFieldCount
)

func usageFieldNames() [usageFieldCount]string {
	return [...]string{"", "id", "subscriptionId", "quantity", "usageTime", "acceptPartialQuantity"}
}

// usageRequestField numbers the fields that count. All others are ignored: old clients send some, and some are for answers
// only.
func usageRequestField(name []byte) int {
	for n, field := range usageFieldNames() {
		if n > 0 && string(name) == field {
			return n
		}
	}
	return 0
}

// parseUsage reads a body. An error is about JSON; a field that makes no sense is for check to report.
func parseUsage(body []byte, l *Limits) (usageRequest, error) {
	var m usageRequest
	err := newParser(body, l).parse(usageRequestField, func(p *parser, n int) error {
		v, err := p.value()
		if err != nil {
			return err
		}
		m.wrong[n] = m.read(n, v)
		return nil
	})
	return m, err
}

// read returns what is wrong with the value of a field.
func (m *usageRequest) read(n int, v jsontext.Value) string {
	switch n {
	case usageFieldQuantity:
		return m.readQuantity(v)
	case usageFieldPartial:
		if v.Kind() != 't' && v.Kind() != 'f' {
			return "want true or false"
		}
		m.acceptPartial = v.Kind() == 't'
		return ""
	}
	if v.Kind() != '"' {
		return "want a string"
	}
	text := unquote(v)
	switch n {
	case usageFieldID:
		if m.id = text; text != "" {
			return badID(text)
		}
	case usageFieldSubscription:
		m.subscription = text
	case usageFieldTime:
		if text == "" {
			return "" // as absent
		}
		var why string
		m.usageTime, why = parseISO(text)
		return why
	}
	return ""
}

// readQuantity reads a number from its text, digit by digit: 1e-3 is 0.001, and nothing passes through a float.
func (m *usageRequest) readQuantity(v jsontext.Value) string {
	m.given = true
	if v.Kind() != '0' {
		return "want a number"
	}
	q, err := reckoner.ParseQuantity(string(v))
	switch {
	case errors.Is(err, reckoner.ErrQuantityPrecision):
		return fmt.Sprintf("want at most %d decimals", reckoner.Decimals)
	case err != nil || q.Cmp(reckoner.MaxEvent()) > 0:
		return fmt.Sprintf("want at most %s", reckoner.MaxEvent())
	case q.Sign() <= 0:
		return "want at least 0.001"
	}
	m.quantity = q
	return ""
}

// check returns everything that is wrong with the fields, before anything is looked up.
func (m *usageRequest) check() *fieldsError {
	if m.wrong[usageFieldSubscription] == "" {
		switch n := utf8.RuneCountInString(m.subscription); {
		case n == 0:
			m.wrong[usageFieldSubscription] = "required"
		case n > subscriptionLengthMax:
			m.wrong[usageFieldSubscription] = fmt.Sprintf("want at most %d characters", subscriptionLengthMax)
		}
	}
	if !m.given {
		m.wrong[usageFieldQuantity] = "required"
	}
	wrong := &fieldsError{}
	for n, field := range usageFieldNames() {
		if m.wrong[n] != "" {
			wrong.add(field, m.wrong[n])
		}
	}
	return wrong
}
