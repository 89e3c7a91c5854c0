package workload

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"reckoner"
)

func options() Options {
	return Options{Seed: 7, Batch: 100, Reverts: true, Now: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)}
}

// take renders the first requests of a stream, as one text.
func take(o Options, stream, n int) string {
	var b bytes.Buffer
	s := New(o, stream)
	var r Request
	for range n {
		s.Next(&r)
		b.WriteString(r.Path + r.Key)
		b.Write(r.Body)
	}
	return b.String()
}

func TestTheSameSeedGivesTheSameRequests(t *testing.T) {
	o := options()
	first := take(o, 3, 300)
	if again := take(o, 3, 300); again != first {
		t.Error("the same stream of the same seed differs")
	}
	other := o
	other.Seed++
	for name, text := range map[string]string{"stream": take(o, 4, 300), "seed": take(other, 3, 300)} {
		if text == first {
			t.Errorf("another %s gives the same requests", name)
		}
	}
}

// shares counts ids in what is really sent, and not what the generator says of itself.
type shares struct {
	seen, reverted, accounts        map[string]int
	events, duplicates, reverts     int
	usages, size, requests, busiest int
}

func count(t *testing.T, o Options, events int) *shares {
	t.Helper()
	c := &shares{seen: map[string]int{}, reverted: map[string]int{}, accounts: map[string]int{}}
	for stream := range 4 {
		s := New(o, stream)
		var r Request
		for c.events < (stream+1)*events/4 {
			s.Next(&r)
			c.events += r.Events
			parts := strings.Split(r.Path, "/")
			if r.Revert {
				c.reverts++
				if id := parts[6] + parts[8]; c.seen[id] == 0 || c.reverted[id] > 0 || !reckoner.IsUUID(r.Key) {
					t.Fatalf("reverts %s, which was not sent, or reverted before", r.Path)
				} else {
					c.reverted[id]++
				}
				continue
			}
			c.requests++
			c.accounts[parts[5]]++
			c.busiest = max(c.busiest, c.accounts[parts[5]])
			ids := bytes.Split(r.Body, []byte(`{"id":"`))[1:]
			if len(ids) != o.Batch {
				t.Fatalf("%d usages: %s", len(ids), r.Body)
			}
			for _, id := range ids {
				c.usages++
				c.size += len(id) + len(`{"id":"`) - len(",")
				if c.seen[parts[5]+string(id[:36])]++; c.seen[parts[5]+string(id[:36])] > 1 {
					c.duplicates++
				}
			}
		}
	}
	return c
}

func TestTheSharesAreAsClaimed(t *testing.T) {
	for batch, events := range map[int]int{1: 60_000, 100: 400_000} {
		o := options()
		o.Batch = batch
		c := count(t, o, events)
		share := func(n int) float64 { return float64(n) / float64(c.events) }
		t.Logf("batch %d: duplicates %.4f, reverts %.4f, bytes %d, %d accounts", batch, share(c.duplicates), share(c.reverts), c.size/c.usages, len(c.accounts))
		if d := share(c.duplicates); d < 0.018 || d > 0.022 {
			t.Errorf("batch %d: a share of %.4f is sent twice", batch, d)
		}
		if r := share(c.reverts); r < 0.0045 || r > 0.0055 {
			t.Errorf("batch %d: a share of %.4f is reverts", batch, r)
		}
		if mean := c.size / c.usages; mean < 285 || mean > 315 {
			t.Errorf("a usage takes %d bytes", mean)
		}
		if share := float64(c.busiest) / float64(c.requests); share < 0.01 || share > 0.06 {
			t.Errorf("the busiest account gets %.4f of the requests", share)
		}
	}
}

func TestRequestsAreOfTheDialect(t *testing.T) {
	o := options()
	s := New(o, 0)
	var r Request
	for range 100 {
		s.Next(&r)
		if r.Revert {
			continue
		}
		var m struct {
			Usages []struct {
				ID, Type  string
				Amount    int64
				CreatedAt time.Time `json:"created_at"`
				Metadata  map[string]any
			}
		}
		if err := json.Unmarshal(r.Body, &m); err != nil || len(m.Usages) != r.Events {
			t.Fatalf("%d usages of %d, %v", len(m.Usages), r.Events, err)
		}
		for _, u := range m.Usages {
			if !reckoner.IsUUID(u.ID) || u.Amount <= 0 || len(u.Metadata) != 3 || u.Type != "credit" && u.Type != "feature" ||
				u.CreatedAt.After(o.Now) || u.CreatedAt.Before(o.Now.Add(-time.Hour-time.Microsecond)) {
				t.Fatalf("%+v", u)
			}
		}
	}
}

