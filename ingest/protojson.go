package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"reckoner"
)

// parser reads messages by the rules of proto JSON, exactly: numbers never pass through a float, a repeated key is an
// error at any depth. Its errors are of code Invalid and say what is wrong and where.
//
// Source: https://protobuf.dev/programming-guides/json
type parser struct {
	d      *jsontext.Decoder
	body   string // what d reads: texts are cut from it, without a copy each
	plain  bool   // nothing in the body is escaped
	limits *Limits
	labels []reckoner.Label // of all metadata read so far
}

// newParser returns a parser of a body, which is free for other use when it has been read: what is read is a copy.
func newParser(body []byte, l *Limits) *parser {
	return &parser{
		d: jsontext.NewDecoder(bytes.NewBuffer(body)), body: string(body), plain: bytes.IndexByte(body, '\\') < 0, limits: l,
	}
}

// parse reads the one message that a body is. An empty body is an empty message; field reads the value of a field that
// number named, and is called at most once for each.
func (p *parser) parse(number func(name []byte) int, field func(p *parser, n int) error) error {
	if strings.TrimLeft(p.body, " \t\r\n") == "" {
		return nil
	}
	if err := p.message(number, field); err != nil {
		return err
	}
	if _, err := p.d.ReadToken(); !errors.Is(err, io.EOF) {
		return invalid("invalid JSON at byte %d: more after the end of the message", p.d.InputOffset())
	}
	return nil
}

// message reads an object. number returns a field's number, from 1 to 63, by either of its names, and 0 for a field
// that is not known and thus ignored. A field that is null counts as absent.
func (p *parser) message(number func(name []byte) int, field func(p *parser, n int) error) error {
	if err := p.begin('{', "an object"); err != nil {
		return err
	}
	var seen uint64
	for p.d.PeekKind() != '}' {
		name, err := p.value()
		if err != nil {
			return err
		}
		n := number(p.inner(name))
		if n == 0 {
			if err := p.d.SkipValue(); err != nil {
				return p.syntax(err)
			}
			continue
		}
		if seen&(1<<n) != 0 {
			return p.wrong("the field is given under both of its names")
		}
		seen |= 1 << n
		if p.d.PeekKind() == 'n' {
			if _, err := p.d.ReadToken(); err != nil {
				return p.syntax(err)
			}
			continue
		}
		if err := field(p, n); err != nil {
			return err
		}
	}
	return p.end()
}

// list reads an array, each element with element.
func (p *parser) list(element func(p *parser) error) error {
	if err := p.begin('[', "an array"); err != nil {
		return err
	}
	for p.d.PeekKind() != ']' {
		if err := element(p); err != nil {
			return err
		}
	}
	return p.end()
}

func (p *parser) begin(kind jsontext.Kind, want string) error {
	if got := p.d.PeekKind(); got != kind && got != jsontext.KindInvalid {
		v, err := p.d.ReadValue()
		if err != nil {
			return p.syntax(err)
		}
		return p.unexpected(want, v)
	}
	if _, err := p.d.ReadToken(); err != nil {
		return p.syntax(err)
	}
	return nil
}

func (p *parser) end() error {
	if _, err := p.d.ReadToken(); err != nil {
		return p.syntax(err)
	}
	return nil
}

// value reads anything, the quoted name of a field too. It lives until the next read.
func (p *parser) value() (jsontext.Value, error) {
	v, err := p.d.ReadValue()
	if err != nil {
		return nil, p.syntax(err)
	}
	return v, nil
}

// text reads a string.
func (p *parser) text() (string, error) {
	v, err := p.value()
	if err != nil {
		return "", err
	}
	if v.Kind() != '"' {
		return "", p.unexpected("a string", v)
	}
	return p.unquoted(v), nil
}

// cut returns the text of the value that was read last.
func (p *parser) cut(v jsontext.Value) string {
	end := int(p.d.InputOffset())
	return p.body[end-len(v) : end]
}

// unquoted returns what the string that was read last says.
func (p *parser) unquoted(v jsontext.Value) string {
	if !p.plain && bytes.IndexByte(v, '\\') >= 0 {
		return unquote(v)
	}
	text := p.cut(v)
	return text[1 : len(text)-1]
}

