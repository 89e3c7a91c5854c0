package clickhouse

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reckoner"
	"reckoner/ledger"
)

func drawBytes() *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		b := rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.Map(drawText(), func(s string) []byte { return []byte(s) })).Draw(t, "bytes")
		if len(b) == 0 {
			return nil
		}
		return b
	})
}

func drawPeriod() *rapid.Generator[reckoner.Period] {
	return rapid.Custom(func(t *rapid.T) reckoner.Period {
		return reckoner.Period{Start: drawTime().Draw(t, "start"), End: drawTime().Draw(t, "end")}
	})
}

func drawReport(id string) *rapid.Generator[ledger.Report] {
	return rapid.Custom(func(t *rapid.T) ledger.Report {
		text := func(name string) string { return drawText().Draw(t, name) }
		r := ledger.Report{
			InstallationID: id, Target: text("target"), AccountID: text("account"), Timestamp: drawTime().Draw(t, "timestamp").Truncate(time.Millisecond),
			Reporter: rapid.SampledFrom([]string{"one", "tab\t'\\", "é"}).Draw(t, "reporter"), Moment: drawTime().Draw(t, "moment"),
			Day: drawPeriod().Draw(t, "day"), Period: drawPeriod().Draw(t, "period"),
			Lag: time.Duration(rapid.Int64Range(-1, 1<<62).Draw(t, "lag")), Stale: rapid.Bool().Draw(t, "stale"), Rules: rapid.Uint32().Draw(t, "rules"),
			Inputs: drawBytes().Draw(t, "inputs"), State: drawBytes().Draw(t, "state"), Payload: drawBytes().Draw(t, "payload"),
			Attempt: rapid.Uint32().Draw(t, "attempt"), Status: ledger.ReportStatus(rapid.IntRange(1, 6).Draw(t, "status")),
			Code: rapid.IntRange(0, 599).Draw(t, "code"), Response: text("response"), Error: text("error"), Revision: rapid.Uint64().Draw(t, "revision"),
		}
		copy(r.Figures[:], drawBytes().Draw(t, "figures"))
		if rapid.Bool().Draw(t, "figures there") {
			r.AsOf = &reckoner.Position{Log: rapid.Uint32Min(1).Draw(t, "log"), Partition: rapid.Int32Min(0).Draw(t, "partition"),
				Offset: rapid.Int64Min(0).Draw(t, "offset"), Index: rapid.Int32Min(0).Draw(t, "index")}
		}
		if rapid.Bool().Draw(t, "sent") {
			r.SentAt = drawTime().Draw(t, "sent at")
		}
		for range rapid.IntRange(0, 3).Draw(t, "scopes") {
			r.Scope = append(r.Scope, ledger.ReportScope{SubscriptionID: text("subscription"), Period: drawPeriod().Draw(t, "scope")})
		}
		return r
	})
}

// Every column of a report comes back as it was, whatever bytes are in it; and of its revisions the greatest does.
func TestReportsComeBackAsTheyWere(t *testing.T) {
	l := openLedger(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		id := fmt.Sprintf("icfg_%d", run)
		r := drawReport(id).Draw(rt, "report")
		older := r
		older.Revision = rapid.Uint64Max(r.Revision).Draw(rt, "older")
		if older.Revision < r.Revision {
			older.Status, older.Attempt, older.Error, older.SentAt = ledger.ReportFailed, 7, "again", time.Time{}
		}
		other := r
		other.Reporter = "of another name"
		for _, batch := range [][]ledger.Report{{r, other}, {older}} {
			if err := l.WriteReports(context.Background(), batch); err != nil {
				rt.Fatal(err)
			}
		}
		got := collect(rt, l.Reports(context.Background(), ledger.ReportQuery{InstallationID: id}))
		want := []ledger.Report{r, other}
		if other.Reporter < r.Reporter {
			want[0], want[1] = other, r
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("(-stored +read):\n%s", diff)
		}
	})
}

