package awsmarketplace_test

import (
	"context"
	"testing"
	"time"

	"reckoner"
	"reckoner/ledger"
	"reckoner/ledger/report"
	"reckoner/ledger/report/partner"
)

// Whatever is found in the ledger and whatever AWS answered, there is a report or an error; and a report can be made again and
// sent.
func FuzzWhatIsKept(f *testing.F) {
	p := newPlay(f, document(twoDimensions, ""))
	p.ledger.use("s1", "calls", start, reckoner.Units(5500))
	p.tell(2*time.Hour+due, ledger.ReportFailed, "")
	row := p.ledger.rows[0]
	for _, response := range []string{`{"results":"SU?N"}`, `{"results":"SS"}`, `{}`, "", "<html>"} {
		f.Add(row.State, row.Payload, response, uint8(ledger.ReportFailed), uint32(1))
	}
	f.Add([]byte(`{"told":null,"accounts":null,"hours":[{"start":"2026-10-30T06:00:00Z","telling":{},"amounts":["1"],"meters":[],"known":"SN","sent":true}]}`), []byte(`{"hours":[{}]}`), "x", uint8(ledger.ReportRefused), uint32(0))
	terms := termsOf(f, parse(f, p.text))
	inputs, err := terms.Encode(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, state, payload []byte, response string, status uint8, attempt uint32) {
		r := ledger.Report{Timestamp: start, Moment: start, State: state, Response: response, Status: ledger.ReportStatus(status % 7), Attempt: attempt}
		now := start.Add(5 * time.Hour)
		parts, err := p.target.Due(terms, []ledger.Report{r}, now)
		if err == nil && len(parts) == 1 {
			draft, err := p.target.Draft(&report.Input{Terms: terms, Part: parts[0], Moment: now}, []ledger.Report{r})
			if err == nil {
				made := ledger.Report{Inputs: inputs, State: draft.State, Day: parts[0].Day, Period: parts[0].Period}
				if again, err := p.target.Redraft(&made, nil); err != nil || string(again.Payload) != string(draft.Payload) {
					t.Fatalf("%v: %s", err, draft.Payload)
				}
			}
		}
		ctx, end := context.WithCancel(t.Context())
		end() // nothing is sent
		if a := p.target.Deliver(ctx, &partner.Delivery{Payload: payload, Attempt: attempt, Before: &partner.Answer{Body: response}}); a.Verdict == 0 || len(a.Body) > partner.ResponseBytesMax {
			t.Fatalf("%+v", a)
		}
	})
}
