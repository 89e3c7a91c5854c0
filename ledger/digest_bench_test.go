package ledger_test

import (
	"testing"

	"reckoner"
	"reckoner/ledger"
)

func BenchmarkRowDigest(b *testing.B) {
	const id = "9c1e0b5e-57a5-4c4d-9d3e-1f2a3b4c5d6e"
	p, q := reckoner.Position{Log: 1, Partition: 3, Offset: 123456789}, reckoner.Thousandths(12500)
	b.ReportAllocs()
	for b.Loop() {
		ledger.RowDigest(p, reckoner.Applied, q, id, id)
	}
}
