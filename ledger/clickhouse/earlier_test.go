package clickhouse

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/uuid"

	"reckoner"
	"reckoner/ledger"
)

// The partitions of the next log share the accounts of the logs before it out as Kafka's default partitioner does, and
// each account's rows come in the order of the logs.
func TestEarlierLogsBySuccessorsPartition(t *testing.T) {
	l := openLedger(t)
	ctx := t.Context()
	var b ledger.Batch
	want := make(map[string][]reckoner.Position)
	for i := range 400 {
		p := reckoner.Position{Log: uint32(1 + i%2), Partition: int32(i % 3), Offset: int64(1000 - i)}
		e := drawEntry(p).Example(i)
		e.AccountID = uuid.NewSHA1(uuid.NameSpaceOID, []byte{byte(i % 40)}).String()
		b.Entries = append(b.Entries, e)
		want[e.AccountID] = append(want[e.AccountID], e.Position)
	}
	if err := l.Write(ctx, &b); err != nil {
		t.Fatal(err)
	}
	next := ledger.Log{Number: 3, Topic: "usage.events", Partitions: 7}
	seen := 0
	for p := range next.Partitions {
		got := make(map[string][]reckoner.Position)
		var places []*ledger.Place
		for e, err := range l.EarlierEntries(ctx, next, p, nil) {
			if err != nil {
				t.Fatal(err)
			}
			if own := int32(murmur2(e.AccountID)&0x7fffffff) % next.Partitions; own != p {
				t.Errorf("account %s belongs to partition %d, not %d", e.AccountID, own, p)
			}
			got[e.AccountID] = append(got[e.AccountID], e.Position)
			places = append(places, placeOf(e.AccountID, e.Position))
			seen++
		}
		// A restore that was interrupted goes on in the middle of an account, and of a log of it.
		for i := 0; i < len(places); i += 9 {
			rest := i + 1
			for e, err := range l.EarlierEntries(ctx, next, p, places[i]) {
				if err != nil {
					t.Fatal(err)
				}
				if want := *places[rest]; want.AccountID != e.AccountID || want.Position != e.Position {
					t.Fatalf("after %+v: row %d is %s of %s, want %+v", *places[i], rest, e.Position, e.AccountID, want)
				}
				rest++
			}
			if rest != len(places) {
				t.Errorf("after %+v: %d rows, want %d", *places[i], rest, len(places))
			}
		}
		for account, positions := range got {
			slices.SortFunc(want[account], reckoner.Position.Cmp)
			if !slices.Equal(positions, want[account]) {
				t.Errorf("account %s: %v, want %v", account, positions, want[account])
			}
		}
	}
	if seen != len(b.Entries) {
		t.Errorf("%d entries, want each of %d once", seen, len(b.Entries))
	}
	for e, err := range l.EarlierEntries(ctx, ledger.Log{Number: 1, Partitions: 7}, 0, nil) {
		t.Errorf("before the first log: %v, %v", e.Position, err)
	}
}

// murmur2 is the hash of Kafka's default partitioner (org.apache.kafka.common.utils.Utils.murmur2), written here again:
// a test of a partitioner must not use it.
func murmur2(key string) uint32 {
	const m = 0x5bd1e995
	h := 0x9747b28c ^ uint32(len(key))
	for ; len(key) >= 4; key = key[4:] {
		k := binary.LittleEndian.Uint32([]byte(key[:4])) * m
		h = h*m ^ (k^k>>24)*m
	}
	if len(key) > 0 { // an account id has 36 bytes, so this is for completeness
		tail := [4]byte{}
		copy(tail[:], key)
		h = (h ^ binary.LittleEndian.Uint32(tail[:])) * m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}