func TestReportsThatWouldNotComeBackAreRefused(t *testing.T) {
	l := openLedger(t)
	good := reportAt("icfg", 1, ledger.ReportSending)
	for name, spoil := range map[string]func(*ledger.Report){
		"no installation":    func(r *ledger.Report) { r.InstallationID = "" },
		"no reporter":        func(r *ledger.Report) { r.Reporter = "" },
		"finer than ms":      func(r *ledger.Report) { r.Timestamp = r.Timestamp.Add(1) },
		"position of no log": func(r *ledger.Report) { r.AsOf = &reckoner.Position{Offset: 1} },
		"unknown status":     func(r *ledger.Report) { r.Status = 7 },
		"no status":          func(r *ledger.Report) { r.Status = 0 },
	} {
		bad := good
		spoil(&bad)
		if err := l.WriteReports(t.Context(), []ledger.Report{good, bad}); !ledger.Permanent(err) {
			t.Errorf("%s: %v, want a permanent error", name, err)
		}
	}
	if err := l.Claim(t.Context(), []ledger.ReportClaim{{InstallationID: "i", Reporter: "r", Timestamp: time.Unix(0, 1)}}); !ledger.Permanent(err) {
		t.Errorf("a claim of a nanosecond: %v, want a permanent error", err)
	}
	if got := collect(t, l.Reports(t.Context(), ledger.ReportQuery{})); len(got) > 0 {
		t.Errorf("%d reports were stored", len(got))
	}
}

var march = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// reportAt is a report of the day that holds a minute of March, made in that minute.
func reportAt(id string, minute int, status ledger.ReportStatus) ledger.Report {
	at := march.Add(time.Duration(minute) * time.Minute)
	day := at.Truncate(24 * time.Hour)
	return ledger.Report{
		InstallationID: id, Target: "vercel", AccountID: accounts[0], Timestamp: at, Reporter: "one", Moment: at,
		Day: reckoner.Period{Start: day, End: day.AddDate(0, 0, 1)}, Period: reckoner.Cycle{}.At(at), Lag: -1, Rules: 1, Status: status, Revision: 1,
	}
}

// closing is a report of the first of March, made at a later minute.
func closing(id string, minute int, status ledger.ReportStatus) ledger.Report {
	r := reportAt(id, minute, status)
	r.Day = reckoner.Period{Start: march, End: march.AddDate(0, 0, 1)}
	return r
}

func minutes(reports []ledger.Report) string {
	var texts []string
	for _, r := range reports {
		texts = append(texts, fmt.Sprintf("%s %d %s", r.InstallationID, int(r.Timestamp.Sub(march).Minutes()), r.Status))
	}
	return strings.Join(texts, ", ")
}

