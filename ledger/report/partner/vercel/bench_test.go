package vercel

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"reckoner/internal/catalog"
	"reckoner/ledger/report/partner"
	"reckoner/ledger/report/partner/vercel/receiver"
)

// BenchmarkDeliver is a delivery of three resources' usage, the receiver's checks included, over loopback.
func BenchmarkDeliver(b *testing.B) {
	golden, err := os.ReadFile("../../testdata/three_resources.jsonl")
	if err != nil {
		b.Fatal(err)
	}
	payload, _, _ := bytes.Cut(golden, []byte("\n"))
	at := time.Date(2026, 3, 15, 8, 0, 0, 0, time.UTC)
	srv := httptest.NewServer(receiver.New(receiver.Options{Now: func() time.Time { return at }}))
	defer srv.Close()
	for name, base := range map[string]string{"rules": srv.URL, "bare": bare201(b)} {
		b.Run(name, func(b *testing.B) {
			target := New(Options{})
			defer target.Close()
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if a := target.Deliver(b.Context(), &partner.Delivery{Installation: &catalog.Installation{ID: "icfg_1"}, BaseURL: base, Token: "token", Payload: payload}); a.Verdict != partner.Accepted {
						b.Errorf("%+v", a)
						return
					}
				}
			})
		})
	}
}

// bare201 is a partner that looks at nothing.
func bare201(b *testing.B) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }))
	b.Cleanup(srv.Close)
	return srv.URL
}
