package clickhouse

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reckoner"
	"reckoner/ledger"
)

// leap is a month that is over on every clock.
var leap = time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC)

// lateUse is a usage by a subscription: hours of February, quantity as text.
type lateUse struct {
	subscription, meter string
	kind                reckoner.MeterType
	hour                float64
	quantity            string
}

// writeUses stores the totals of usages, as the aggregator does: negative ones are reverts.
func writeUses(t testing.TB, l *Ledger, account string, cycle reckoner.Cycle, uses []lateUse) {
	t.Helper()
	groups := map[ledger.TotalKey][]ledger.Entry{}
	for i, u := range uses {
		q, err := reckoner.ParseQuantity(u.quantity)
		if err != nil {
			t.Fatal(err)
		}
		at := leap.Add(time.Duration(u.hour * float64(time.Hour)))
		e := ledger.Entry{Position: reckoner.Position{Log: 1, Offset: int64(i)}, SubscriptionID: u.subscription, Meter: u.meter, MeterType: u.kind, Kind: reckoner.Usage,
			Quantity: q, UsageTime: at, Bucket: reckoner.BucketOf(at), Period: cycle.At(at)}
		key := ledger.TotalKey{AccountID: account, SubscriptionID: u.subscription, Meter: u.meter, MeterType: u.kind, Period: e.Period, Bucket: e.Bucket}
		groups[key] = append(groups[key], e)
	}
	var b ledger.Batch
	for key, entries := range groups {
		f, last := foldGroup(entries), entries[len(entries)-1]
		total := ledger.Total{TotalKey: key, Quantity: f.quantity, Events: uint64(f.events), FirstUse: f.first, LastUse: f.last, Position: last.Position}
		for _, e := range entries {
			if e.UsageTime.Equal(f.last) {
				total.Reading = e.Position
			}
		}
		b.Totals = append(b.Totals, total)
	}
	if err := l.Write(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
}

// told is a report of a day of February, made minutes after it began. Lines are `resource|name|type|dayValue|periodValue`; a
// resource that is - is none.
func told(day, minute int, status ledger.ReportStatus, lines ...string) ledger.Report {
	start := leap.AddDate(0, 0, day-1)
	r := ledger.Report{
		InstallationID: "icfg", Target: "vercel", AccountID: "acc", Timestamp: start.Add(time.Duration(minute) * time.Minute), Reporter: "one",
		Day: reckoner.Period{Start: start, End: start.AddDate(0, 0, 1)}, Period: reckoner.Period{Start: leap, End: leap.AddDate(0, 1, 0)}, Status: status, Revision: 1,
	}
	r.Moment = r.Timestamp
	for _, id := range []string{"", "sub_1", "sub_2"} {
		r.Scope = append(r.Scope, ledger.ReportScope{SubscriptionID: id, Period: r.Period})
	}
	if status == ledger.ReportExpired {
		return r
	}
	var rows []string
	for _, text := range lines {
		f := strings.Split(text, "|")
		row := fmt.Sprintf(`"name":%s,"type":"%s","units":"{\"name\":\"x\",","dayValue":%s,"periodValue":%s,"planValue":7}`, quoted(f[1]), f[2], f[3], f[4])
		if f[0] != "-" {
			row = `"resourceId":` + quoted(f[0]) + "," + row
		}
		rows = append(rows, "{"+row)
	}
	r.Payload = fmt.Appendf(nil, `{"timestamp":"2024-02-01T00:00:00.000Z","eod":"2024-02-02T00:00:00.000Z","period":{"start":"2024-02-01T00:00:00.000Z","end":"2024-03-01T00:00:00.000Z"},`+
		`"billing":[{"billingPlanId":"pro","name":"calls","price":"1","quantity":999,"units":"u","total":"999.00"}],"usage":[%s]}`, strings.Join(rows, ","))
	return r
}

func quoted(s string) string {
	b, _ := json.Marshal(s) // a string always can be
	return string(b)
}

func scoped(r ledger.Report, scope ...ledger.ReportScope) ledger.Report { r.Scope = scope; return r }

func scopeOf(id string, from, to float64) ledger.ReportScope {
	at := func(hour float64) time.Time { return leap.Add(time.Duration(hour * float64(time.Hour))) }
	return ledger.ReportScope{SubscriptionID: id, Period: reckoner.Period{Start: at(from), End: at(to)}}
}

const (
	calls, level, peak = reckoner.Interval, reckoner.Total, reckoner.Rate
	february           = 29 * 24
)

var lateCases = []struct {
	name    string
	uses    []lateUse
	reports []ledger.Report
	want    string // span day meter: reported actual difference
}{
	{"nothing is late", []lateUse{{"sub_1", "calls", calls, 1, "3"}, {"", "calls", calls, 2, "7.125"}},
		[]ledger.Report{told(1, 100, ledger.ReportAccepted, "-|calls|interval|10.125|10.125")}, ""},
	{"late usage, of that day and another", []lateUse{{"sub_1", "calls", calls, 1, "3"}, {"sub_2", "calls", calls, 23.99, "0.001"}, {"sub_2", "calls", calls, 24, "5"}},
		[]ledger.Report{told(1, 100, ledger.ReportAccepted, "-|calls|interval|3|3")}, "day 2024-02-01 calls: 3 3.001 0.001; period 2024-02-01 calls: 3 8.001 5.001"},
	{"a revert", []lateUse{{"sub_1", "calls", calls, 1, "10"}, {"sub_1", "calls", calls, 1, "-6"}},
		[]ledger.Report{told(1, 100, ledger.ReportAccepted, "-|calls|interval|10|10")}, "day 2024-02-01 calls: 10 4 -6; period 2024-02-01 calls: 10 4 -6"},
	{"all taken back", []lateUse{{"sub_1", "calls", calls, 1, "10"}, {"sub_1", "calls", calls, 1, "-10"}},
		[]ledger.Report{told(1, 100, ledger.ReportAccepted, "-|calls|interval|10|10")}, "day 2024-02-01 calls: 10 0 -10; period 2024-02-01 calls: 10 0 -10"},
	{"a meter that was not in the report", []lateUse{{"sub_1", "other", calls, 1, "2"}},
		[]ledger.Report{told(1, 100, ledger.ReportAccepted, "-|calls|interval|0|0")}, "day 2024-02-01 other: 0 2 2; period 2024-02-01 other: 0 2 2"},
	{"levels: the newest before the end, carried over, summed", []lateUse{{"sub_1", "disk", level, -50, "4"}, {"sub_2", "disk", level, 3, "1"}, {"sub_2", "disk", level, 2, "9"},
		{"sub_2", "disk", level, 24, "100"}}, []ledger.Report{told(1, 100, ledger.ReportAccepted, "-|disk|total|5|104")}, ""},
	{"a late reading", []lateUse{{"sub_1", "disk", level, 1, "4"}, {"sub_1", "disk", level, 5, "6"}},
		[]ledger.Report{told(1, 100, ledger.ReportAccepted, "-|disk|total|4|4"), told(2, 100, ledger.ReportAccepted, "-|disk|total|6|6")}, "day 2024-02-01 disk: 4 6 2"},
	{"a late peak, and one that is none", []lateUse{{"sub_1", "seats", peak, 1, "4"}, {"sub_2", "seats", peak, 5, "6"}, {"sub_2", "seats", peak, 30, "5"}},
		[]ledger.Report{told(1, 100, ledger.ReportAccepted, "-|seats|rate|4|6"), told(2, 100, ledger.ReportAccepted, "-|seats|rate|5|6")}, "day 2024-02-01 seats: 4 6 2"},
	{"never reported", []lateUse{{"sub_1", "calls", calls, 1, "3"}}, []ledger.Report{told(1, 5000, ledger.ReportExpired)}, "day 2024-02-01 calls: 0 3 3; period 2024-02-01 calls: 0 3 3"},
	{"never taken", []lateUse{{"sub_1", "calls", calls, 1, "3"}}, []ledger.Report{told(1, 100, ledger.ReportRefused, "-|calls|interval|3|3")},
		"day 2024-02-01 calls: 0 3 3; period 2024-02-01 calls: 0 3 3"},
	{"the newest that was taken", []lateUse{{"sub_1", "calls", calls, 1, "5"}}, []ledger.Report{
		told(1, 100, ledger.ReportAccepted, "-|calls|interval|1|1"), told(1, 200, ledger.ReportAccepted, "-|calls|interval|3|3"), told(1, 300, ledger.ReportFailed, "-|calls|interval|5|5")},
		"day 2024-02-01 calls: 3 5 2; period 2024-02-01 calls: 3 5 2"},
	{"rows of resources are in the roll-up", []lateUse{{"sub_1", "calls", calls, 1, "3"}},
		[]ledger.Report{told(1, 100, ledger.ReportAccepted, "-|calls|interval|3|3", "res \"1\"|calls|interval|3|3")}, ""},
	{"a resource that changed", []lateUse{{"sub_1", "calls", calls, 1, "1"}, {"sub_1", "calls", calls, 11.99, "2"}, {"sub_1", "calls", calls, 12, "4"}, {"sub_1", "calls", calls, 18, "8"},
		{"sub_2", "calls", calls, 1, "100"}}, []ledger.Report{scoped(told(1, 100, ledger.ReportAccepted, "-|calls|interval|11|11"), scopeOf("sub_1", 0, 12), scopeOf("sub_1", 18, february))}, ""},
	{"a level that nobody holds at the end", []lateUse{{"sub_1", "disk", level, 1, "4"}, {"sub_2", "disk", level, 1, "2"}},
		[]ledger.Report{scoped(told(1, 100, ledger.ReportAccepted, "-|disk|total|2|0"), scopeOf("sub_1", 0, 12), scopeOf("sub_2", 12, 48))}, ""},
	{"the scope of the newest row", []lateUse{{"sub_1", "calls", calls, 1, "3"}, {"sub_2", "calls", calls, 1, "4"}}, []ledger.Report{
		scoped(told(1, 100, ledger.ReportAccepted, "-|calls|interval|3|3"), scopeOf("sub_1", 0, february)), told(1, 5000, ledger.ReportExpired),
		scoped(told(1, 5001, ledger.ReportSuperseded), scopeOf("sub_1", 0, february))}, "day 2024-02-01 calls: 3 7 4; period 2024-02-01 calls: 3 7 4"},
	{"another target", []lateUse{{"sub_1", "calls", calls, 1, "3"}}, []ledger.Report{func() ledger.Report {
		r := told(1, 100, ledger.ReportAccepted, "-|calls|interval|1|1")
		r.Target = "aws"
		return r
	}()}, ""},
	{"38 digits", []lateUse{{"sub_1", "calls", calls, 1, "99999999999999999999999999999999999.998"}},
		[]ledger.Report{told(1, 100, ledger.ReportAccepted, "-|calls|interval|99999999999999999999999999999999999.999|99999999999999999999999999999999999.998")},
		"day 2024-02-01 calls: 99999999999999999999999999999999999.999 99999999999999999999999999999999999.998 -0.001"},
	{"a name that needs escapes", []lateUse{{"sub_1", "a \"b\" \\ },{é", calls, 1, "3"}},
		[]ledger.Report{told(1, 100, ledger.ReportAccepted, "-|a \"b\" \\ },{é|interval|1|3")}, "day 2024-02-01 a \"b\" \\ },{é: 1 3 2"},
	{"a meter of two types", []lateUse{{"sub_1", "calls", calls, 1, "3"}, {"sub_1", "calls", peak, 1, "4"}},
		[]ledger.Report{told(1, 100, ledger.ReportAccepted, "-|calls|interval|3|3", "-|calls|rate|4|2")}, "period 2024-02-01 calls: 2 4 2"},
}

// lateLines returns what is late, by installation.
func lateLines(t testing.TB, l *Ledger, where string) map[string]string {
	t.Helper()
	rows := queryFormat(t, l, "TSVRaw", `SELECT installation_id, arrayStringConcat(groupArray(concat(toString(span), ' ', toString(day), ' ', meter, ': ', toString(reported), ' ',
			toString(actual), ' ', toString(difference))), '; ')
		FROM (SELECT * FROM late_usage WHERE `+where+` ORDER BY span, day, meter) GROUP BY installation_id`)
	late := map[string]string{}
	for row := range strings.Lines(rows) {
		id, text, _ := strings.Cut(strings.TrimSuffix(row, "\n"), "\t")
		late[id] = text
	}
	return late
}

func TestLateUsage(t *testing.T) {
	l := openLedger(t)
	var reports []ledger.Report
	want := map[string]string{}
	for i, tt := range lateCases {
		id := fmt.Sprintf("icfg %d, %s", i, tt.name)
		for _, r := range tt.reports {
			r.InstallationID, r.AccountID = id, id
			reports = append(reports, r)
		}
		writeUses(t, l, id, reckoner.Cycle{}, tt.uses)
		if tt.want != "" {
			want[id] = tt.want
		}
	}
	if err := l.WriteReports(t.Context(), reports); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, lateLines(t, l, "1")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	one := fmt.Sprintf("icfg 1, %s", lateCases[1].name)
	for _, column := range []string{"installation_id", "account_id"} {
		if diff := cmp.Diff(map[string]string{one: want[one]}, lateLines(t, l, column+" = '"+one+"'")); diff != "" {
			t.Errorf("by %s (-want +got):\n%s", column, diff)
		}
	}
}

// A period that begins and ends inside a bucket holds its share of that bucket only.
func TestLateUsageOfPeriodsInsideBuckets(t *testing.T) {
	l := openLedger(t)
	cycle := reckoner.Cycle{Anchor: leap.Add(7*time.Minute + 1), Every: reckoner.Week}
	writeUses(t, l, "acc", cycle, []lateUse{{"sub_1", "calls", calls, 0.1, "100"}, {"sub_1", "calls", calls, 0.2, "1"}, {"sub_1", "calls", calls, 7*24 + 0.1, "2"}, {"sub_1", "calls", calls, 7*24 + 0.2, "200"}})
	r := told(1, 100, ledger.ReportAccepted, "-|calls|interval|1|3")
	r.Period = cycle.At(leap.Add(time.Hour))
	r.Day.Start, r.Scope = r.Period.Start, []ledger.ReportScope{{SubscriptionID: "sub_1", Period: r.Period}}
	last := told(8, 5, ledger.ReportAccepted, "-|calls|interval|1|2") // the day that the period's end cuts: late by one
	last.Period, last.Day.End, last.Scope = r.Period, r.Period.End, r.Scope
	if err := l.WriteReports(t.Context(), []ledger.Report{r, last}); err != nil {
		t.Fatal(err)
	}
	if got, want := lateLines(t, l, "1")["icfg"], "day 2024-02-08 calls: 1 2 1; period 2024-02-01 calls: 2 3 1"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// What the partner still takes is not late.
func TestUsageThatCanStillBeReportedIsNotLate(t *testing.T) {
	l := openLedger(t)
	now := time.Now().UTC()
	for id, end := range map[string]time.Time{"open": now.Add(-23 * time.Hour), "closed": now.Add(-25 * time.Hour)} {
		start := reckoner.BucketOf(end).AddDate(0, 0, -1)
		r := ledger.Report{InstallationID: id, Target: "vercel", AccountID: id, Timestamp: start.Truncate(time.Millisecond), Reporter: "one", Moment: start, Status: ledger.ReportExpired, Revision: 1,
			Day: reckoner.Period{Start: start, End: end}, Period: reckoner.Period{Start: start, End: now.AddDate(0, 0, 9)}}
		r.Scope = []ledger.ReportScope{{Period: r.Period}}
		e := usageAt(1, reckoner.Units(3), start.Add(time.Hour))
		e.AccountID = id
		if err := l.WriteReports(t.Context(), []ledger.Report{r}); err != nil {
			t.Fatal(err)
		}
		if err := l.Write(t.Context(), &ledger.Batch{Totals: []ledger.Total{totalOf(&e)}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := queryTSV(t, l, "SELECT installation_id, span, difference FROM late_usage"); len(got) != 1 || got[0] != "closed\tday\t3" {
		t.Errorf("%q, want the closed day alone", got)
	}
}

// A report of more rows than a page of the regular expression's matches is read to its end.
func TestLateUsageOfAReportWithManyRows(t *testing.T) {
	l := openLedger(t)
	var lines []string
	for i := range 3000 {
		lines = append(lines, fmt.Sprintf("res_%d|calls|interval|1|1", i))
	}
	if err := l.WriteReports(t.Context(), []ledger.Report{told(1, 100, ledger.ReportAccepted, append(lines, "-|last|interval|1|1")...)}); err != nil {
		t.Fatal(err)
	}
	if got, want := lateLines(t, l, "span = 'day'")["icfg"], "day 2024-02-01 last: 1 0 -1"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// What people see of reports, value by value.
func TestPartnerReportsShowTheRowsAsTheyAre(t *testing.T) {
	l := openLedger(t)
	full := told(1, 100, ledger.ReportAccepted, "-|calls|interval|3|3")
	full.AsOf = &reckoner.Position{Log: 1, Partition: 3, Offset: 120, Index: 2}
	full.Lag, full.Stale, full.Rules, full.Inputs = 1500*time.Millisecond+1, true, 1, []byte(`{"plan":"pro"}`)
	full.Attempt, full.SentAt, full.Code, full.Response = 2, full.Moment.Add(time.Second), 201, "ok"
	none := told(2, 100, ledger.ReportExpired)
	none.Lag, none.Error = -1, "too late"
	if err := l.WriteReports(t.Context(), []ledger.Report{full, none}); err != nil {
		t.Fatal(err)
	}
	compareSnapshot(t, "reports.txt", queryFormat(t, l, "Vertical", "SELECT * FROM partner_reports ORDER BY timestamp"))
}
