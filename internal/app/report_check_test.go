package app

import (
	"context"
	"iter"
	"testing"
	"time"

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/ledger"
	"reckoner/ledger/report"
	"reckoner/ledger/report/partner"
	"reckoner/ledger/report/partner/vercel"
)

// provenLedger is a ledger in which nothing was used, with some reports.
type provenLedger struct {
	ledger.FiguresReader
	ledger.ReportReader
	reports []ledger.Report
}

func (p *provenLedger) Reports(context.Context, ledger.ReportQuery) iter.Seq2[ledger.Report, error] {
	return func(yield func(ledger.Report, error) bool) {
		for i := range p.reports {
			if !yield(p.reports[i], nil) {
				return
			}
		}
	}
}

func (p *provenLedger) FiguresAt(_ context.Context, queries []ledger.FiguresQuery) ([]ledger.Figures, error) {
	return make([]ledger.Figures, len(queries)), nil
}

// Whatever of a stored report was damaged is found: also where nothing is left of it.
func TestCheckFindsWhatWasDamaged(t *testing.T) {
	c, err := catalog.Parse("test.yaml", []byte(`
organizations: [{id: 6f0d0000-0000-4000-8000-000000000001}]
accounts: [{id: 9c1e0000-0000-4000-8000-00000000000a, organization: 6f0d0000-0000-4000-8000-000000000001}]
meters: [{name: calls, unit: calls, type: interval}]
subscriptions: [{id: sub, account: 9c1e0000-0000-4000-8000-00000000000a, meter: calls}]
installations: [{id: icfg, target: vercel, account: 9c1e0000-0000-4000-8000-00000000000a}]
`))
	if err != nil {
		t.Fatal(err)
	}
	in, _, _ := c.Entity(catalog.InstallationKind, "icfg")
	terms, err := report.TermsOf(c, report.MetersOf(c), in.(*catalog.Installation))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 15, 8, 0, 0, 0, time.UTC)
	part := terms.Calendar().At(at)
	sound := ledger.Report{
		InstallationID: "icfg", Target: vercel.Name, AccountID: terms.Installation.AccountID, Timestamp: at, Moment: at, Day: part.Day, Period: part.Period,
		Rules: report.Rules, Status: ledger.ReportAccepted,
	}
	if sound.Inputs, err = terms.Encode(nil); err != nil {
		t.Fatal(err)
	}
	target := vercel.New(vercel.Options{})
	d, err := target.Redraft(&sound, nil)
	if err != nil {
		t.Fatal(err)
	}
	sound.Payload, sound.Figures, sound.Scope = d.Payload, d.Figures, d.Scope
	for name, tt := range map[string]struct {
		damage  func(r *ledger.Report)
		nothing int64
		key     string // of the first difference; empty: there is none
	}{
		"nothing":         {func(*ledger.Report) {}, 0, ""},
		"it expired":      {func(r *ledger.Report) { r.Status, r.Payload = ledger.ReportExpired, nil }, 1, ""},
		"the payload":     {func(r *ledger.Report) { r.Payload = append(r.Payload[:len(r.Payload):len(r.Payload)], ' ') }, 0, "(bytes from 255 on)"},
		"all of it":       {func(r *ledger.Report) { r.Payload = nil }, 0, "(bytes)"},
		"hash":            {func(r *ledger.Report) { r.Figures[0]++ }, 0, "(hash of the figures)"},
		"terms":           {func(r *ledger.Report) { r.Inputs = []byte("{") }, 0, "(inputs)"},
		"scope":           {func(r *ledger.Report) { r.Scope = r.Scope[1:] }, 0, "(scope)"},
		"time of a scope": {func(r *ledger.Report) { s := r.Scope[0]; s.End = at; r.Scope = []ledger.ReportScope{s, r.Scope[1]} }, 0, "(scope)"},
		"a zone is no damage": {func(r *ledger.Report) {
			s := r.Scope[0]
			s.Period = reckoner.Period{Start: s.Start.In(time.FixedZone("", 3600)), End: s.End}
			r.Scope = []ledger.ReportScope{s, r.Scope[1]}
		}, 0, ""},
	} {
		r := sound
		tt.damage(&r)
		v := &prover{ledger: &provenLedger{reports: []ledger.Report{r}}, targets: map[string]partner.Target{vercel.Name: target}, batch: 10}
		got, err := v.check(t.Context(), ReportCheckOptions{})
		if err != nil {
			t.Fatal(err)
		}
		key := ""
		if len(got.differences) > 0 {
			key = got.differences[0].key
		}
		if got.nothing != tt.nothing || key != tt.key {
			t.Errorf("%s: %d hold nothing, and the first difference is in %q: %+v", name, got.nothing, key, got.differences)
		}
	}
}