func TestHistoryIsTheNewestOfEachPart(t *testing.T) {
	l := openLedger(t)
	const day = 24 * 60
	by := func(reporter string, r ledger.Report) ledger.Report { r.Reporter = reporter; return r }
	cut := reportAt("a", 100, ledger.ReportAccepted) // the same end of the day, another part and period
	cut.Day.Start, cut.Period.Start = march.Add(time.Hour), march.Add(time.Hour)
	revised := reportAt("a", 20, ledger.ReportAccepted)
	revised.Revision = 2
	for _, tt := range []struct {
		name   string
		stored []ledger.Report
		since  time.Time
		want   string
	}{
		{"nothing", nil, march, ""},
		{"the newest of a part", []ledger.Report{reportAt("a", 10, ledger.ReportAccepted), reportAt("a", 70, ledger.ReportAccepted)}, march, "a 70 accepted"},
		{"the newest is not the accepted one", []ledger.Report{reportAt("a", 10, ledger.ReportAccepted), reportAt("a", 70, ledger.ReportFailed),
			reportAt("a", 130, ledger.ReportRefused)}, march, "a 10 accepted, a 130 refused"},
		{"superseded rows are not there", []ledger.Report{reportAt("a", 10, ledger.ReportAccepted), reportAt("a", 70, ledger.ReportSuperseded)}, march, "a 10 accepted"},
		{"nothing but superseded", []ledger.Report{reportAt("a", 70, ledger.ReportSuperseded)}, march, ""},
		{"expired is a row as others are", []ledger.Report{reportAt("a", 10, ledger.ReportFailed), closing("a", 3*day, ledger.ReportExpired)}, march, "a 4320 expired"},
		{"closing figures", []ledger.Report{reportAt("a", 10, ledger.ReportAccepted), closing("a", day+10, ledger.ReportSending), reportAt("a", day+11, ledger.ReportAccepted)},
			march, "a 1450 sending, a 1451 accepted"},
		{"a part that ends at since is not asked for", []ledger.Report{closing("a", day+10, ledger.ReportSending), reportAt("a", day+11, ledger.ReportAccepted)},
			march.AddDate(0, 0, 1), "a 1451 accepted"},
		{"a part that ends after since is", []ledger.Report{closing("a", day+10, ledger.ReportSending), reportAt("a", day+11, ledger.ReportAccepted)},
			march.AddDate(0, 0, 1).Add(-1), "a 1450 sending, a 1451 accepted"},
		{"the newest and the newest accepted are, however old", []ledger.Report{reportAt("a", 10, ledger.ReportAccepted), reportAt("a", day+10, ledger.ReportFailed),
			reportAt("a", 2*day+10, ledger.ReportFailed)}, march.AddDate(1, 0, 0), "a 10 accepted, a 2890 failed"},
		{"parts that end together", []ledger.Report{reportAt("a", 70, ledger.ReportAccepted), cut}, march, "a 70 accepted, a 100 accepted"},
		{"the newest revision", []ledger.Report{revised, reportAt("a", 20, ledger.ReportSending)}, march, "a 20 accepted"},
		{"two reporters at one timestamp", []ledger.Report{by("two", reportAt("a", 20, ledger.ReportSuperseded)), by("one", reportAt("a", 20, ledger.ReportAccepted))},
			march, "a 20 accepted"},
		{"installations apart", []ledger.Report{reportAt("a", 20, ledger.ReportFailed), reportAt("b", 30, ledger.ReportAccepted), reportAt("c", 30, ledger.ReportAccepted)},
			march, "a 20 failed, b 30 accepted"},
		{"over months", []ledger.Report{reportAt("a", -day, ledger.ReportAccepted), reportAt("a", 40*day, ledger.ReportFailed)}, time.Time{}, "a -1440 accepted, a 57600 failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			emptyReports(t, l)
			for _, r := range tt.stored {
				if err := l.WriteReports(t.Context(), []ledger.Report{r}); err != nil {
					t.Fatal(err)
				}
			}
			got, err := l.History(t.Context(), []string{"b", "a", "nobody", "a"}, tt.since)
			if err != nil || minutes(got) != tt.want {
				t.Errorf("%q, %v, want %q", minutes(got), err, tt.want)
			}
		})
	}
}

