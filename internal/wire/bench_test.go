package wire_test

import (
	"testing"

	"reckoner/internal/wire"
)

func BenchmarkEncodeEvent(b *testing.B) {
	b.ReportAllocs()
	e := usage()
	for b.Loop() {
		if _, err := wire.EncodeEvent(e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	b.ReportAllocs()
	e := usage()
	var buf []byte
	for b.Loop() {
		var err error
		if buf, err = wire.AppendEvent(buf[:0], e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeEvent(b *testing.B) {
	b.ReportAllocs()
	record, err := wire.EncodeEvent(usage())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(record)))
	for b.Loop() {
		if _, err := wire.DecodeEvent(record); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerdict(b *testing.B) {
	b.ReportAllocs()
	v := verdict()
	for b.Loop() {
		record, err := wire.EncodeVerdict(v)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := wire.DecodeVerdict(record); err != nil {
			b.Fatal(err)
		}
	}
}
