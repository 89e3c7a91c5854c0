package send

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"reckoner"
)

func TestInvalidLinesAreNamedAndNothingIsSent(t *testing.T) {
	const head = "kind,id,account_id,time,amount,usage_id\n"
	u, a := id(1, 1), id(0, 0)
	good := "usage," + u + "," + a + ",2026-01-01T00:00:00Z,1,\n"
	for _, c := range []struct{ name, file, text, want string }{
		{"kind", "a.csv", head + good + "refund," + u + "," + a + ",,1,\n", "line 3: kind: unknown"},
		{"id missing", "a.csv", head + "usage,," + a + ",,1,\n", "line 2: id: missing"},
		{"id", "a.csv", head + "usage,x," + a + ",,1,\n", `line 2: id: "x" is not a UUID`},
		{"account", "a.csv", head + "usage," + u + ",x,,1,\n", "line 2: account_id:"},
		{"time", "a.csv", head + "usage," + u + "," + a + ",yesterday,1,\n", "line 2: time:"},
		{"time range", "a.csv", head + "usage," + u + "," + a + ",1969-12-31T23:59:59Z,1,\n", "outside 1970 to 2199"},
		{"amount missing", "a.csv", head + "usage," + u + "," + a + ",,,\n", "line 2: amount: missing"},
		{"amount zero", "a.csv", head + "usage," + u + "," + a + ",,0,\n", "line 2: amount: 0 is not greater"},
		{"amount negative", "a.csv", head + "usage," + u + "," + a + ",,-1,\n", "line 2: amount: -1 is not greater"},
		{"amount fraction", "a.csv", head + "usage," + u + "," + a + ",,1.5,\n", "line 2: amount: 1.5 is not a whole"},
		{"amount big", "a.csv", head + "usage," + u + "," + a + ",,9223372036854775808,\n", "line 2: amount: 9223372036854775808 is more"},
		{"amount text", "a.csv", head + "usage," + u + "," + a + ",,one,\n", "line 2: amount:"},
		{"usage with target", "a.csv", head + "usage," + u + "," + a + ",,1," + u + "\n", "only a revert names one"},
		{"revert without target", "a.csv", head + "revert,r," + a + ",,,\n", "line 2: usage_id:"},
		{"revert without id", "a.csv", head + "revert,," + a + ",,," + u + "\n", "line 2: id: missing"},
		{"fields", "a.csv", head + good + "usage," + u + "\n", "line 3: 2 fields, where the first line names 6"},
		{"quote", "a.csv", head + good + "usage,a\"b," + a + ",,1,\n" + good, "line 3: bare \""},
		{"open quote", "a.csv", head + "usage,\"" + strings.Repeat("x", 2<<20), "is a quote left open?"},
		{"column", "a.csv", "id,account_id,amount,plan\n", `unknown column "plan"`},
		{"column twice", "a.csv", "id,account_id,amount,id\n", `column "id" stands there twice`},
		{"column missing", "a.csv", "id,amount\n", `column "account_id" is missing`},
		{"empty", "a.csv", "", "the file is empty"},
		{"json", "a.ndjson", "\n{\"id\":\n", "line 2: jsontext: unexpected EOF"},
		{"json key", "a.ndjson", `{"id":"` + u + `","plan":"x"}`, `unknown object member name "plan"`},
		{"json key case", "a.ndjson", `{"ID":"` + u + `","account_id":"` + a + `","amount":1}`, `unknown object member name "ID"`},
		{"json key twice", "a.ndjson", `{"id":"` + u + `","account_id":"` + a + `","amount":1,"amount":2}`, `line 1: jsontext: duplicate object member name "amount"`},
		{"json metadata key twice", "a.ndjson", `{"id":"` + u + `","account_id":"` + a + `","amount":1,"metadata":{"x":1,"x":2}}`, `duplicate object member name "x"`},
		{"json two", "a.ndjson", `{"id":"` + u + `","account_id":"` + a + `","amount":1} {}`, "after top-level value"},
		{"json metadata", "a.ndjson", `{"id":"` + u + `","account_id":"` + a + `","amount":1,"metadata":[1]}`, "metadata: not an object"},
		{"json type", "a.ndjson", `{"id":"` + u + `","account_id":"` + a + `","amount":1,"type":"gold"}`, `type: "gold"`},
		{"json amount", "a.ndjson", `{"id":"` + u + `","account_id":"` + a + `","amount":true}`, "line 1: amount:"},
		{"subscription", "a.ndjson", `{"id":"` + u + `","account_id":"` + a + `","amount":1,"subscription_id":"s"}`, "usages dialect"},
		{"json long", "a.ndjson", strings.Repeat("x", 2<<20), "line 1: longer than"},
		{"many", "a.csv", head + strings.Repeat("usage,,,,,\n", 30), "and 10 more"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := newFakeIngest(t, nil)
			_, err := Run(t.Context(), server.options(write(t, c.file, c.text), t.TempDir()))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("Run: %v; want %q", err, c.want)
			}
			if server.nth != 0 {
				t.Errorf("%d requests went out", server.nth)
			}
			if len(err.Error()) > 8<<10 {
				t.Errorf("the error is %d bytes long", len(err.Error()))
			}
		})
	}
}

