package reckoner_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"reckoner"
)

// quantities draws counts of thousandths over the whole range, with the edges and every magnitude well covered:
// evenly spread words would almost never be small.
func quantities() *rapid.Generator[reckoner.Quantity] {
	return rapid.Custom(func(t *rapid.T) reckoner.Quantity {
		b := new(big.Int).SetUint64(rapid.Uint64().Draw(t, "high"))
		b.Lsh(b, 64).Or(b, new(big.Int).SetUint64(rapid.Uint64().Draw(t, "low")))
		b.Rsh(b, uint(rapid.IntRange(0, 127).Draw(t, "shift")))
		b.Mod(b, limit())
		if rapid.Bool().Draw(t, "beside the edge") {
			b.Sub(limit(), big.NewInt(rapid.Int64Range(1, 3).Draw(t, "below")))
		}
		if rapid.Bool().Draw(t, "negative") {
			b.Neg(b)
		}
		q, err := reckoner.QuantityFromBig(b)
		if err != nil {
			t.Fatalf("QuantityFromBig(%s): %v", b, err)
		}
		return q
	})
}

// limit returns 10^38, the first count of thousandths that does not fit.
func limit() *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(38), nil) }

func inRange(b *big.Int) bool { return b.CmpAbs(limit()) < 0 }

// same fails unless q, err is what the big integer want says.
func same(t *rapid.T, op string, q reckoner.Quantity, err error, want *big.Int) {
	t.Helper()
	switch {
	case inRange(want) && (err != nil || q.Big().Cmp(want) != 0):
		t.Fatalf("%s = %s, %v; want %s thousandths", op, q, err, want)
	case !inRange(want) && !errors.Is(err, reckoner.ErrQuantityRange):
		t.Fatalf("%s = %s, %v; want ErrQuantityRange for %s", op, q, err, want)
	case err != nil && q != reckoner.Quantity{}:
		t.Fatalf("%s = %s beside the error %v", op, q, err)
	}
}

func TestQuantityArithmeticIsThatOfBigIntegers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, r := quantities().Draw(t, "q"), quantities().Draw(t, "r")
		a, b := q.Big(), r.Big()
		sum, err := q.Add(r)
		same(t, "Add", sum, err, new(big.Int).Add(a, b))
		difference, err := q.Sub(r)
		same(t, "Sub", difference, err, new(big.Int).Sub(a, b))
		same(t, "Neg", q.Neg(), nil, new(big.Int).Neg(a))
		if q.Cmp(r) != a.Cmp(b) {
			t.Fatalf("Cmp(%s, %s) = %d", q, r, q.Cmp(r))
		}
		if q.Sign() != a.Sign() || q.IsZero() != (a.Sign() == 0) {
			t.Fatalf("%s: Sign %d, IsZero %t", q, q.Sign(), q.IsZero())
		}
		if (q == r) != (a.Cmp(b) == 0) {
			t.Fatalf("%s == %s is %t", q, r, q == r)
		}
	})
}

func TestQuantityFormsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := quantities().Draw(t, "q")
		words, err := reckoner.QuantityFromWords(q.Words())
		same(t, "QuantityFromWords", words, err, q.Big())
		parsed, err := reckoner.ParseQuantity(q.String())
		same(t, "ParseQuantity", parsed, err, q.Big())
		hi, lo := q.Words()
		two := new(big.Int).Lsh(big.NewInt(hi), 64)
		if two.Add(two, new(big.Int).SetUint64(lo)).Cmp(q.Big()) != 0 {
			t.Fatalf("%s: words %d, %d are not its two's complement", q, hi, lo)
		}
	})
}

func TestQuantityFromWordsTakesWhatFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hi, lo := rapid.Int64().Draw(t, "hi"), rapid.Uint64().Draw(t, "lo")
		want := new(big.Int).Lsh(big.NewInt(hi), 64)
		want.Add(want, new(big.Int).SetUint64(lo))
		q, err := reckoner.QuantityFromWords(hi, lo)
		same(t, "QuantityFromWords", q, err, want)
		q, err = reckoner.QuantityFromBig(want)
		same(t, "QuantityFromBig", q, err, want)
	})
}

func TestQuantityRangeEdges(t *testing.T) {
	most, err := reckoner.QuantityFromBig(new(big.Int).Sub(limit(), big.NewInt(1)))
	if err != nil {
		t.Fatal(err)
	}
	least, one := most.Neg(), reckoner.Thousandths(1)
	if got := most.String(); got != "99999999999999999999999999999999999.999" {
		t.Errorf("the greatest quantity is %s", got)
	}
	if got := least.String(); got != "-99999999999999999999999999999999999.999" {
		t.Errorf("the least quantity is %s", got)
	}
	sums := map[string][2]reckoner.Quantity{
		"most + 0.001": {most, one}, "most + most": {most, most}, "least - 0.001": {least, one.Neg()}, "least + least": {least, least},
	}
	for name, s := range sums {
		if got, err := s[0].Add(s[1]); !errors.Is(err, reckoner.ErrQuantityRange) || !got.IsZero() {
			t.Errorf("%s = %s, %v; want ErrQuantityRange", name, got, err)
		}
	}
	if got, err := most.Add(least); err != nil || !got.IsZero() {
		t.Errorf("most + least = %s, %v", got, err)
	}
	if got, err := least.Sub(least); err != nil || !got.IsZero() {
		t.Errorf("least - least = %s, %v", got, err)
	}
	for _, words := range []struct {
		hi int64
		lo uint64
	}{{math.MinInt64, 0}, {math.MinInt64, 1}, {math.MaxInt64, math.MaxUint64}} {
		if q, err := reckoner.QuantityFromWords(words.hi, words.lo); !errors.Is(err, reckoner.ErrQuantityRange) {
			t.Errorf("QuantityFromWords(%d, %d) = %s, %v; want ErrQuantityRange", words.hi, words.lo, q, err)
		}
	}
	two := func(n uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), n) }
	for _, b := range []*big.Int{limit(), new(big.Int).Neg(limit()), two(127), two(128), two(192), new(big.Int).Neg(two(4096))} {
		if q, err := reckoner.QuantityFromBig(b); !errors.Is(err, reckoner.ErrQuantityRange) {
			t.Errorf("QuantityFromBig of %d bits = %s, %v; want ErrQuantityRange", b.BitLen(), q, err)
		}
	}
}

func TestQuantityUnits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64().Draw(t, "n")
		same(t, "Thousandths", reckoner.Thousandths(n), nil, big.NewInt(n))
		same(t, "Units", reckoner.Units(n), nil, new(big.Int).Mul(big.NewInt(n), big.NewInt(1000)))
	})
	for _, n := range []int64{math.MinInt64, math.MaxInt64, -1, 0, 1} {
		if got, want := reckoner.Units(n).Big(), new(big.Int).Mul(big.NewInt(n), big.NewInt(1000)); got.Cmp(want) != 0 {
			t.Errorf("Units(%d) = %s thousandths", n, got)
		}
	}
}

func TestThousandLargestEventsSumExactly(t *testing.T) {
	var sum reckoner.Quantity
	for range 1000 {
		var err error
		if sum, err = sum.Add(reckoner.MaxEvent()); err != nil {
			t.Fatal(err)
		}
	}
	if got := sum.String(); got != "9223372036854775807000" {
		t.Errorf("1000 × the most of one event = %s", got)
	}
}
