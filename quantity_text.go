package reckoner

import (
	"bytes"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// maxExponent bounds the exponent that ParseQuantity reads: beyond it no quantity fits, and none is below a
// thousandth, so a hostile `1e999999999` costs nothing.
const maxExponent = 100

// ParseQuantity reads a decimal number as JSON writes it: an optional minus, digits without a leading zero, an
// optional fraction, an optional exponent ("12.5", "5e2"). The value must be a multiple of a thousandth, however
// it is written ("1.5000" is 1.5). It fails with ErrQuantitySyntax, ErrQuantityPrecision or ErrQuantityRange.
func ParseQuantity(s string) (Quantity, error) {
	n, err := scanNumber(s)
	if err != nil {
		return Quantity{}, fmt.Errorf("%q: %w", clip(s), err)
	}
	q, err := n.quantity()
	if err != nil {
		return Quantity{}, fmt.Errorf("%q: %w", clip(s), err)
	}
	return q, nil
}

// number is a scanned decimal: the digits of whole and then of fraction, read as one integer, × 10^exp.
type number struct {
	neg             bool
	whole, fraction string
	exp             int
}

// scanNumber follows the grammar of RFC 8259, section 6.
func scanNumber(s string) (number, error) {
	var n number
	i := 0
	if i < len(s) && s[i] == '-' {
		n.neg, i = true, i+1
	}
	start := i
	i = skipDigits(s, i)
	whole := s[start:i]
	if whole == "" || len(whole) > 1 && whole[0] == '0' {
		return n, ErrQuantitySyntax
	}
	fraction := ""
	if i < len(s) && s[i] == '.' {
		start = i + 1
		i = skipDigits(s, start)
		if fraction = s[start:i]; fraction == "" {
			return n, ErrQuantitySyntax
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		exp, end, err := scanExponent(s, i+1)
		if err != nil {
			return n, err
		}
		n.exp, i = exp, end
	}
	if i != len(s) {
		return n, ErrQuantitySyntax
	}
	n.whole, n.fraction = whole, fraction
	n.exp -= len(fraction)
	return n, nil
}

func scanExponent(s string, i int) (exp, end int, err error) {
	neg := false
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		neg, i = s[i] == '-', i+1
	}
	end = skipDigits(s, i)
	if end == i {
		return 0, 0, ErrQuantitySyntax
	}
	for ; i < end; i++ {
		if exp = exp*10 + int(s[i]-'0'); exp > 1<<30 {
			exp = 1 << 30
		}
	}
	if neg {
		exp = -exp
	}
	return exp, end, nil
}

func skipDigits(s string, i int) int {
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return i
}

// quantity judges precision before range, so that of a number with too many digits it names the fault that the
// producer can mend.
func (n number) quantity() (Quantity, error) {
	n = n.trimmed()
	if n.whole == "" && n.fraction == "" {
		return Quantity{}, nil
	}
	n.exp += Decimals
	if n.exp < 0 {
		return Quantity{}, ErrQuantityPrecision
	}
	if n.exp > maxExponent {
		return Quantity{}, ErrQuantityRange
	}
	var hi, lo uint64
	var ok bool
	for _, part := range [2]string{n.whole, n.fraction} {
		for i := range len(part) {
			if hi, lo, ok = shift10(hi, lo, 1, uint64(part[i]-'0')); !ok {
				return Quantity{}, ErrQuantityRange
			}
		}
	}
	if hi, lo, ok = shift10(hi, lo, n.exp, 0); !ok {
		return Quantity{}, ErrQuantityRange
	}
	return signed(n.neg, hi, lo), nil
}

// trimmed moves trailing zeros into the exponent: they cost neither range nor precision.
func (n number) trimmed() number {
	all := len(n.whole) + len(n.fraction)
	if n.fraction = strings.TrimRight(n.fraction, "0"); n.fraction == "" {
		n.whole = strings.TrimRight(n.whole, "0")
	}
	n.exp += all - len(n.whole) - len(n.fraction)
	return n
}

// shift10 returns v × 10^places + digit, and whether it is within the range of Quantity.
func shift10(hi, lo uint64, places int, digit uint64) (uint64, uint64, bool) {
	for range places {
		over, h := bits.Mul64(hi, 10)
		carry, l := bits.Mul64(lo, 10)
		h, c := bits.Add64(h, carry, 0)
		if over != 0 || c != 0 {
			return 0, 0, false
		}
		hi, lo = h, l
	}
	lo, c := bits.Add64(lo, digit, 0)
	hi, over := bits.Add64(hi, 0, c) // 2^128 would wrap to 0 here
	return hi, lo, over == 0 && (hi < limitHi || hi == limitHi && lo < limitLo)
}

// String returns the canonical text: no exponent, no trailing zeros, no point without decimals ("12.5", "-0.001").
func (q Quantity) String() string { return string(q.Append(nil)) }

// Append appends the canonical text of q to b.
func (q Quantity) Append(b []byte) []byte {
	hi, lo := q.abs()
	if q.hi < 0 {
		b = append(b, '-')
	}
	hi, r := bits.Div64(0, hi, thousand)
	lo, milli := bits.Div64(r, lo, thousand)
	b = appendUint128(b, hi, lo)
	if milli == 0 {
		return b
	}
	b = append(b, '.', byte('0'+milli/100), byte('0'+milli/10%10), byte('0'+milli%10))
	return bytes.TrimRight(b, "0")
}

func appendUint128(b []byte, hi, lo uint64) []byte {
	const chunk = 1e19 // the greatest power of ten in 64 bits
	if hi == 0 {
		return strconv.AppendUint(b, lo, 10)
	}
	q, rest := bits.Div64(hi%chunk, lo, chunk)
	b = appendUint128(b, hi/chunk, q)
	tail := strconv.FormatUint(rest, 10)
	for range 19 - len(tail) {
		b = append(b, '0')
	}
	return append(b, tail...)
}

// MarshalText returns the canonical text.
func (q Quantity) MarshalText() ([]byte, error) { return q.Append(nil), nil }

// UnmarshalText reads what ParseQuantity reads.
func (q *Quantity) UnmarshalText(b []byte) error {
	v, err := ParseQuantity(string(b))
	if err != nil {
		return err
	}
	*q = v
	return nil
}

// MarshalJSON returns the canonical text as a JSON string, because readers in other languages take JSON numbers
// through binary floats.
func (q Quantity) MarshalJSON() ([]byte, error) {
	return append(q.Append([]byte{'"'}), '"'), nil
}

// UnmarshalJSON reads a JSON number or a JSON string that holds one. Like every unmarshaler of encoding/json it
// leaves q alone on null.
func (q *Quantity) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	if len(b) >= 2 && b[0] == '"' && b[len(b)-1] == '"' {
		b = b[1 : len(b)-1]
	}
	return q.UnmarshalText(b)
}

// clip bounds what an error repeats of its input.
func clip(s string) string {
	const longest = 64
	if len(s) <= longest {
		return s
	}
	return s[:longest] + "…"
}
