package reckoner_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"reckoner"
)

// numberGrammar is RFC 8259, section 6, written down once more and apart from the scanner.
var numberGrammar = regexp.MustCompile(`^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$`)

// oracle reads a number by rational arithmetic: the thousandths it stands for, or the error it deserves.
func oracle(s string) (*big.Int, error) {
	m := numberGrammar.FindStringSubmatch(s)
	if m == nil || strings.HasSuffix(s, "\n") {
		return nil, reckoner.ErrQuantitySyntax
	}
	mantissa, _ := new(big.Int).SetString(m[2]+m[3], 10)
	exp := new(big.Int)
	if m[4] != "" {
		exp.SetString(strings.TrimPrefix(m[4], "+"), 10)
	}
	exp.Add(exp, big.NewInt(int64(reckoner.Decimals-len(m[3]))))
	// A mantissa of n digits lies in [1, 10^n): far enough out its exponent alone decides.
	far := big.NewInt(int64(len(s) + 50))
	switch {
	case mantissa.Sign() == 0:
		return mantissa, nil
	case exp.Cmp(far) > 0:
		return nil, reckoner.ErrQuantityRange
	case exp.Cmp(new(big.Int).Neg(far)) < 0:
		return nil, reckoner.ErrQuantityPrecision
	}
	ten := new(big.Int).Exp(big.NewInt(10), new(big.Int).Abs(exp), nil)
	r := new(big.Rat).SetInt(mantissa)
	if exp.Sign() < 0 {
		r.Quo(r, new(big.Rat).SetInt(ten))
	} else {
		r.Mul(r, new(big.Rat).SetInt(ten))
	}
	if !r.IsInt() {
		return nil, reckoner.ErrQuantityPrecision
	}
	if !inRange(r.Num()) {
		return nil, reckoner.ErrQuantityRange
	}
	if m[1] == "-" {
		return new(big.Int).Neg(r.Num()), nil
	}
	return r.Num(), nil
}

// checkParse holds ParseQuantity and the JSON form against the oracle.
func checkParse(t interface {
	Helper()
	Fatalf(string, ...any)
}, s string) {
	t.Helper()
	want, wantErr := oracle(s)
	got, err := reckoner.ParseQuantity(s)
	if wantErr != nil {
		if !errors.Is(err, wantErr) || !got.IsZero() {
			t.Fatalf("ParseQuantity(%q) = %s, %v; want %v", s, got, err, wantErr)
		}
		return
	}
	if err != nil || got.Big().Cmp(want) != 0 {
		t.Fatalf("ParseQuantity(%q) = %s, %v; want %s thousandths", s, got, err, want)
	}
	text := got.String()
	if back, err := reckoner.ParseQuantity(text); err != nil || back != got || !canonical.MatchString(text) {
		t.Fatalf("%q became %q, which reads as %s, %v", s, text, back, err)
	}
	if exact, _ := new(big.Rat).SetString(text); exact.Cmp(new(big.Rat).SetFrac(want, big.NewInt(1000))) != 0 {
		t.Fatalf("%q became %q", s, text)
	}
	for _, form := range []string{s, `"` + s + `"`} {
		var q reckoner.Quantity
		if err := json.Unmarshal([]byte(form), &q); err != nil || q != got {
			t.Fatalf("JSON %s = %s, %v; want %s", form, q, err, got)
		}
	}
}

// canonical is the one text of each value: no exponent, no idle zeros, no minus before zero.
var canonical = regexp.MustCompile(`^(0|-?([1-9][0-9]*|0\.([0-9]{0,2}[1-9])|[1-9][0-9]*\.([0-9]{0,2}[1-9])))$`)

func FuzzParseQuantity(f *testing.F) {
	for _, s := range []string{
		"0", "-0", "12.500", "-0.001", "5e2", "1E-3", "1e-4", "99999999999999999999999999999999999.999", "1e35", "1e999999999999999999999",
		"0e-9223372036854775809", "1." + strings.Repeat("0", 120) + "1", strings.Repeat("9", 39), "0.00100e0", "1e+0", "-", "01", "1.", ".1", "\"1\"", "1\n",
		"340282366920938463463374607431768211456", "170141183460469231731687303715884105728e-3",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkParse(t, s) })
}

func TestParseQuantityIsThatOfRationals(t *testing.T) {
	shapes := rapid.OneOf(
		rapid.StringMatching(`-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,5}0{0,40})?([eE][+-]?[0-9]{1,2})?`),
		rapid.StringMatching(`-?[1-9][0-9]{34,38}(\.[0-9]{1,3})?`),
		rapid.StringMatching(`-?0\.0{0,40}[0-9]{0,4}e[0-9]{1,2}`),
		rapid.StringMatching(`[-+.eE0-9 ]{0,8}`),
	)
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			checkParse(t, shapes.Draw(t, "text"))
		}
	})
}
