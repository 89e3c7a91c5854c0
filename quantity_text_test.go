package reckoner_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"reckoner"
)

func TestParseQuantity(t *testing.T) {
	const thirtyTwo = "00000000000000000000000000000000"
	for _, c := range []struct {
		in, want string
		err      error
	}{
		{in: "0", want: "0"},
		{in: "-0", want: "0"},
		{in: "0.000", want: "0"},
		{in: "12.5", want: "12.5"},
		{in: "12.500", want: "12.5"},
		{in: "-0.001", want: "-0.001"},
		{in: "1.50000000000000000000000000000000000000000000000000", want: "1.5"},
		{in: "5e2", want: "500"},
		{in: "5E+2", want: "500"},
		{in: "1500e-5", want: "0.015"},
		{in: "0e999999999999999999999", want: "0"},
		{in: "0.0e-999999999999999999999", want: "0"},
		{in: "0." + strings.Repeat("0", 200) + "7e201", want: "7"},
		{in: "1" + strings.Repeat("0", 200) + "e-200", want: "1"},
		{in: "9223372036854775807", want: "9223372036854775807"},
		{in: "18446744073709551.616", want: "18446744073709551.616"}, // 2^64 thousandths
		{in: "99999999999999999999999999999999999.999", want: "99999999999999999999999999999999999.999"},
		{in: "10000000000000000000000000000000000000", err: reckoner.ErrQuantityRange},
		{in: "100000" + thirtyTwo, err: reckoner.ErrQuantityRange},
		{in: "100000000000000000000000000000000000", err: reckoner.ErrQuantityRange},
		{in: "-100000000000000000000000000000000000", err: reckoner.ErrQuantityRange},
		{in: "340282366920938463463374607431768211456", err: reckoner.ErrQuantityRange}, // 2^128
		{in: "340282366920938463463374607431768211460", err: reckoner.ErrQuantityRange}, // 2^128 + 4, by a shift alone
		{in: "340282366920938463463374607431768211.46", err: reckoner.ErrQuantityRange},
		{in: "1e99", err: reckoner.ErrQuantityRange},
		{in: "1e999999999999999999999", err: reckoner.ErrQuantityRange},
		{in: "1e-999999999999999999999", err: reckoner.ErrQuantityPrecision},
		{in: "1e1073741825", err: reckoner.ErrQuantityRange}, // one more than 2^30
		{in: "1e-1073741825", err: reckoner.ErrQuantityPrecision},
		{in: "0.0001", err: reckoner.ErrQuantityPrecision},
		{in: "1.0005", err: reckoner.ErrQuantityPrecision},
		{in: "0.3333333333333333333333333333333333333333333333333", err: reckoner.ErrQuantityPrecision},
		{in: "1." + strings.Repeat("0", 200) + "1", err: reckoner.ErrQuantityPrecision},
		{in: "", err: reckoner.ErrQuantitySyntax},
		{in: "-", err: reckoner.ErrQuantitySyntax},
		{in: "+1", err: reckoner.ErrQuantitySyntax},
		{in: "--1", err: reckoner.ErrQuantitySyntax},
		{in: ".5", err: reckoner.ErrQuantitySyntax},
		{in: "5.", err: reckoner.ErrQuantitySyntax},
		{in: "01", err: reckoner.ErrQuantitySyntax},
		{in: "-01", err: reckoner.ErrQuantitySyntax},
		{in: "1e", err: reckoner.ErrQuantitySyntax},
		{in: "1e+", err: reckoner.ErrQuantitySyntax},
		{in: "1e1.5", err: reckoner.ErrQuantitySyntax},
		{in: "1.2.3", err: reckoner.ErrQuantitySyntax},
		{in: "1,000", err: reckoner.ErrQuantitySyntax},
		{in: "1_000", err: reckoner.ErrQuantitySyntax},
		{in: " 1", err: reckoner.ErrQuantitySyntax},
		{in: "1 ", err: reckoner.ErrQuantitySyntax},
		{in: "1\x00", err: reckoner.ErrQuantitySyntax},
		{in: "NaN", err: reckoner.ErrQuantitySyntax},
		{in: "Infinity", err: reckoner.ErrQuantitySyntax},
		{in: "0x10", err: reckoner.ErrQuantitySyntax},
		{in: "١", err: reckoner.ErrQuantitySyntax}, // a digit, but not of JSON
		{in: "null", err: reckoner.ErrQuantitySyntax},
	} {
		got, err := reckoner.ParseQuantity(c.in)
		if !errors.Is(err, c.err) || err == nil && got.String() != c.want || err != nil && !got.IsZero() {
			t.Errorf("ParseQuantity(%.50q) = %s, %v; want %s, %v", c.in, got, err, c.want, c.err)
		}
	}
}