// A reporter sees each claim of others, and what was reported without one.
func TestClaimsOfTwoReporters(t *testing.T) {
	l := openLedger(t)
	claim := func(reporter, id string, minute int) ledger.ReportClaim {
		return ledger.ReportClaim{InstallationID: id, Reporter: reporter, Timestamp: march.Add(time.Duration(minute) * time.Minute)}
	}
	for _, claims := range [][]ledger.ReportClaim{
		nil, {claim("one", "a", 10), claim("one", "b", 10)}, {claim("two", "a", 30)}, {claim("one", "a", 20)},
		{claim("one", "a", 15)}, // late: it never replaces a greater one
	} {
		if err := l.Claim(t.Context(), claims); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.WriteReports(t.Context(), []ledger.Report{reportAt("b", 40, ledger.ReportSuperseded), reportAt("c", 50, ledger.ReportExpired)}); err != nil {
		t.Fatal(err)
	}
	all := []string{"a", "b", "c", "nobody", "it's \\ 'one'"}
	check := func(when, what, want string, got map[string]time.Time, err error) {
		t.Helper()
		var texts []string
		for _, id := range sortedKeys(got) {
			texts = append(texts, fmt.Sprint(id, int(got[id].Sub(march).Minutes())))
		}
		if strings.Join(texts, " ") != want || err != nil {
			t.Errorf("%s, %s: %q, %v, want %q", when, what, texts, err, want)
		}
	}
	for _, when := range []string{"at first", "merged"} {
		last, err := l.LastTimestamps(t.Context(), all)
		check(when, "last", "a30 b40 c50", last, err)
		of, err := l.Claimed(t.Context(), all, "one")
		check(when, "claimed beside one", "a30", of, err)
		of, err = l.Claimed(t.Context(), all, "two")
		check(when, "claimed beside two", "a20 b10", of, err)
		none, err := l.LastTimestamps(t.Context(), nil)
		check(when, "of none", "", none, err)
		optimize(t, l, "report_claims", "reports")
	}
}

// A claim is kept for days after it was made, not after its timestamp: one of a clock that is behind stays, too.
func TestOldClaimsGo(t *testing.T) {
	l := openLedger(t)
	err := l.conn.Exec(t.Context(), `INSERT INTO report_claims (installation_id, reporter, timestamp, claimed_at)
		VALUES ('a', 'old', '2999-01-01', now() - INTERVAL 8 DAY), ('b', 'new', '1970-01-01', now() - INTERVAL 6 DAY)`)
	if err != nil {
		t.Fatal(err)
	}
	optimize(t, l, "report_claims")
	if got, err := l.LastTimestamps(t.Context(), []string{"a", "b"}); err != nil || len(got) != 1 || got["b"].Unix() != 0 {
		t.Errorf("%v, %v, want that of b alone", got, err)
	}
}

// Lists of ids that no parameter holds are asked for in parts.
func TestManyInstallations(t *testing.T) {
	l := openLedger(t)
	var ids []string
	var claims []ledger.ReportClaim
	var reports []ledger.Report
	for i := range 3000 {
		id := fmt.Sprintf("icfg_%05d_%s", i, strings.Repeat("é'", 20))
		ids = append(ids, id)
		claims = append(claims, ledger.ReportClaim{InstallationID: id, Reporter: "one", Timestamp: march})
		reports = append(reports, reportAt(id, i%50, ledger.ReportAccepted))
	}
	if err := l.Claim(t.Context(), claims); err != nil {
		t.Fatal(err)
	}
	if err := l.WriteReports(t.Context(), reports); err != nil {
		t.Fatal(err)
	}
	last, err := l.LastTimestamps(t.Context(), ids)
	if err != nil || len(last) != len(ids) {
		t.Errorf("%d timestamps, %v, want %d", len(last), err, len(ids))
	}
	history, err := l.History(t.Context(), ids, march)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(reports, history); diff != "" {
		t.Errorf("(-stored +history):\n%s", diff)
	}
}

func TestReportsByQuery(t *testing.T) {
	l := openLedger(t)
	const day = 24 * 60
	stored := []ledger.Report{reportAt("a", 10, ledger.ReportAccepted), closing("a", day+1, ledger.ReportAccepted), reportAt("a", day+2, ledger.ReportSuperseded),
		reportAt("b", 40*day, ledger.ReportExpired)}
	if err := l.WriteReports(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	eod := march.AddDate(0, 0, 1)
	for _, tt := range []struct {
		name string
		q    ledger.ReportQuery
		want string
	}{
		{"all", ledger.ReportQuery{}, "a 10 accepted, a 1441 accepted, a 1442 superseded, b 57600 expired"},
		{"of an installation", ledger.ReportQuery{InstallationID: "b"}, "b 57600 expired"},
		{"of nobody", ledger.ReportQuery{InstallationID: "'"}, ""},
		{"from a day on", ledger.ReportQuery{EODFrom: eod}, "a 10 accepted, a 1441 accepted, a 1442 superseded, b 57600 expired"},
		{"from after a day", ledger.ReportQuery{EODFrom: eod.Add(1)}, "a 1442 superseded, b 57600 expired"},
		{"up to a day", ledger.ReportQuery{EODTo: eod}, "a 10 accepted, a 1441 accepted"},
		{"up to before a day", ledger.ReportQuery{EODTo: eod.Add(-1)}, ""},
		{"since", ledger.ReportQuery{Since: march.Add((day + 1) * time.Minute)}, "a 1441 accepted, a 1442 superseded, b 57600 expired"},
		{"since just after", ledger.ReportQuery{Since: march.Add((day+1)*time.Minute + 1)}, "a 1442 superseded, b 57600 expired"},
		{"all filters", ledger.ReportQuery{InstallationID: "a", EODFrom: eod, EODTo: eod, Since: march.Add(11 * time.Minute)}, "a 1441 accepted"},
	} {
		if got := minutes(collect(t, l.Reports(t.Context(), tt.q))); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// The names of the column are those of the nouns.
func TestReportStatusesMatchTheNouns(t *testing.T) {
	text, err := migrationFiles.ReadFile("migrations/0007_reports.sql")
	if err != nil {
		t.Fatal(err)
	}
	want := enumSQL(ledger.ReportSending, ledger.ReportAccepted, ledger.ReportFailed, ledger.ReportRefused, ledger.ReportSuperseded, ledger.ReportExpired)
	if want = strings.Replace(want, "'' = 0, ", "", 1); !strings.Contains(string(text), want) {
		t.Errorf("migrations/0007_reports.sql lacks %s", want)
	}
}
