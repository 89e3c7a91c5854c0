package ingest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"reckoner/internal/bus"
)

// recordsKey is where a request's context says where its records go.
type recordsKey struct{}

// catcher is a publisher that hands the records to who made the request.
type catcher struct{}

func (catcher) Produce(ctx context.Context, _ string, recs []bus.Record) error {
	*ctx.Value(recordsKey{}).(*[]bus.Record) = recs
	return nil
}

// drawnBody is a create request of any size: with more and fewer fields than the ones before, or with a fault somewhere.
func drawnBody(r *rand.Rand) string {
	var b strings.Builder
	b.WriteString(`{"usages":[`)
	for i := range r.IntN(200) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"22222222-2222-4222-8222-%012d","amount":%d`, r.IntN(1e9), 1+r.IntN(1000))
		for _, field := range [...]string{
			`"source":"model"`, `"type":"feature"`, `"description":"caf\u00e9"`, `"userId":"u"`, `"customerId":"c"`,
			`"createdAt":"2026-06-01T10:00:00.5Z"`, `"updatedAt":"2026-06-02T10:00:00Z"`, `"metadata":{"b":"\n","a":[1, 2],"region":"eu"}`,
		} {
			if r.IntN(2) == 0 {
				b.WriteString("," + field)
			}
		}
		if r.IntN(1500) == 0 {
			b.WriteString(`,"amount":0`) // a repeated key
		}
		b.WriteByte('}')
	}
	b.WriteString("]}")
	return b.String()
}

// TestScratchHoldsNothing: what a request becomes does not depend on the requests before and beside it, whose memory it
// uses.
func TestScratchHoldsNothing(t *testing.T) {
	type result struct {
		answer  string
		records []bus.Record
	}
	// create sends a body to a server and returns its answer and the records that it wrote.
	create := func(w *world, body string) result {
		var got result
		ctx := context.WithValue(t.Context(), recordsKey{}, &got.records)
		a := w.serve(httptest.NewRequestWithContext(ctx, http.MethodPost, createPath, strings.NewReader(body)))
		got.answer = fmt.Sprint(a.status, a.body)
		return got
	}
	used := newWorld(t, func(o *Options) { o.Publisher = catcher{} })
	var work sync.WaitGroup
	for seed := range uint64(4) {
		work.Go(func() {
			r := rand.New(rand.NewPCG(seed, 0))
			for range 60 {
				body := drawnBody(r)
				fresh := newWorld(t, func(o *Options) { o.Publisher = catcher{} })
				want, got := create(fresh, body), create(used, body)
				same := slices.EqualFunc(want.records, got.records, func(a, b bus.Record) bool {
					return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value)
				})
				if got.answer != want.answer || !same {
					t.Errorf("seed %d: %s, %d records; alone %s, %d; of %.300s", seed, got.answer, len(got.records), want.answer, len(want.records), body)
					return
				}
			}
		})
	}
	work.Wait()
}

// late is a publisher that says nothing of what it was given, and still has it when the request is over, as a producer's
// lanes do after a timeout.
type late struct {
	mu         sync.Mutex
	held, then []bus.Record // as given, and as it was at that time
}

func (l *late) Produce(_ context.Context, _ string, recs []bus.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range recs {
		l.held = append(l.held, r)
		l.then = append(l.then, bus.Record{Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value)})
	}
	return &bus.UnknownError{Err: context.DeadlineExceeded}
}

// TestUnacknowledgedRecordsStay: what may still be on its way to the log when its request was answered is not touched by
// the requests that follow.
func TestUnacknowledgedRecordsStay(t *testing.T) {
	l := &late{}
	w := newWorld(t, func(o *Options) { o.Publisher = l })
	var work sync.WaitGroup
	for seed := range uint64(4) {
		work.Go(func() {
			r := rand.New(rand.NewPCG(seed, 1))
			for n := range 40 {
				headers := []string{"Prefer: wait=1"}[:n%2]
				w.serve(httptest.NewRequestWithContext(t.Context(), http.MethodPost, createPath, strings.NewReader(drawnBody(r))), headers...)
			}
		})
	}
	work.Wait()
	if len(l.held) < 1000 {
		t.Fatalf("%d records were given", len(l.held))
	}
	for i, r := range l.held {
		if !bytes.Equal(r.Key, l.then[i].Key) || !bytes.Equal(r.Value, l.then[i].Value) {
			t.Fatalf("record %d was %q, and is %q", i, l.then[i].Value, r.Value)
		}
	}
}
