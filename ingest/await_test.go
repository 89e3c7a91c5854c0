package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/internal/wire"
)

func TestCreateWithOutcomes(t *testing.T) {
	w := newWorld(t)
	verdicts := []reckoner.Verdict{
		{Outcome: reckoner.Applied, Quantity: reckoner.Units(3)},
		{Outcome: reckoner.Clipped, Quantity: reckoner.Thousandths(500)},
		{Outcome: reckoner.LimitExceeded},
		{Outcome: reckoner.Duplicate, First: reckoner.Applied, Quantity: reckoner.Units(3)},
		{Outcome: reckoner.Duplicate, First: reckoner.LimitExceeded},
	}
	n := 0
	w.decide = func(*reckoner.Event) reckoner.Verdict { n++; return verdicts[n-1] }
	a := w.post(createPath, `{"usages":[{"amount":3,"id":"`+strings.ToUpper(site)+`"},{"amount":3},{"amount":3},{"amount":3,"id":"`+site+`"},{"amount":3}]}`,
		"Prefer: respond-async; x=1, Wait = \"5\"")
	want := `{"outcomes":[` +
		`{"id":"` + site + `","outcome":"applied","quantity":"3"},` +
		`{"id":"00000000-0000-7000-8000-000000000002","outcome":"clipped","quantity":"0.5"},` +
		`{"id":"00000000-0000-7000-8000-000000000003","outcome":"limit_exceeded","quantity":"0"},` +
		`{"id":"` + site + `","outcome":"applied","quantity":"3","duplicate":true},` +
		`{"id":"00000000-0000-7000-8000-000000000004","outcome":"limit_exceeded","quantity":"0","duplicate":true}]}`
	if diff := cmp.Diff(want, a.body); a.status != 200 || diff != "" || a.header.Get("Preference-Applied") != "wait=5" || !json.Valid([]byte(a.body)) {
		t.Errorf("%d, applied %q, %s", a.status, a.header.Get("Preference-Applied"), diff)
	}
}

func TestCreateWithConflict(t *testing.T) {
	for _, c := range []struct {
		outcome      reckoner.Outcome
		status, code int
		message      string
	}{
		{reckoner.Conflict, 409, 6, "the id " + usageID + " was used before for a usage with other content"},
		{reckoner.Misrouted, 500, 13, "internal server error"},
		{reckoner.Undecodable, 500, 13, "internal server error"},
		{reckoner.Reverted, 500, 13, "internal server error"},
	} {
		w := newWorld(t)
		w.decide = func(e *reckoner.Event) reckoner.Verdict {
			if e.ID == usageID {
				return reckoner.Verdict{Outcome: c.outcome}
			}
			return reckoner.Verdict{Outcome: reckoner.Applied, Quantity: *e.Written.Quantity}
		}
		a := w.post(createPath, `{"usages":[{"amount":3},{"amount":3,"id":"`+usageID+`"},{"amount":3}]}`, "Prefer: wait=5")
		if code, message := a.errorBody(t); a.status != c.status || code != c.code || !strings.HasPrefix(message, c.message) {
			t.Errorf("%s: %d %s", c.outcome, a.status, a.body)
		}
	}
}

func TestPreferWait(t *testing.T) {
	for text, want := range map[string]int{
		"wait=5": 5, "wait=30": 30, "wait=31": 30, "WAIT=1": 1, "a, wait=2, wait=9": 2, "a=\"b\";c , wait=\"3\"": 3, " wait = 4 ;x": 4,
		"": 0, "wait": 0, "wait=": 0, "wait=0": 0, "wait=-1": 0, "wait=1.5": 0, "wait=x": 0, "waits=5": 0, "wait=99999999999999999999": 30, "respond-async": 0,
	} {
		if got := preferredWait(map[string][]string{"Prefer": {text}}); int(got.Seconds()) != want {
			t.Errorf("%q: %s, want %d s", text, got, want)
		}
	}
	if got := preferredWait(map[string][]string{"Prefer": {"respond-async", "wait=6"}}); got.Seconds() != 6 {
		t.Errorf("two headers: %s", got)
	}
}