func TestByteOrderMarkAndCRLF(t *testing.T) {
	server := newFakeIngest(t, nil)
	text := "\uFEFF" + strings.ReplaceAll(usages(2, 2), "\n", "\r\n")
	got, err := Run(t.Context(), server.options(write(t, "a.csv", text), t.TempDir()))
	if err != nil || got.Counts[Accepted] != 4 {
		t.Fatalf("Run = %+v, %v", got, err)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "3": 3 * time.Second, "86400": retryAfterMax, "-1": 0, "soon": 0, "1.5": 0,
		now.Add(7 * time.Second).Format(http.TimeFormat): 7 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):      0,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("retryAfter(%q) = %s, want %s", text, got, want)
		}
	}
}

func TestBackoffGrowsAndIsBounded(t *testing.T) {
	for attempt := range 100 {
		if d, most := backoff(attempt), min(backoffMin<<min(attempt, 10), backoffMax); d < most/2 || d > most {
			t.Errorf("backoff(%d) = %s, want between %s and %s", attempt, d, most/2, most)
		}
	}
}

func TestPlainProgress(t *testing.T) {
	var out bytes.Buffer
	track := newTracker(100)
	d := newDisplay(&out, 1100, progress{Delivered: 100, SavedAt: time.Now()}, track)
	many := make([]line, 250)
	for i := range many {
		many[i].seq = int64(100 + i)
	}
	track.done(many)
	d.update(d.started.Add(10 * time.Second))
	d.update(d.started.Add(11 * time.Second)) // too soon after the last line
	d.close()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "going on after 100 of 1100 lines") ||
		lines[1] != "350 of 1100 lines, 25 a second, 30s left" {
		t.Errorf("progress:\n%s", out.String())
	}
}

func FuzzReader(f *testing.F) {
	f.Add(usages(2, 2), true)
	f.Add(`{"id":"`+id(1, 1)+`","account_id":"`+id(0, 0)+`","amount":"1e2"}`, false)
	f.Add("id,account_id,amount\n\"", true)
	f.Fuzz(func(t *testing.T, text string, isCSV bool) {
		format := NDJSON
		if isCSV {
			format = CSV
		}
		r, err := newReader(strings.NewReader(text), format)
		if err != nil {
			return
		}
		for want := int64(0); ; {
			l, err := r.next()
			if _, ok := errors.AsType[*LineError](err); ok {
				continue
			}
			if errors.Is(err, io.EOF) {
				return
			} else if err != nil {
				return
			}
			if l.seq != want || !reckoner.IsUUID(l.account) || l.id == "" || l.kind == reckoner.Usage && l.amount == "" {
				t.Fatalf("line %d of %q came through as %+v", want, text, l)
			}
			want++
		}
	})
}
