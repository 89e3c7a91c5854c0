package bustest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"reckoner/internal/bus"
)

// Producer returns a producer that is closed with the test, and must do so in time.
func Producer(t testing.TB, c *bus.Client, o bus.ProducerOptions, within time.Duration) *bus.Producer {
	t.Helper()
	p := c.NewProducer(o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Errorf("close the producer: %v", err)
		}
	})
	return p
}

// Record returns a record.
func Record(key, value string) bus.Record {
	return bus.Record{Key: []byte(key), Value: []byte(value)}
}

// Numbered returns records of one key whose values are the key and a number.
func Numbered(key string, from, to int) []bus.Record {
	var recs []bus.Record
	for i := from; i < to; i++ {
		recs = append(recs, Record(key, fmt.Sprintf("%s-%d", key, i)))
	}
	return recs
}

// Values returns the values of records.
func Values(recs []bus.Record) []string {
	var vs []string
	for _, r := range recs {
		vs = append(vs, string(r.Value))
	}
	return vs
}

// Eventually polls a condition until it holds.
func Eventually(t testing.TB, within time.Duration, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(within); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
