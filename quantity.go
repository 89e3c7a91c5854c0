package reckoner

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"
)

// Decimals is the number of decimal places a Quantity carries.
const Decimals = 3

const thousand = 1000

var (
	// ErrQuantitySyntax says that a text is not a decimal number.
	ErrQuantitySyntax = errors.New("not a decimal number")
	// ErrQuantityPrecision says that a number needs more than three decimals.
	ErrQuantityPrecision = errors.New("more than 3 decimals")
	// ErrQuantityRange says that a number, or the result of an operation, does not fit.
	ErrQuantityRange = errors.New("quantity out of range")
)

// Quantity is an exact amount of usage: a signed 128-bit count of thousandths of the meter's unit. Its zero value
// is zero and it is comparable with ==. Operations never wrap and never round: what does not fit is ErrQuantityRange.
//
// The range is that of ClickHouse's Decimal(38,3): the absolute value is below 10^35 units.
type Quantity struct {
	hi int64
	lo uint64
}

// limitHi and limitLo are 10^38, the first count of thousandths that Decimal(38,3) does not hold.
const (
	limitHi = 5421010862427522170
	limitLo = 687399551400673280
)

// Units returns n whole units.
func Units(n int64) Quantity {
	neg := n < 0
	hi, lo := bits.Mul64(magnitude(n), thousand)
	return signed(neg, hi, lo)
}

// Thousandths returns n thousandths of a unit.
func Thousandths(n int64) Quantity { return Quantity{hi: n >> 63, lo: uint64(n)} }

// MaxEvent is the most that one event may carry: an int64 of whole units.
func MaxEvent() Quantity { return Units(math.MaxInt64) }

// Add returns q + r, or ErrQuantityRange.
func (q Quantity) Add(r Quantity) (Quantity, error) {
	lo, carry := bits.Add64(q.lo, r.lo, 0)
	hi, _ := bits.Add64(uint64(q.hi), uint64(r.hi), carry)
	s := Quantity{hi: int64(hi), lo: lo}
	// Both operands are within ±10^38 < 2^127, so the 128-bit sum can leave the range but never wraps unnoticed:
	// a wrap would need two operands of one sign whose sum has the other.
	if (q.hi < 0) == (r.hi < 0) && (s.hi < 0) != (q.hi < 0) || !s.fits() {
		return Quantity{}, fmt.Errorf("%s + %s: %w", q, r, ErrQuantityRange)
	}
	return s, nil
}

// Sub returns q - r, or ErrQuantityRange.
func (q Quantity) Sub(r Quantity) (Quantity, error) { return q.Add(r.Neg()) }

// Neg returns -q. It always fits, because the range is symmetric.
func (q Quantity) Neg() Quantity {
	lo, borrow := bits.Sub64(0, q.lo, 0)
	hi, _ := bits.Sub64(0, uint64(q.hi), borrow)
	return Quantity{hi: int64(hi), lo: lo}
}

// Cmp returns -1, 0 or +1 as q is less than, equal to or greater than r.
func (q Quantity) Cmp(r Quantity) int {
	switch {
	case q.hi < r.hi, q.hi == r.hi && q.lo < r.lo:
		return -1
	case q == r:
		return 0
	default:
		return 1
	}
}

// Sign returns -1, 0 or +1 as q is negative, zero or positive.
func (q Quantity) Sign() int { return q.Cmp(Quantity{}) }

// IsZero reports whether q is zero.
func (q Quantity) IsZero() bool { return q == Quantity{} }

// Words returns the two's complement of the count of thousandths, high word first. It is the form in which a
// quantity is stored; QuantityFromWords is its inverse.
func (q Quantity) Words() (hi int64, lo uint64) { return q.hi, q.lo }

// QuantityFromWords is the inverse of Words. A count outside the range is ErrQuantityRange.
func QuantityFromWords(hi int64, lo uint64) (Quantity, error) {
	q := Quantity{hi: hi, lo: lo}
	if !q.fits() {
		return Quantity{}, ErrQuantityRange
	}
	return q, nil
}

// Big returns the count of thousandths as a new big integer.
func (q Quantity) Big() *big.Int {
	hi, lo := q.abs()
	b := new(big.Int).SetUint64(hi)
	b.Lsh(b, 64).Or(b, new(big.Int).SetUint64(lo))
	if q.hi < 0 {
		b.Neg(b)
	}
	return b
}

// QuantityFromBig is the inverse of Big. A count outside the range is ErrQuantityRange.
func QuantityFromBig(thousandths *big.Int) (Quantity, error) {
	if thousandths.BitLen() > 127 {
		return Quantity{}, ErrQuantityRange
	}
	var abs, low big.Int
	abs.Abs(thousandths)
	low.And(&abs, new(big.Int).SetUint64(math.MaxUint64))
	lo := low.Uint64()
	hi := abs.Rsh(&abs, 64).Uint64()
	q := signed(thousandths.Sign() < 0, hi, lo)
	if !q.fits() {
		return Quantity{}, ErrQuantityRange
	}
	return q, nil
}

func (q Quantity) abs() (hi, lo uint64) {
	if q.hi < 0 {
		q = q.Neg()
	}
	return uint64(q.hi), q.lo
}

func (q Quantity) fits() bool {
	if q.hi == math.MinInt64 {
		return false
	}
	hi, lo := q.abs()
	return hi < limitHi || hi == limitHi && lo < limitLo
}

func signed(neg bool, hi, lo uint64) Quantity {
	q := Quantity{hi: int64(hi), lo: lo}
	if neg {
		return q.Neg()
	}
	return q
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}
