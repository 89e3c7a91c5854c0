package aggregator

import (
	"errors"
	"strings"
	"testing"
	"time"

	"reckoner"
	"reckoner/internal/wire"
	"reckoner/ledger"
)

// decided steps a machine through events and returns each one's outcome and quantity, and the batch.
func decided(t testing.TB, events ...*reckoner.Event) ([]string, *batch) {
	t.Helper()
	m, b := testMachine(), emptyBatch()
	var got []string
	for i, e := range events {
		waits(e)
		rec := recordOf(t, int64(i), e)
		f, err := m.step(b, &rec)
		if err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
		b.add(&rec, &f)
		got = append(got, said(f.verdict))
	}
	return got, b
}

// said is a verdict in one line.
func said(v *reckoner.Verdict) string {
	s := v.Outcome.String()
	if v.First != v.Outcome {
		s += " of " + v.First.String()
	}
	if !v.Quantity.IsZero() {
		s += " " + v.Quantity.String()
	}
	return s
}

func TestOutcomes(t *testing.T) {
	a, b := accountIn(testPartition, 0), accountIn(testPartition, 1)
	far := day().Add(48 * time.Hour)
	written := func(c func(*reckoner.Written)) change { return func(e *reckoner.Event) { c(&e.Written) } }
	for _, tt := range []struct {
		name   string
		events []*reckoner.Event
		want   string // joined by "; "
	}{
		{"applied", []*reckoner.Event{usage(a, "1", 1500)}, "applied 1.5"},
		{"applied up to the limit", []*reckoner.Event{usage(a, "1", 1500, limited("s", 1500))}, "applied 1.5"},
		{"clipped to the headroom", []*reckoner.Event{usage(a, "1", 1000, limited("s", 1500)), usage(a, "2", 1000, limited("s", 1500), partial)}, "applied 1; clipped 0.5"},
		{"accepting a part within the limit", []*reckoner.Event{usage(a, "1", 1000, limited("s", 1500), partial)}, "applied 1"},
		{"limit exceeded", []*reckoner.Event{usage(a, "1", 1501, limited("s", 1500))}, "limit_exceeded"},
		{"no headroom, a part accepted", []*reckoner.Event{usage(a, "1", 1, limited("s", 0), partial)}, "limit_exceeded"},
		{"smaller one after a refusal", []*reckoner.Event{usage(a, "1", 2000, limited("s", 1500)), usage(a, "2", 1500, limited("s", 1500))}, "limit_exceeded; applied 1.5"},
		{"use without a limit counts for a later one", []*reckoner.Event{usage(a, "1", 1000, func(e *reckoner.Event) { e.SubscriptionID = "s" }), usage(a, "2", 1000, limited("s", 1500), partial)}, "applied 1; clipped 0.5"},
		{"limit of another subscription", []*reckoner.Event{usage(a, "1", 1000, limited("s", 1000)), usage(a, "2", 1000, limited("r", 1000))}, "applied 1; applied 1"},
		{"limit of another meter", []*reckoner.Event{usage(a, "1", 1000, limited("s", 1000)), usage(a, "2", 1000, limited("s", 1000), meter("mails", reckoner.Interval))}, "applied 1; applied 1"},
		{"limit of another account's subscription of the same name", []*reckoner.Event{usage(a, "1", 1000, limited("s", 1000)), usage(b, "2", 1000, limited("s", 1000))}, "applied 1; applied 1"},
		{"limit of another period, within one bucket", []*reckoner.Event{usage(a, "1", 1000, limited("s", 1000), at(day().Add(-1))), usage(a, "2", 1000, limited("s", 1000), at(day())), usage(a, "3", 1, limited("s", 1000), at(day().Add(-1)))}, "applied 1; applied 1; limit_exceeded"},
		{"limit lowered below what was used", []*reckoner.Event{usage(a, "1", 1000, limited("s", 5000)), usage(a, "2", 1, limited("s", 500), partial), usage(a, "3", 1000, limited("s", 2000))}, "applied 1; limit_exceeded; applied 1"},
		{"headroom comes back with a revert", []*reckoner.Event{usage(a, "1", 1000, limited("s", 1000)), revert(a, "r", "1", amount(400)), usage(a, "2", 1000, limited("s", 1000), partial)}, "applied 1; reverted -0.4; clipped 0.4"},
		{"duplicate repeats the first answer", []*reckoner.Event{usage(a, "1", 1000), usage(a, "1", 1000)}, "applied 1; duplicate of applied 1"},
		{"duplicate of a refusal, though it would fit now", []*reckoner.Event{usage(a, "1", 1000, limited("s", 500)), usage(a, "1", 1000, limited("s", 5000))}, "limit_exceeded; duplicate of limit_exceeded"},
		{"duplicate of a part", []*reckoner.Event{usage(a, "1", 1000, limited("s", 500), partial), usage(a, "1", 1000, limited("s", 500), partial)}, "clipped 0.5; duplicate of clipped 0.5"},
		{"duplicate after a revert", []*reckoner.Event{usage(a, "1", 1000), revert(a, "r", "1"), usage(a, "1", 1000)}, "applied 1; reverted -1; duplicate of applied 1"},
		{"duplicate though ingest resolves it otherwise now", []*reckoner.Event{usage(a, "1", 1000), usage(a, "1", 1000, meter("mails", reckoner.Rate), at(far))}, "applied 1; duplicate of applied 1"},
		{"conflict of quantity", []*reckoner.Event{usage(a, "1", 1000), usage(a, "1", 1001)}, "applied 1; conflict"},
		{"conflict of time as written", []*reckoner.Event{usage(a, "1", 1), usage(a, "1", 1, written(func(w *reckoner.Written) { w.UsageTime = day() }))}, "applied 0.001; conflict"},
		{"conflict leaves the first answer", []*reckoner.Event{usage(a, "1", 1000), usage(a, "1", 2), usage(a, "1", 1000), usage(a, "1", 2)}, "applied 1; conflict; duplicate of applied 1; conflict"},
		{"conflict before the limit", []*reckoner.Event{usage(a, "1", 1000, limited("s", 1000)), usage(a, "1", 2000, limited("s", 1000))}, "applied 1; conflict"},
		{"same id in another account", []*reckoner.Event{usage(a, "1", 1000), usage(b, "1", 2000)}, "applied 1; applied 2"},
		{"reverted in full", []*reckoner.Event{usage(a, "1", 1500), revert(a, "r", "1")}, "applied 1.5; reverted -1.5"},
		{"reverted in part", []*reckoner.Event{usage(a, "1", 1500), revert(a, "r", "1", amount(500))}, "applied 1.5; reverted -0.5"},
		{"reverted under the usage's own id", []*reckoner.Event{usage(a, "1", 1500), revert(a, "1", "1")}, "applied 1.5; reverted -1.5"},
		{"revert of all of a part", []*reckoner.Event{usage(a, "1", 1000, limited("s", 500), partial), revert(a, "r", "1")}, "clipped 0.5; reverted -0.5"},
		{"revert of more than the part that counted", []*reckoner.Event{usage(a, "1", 1000, limited("s", 500), partial), revert(a, "r", "1", amount(501))}, "clipped 0.5; exceeds_usage"},
		{"a revert that was too large leaves the usage revertable", []*reckoner.Event{usage(a, "1", 1000), revert(a, "r", "1", amount(1001)), revert(a, "s", "1", amount(1000))}, "applied 1; exceeds_usage; reverted -1"},
		{"already reverted, in part or not", []*reckoner.Event{usage(a, "1", 1500), revert(a, "r", "1", amount(1)), revert(a, "s", "1", amount(1))}, "applied 1.5; reverted -0.001; already_reverted"},
		{"already reverted before exceeds", []*reckoner.Event{usage(a, "1", 1500), revert(a, "r", "1"), revert(a, "s", "1", amount(9000))}, "applied 1.5; reverted -1.5; already_reverted"},
		{"retried revert repeats its answer", []*reckoner.Event{usage(a, "1", 1500), revert(a, "r", "1"), revert(a, "r", "1")}, "applied 1.5; reverted -1.5; duplicate of reverted -1.5"},
		{"revert's id used for another usage", []*reckoner.Event{usage(a, "1", 1), usage(a, "2", 1), revert(a, "r", "1"), revert(a, "r", "2")}, "applied 0.001; applied 0.001; reverted -0.001; conflict"},
		{"unknown usage", []*reckoner.Event{revert(a, "r", "1")}, "unknown_usage"},
		{"unknown usage stays the answer when the usage comes", []*reckoner.Event{revert(a, "r", "1"), usage(a, "1", 1), revert(a, "r", "1"), revert(a, "s", "1")}, "unknown_usage; applied 0.001; duplicate of unknown_usage; reverted -0.001"},
		{"unknown usage of another account", []*reckoner.Event{usage(b, "1", 1), revert(a, "r", "1")}, "applied 0.001; unknown_usage"},
		{"a revert cannot be reverted", []*reckoner.Event{usage(a, "1", 1), revert(a, "r", "1"), revert(a, "s", "r")}, "applied 0.001; reverted -0.001; unknown_usage"},
		{"not revertable, refused by its limit", []*reckoner.Event{usage(a, "1", 1, limited("s", 0)), revert(a, "r", "1")}, "limit_exceeded; not_revertable"},
		{"not revertable, a level", []*reckoner.Event{usage(a, "1", 1, meter("disk", reckoner.Total)), revert(a, "r", "1")}, "applied 0.001; not_revertable"},
		{"not revertable, a peak", []*reckoner.Event{usage(a, "1", 1, meter("rps", reckoner.Rate)), revert(a, "r", "1", amount(5))}, "applied 0.001; not_revertable"},
		{"another partition's account", []*reckoner.Event{usage(accountIn(testPartition+1, 0), "1", 1)}, "misrouted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := decided(t, tt.events...)
			if s := strings.Join(got, "; "); s != tt.want {
				t.Errorf("\n got %s\nwant %s", s, tt.want)
			}
		})
	}
}

