package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// v1Rows reads the rows of an answer about usage: start, meter, quantity, events, reverts of each, and what a limit has left.
func (s *usagesSite) v1Rows(path string) (rows []string, position string) {
	s.t.Helper()
	r := s.request(http.MethodGet, path, "", "")
	var got struct {
		AsOf struct {
			Position struct{ Log, Partition, Offset, Index int }
		} `json:"as_of"`
		Usage []struct {
			Start, Meter, Quantity string
			Events, Reverts        int
		}
		Limits []struct {
			Subscription           string `json:"subscription_id"`
			Limit, Used, Remaining string
		}
	}
	if err := json.Unmarshal([]byte(r.body), &got); err != nil || r.status != http.StatusOK {
		s.t.Fatalf("%s: %d %s (%v)", path, r.status, r.body, err)
	}
	for _, u := range got.Usage {
		rows = append(rows, fmt.Sprintf("%s %s %s %d-%d", u.Start, u.Meter, u.Quantity, u.Events, u.Reverts))
	}
	for _, l := range got.Limits {
		rows = append(rows, fmt.Sprintf("%s %s of %s, %s left", l.Subscription, l.Used, l.Limit, l.Remaining))
	}
	p := got.AsOf.Position
	return rows, fmt.Sprintf("%d/%d/%d.%d", p.Log, p.Partition, p.Offset, p.Index)
}

// TestV1 reads over HTTP what was counted over HTTP, on the real engines: usage by the days of a zone, the limits, and the
// story of an id.
func TestV1(t *testing.T) {
	s := newUsagesSite(t, map[string]string{"a": "10", "b": ""})
	s.use("u1", "a", "1.5", at("2026-06-12T21:59:59Z"), "1.5") // the 12th in Berlin
	s.use("u2", "a", "2", at("2026-06-12T22:00:00Z"), "2")     // the 13th
	s.use("u3", "b", "0.001", at("2026-06-12T22:10:00Z"), "0.001")
	s.use("u4", "a", "9", `,"acceptPartialQuantity":true`, "6.5")
	s.use("u4", "a", "9", `,"acceptPartialQuantity":true`, "6.5")
	s.use("u4", "a", "8", "", "409")
	s.use("u5", "a", "1", "", "409")
	s.use("v1", "level", "5.5", at("2026-06-13T10:00:00Z"), "5.5")
	s.use("v2", "level", "4", at("2026-06-13T09:00:00Z"), "4") // older than the newest reading
	s.delete("u2", "gone", http.StatusNoContent)

	account := "/v1/accounts/" + usagesAccount + "/usage"
	last := s.query(`SELECT concat(toString(log), '/', toString(partition), '/', toString(offset), '.', toString(index)) FROM reckoner.usage_entries WHERE event_id = 'gone'`)
	for _, c := range []struct {
		path string
		want string
	}{
		{account + "?tz=Europe/Berlin", `2026-06-12T00:00:00+02:00 calls 1.5 1-0
2026-06-13T00:00:00+02:00 calls 0.001 2-1
2026-06-13T00:00:00+02:00 storage 5.5 2-0
2026-06-15T00:00:00+02:00 calls 6.5 1-0
a 8 of 10, 2 left`},
		{account + "?tz=Europe/Berlin&window=hour&from=2026-06-12&to=2026-06-14&meter=calls", `2026-06-12T23:00:00+02:00 calls 1.5 1-0
2026-06-13T00:00:00+02:00 calls 0.001 2-1
a 8 of 10, 2 left`},
		{"/v1/subscriptions/a/usage?window=period", "2026-06-10T00:00:00Z calls 8 3-1\na 8 of 10, 2 left"},
		{"/v1/subscriptions/a/usage?window=bucket", `2026-06-12T21:45:00Z calls 1.5 1-0
2026-06-12T22:00:00Z calls 0 1-1
2026-06-15T12:00:00Z calls 6.5 1-0
a 8 of 10, 2 left`},
		{"/v1/subscriptions/level/usage?window=day", "2026-06-13T00:00:00Z storage 5.5 2-0"},
		{"/v1/subscriptions/b/usage?window=day", "2026-06-12T00:00:00Z calls 0.001 1-0"},
	} {
		rows, position := s.v1Rows(c.path)
		if diff := cmp.Diff(c.want, strings.Join(rows, "\n")); diff != "" {
			t.Errorf("%s: %s", c.path, diff)
		}
		if strings.HasPrefix(c.path, account) && position != last {
			t.Errorf("%s is as of %s, want %s", c.path, position, last)
		}
	}
	s.checkStories()
	s.proven()
}

func (s *usagesSite) checkStories() {
	s.t.Helper()
	type event struct {
		Kind, Outcome, Quantity string
		Limit                   *string
		Revert, Usage           *struct{ ID, Quantity string }
	}
	for id, want := range map[string]string{
		"u4":   "usage clipped 6.5 of 10; usage duplicate 0; usage conflict 0",
		"u2":   "usage applied 2 of 10 <- gone -2",
		"gone": "revert reverted -2 -> u2 2",
		"u5":   "usage limit_exceeded 0",
	} {
		r := s.request(http.MethodGet, "/v1/events/"+usagesAccount+"/"+id, "", "")
		var story struct{ Events []event }
		if err := json.Unmarshal([]byte(r.body), &story); err != nil || r.status != http.StatusOK {
			s.t.Fatalf("%s: %d %s (%v)", id, r.status, r.body, err)
		}
		var told []string
		for _, e := range story.Events {
			text := e.Kind + " " + e.Outcome + " " + e.Quantity
			if e.Limit != nil {
				text += " of " + *e.Limit
			}
			if e.Revert != nil {
				text += " <- " + e.Revert.ID + " " + e.Revert.Quantity
			}
			if e.Usage != nil {
				text += " -> " + e.Usage.ID + " " + e.Usage.Quantity
			}
			told = append(told, text)
		}
		if diff := cmp.Diff(want, strings.Join(told, "; ")); diff != "" {
			s.t.Errorf("%s: %s\n%s", id, diff, r.body)
		}
	}
	r := s.request(http.MethodGet, "/v1/events/"+usagesAccount+"/nothing", "", "")
	if r.status != http.StatusNotFound || !strings.Contains(r.body, "of log 1 is decided") {
		s.t.Errorf("%d %s", r.status, r.body)
	}
}

// An event is in the answer as soon as its own answer was given.
func TestV1ShowsWhatWasAnswered(t *testing.T) {
	s := newUsagesSite(t, map[string]string{"a": ""})
	for i := 1; i <= 20; i++ {
		s.use(fmt.Sprint("u", i), "a", "0.5", "", "0.5")
		rows, _ := s.v1Rows("/v1/subscriptions/a/usage?window=period")
		half := []string{"", ".5"}[i%2]
		if want := fmt.Sprintf("2026-06-10T00:00:00Z calls %d%s %d-0", i/2, half, i); len(rows) != 1 || rows[0] != want {
			t.Fatalf("after %d: %v, want %s", i, rows, want)
		}
		s.set(s.now.Load().Add(time.Minute))
	}
}