// int64 reads a whole number, written as a number or as a string that holds one, in any form that JSON has for it.
func (p *parser) int64() (int64, error) {
	v, err := p.value()
	if err != nil {
		return 0, err
	}
	var number string
	switch v.Kind() {
	case '0':
		number = p.cut(v)
		if n, err := strconv.ParseInt(number, 10, 64); err == nil { // else it has a fraction or an exponent, or is none
			return n, nil
		}
	case '"':
		number = p.unquoted(v)
	default:
		return 0, p.unexpected("an int64", v)
	}
	n, ok := parseInt64(number)
	if !ok {
		return 0, p.unexpected("an int64", v)
	}
	return n, nil
}

func parseInt64(s string) (int64, bool) {
	q, err := reckoner.ParseQuantity(s)
	if err != nil {
		return 0, false
	}
	hi, lo := q.Words()
	if hi == 0 && lo <= math.MaxInt64 { // all but the greatest, without big integers
		n := int64(lo)
		return n / 1000, n%1000 == 0
	}
	units, rest := new(big.Int).QuoRem(q.Big(), big.NewInt(1000), new(big.Int))
	return units.Int64(), rest.Sign() == 0 && units.IsInt64()
}

// time reads an RFC 3339 time of at most nanoseconds. The zero time is that of no time given.
func (p *parser) time() (time.Time, error) {
	v, err := p.value()
	if err != nil {
		return time.Time{}, err
	}
	if v.Kind() != '"' {
		return time.Time{}, p.unexpected("a time as RFC 3339 writes it", v)
	}
	t, ok := parseTime(p.unquoted(v))
	if !ok {
		return time.Time{}, p.unexpected("a time as RFC 3339 writes it", v)
	}
	return t, nil
}

func parseTime(s string) (time.Time, bool) {
	const whole = len("2006-01-02T15:04:05")
	// The library alone takes an hour of one digit and a comma before the fraction.
	if len(s) <= whole || s[13] != ':' || s[whole] == ',' {
		return time.Time{}, false
	}
	var t time.Time
	if err := t.UnmarshalText([]byte(s)); err != nil {
		return time.Time{}, false
	}
	zone := len("+00:00")
	if s[len(s)-1] == 'Z' {
		zone = len("Z")
	}
	if len(s)-whole-zone > len(".999999999") {
		return time.Time{}, false // finer than a nanosecond would be cut, and the fingerprint with it
	}
	return t.UTC(), true
}

// unquote returns the text of a valid JSON string.
func unquote(v jsontext.Value) string {
	b, _ := jsontext.AppendUnquote(nil, []byte(v)) // the decoder has validated it
	return string(b)
}

// inner is unquote without a copy where there is nothing to unescape.
func (p *parser) inner(v jsontext.Value) []byte {
	if p.plain || bytes.IndexByte(v, '\\') < 0 {
		return v[1 : len(v)-1]
	}
	b, _ := jsontext.AppendUnquote(nil, []byte(v)) // the decoder has validated it
	return b
}

func (p *parser) syntax(err error) error {
	at, why := p.d.InputOffset(), "the text ends too early"
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		at = e.ByteOffset
		switch {
		case errors.Is(e.Err, jsontext.ErrDuplicateName):
			return &reckoner.Error{
				Code: reckoner.Invalid, Err: err,
				Message: fmt.Sprintf("invalid JSON at byte %d (%s): the key is repeated", at, clip(string(e.JSONPointer))),
			}
		case !errors.Is(e.Err, io.ErrUnexpectedEOF):
			why = clip(e.Err.Error())
		}
	}
	return &reckoner.Error{Code: reckoner.Invalid, Message: fmt.Sprintf("invalid JSON at byte %d: %s", at, why), Err: err}
}

func (p *parser) unexpected(want string, got jsontext.Value) error {
	return p.wrong(fmt.Sprintf("want %s, got %s", want, clip(string(got))))
}

func (p *parser) wrong(what string) error {
	return invalid("invalid JSON at byte %d (%s): %s", p.d.InputOffset(), clip(string(p.d.StackPointer())), what)
}

func invalid(format string, args ...any) error {
	return &reckoner.Error{Code: reckoner.Invalid, Message: fmt.Sprintf(format, args...)}
}

// clip bounds what an answer repeats of its request. A cut character is dropped.
func clip(s string) string {
	const longest = 100
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "…"
}