// What is refused for its place leaves no memory: the same event in its right place counts.
func TestMisroutedRecordIsNotRemembered(t *testing.T) {
	m, b := testMachine(), emptyBatch()
	e := usage(accountIn(testPartition, 0), "1", 1)
	astray := recordOf(t, 0, e)
	astray.Key = []byte("someone else")
	f, err := m.step(b, &astray)
	if err != nil || f.refusal.Outcome != reckoner.Misrouted || f.dead {
		t.Fatalf("effect %+v, error %v", f, err)
	}
	right := recordOf(t, 1, e)
	if f, err = m.step(b, &right); err != nil || f.entry == nil {
		t.Fatalf("effect %+v, error %v", f, err)
	}
}

// Newer rules stop the partition before anything else is looked at, even where the event would be invalid or astray.
func TestNewerRulesStop(t *testing.T) {
	m, b := testMachine(), emptyBatch()
	for name, c := range map[string]change{
		"valid":   func(*reckoner.Event) {},
		"invalid": func(e *reckoner.Event) { e.ID, e.Kind, e.Meter.Type = "", 200, 77 },
		"astray":  func(e *reckoner.Event) { e.AccountID = accountIn(testPartition+1, 0) },
	} {
		rec := recordOf(t, 0, usage(accountIn(testPartition, 0), "1", 1, c, func(e *reckoner.Event) { e.Rules = reckoner.Rules + 1 }))
		if _, err := m.step(b, &rec); !errors.Is(err, ErrNewerRules) {
			t.Errorf("%s: error %v, want ErrNewerRules", name, err)
		}
	}
	if l := b.layer; len(l.memories)+len(l.totals)+len(l.useds)+b.entries.len()+b.refusals.len() > 0 {
		t.Errorf("the batch changed: %+v", b)
	}
}