func TestParseQuantityIsFastAndBriefOnHostileText(t *testing.T) {
	const megabyte = 1 << 20
	for name, in := range map[string]string{
		"nines":          strings.Repeat("9", megabyte),
		"zeros after":    "1" + strings.Repeat("0", megabyte),
		"fraction":       "0." + strings.Repeat("3", megabyte),
		"far fraction":   "0." + strings.Repeat("0", megabyte) + "1",
		"far one":        "1." + strings.Repeat("0", megabyte) + "1",
		"exponent":       "1e" + strings.Repeat("9", megabyte),
		"minus exponent": "1e-" + strings.Repeat("9", megabyte),
		"zero exponent":  "1e" + strings.Repeat("0", megabyte) + "x",
		"letters":        strings.Repeat("x", megabyte),
	} {
		start := time.Now()
		_, err := reckoner.ParseQuantity(in)
		if err == nil {
			t.Errorf("%s: no error", name)
		} else if len(err.Error()) > 300 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
		// Anything that is not linear takes minutes; the bound is wide so that a busy machine does not matter.
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
}

func TestQuantityJSON(t *testing.T) {
	type body struct {
		Amount reckoner.Quantity
		Limit  *reckoner.Quantity `json:",omitempty"`
	}
	five := reckoner.Units(5)
	for _, c := range []struct {
		in   string
		want body
	}{
		{`{"Amount":12.5}`, body{Amount: reckoner.Thousandths(12500)}},
		{`{"Amount":"12.500"}`, body{Amount: reckoner.Thousandths(12500)}},
		{`{"Amount":5e2}`, body{Amount: reckoner.Units(500)}},
		{`{"Amount":null,"Limit":null}`, body{}},
		{`{"Amount":1,"Limit":"5"}`, body{Amount: reckoner.Units(1), Limit: &five}},
		{`{}`, body{}},
	} {
		var got body
		if err := json.Unmarshal([]byte(c.in), &got); err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if got.Amount != c.want.Amount || (got.Limit == nil) != (c.want.Limit == nil) || got.Limit != nil && *got.Limit != *c.want.Limit {
			t.Errorf("%s: got %+v", c.in, got)
		}
	}
	for _, in := range []string{`""`, `" 5"`, `true`, `[1]`, `{}`, `"null"`, `"NaN"`, `1.2345`, `1e40`, `"0x1"`, `"\"5\""`} {
		q := five
		if err := json.Unmarshal([]byte(in), &q); err == nil || q != five {
			t.Errorf("%s: %v, and the quantity became %s", in, err, q)
		}
	}
	out, err := json.Marshal(body{Amount: reckoner.Thousandths(-12500), Limit: &five})
	if err != nil || string(out) != `{"Amount":"-12.5","Limit":"5"}` {
		t.Errorf("marshalled %s, %v", out, err)
	}
	kept := five
	if err := kept.UnmarshalJSON([]byte("null")); err != nil || kept != five {
		t.Errorf("null: %v, and the quantity became %s", err, kept)
	}
	for _, in := range []string{"", `"`, `""`, `""5""`, "\x00"} {
		if err := new(reckoner.Quantity).UnmarshalJSON([]byte(in)); !errors.Is(err, reckoner.ErrQuantitySyntax) {
			t.Errorf("UnmarshalJSON(%q) = %v", in, err)
		}
	}
}

func TestQuantityAsMapKeyAndText(t *testing.T) {
	out, err := json.Marshal(map[reckoner.Quantity]int{reckoner.Thousandths(1): 1})
	if err != nil || string(out) != `{"0.001":1}` {
		t.Errorf("marshalled %s, %v", out, err)
	}
	var back map[reckoner.Quantity]int
	if err := json.Unmarshal(out, &back); err != nil || back[reckoner.Thousandths(1)] != 1 {
		t.Errorf("unmarshalled %v, %v", back, err)
	}
	if got := string(reckoner.Units(5).Append([]byte("100"))); got != "1005" {
		t.Errorf("Append changed what stood before: %s", got)
	}
}
