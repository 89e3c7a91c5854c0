package floor

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"reckoner/internal/embedded/broker"
)

func cluster(t *testing.T) *Cluster {
	t.Helper()
	b, err := broker.Open(t.Context(), broker.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	c := Open(b.Addr())
	t.Cleanup(c.Close)
	return c
}

// What the floor says that it wrote is in the log, and it reads all of it: else it would be no floor.
func TestTheFloorWritesAndReadsEveryRecord(t *testing.T) {
	const partitions, calls, each = 3, 20, 50
	c, ctx := cluster(t), t.Context()
	if err := c.CreateTopic(ctx, "t", partitions); err != nil {
		t.Fatal(err)
	}
	w := c.NewWriter("t", time.Millisecond)
	value := bytes.Repeat([]byte("v"), 300)
	for i := range calls {
		if err := w.Write(ctx, fmt.Appendf(nil, "key-%d", i), value, each); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Records(ctx, "t", partitions); err != nil || n != calls*each {
		t.Fatalf("%d records, %v", n, err)
	}
	ends, err := c.Ends(ctx, "t", partitions)
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]int{}
	for p, end := range ends {
		next := int64(0)
		err := c.Fetch(ctx, "t", p, 0, end, func(recs []Record) error {
			for _, rec := range recs {
				if rec.Offset != next || !bytes.Equal(rec.Value, value) {
					t.Fatalf("%d/%d: %d bytes where offset %d was due", p, rec.Offset, len(rec.Value), next)
				}
				next++
				read[string(rec.Key)]++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range calls {
		if key := fmt.Sprintf("key-%d", i); read[key] != each {
			t.Errorf("%s was read %d times", key, read[key])
		}
	}
}

func TestTheFloorProducesOne(t *testing.T) {
	c, ctx := cluster(t), t.Context()
	if err := c.CreateTopic(ctx, "t", 1); err != nil {
		t.Fatal(err)
	}
	for want := range int64(3) {
		if offset, err := c.Produce(ctx, "t", 0, []byte("k"), fmt.Append(nil, want)); err != nil || offset != want {
			t.Fatalf("offset %d, %v", offset, err)
		}
	}
	// From the middle: what stands before is not told again.
	var got []Record
	if err := c.Fetch(ctx, "t", 0, 1, 3, func(recs []Record) error { got = append(got, recs...); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || string(got[0].Value) != "1" || string(got[1].Value) != "2" {
		t.Errorf("%+v", got)
	}
}

func TestTopicsAreDeletedOnce(t *testing.T) {
	c, ctx := cluster(t), t.Context()
	if err := c.CreateTopic(ctx, "t", 1); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.DeleteTopics(ctx, "t"); err != nil {
			t.Fatal(err)
		}
	}
}