// A record that is no event always gives the same row, with what could be read of it and nothing that a row cannot hold.
func TestUndecodableRecords(t *testing.T) {
	a := accountIn(testPartition, 0)
	long := strings.Repeat("x", reckoner.MaxTextBytes+1)
	valid, err := wire.EncodeEvent(usage(a, "1", 1))
	if err != nil {
		t.Fatal(err)
	}
	encoded := func(c change) []byte { return recordOf(t, 0, usage(a, "1", 1, waits, c)).Value }
	for _, tt := range []struct {
		name    string
		value   []byte
		want    ledger.Refusal
		verdict bool
	}{
		{"nothing", nil, ledger.Refusal{AccountID: "key", Reason: "written: missing"}, false},
		{"no protobuf", []byte("\xff\xff"), ledger.Refusal{AccountID: "key", Reason: "not a protobuf reckoner.usage.v1.Event"}, false},
		{"cut", valid[:len(valid)-1], ledger.Refusal{AccountID: "key", Reason: "not a protobuf reckoner.usage.v1.Event"}, false},
		{"no id", encoded(func(e *reckoner.Event) { e.ID = "" }), ledger.Refusal{AccountID: a, Kind: reckoner.Usage, Meter: "calls", Type: "credit", Source: "test", Rules: 1, Reason: "id: missing"}, true},
		{"unknown kind", encoded(func(e *reckoner.Event) { e.Kind = 77 }), ledger.Refusal{AccountID: a, EventID: "1", Meter: "calls", Type: "credit", Source: "test", Rules: 1, Reason: "kind: unknown 77"}, false},
		{"unknown meter type", encoded(meter("calls", 77)), ledger.Refusal{AccountID: a, EventID: "1", Kind: reckoner.Usage, Meter: "calls", Type: "credit", Source: "test", Rules: 1, Reason: "meter_type: unknown 77"}, true},
		{"address too long to answer", encoded(func(e *reckoner.Event) { e.ReplyTo = long }), ledger.Refusal{AccountID: a, EventID: "1", Kind: reckoner.Usage, Meter: "calls", Type: "credit", Source: "test", Rules: 1, Reason: "reply_to: longer than 16384 bytes"}, false},
		{"id too long to answer", encoded(func(e *reckoner.Event) { e.ID = long }), ledger.Refusal{AccountID: a, EventID: long[:255], Kind: reckoner.Usage, Meter: "calls", Type: "credit", Source: "test", Rules: 1, Reason: "id: longer than 255 bytes"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := Record{Offset: 5, Key: []byte("key"), Value: tt.value, Time: day().In(time.FixedZone("far", 3600))}
			tt.want.Position = reckoner.Position{Log: 1, Partition: testPartition, Offset: 5}
			tt.want.Outcome, tt.want.ReceivedAt = reckoner.Undecodable, day()
			for range 3 {
				f, err := testMachine().step(emptyBatch(), &rec)
				if err != nil || !f.dead || f.entry != nil {
					t.Fatalf("effect %+v, error %v", f, err)
				}
				same(t, "refusal", tt.want, *f.refusal)
				if wants := tt.verdict && tt.name != "id too long to answer"; (f.verdict != nil) != wants {
					t.Errorf("verdict %+v, wanted one: %v", f.verdict, wants)
				}
			}
		})
	}
}