// TestSumsAreThoseOfTheRequests adds up what is sent in another way than Sums does.
func TestSumsAreThoseOfTheRequests(t *testing.T) {
	o := options()
	const requests = 500
	var got Sums
	got.Sum(o, 2, requests)

	amounts, accounts := map[string]int64{}, map[string]*Total{}
	s := New(o, 2)
	var r Request
	for range requests {
		s.Next(&r)
		parts := strings.Split(r.Path, "/")
		if r.Revert {
			a := accounts[parts[6]]
			a.Quantity -= amounts[parts[6]+parts[8]]
			a.Reverts++
			continue
		}
		a := accounts[parts[5]]
		if a == nil {
			a = &Total{}
			accounts[parts[5]] = a
		}
		var m struct {
			Usages []struct {
				ID     string
				Amount int64
			}
		}
		if err := json.Unmarshal(r.Body, &m); err != nil {
			t.Fatal(err)
		}
		for _, u := range m.Usages {
			if _, again := amounts[parts[5]+u.ID]; !again {
				amounts[parts[5]+u.ID] = u.Amount
				a.Quantity += u.Amount
				a.Usages++
			}
		}
	}
	if len(got.Accounts) != len(accounts) || got.Usages != int64(len(amounts)) {
		t.Fatalf("%d accounts and %d usages, counted %d and %d", len(got.Accounts), got.Usages, len(accounts), len(amounts))
	}
	for id, want := range accounts {
		if *got.Accounts[id] != *want {
			t.Errorf("%s: %+v, counted %+v", id, *got.Accounts[id], *want)
		}
	}
}

func TestTraceKeepsEachAccountsOrder(t *testing.T) {
	trace, err := OpenTrace("../../../testdata/trace-a.csv", 3)
	if err != nil {
		t.Fatal(err)
	}
	events := 0
	for p := range 3 {
		s := trace.Source(p, 10, true)
		var r Request
		for s.Next(&r) {
			events += r.Events
			if r.Events < 1 || r.Events > 10 || !json.Valid(r.Body) {
				t.Fatalf("%d events: %s", r.Events, r.Body)
			}
		}
	}
	if events != trace.Lines {
		t.Errorf("%d events of %d lines", events, trace.Lines)
	}
	one := trace.streams[0]
	if i := slices.IndexFunc(one, func(l traceLine) bool { return l.revert }); i >= 0 {
		if !slices.ContainsFunc(one[:i], func(l traceLine) bool { return l.account == one[i].account }) {
			t.Error("a revert comes before all of its account's usages")
		}
	}
}

func TestTraceSaysWhatIsWrong(t *testing.T) {
	const header = "kind,id,account_id,time,amount,usage_id\n"
	const id = "2497b643-6f99-598b-9ab7-fe7eb685ad6d"
	for _, tt := range []struct{ text, says string }{
		{"", "line 1"},
		{"kind,id\n", `"account_id" is missing`},
		{header, "no events"},
		{header + "usage,x," + id + ",,1,\n", "line 2: account_id"},
		{header + "usage," + id + "," + id + ",,-1,\n", "amount"},
		{header + "usage," + id + "," + id + ",yesterday,1,\n", "time"},
		{header + "revert," + id + "," + id + ",,,\n", "usage_id"},
		{header + "gift," + id + "," + id + ",,1,\n", "kind"},
	} {
		if _, err := readTrace(strings.NewReader(tt.text), 1); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q: %v, want %q", tt.text, err, tt.says)
		}
	}
}

func BenchmarkNext100(b *testing.B) {
	s := New(options(), 1)
	var r Request
	b.ReportAllocs()
	for b.Loop() {
		s.Next(&r)
		b.SetBytes(int64(len(r.Body)))
	}
}
