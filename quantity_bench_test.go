package reckoner_test

import (
	"testing"

	"reckoner"
)

func BenchmarkQuantityAdd(b *testing.B) {
	b.ReportAllocs()
	q, one := reckoner.MaxEvent(), reckoner.Thousandths(1)
	for b.Loop() {
		var err error
		if q, err = q.Add(one); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseQuantity(b *testing.B) {
	for _, in := range []string{"5", "12.5", "9223372036854775807", "99999999999999999999999999999999999.999"} {
		b.Run(in, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := reckoner.ParseQuantity(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkQuantityAppend(b *testing.B) {
	b.ReportAllocs()
	buf := make([]byte, 0, 64)
	q := reckoner.Thousandths(12500)
	for b.Loop() {
		buf = q.Append(buf[:0])
	}
}