// A row must be insertable, whatever a producer that bypasses ingest wrote.
func TestRefusedRowsHoldOnlyWhatColumnsHold(t *testing.T) {
	a := accountIn(testPartition, 0)
	_, b := decided(t, revert(a, "r", "none", meter("calls", 77)))
	if got := b.refusals.appendTo(nil)[0].MeterType; got != 0 {
		t.Errorf("meter type %d, want unknown", got)
	}
	for _, tt := range []struct{ at, want time.Time }{
		{time.Time{}, reckoner.MinTime}, {day(), day()}, {reckoner.MaxTime, reckoner.MaxTime.Add(-1)}, {time.Unix(1<<40, 0), reckoner.MaxTime.Add(-1)},
	} {
		if got := storable(tt.at); !got.Equal(tt.want) || !reckoner.StorableTime(got) {
			t.Errorf("%s became %s, want %s", tt.at, got, tt.want)
		}
	}
	rec := Record{Key: []byte("k\xff" + strings.Repeat("é", 200)), Value: []byte("\xff")}
	f, err := testMachine().step(emptyBatch(), &rec)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.refusal.AccountID; !strings.HasPrefix(got, "k\uFFFDéé") || len(got) > 3*reckoner.MaxIDBytes || strings.Contains(got, "\xff") {
		t.Errorf("key became %q", got)
	}
}
