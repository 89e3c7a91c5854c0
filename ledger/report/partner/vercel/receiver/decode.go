package receiver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"
)

const (
	faultsMax  = 100 // how many broken rules are named
	numberMax  = 100 // characters of a number or an amount; a quantity with its price has some 60
	exponent   = 100 // the greatest of a number, either way: a longer one would be written out in full
	wireLayout = "2006-01-02T15:04:05.000Z"
)

// Check returns every rule that a body breaks; none: the partner takes it at that time.
func Check(body []byte, now time.Time) []string {
	_, broken := read(body, now)
	return broken
}

// read returns the report that a body is, and every rule that it breaks.
func read(body []byte, now time.Time) (*Taken, []string) {
	r := reader{d: jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true))} // names are checked here, to go on after one
	t := &Taken{Body: body}
	r.report(t)
	if !r.stopped {
		if _, err := r.d.ReadToken(); !errors.Is(err, io.EOF) {
			r.fault("", "more follows the JSON value that ends at byte %d: want one value", r.d.InputOffset())
		}
	}
	r.rules(t, now)
	if more := r.count - len(r.faults); more > 0 {
		r.faults = append(r.faults, fmt.Sprintf("and %d more", more))
	}
	return t, r.faults
}

// reader reads a body and goes on after what is wrong, as long as it is JSON.
type reader struct {
	d       *jsontext.Decoder
	faults  []string
	count   int  // of all faults, also those that are not named
	stopped bool // it is no JSON from here on

	usageBroken bool   // not every row could be read, so nothing can be said about their sum
	items       string // the path of the items
	itemBroken  []bool // by item
}

func (r *reader) fault(path, format string, args ...any) {
	if r.count++; r.count > faultsMax {
		return
	}
	text := fmt.Sprintf(format, args...)
	if path != "" {
		text = path + ": " + text
	}
	r.faults = append(r.faults, text)
}

func (r *reader) syntax(err error) {
	switch {
	case r.stopped:
	case errors.Is(err, io.EOF):
		r.stopped = true
		r.fault("", "the body is empty")
	default:
		r.stopped = true
		r.fault("", "invalid JSON at byte %d: %s", r.d.InputOffset(), strings.TrimPrefix(err.Error(), "jsontext: "))
	}
}

// field is a key that an object may have.
type field struct {
	name     string
	optional bool
	read     func(path string)
}

func (r *reader) object(path string, fields ...field) {
	if !r.begin('{', path, "an object") {
		return
	}
	seen := make([]bool, len(fields))
	for r.d.PeekKind() != '}' {
		name, err := r.d.ReadToken()
		if err != nil {
			r.syntax(err)
			return
		}
		key := name.String()
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == key })
		if i >= 0 && !seen[i] {
			seen[i] = true
			fields[i].read(under(path, key))
		} else {
			if i >= 0 {
				r.fault(under(path, key), "the key is given twice")
			} else {
				r.fault(under(path, key), "is no key of the schema")
			}
			if err := r.d.SkipValue(); err != nil {
				r.syntax(err)
			}
		}
		if r.stopped {
			return
		}
	}
	r.end()
	for i, f := range fields {
		if !seen[i] && !f.optional {
			r.fault(under(path, f.name), "is missing")
		}
	}
}

func (r *reader) list(path string, element func(path string)) {
	if !r.begin('[', path, "an array") {
		return
	}
	for i := 0; r.d.PeekKind() != ']'; i++ {
		if element(path + "[" + strconv.Itoa(i) + "]"); r.stopped {
			return
		}
	}
	r.end()
}

func (r *reader) begin(kind jsontext.Kind, path, want string) bool {
	if got := r.d.PeekKind(); got == kind || got == jsontext.KindInvalid {
		if _, err := r.d.ReadToken(); err != nil {
			r.syntax(err)
		}
		return !r.stopped
	}
	r.leaf(kind, path, want)
	return false
}

func (r *reader) end() {
	if _, err := r.d.ReadToken(); err != nil {
		r.syntax(err)
	}
}

// leaf reads a value that is to be of a kind. A string comes without its quotes.
func (r *reader) leaf(kind jsontext.Kind, path, want string) (string, bool) {
	v, err := r.d.ReadValue()
	switch {
	case err != nil:
		r.syntax(err)
	case v.Kind() == 'n':
		r.fault(path, "is null, and nothing may be: want %s", want)
	case v.Kind() != kind:
		r.fault(path, "is %s: want %s", kindName(v.Kind()), want)
	case kind == '"':
		text, err := jsontext.AppendUnquote(nil, v)
		if err != nil {
			r.syntax(err)
		}
		return string(text), err == nil
	default:
		return string(v), true
	}
	return "", false
}

func kindName(k jsontext.Kind) string {
	switch k {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case '0':
		return "a number"
	default:
		return "a boolean"
	}
}

// text reads a string that says something.
func (r *reader) text(to *string) func(string) {
	return func(path string) {
		var ok bool
		if *to, ok = r.leaf('"', path, "a string"); ok && *to == "" {
			r.fault(path, "is empty")
		}
	}
}

// note reads a string that may be empty.
func (r *reader) note(to *string) func(string) {
	return func(path string) { *to, _ = r.leaf('"', path, "a string") }
}

func (r *reader) time(to *time.Time) func(string) {
	const want = "a time in UTC with milliseconds, as in 2026-03-15T08:00:00.000Z"
	return func(path string) {
		text, ok := r.leaf('"', path, want)
		if !ok {
			return
		}
		at, err := time.Parse(wireLayout, text)
		if err != nil || at.Format(wireLayout) != text { // Parse takes more forms than the layout's
			r.fault(path, "is %q: want %s", clip(text), want)
			return
		}
		*to = at
	}
}

// number reads a quantity.
func (r *reader) number(to *decimal.Decimal) func(string) {
	return func(path string) {
		text, ok := r.leaf('0', path, "a number")
		if !ok {
			return
		}
		if strings.HasPrefix(text, "-") {
			r.fault(path, "is %s: no figure is negative", clip(text))
			return
		}
		d, err := decimal.NewFromString(text)
		if err != nil || len(text) > numberMax || d.Exponent() > exponent || d.Exponent() < -exponent {
			r.fault(path, "is %s: that is out of range", clip(text))
			return
		}
		*to = d
	}
}

// money reads an amount.
func (r *reader) money(to *decimal.Decimal) func(string) {
	const want = "an amount as digits, with a dot and digits if need be"
	return func(path string) {
		text, ok := r.leaf('"', path, want)
		if !ok {
			return
		}
		d, err := decimal.NewFromString(text)
		if err != nil || !isMoney(text) || len(text) > numberMax {
			r.fault(path, "is %q: want %s", clip(text), want)
			return
		}
		*to = d
	}
}

// isMoney reports whether a text is digits, and maybe a dot and digits.
func isMoney(s string) bool {
	whole, cents, dot := strings.Cut(s, ".")
	return digits(whole) && (!dot || digits(cents))
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func under(path, key string) string {
	if key == "" || len(key) > 40 || strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" {
		key = strconv.Quote(clip(key))
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// clip bounds a text that an error quotes.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
