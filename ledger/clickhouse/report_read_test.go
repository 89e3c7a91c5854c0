package clickhouse

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reckoner"
	"reckoner/ledger"
)

func TestSummariesSayHowInstallationsStand(t *testing.T) {
	l := openLedger(t)
	const day = 24 * 60
	heavy := reportAt("d_heavy", 10, ledger.ReportAccepted)
	heavy.Payload, heavy.Inputs, heavy.State, heavy.Error = []byte("payload"), []byte("inputs"), []byte("state"), "said why"
	revised := reportAt("e_revised", 10, ledger.ReportAccepted)
	revised.Revision = 2
	stored := []ledger.Report{
		reportAt("a_fine", 10, ledger.ReportFailed), reportAt("a_fine", 20, ledger.ReportAccepted), reportAt("a_fine", 30, ledger.ReportSuperseded),
		reportAt("b_failing", 10, ledger.ReportAccepted), reportAt("b_failing", 20, ledger.ReportRefused), reportAt("b_failing", 40*day, ledger.ReportFailed),
		reportAt("c_never", 10, ledger.ReportSending), reportAt("c_never", 20, ledger.ReportExpired),
		heavy, revised, reportAt("e_revised", 10, ledger.ReportSending),
		reportAt("f_superseded", 10, ledger.ReportSuperseded),
	}
	if err := l.WriteReports(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	var got []string
	for s, err := range l.ReportSummaries(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		accepted := "never"
		if !s.AcceptedAt.IsZero() {
			accepted = fmt.Sprint(int(s.AcceptedAt.Sub(march).Minutes()))
		}
		got = append(got, fmt.Sprintf("%s: %s, accepted %s, failing %d", s.InstallationID, minutes([]ledger.Report{s.Last}), accepted, s.Failing))
		if s.Last.Payload != nil || s.Last.Inputs != nil || s.Last.State != nil {
			t.Errorf("%s: a summary has payload, inputs or state", s.InstallationID)
		}
		if s.InstallationID == "d_heavy" && s.Last.Error != "said why" {
			t.Errorf("the error of %s is %q", s.InstallationID, s.Last.Error)
		}
	}
	want := []string{
		"a_fine: a_fine 20 accepted, accepted 20, failing 0",
		"b_failing: b_failing 57600 failed, accepted 10, failing 2",
		"c_never: c_never 20 expired, accepted never, failing 2",
		"d_heavy: d_heavy 10 accepted, accepted 10, failing 0",
		"e_revised: e_revised 10 accepted, accepted 10, failing 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSummariesOfManyInstallations(t *testing.T) {
	l := openLedger(t)
	var reports []ledger.Report
	for i := range 2*summaryBatch + 7 {
		reports = append(reports, reportAt(fmt.Sprintf("icfg_%05d", i), i%50, ledger.ReportAccepted))
	}
	if err := l.WriteReports(t.Context(), reports); err != nil {
		t.Fatal(err)
	}
	summaries := collect(t, l.ReportSummaries(t.Context()))
	if len(summaries) != len(reports) {
		t.Fatalf("%d summaries, want %d", len(summaries), len(reports))
	}
	for i, s := range summaries {
		if s.InstallationID != reports[i].InstallationID || !s.Last.Timestamp.Equal(reports[i].Timestamp) {
			t.Fatalf("summary %d is of %s at %s, want %s", i, s.InstallationID, s.Last.Timestamp, reports[i].InstallationID)
		}
	}
}

func TestCarriersOfAnEntry(t *testing.T) {
	l := openLedger(t)
	april := march.AddDate(0, 1, 0)
	inside := march.Add(7 * time.Minute) // a period that begins inside a bucket
	entry := ledger.Entry{Position: reckoner.Position{Log: 2, Partition: 3, Offset: 50, Index: 1}, AccountID: accounts[0], SubscriptionID: "sub_1", EventID: "e",
		Bucket: march.AddDate(0, 0, 4), Period: reckoner.Period{Start: march, End: april}}
	carries := func(id string, minute int) ledger.Report {
		r := reportAt(id, minute, ledger.ReportAccepted)
		r.AsOf = &reckoner.Position{Log: 2, Partition: 3, Offset: 50, Index: 1}
		r.Payload = []byte(fmt.Sprint(id, minute))
		r.Scope = []ledger.ReportScope{{SubscriptionID: "", Period: r.Period}, {SubscriptionID: "sub_1", Period: r.Period}}
		return r
	}
	with := func(change func(*ledger.Report)) []ledger.Report {
		r := carries("a", 7000)
		change(&r)
		return []ledger.Report{r}
	}
	for _, tt := range []struct {
		name    string
		entry   func(*ledger.Entry)
		reports []ledger.Report
		want    string
	}{
		{"the first of each", nil, []ledger.Report{carries("b", 9000), carries("a", 8000), carries("a", 7000)}, "a7000 b9000"},
		{"nothing", nil, nil, ""},
		{"of an earlier position", nil, with(func(r *ledger.Report) { r.AsOf.Index = 0 }), ""},
		{"of a later position", nil, with(func(r *ledger.Report) { r.AsOf = &reckoner.Position{Log: 3, Partition: 3} }), "a7000"},
		{"of no position", nil, with(func(r *ledger.Report) { r.AsOf = nil }), ""},
		{"not accepted", nil, with(func(r *ledger.Report) { r.Status = ledger.ReportFailed }), ""},
		{"accepted after it failed", nil, append(with(func(r *ledger.Report) { r.Status = ledger.ReportFailed }), with(func(r *ledger.Report) { r.Revision = 2 })...), "a7000"},
		{"of another account", nil, with(func(r *ledger.Report) { r.AccountID = accounts[1] }), ""},
		{"of a period before", nil, with(func(r *ledger.Report) { r.Period.End = march.AddDate(0, 0, 4) }), ""},
		{"of a period after", nil, with(func(r *ledger.Report) { r.Period.Start = march.AddDate(0, 0, 4).Add(1) }), ""},
		{"of another subscription", nil, with(func(r *ledger.Report) { r.Scope = r.Scope[:1] }), ""},
		{"of a scope that has ended", nil, with(func(r *ledger.Report) { r.Scope[1].End = march.AddDate(0, 0, 4) }), ""},
		{"of a scope that begins there", nil, with(func(r *ledger.Report) { r.Scope[1].Start = march.AddDate(0, 0, 4) }), "a7000"},
		{"of a scope that begins later", nil, with(func(r *ledger.Report) { r.Scope[1].Start = march.AddDate(0, 0, 4).Add(1) }), ""},
		{"of usage that names none", func(e *ledger.Entry) { e.SubscriptionID = "" }, with(func(*ledger.Report) {}), "a7000"},
		{"of a period that begins inside the bucket", func(e *ledger.Entry) { e.Bucket, e.Period.Start = march, inside },
			with(func(r *ledger.Report) { r.Period.Start, r.Scope[1].Start = inside, inside }), "a7000"},
		{"of the period before, in the same bucket", func(e *ledger.Entry) {
			e.Bucket, e.Period = march, reckoner.Period{Start: march.AddDate(0, -1, 0), End: inside}
		},
			with(func(r *ledger.Report) { r.Period.Start, r.Scope[1].Start = inside, inside }), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			emptyReports(t, l)
			if err := l.WriteReports(t.Context(), tt.reports); err != nil {
				t.Fatal(err)
			}
			e := entry
			if tt.entry != nil {
				tt.entry(&e)
			}
			got, err := l.Carriers(t.Context(), &e)
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			for _, c := range got {
				text := fmt.Sprint(c.InstallationID, int(c.Timestamp.Sub(march).Minutes()))
				texts = append(texts, text)
				if c.PayloadSHA256 != sha256.Sum256([]byte(text)) || c.Target != "vercel" || !c.Day.Contains(c.Timestamp) || c.Period.End != april {
					t.Errorf("a wrong carrier: %+v", c)
				}
			}
			if strings.Join(texts, " ") != tt.want {
				t.Errorf("%q, want %q", texts, tt.want)
			}
		})
	}
}

func emptyReports(t *testing.T, l *Ledger) {
	t.Helper()
	if err := l.conn.Exec(t.Context(), "TRUNCATE TABLE reports"); err != nil {
		t.Fatal(err)
	}
}
