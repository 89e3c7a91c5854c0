package catalog

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"reckoner"
)

// text returns a scalar that may be any text. A number is taken as it is written.
func (d *decoder) text(f *field) string {
	switch v := &f.value; {
	case v.kind != nodeText && v.kind != nodeNumber:
		d.fault(f.line, "want text, not %s", v.kind)
	case v.text == "":
		d.fault(f.line, "is empty: leave the key out instead")
	case len(v.text) > reckoner.MaxIDBytes:
		d.fault(f.line, "longer than %d bytes", reckoner.MaxIDBytes)
	case !utf8.ValidString(v.text) || strings.ContainsFunc(v.text, unicode.IsControl):
		d.fault(f.line, "holds control characters or is not UTF-8")
	default:
		return v.text
	}
	return ""
}

// id returns an id as it is kept: a UUID in lower case.
func (d *decoder) id(f *field) string { return reckoner.CanonicalID(d.text(f)) }

// choice returns the index of the text among the words, or 0 after a fault.
func (d *decoder) choice(f *field, words ...string) int {
	s := d.text(f)
	if s == "" {
		return 0
	}
	i := slices.Index(words, s)
	if i < 0 {
		d.fault(f.line, "unknown %q: want %s", clip(s), strings.Join(words, ", "))
		return 0
	}
	return i
}

// integer returns a whole number. Bounds keep it far from any overflow.
func (d *decoder) integer(f *field) int {
	const bound = 1_000_000
	n, err := strconv.Atoi(f.value.text)
	if f.value.kind != nodeNumber || err != nil || n < -bound || n > bound {
		d.fault(f.line, "want a whole number between %d and %d", -bound, bound)
		return 0
	}
	return n
}

// quantity returns an amount of usage. It is read from the text as written, so that no float ever holds it.
func (d *decoder) quantity(f *field) reckoner.Quantity {
	if f.value.kind != nodeText && f.value.kind != nodeNumber {
		d.fault(f.line, `want a number, as in "1000.5", not %s`, f.value.kind)
		return reckoner.Quantity{}
	}
	q, err := reckoner.ParseQuantity(f.value.text)
	switch {
	case err != nil:
		d.fault(f.line, `%v: want a number with at most %d decimals, as in "1000.5"`, err, reckoner.Decimals)
	case q.Sign() < 0:
		d.fault(f.line, "%s is negative", q)
	}
	return q
}

// maxMoneyBytes bounds an amount of money: no price needs more digits.
const maxMoneyBytes = 40

// money returns an amount of money as partners write it: digits, optionally a dot and digits. No sign, no exponent.
func (d *decoder) money(f *field) decimal.Decimal {
	s := f.value.text
	whole, fraction, dot := strings.Cut(s, ".")
	if f.value.kind != nodeText && f.value.kind != nodeNumber || len(s) > maxMoneyBytes ||
		!isDigits(whole) || dot && !isDigits(fraction) {
		d.fault(f.line, `%q is not an amount: want digits, optionally a dot and digits, at most %d in all, as in "0.002"`,
			clip(s), maxMoneyBytes)
		return decimal.Decimal{}
	}
	m, err := decimal.NewFromString(s)
	if err != nil {
		d.fault(f.line, "%v", err)
	}
	if m.IsZero() && m.Exponent() == 0 {
		return decimal.Decimal{} // what is left out
	}
	return m
}

func isDigits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// time returns a point in time that can be stored.
func (d *decoder) time(f *field) time.Time {
	t, err := time.Parse(time.RFC3339Nano, f.value.text)
	if f.value.kind != nodeText || err != nil {
		d.fault(f.line, "%q is not a time: want RFC 3339, as in 2026-01-01T00:00:00Z", clip(f.value.text))
		return time.Time{}
	}
	if !reckoner.StorableTime(t) {
		d.fault(f.line, "%q is outside 1970 to 2199", clip(f.value.text))
		return time.Time{}
	}
	return t.UTC()
}

var errDayEnd = errors.New(`want a time of the day in UTC, as in "18:15", or the offset from UTC of the zone whose ` +
	`midnight it is, as in "+05:45"; in quarter hours`)

const (
	day       = 24 * time.Hour
	maxOffset = 14 * time.Hour
)

// dayEnd returns when in the UTC day a partner's day ends. Written with a sign it is an offset: +05:45 ends its day at
// 18:15 UTC.
func dayEnd(s string) (time.Duration, error) {
	clock := strings.TrimLeft(s, "+-")
	if len(clock) != 5 || len(s)-len(clock) > 1 {
		return 0, errDayEnd
	}
	t, err := time.Parse("15:04", clock)
	if err != nil {
		return 0, errDayEnd
	}
	at := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
	if at%reckoner.Bucket != 0 {
		return 0, errDayEnd
	}
	if len(s) == len(clock) {
		return at, nil
	}
	if at > maxOffset {
		return 0, errDayEnd
	}
	if s[0] == '+' {
		at = day - at
	}
	return at % day, nil
}

// baseURL checks where reports are sent. A token goes with them, so plain http is for this machine only.
func baseURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.New("is not a URL: want one as in https://api.example.com")
	case u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return errors.New("want https://HOST, with a port or a path if need be")
	case u.User != nil, u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return errors.New("want no user, no query and no fragment: the token goes by token_env or token_file")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return errors.New("plain http is for loopback addresses only, because the token goes with it: want https")
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback()
}