// TestManyWaitersOfOneID: each request gets the verdict on its own event, whatever the order in which they come, also
// when each comes twice and among strangers'.
func TestManyWaitersOfOneID(t *testing.T) {
	w := newWorld(t)
	const requests = 40
	var mu sync.Mutex
	var held []*reckoner.Event
	w.produce = func(_ context.Context, recs []bus.Record) error {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range recs {
			e, err := wire.DecodeEvent(r.Value)
			if err != nil {
				return err
			}
			held = append(held, e)
		}
		if len(held) < requests*2 {
			return nil
		}
		for i := len(held) - 1; i >= 0; i-- { // all wait now; the last comes first
			e := held[i]
			v := reckoner.Verdict{
				ReplyTo: e.ReplyTo, AccountID: e.AccountID, Kind: e.Kind, ID: e.ID,
				Outcome: reckoner.Duplicate, First: reckoner.Applied, Quantity: *e.Written.Quantity,
			}
			stranger, liar := v, v
			stranger.ReplyTo = "another-process/1"
			liar.ID = site
			for _, v := range []reckoner.Verdict{stranger, liar, v, v} {
				w.feed.put(t, v)
			}
		}
		return nil
	}
	var done sync.WaitGroup
	for i := range requests {
		done.Go(func() {
			body := fmt.Sprintf(`{"usages":[{"id":%[1]q,"amount":%[2]d},{"id":%[1]q,"amount":%[3]d}]}`, usageID, 2*i+1, 2*i+2)
			a := w.post(createPath, body, "Prefer: wait=30")
			want := fmt.Sprintf(`{"outcomes":[{"id":%[1]q,"outcome":"applied","quantity":"%[2]d","duplicate":true},{"id":%[1]q,"outcome":"applied","quantity":"%[3]d","duplicate":true}]}`,
				usageID, 2*i+1, 2*i+2)
			if a.status != 200 || a.body != want {
				t.Errorf("request %d: %d %s", i, a.status, a.body)
			}
		})
	}
	done.Wait()
	if n := len(w.outcomes.slots); n > 0 {
		t.Errorf("%d still wait", n)
	}
}

func TestWaitersAreBounded(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.WaitersMax = 2 })
	w.decide = decided(reckoner.Applied, 0, 1)
	if a := w.post(createPath, usagesBody(3), "Prefer: wait=5"); a.status != 503 || a.header.Get("Retry-After") == "" || len(w.produced()) > 0 {
		t.Errorf("over the bound: %d %s, %d written", a.status, a.body, len(w.produced()))
	}
	for range 3 {
		if a := w.post(createPath, usagesBody(2), "Prefer: wait=5"); a.status != 200 {
			t.Errorf("at the bound: %d %s", a.status, a.body)
		}
	}
	if a := w.post(createPath, usagesBody(3)); a.status != 200 {
		t.Errorf("who does not wait: %d %s", a.status, a.body)
	}
	if e := w.produced()[6]; e.ReplyTo != "" {
		t.Errorf("who does not wait has the address %q", e.ReplyTo)
	}
}

// TestAddressesOfTwoStartsDiffer, or a process would hear what its predecessor asked.
func TestAddressesOfTwoStartsDiffer(t *testing.T) {
	a, errA := OpenOutcomes(t.Context(), &outcomeFeed{}, nil)
	b, errB := OpenOutcomes(t.Context(), &outcomeFeed{}, nil)
	if errA != nil || errB != nil || a.prefix == b.prefix {
		t.Errorf("%v, %v: %q and %q", errA, errB, a.prefix, b.prefix)
	}
}

// TestRecordsThatAreNoOutcomes do not end the following, and do not fill the log: one is told, all are counted, those too
// that are read before there is a server.
func TestRecordsThatAreNoOutcomes(t *testing.T) {
	const garbage = 50
	feed, told := &outcomeFeed{records: make(chan bus.Record)}, &bytes.Buffer{}
	early, err := OpenOutcomes(t.Context(), feed, slog.New(slog.NewTextHandler(told, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- early.Run(ctx) }()
	for range garbage {
		feed.records <- bus.Record{Value: []byte("hello")}
	}
	cancel()
	<-ended
	if text := told.String(); strings.Count(text, "level=WARN") != 1 || !strings.Contains(text, garbageMetric) {
		t.Errorf("told: %s", text)
	}
	w := newWorld(t)
	early.observe(w.server.metrics, 1)
	w.feed.records <- bus.Record{Value: []byte("hello")}
	w.feed.put(t, reckoner.Verdict{ReplyTo: w.outcomes.prefix + "x", Kind: reckoner.Usage, ID: "i", Outcome: reckoner.Applied, First: reckoner.Applied})
	w.decide = decided(reckoner.Reverted, 0, -1)
	if a := w.post(revertPath, ""); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if got := w.metrics(garbageMetric); !strings.Contains(got, fmt.Sprint(garbage+1)) {
		t.Errorf("counted: %s", got)
	}
}
