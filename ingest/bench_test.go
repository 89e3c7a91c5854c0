package ingest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"reckoner/internal/bus"
)

// richBody is a create request of n usages as real producers send them.
func richBody(n int) []byte {
	var b strings.Builder
	b.WriteString(`{"usages":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"22222222-2222-4222-8222-%012d","customerId":"c-%d","source":"worker-7","description":"tokens of a chat",`+
			`"type":"credit","amount":"%d","userId":"u-%d","metadata":{"model":"large","tokens":%d},"createdAt":"2026-06-15T11:59:58.123456Z"}`, i, i, i+1, i, i)
	}
	b.WriteString("]}")
	return []byte(b.String())
}

func BenchmarkParseCreate100(b *testing.B) {
	body, limits, s := richBody(100), DefaultLimits(), &scratch{}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if m, err := parseCreate(body, &limits, s); err != nil || len(m.usages) != 100 {
			b.Fatal(err)
		}
	}
}

// discard is a publisher of no cost, so that what is left is ingest's own.
type discard struct{}

func (discard) Produce(context.Context, string, []bus.Record) error { return nil }

func BenchmarkCreate100(b *testing.B) { benchmarkCreate(b, richBody(100)) }

func BenchmarkCreate1(b *testing.B) { benchmarkCreate(b, richBody(1)) }

func benchmarkCreate(b *testing.B, body []byte) {
	w := newWorld(b, func(o *Options) { o.Publisher = discard{} })
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, createPath, strings.NewReader(string(body)))
		r.SetBasicAuth("demo", "se:cret")
		rec := httptest.NewRecorder()
		w.server.ServeHTTP(rec, r)
		if rec.Code != 200 {
			b.Fatal(rec.Body)
		}
	}
}
