package awsmarketplace_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reckoner"
	"reckoner/ledger"
	"reckoner/ledger/report"
	"reckoner/ledger/report/partner"
)

// driver does what the runner does, a step at a time, and dies where a test wants it to.
type driver struct {
	*rig
	terms    *report.Terms
	reporter int
	skew     time.Duration // of the reporter's clock
	attempts int
}

// die says after which step of a run the process is killed.
type die int

const (
	never        die = iota
	afterStoring     // the reports are stored as sending, and nothing was sent
	afterSending     // something was sent, and nothing is recorded
)

// run reports what is due. It returns what it drafted.
func (d *driver) run(t *rapid.T, dies die) []ledger.Report {
	ctx := context.Background()
	moment := d.clock().Add(d.skew)
	id := d.terms.Installation.ID
	last, _ := d.ledger.LastTimestamps(ctx, []string{id})
	at := moment.Truncate(time.Millisecond)
	if !at.After(last[id]) {
		at = last[id].Add(time.Millisecond)
	}
	past, _ := d.ledger.History(ctx, []string{id}, moment.Add(-d.target.Takes()))
	parts, err := d.target.Due(d.terms, past, moment)
	if err != nil {
		t.Fatal(err)
	}
	var rows []ledger.Report
	for _, part := range parts {
		r, ok := d.draft(t, part, past, at, moment)
		if !ok {
			continue
		}
		at = at.Add(time.Millisecond)
		rows, past = append(rows, r), append(past, r)
	}
	_ = d.ledger.WriteReports(ctx, rows)
	if dies == afterStoring {
		d.reporter++
		d.aws.doubt(rows)
		return rows
	}
	for i := range rows {
		d.send(&rows[i])
		if dies == afterSending {
			d.reporter++
			d.aws.doubt(rows)
			return rows
		}
		rows[i].Revision++
		_ = d.ledger.WriteReports(ctx, rows[i:i+1])
	}
	return rows
}

func (d *driver) draft(t *rapid.T, part report.Part, past []ledger.Report, at, moment time.Time) (ledger.Report, bool) {
	edges := d.target.Edges(d.terms, past, part)
	figures, _ := d.ledger.Figures(context.Background(), []ledger.FiguresQuery{{SubscriptionIDs: d.terms.SubscriptionIDs(), Edges: edges}})
	readings := readingsOf(figures[0])
	draft, err := d.target.Draft(&report.Input{Terms: d.terms, Part: part, Readings: readings, AsOf: figures[0].AsOf, Moment: moment, Timestamp: at}, past)
	if err != nil {
		t.Fatal(err)
	}
	if draft == nil {
		return ledger.Report{}, false
	}
	inputs, err := d.terms.Encode(readings)
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Report{
		InstallationID: d.terms.Installation.ID, Target: d.target.Name(), Timestamp: at, Reporter: fmt.Sprint(d.reporter), Moment: moment,
		Day: part.Day, Period: part.Period, AsOf: figures[0].AsOf, Inputs: inputs, Scope: draft.Scope, State: draft.State, Payload: draft.Payload,
		Figures: draft.Figures, Status: ledger.ReportSending, Revision: 1,
	}, true
}

// send tries a report a few times.
func (d *driver) send(row *ledger.Report) {
	var before *partner.Answer
	for range d.attempts {
		row.Attempt++
		a := d.deliver(row.Payload, row.Attempt, before)
		row.Response, row.Code, row.Error = a.Body, a.Code, ""
		if a.Err != nil {
			row.Error = a.Err.Error()
		}
		switch a.Verdict {
		case partner.Accepted:
			row.Status = ledger.ReportAccepted
			return
		case partner.Final:
			row.Status = ledger.ReportRefused
			return
		default:
			row.Status = ledger.ReportFailed
		}
		before = &a
	}
}

// Whatever happens, AWS never holds more than was used; and once things are quiet it holds all of it that is whole units,
// but for what an answer was lost of and could not be asked for again. No hour is ever told two quantities.
func TestAWSHoldsWhatWasUsed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t)
		units := []reckoner.Quantity{reckoner.Units(rapid.Int64Range(1, 3).Draw(rt, "unit")), reckoner.Thousandths(rapid.Int64Range(1, 9000).Draw(rt, "unit"))}
		text := document(fmt.Sprintf("{meter: calls, dimension: d1, unit: %s}, {meter: bytes, dimension: d2, unit: %s}", units[0], units[1]), "")
		d := &driver{rig: r, terms: termsOf(t, parse(t, text)), attempts: rapid.IntRange(1, 3).Draw(rt, "attempts")}
		lossy := rapid.Bool().Draw(rt, "lossy") // answers are lost, and processes die
		f := newFaults(rt, lossy)
		r.aws.fault, r.aws.refuse = f.next, f.refuse
		r.set(start.Add(75 * time.Minute))
		d.run(rt, never) // whatever comes of it, from then on it is known what AWS was told
		var used []usage
		peak := map[string]reckoner.Quantity{}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			used = step(rt, d, used, lossy)
			for _, meter := range []string{"calls", "bytes"} {
				if is := r.ledger.total(meter, time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), "", "s1", "s2"); is.Cmp(peak[meter]) > 0 {
					peak[meter] = is
				}
			}
			for i, meter := range []string{"calls", "bytes"} {
				if held := times(r.aws.billed(fmt.Sprintf("d%d", i+1)), units[i]); held.Cmp(peak[meter]) > 0 {
					rt.Fatalf("AWS bills %s of %s, and never more than %s was used", held, meter, peak[meter])
				}
			}
		}
		// Quiet: nothing goes wrong any more, and what is owed goes out.
		r.aws.fault, r.aws.refuse, d.skew = nil, nil, 0
		for range 30 {
			r.set(r.clock().Truncate(time.Hour).Add(time.Hour + 20*time.Minute))
			d.run(rt, never)
		}
		for i, meter := range []string{"calls", "bytes"} {
			checkQuiet(rt, d, meter, fmt.Sprintf("d%d", i+1), units[i], peak[meter])
		}
		checkProofs(rt, d)
	})
}

func checkQuiet(rt *rapid.T, d *driver, meter, dimension string, unit, peak reckoner.Quantity) {
	is := d.ledger.total(meter, d.clock(), "", "s1", "s2")
	held := times(d.aws.billed(dimension), unit)
	may, _ := held.Add(times(d.aws.lost(dimension), unit))
	owed, _ := is.Sub(may)
	if owed.Cmp(unit) >= 0 {
		rt.Fatalf("%s of %s was used, AWS has %s, and up to %s if what no answer came of is there: %s is owed still, and a unit is %s",
			is, meter, held, may, owed, unit)
	}
	if held.Cmp(peak) > 0 {
		rt.Fatalf("AWS bills %s of %s, and never more than %s was used", held, meter, peak)
	}
	if len(d.aws.duplicates) > 0 {
		rt.Fatalf("told two quantities: %v", d.aws.duplicates)
	}
}

// checkProofs makes every report again, from the ledger at its position.
func checkProofs(t *rapid.T, d *driver) {
	for i := range d.ledger.rows {
		r := &d.ledger.rows[i]
		terms, err := report.DecodeTerms(r.Inputs)
		if err != nil {
			t.Fatal(err)
		}
		edges := d.target.Edges(terms, nil, report.Part{Period: r.Period, Day: r.Day})
		figures, _ := d.ledger.FiguresAt(context.Background(), []ledger.FiguresQuery{{SubscriptionIDs: terms.SubscriptionIDs(), Edges: edges, AsOf: r.AsOf}})
		again, err := d.target.Redraft(r, readingsOf(figures[0]))
		if err != nil || string(again.Payload) != string(r.Payload) || again.Figures != r.Figures || !slices.Equal(again.Scope, r.Scope) {
			t.Fatalf("%v: %s\nwas sent, and made again it is\n%s", err, r.Payload, again.Payload)
		}
	}
}

func readingsOf(f ledger.Figures) []report.Reading {
	readings := make([]report.Reading, 0, len(f.Rows))
	for _, row := range f.Rows {
		readings = append(readings, report.Reading(row))
	}
	return readings
}

func times(n int64, unit reckoner.Quantity) reckoner.Quantity {
	b := unit.Big()
	q, err := reckoner.QuantityFromBig(b.Mul(b, reckoner.Thousandths(n).Big()))
	if err != nil {
		panic(err)
	}
	return q
}

// step lets something happen: usage, a revert, time that passes, a run.
func step(rt *rapid.T, d *driver, used []usage, lossy bool) []usage {
	switch rapid.IntRange(0, 9).Draw(rt, "step") {
	case 0, 1, 2:
		u := usage{rapid.SampledFrom([]string{"", "s1", "s2"}).Draw(rt, "subscription"), rapid.SampledFrom([]string{"calls", "bytes"}).Draw(rt, "meter"),
			d.clock().Add(-time.Duration(rapid.Int64Range(0, int64(72*time.Hour)).Draw(rt, "late"))), reckoner.Thousandths(rapid.Int64Range(1, 9_999_999).Draw(rt, "quantity")), 0}
		d.ledger.use(u.subscription, u.meter, u.bucket, u.quantity)
		return append(used, u)
	case 3:
		if len(used) > 0 {
			i := rapid.IntRange(0, len(used)-1).Draw(rt, "revert")
			u := used[i]
			d.ledger.use(u.subscription, u.meter, u.bucket, u.quantity.Neg())
			return append(used[:i:i], used[i+1:]...)
		}
	case 4:
		d.set(d.clock().Add(time.Duration(rapid.Int64Range(0, int64(60*time.Hour)).Draw(rt, "down"))))
	case 5:
		d.skew = rapid.SampledFrom([]time.Duration{0, 0, -3 * time.Hour, 5 * time.Hour, 40 * 24 * time.Hour}).Draw(rt, "skew")
	default:
		d.set(d.clock().Add(time.Duration(rapid.Int64Range(0, int64(2*time.Hour)).Draw(rt, "pass"))))
		dies := never
		if lossy {
			dies = rapid.SampledFrom([]die{never, never, never, afterStoring, afterSending}).Draw(rt, "dies")
		}
		d.run(rt, dies)
	}
	return used
}

// faults are what goes wrong with calls, one after the other and then again from the first.
type faults struct {
	of, refused []int
	n, m        int
}

func newFaults(t *rapid.T, lossy bool) *faults {
	kinds := 5
	if lossy {
		kinds = 8
	}
	return &faults{
		of:      rapid.SliceOfN(rapid.IntRange(-4, kinds-1), 1, 40).Draw(t, "faults"),
		refused: rapid.SliceOfN(rapid.IntRange(0, 9), 1, 40).Draw(t, "refused"),
	}
}

func (f *faults) next(n int) trap {
	kind := f.of[f.n%len(f.of)]
	f.n++
	switch kind {
	case 0:
		return trap{code: "ThrottlingException"}
	case 1:
		return trap{code: "AccessDeniedException"}
	case 2:
		return trap{skip: map[int]bool{f.n % n: true}}
	case 3:
		return trap{code: "DisabledApiException"}
	case 4:
		return trap{status: http.StatusTooManyRequests, code: "TooManyRequestsException"}
	case 5:
		return trap{code: "InternalServiceErrorException", status: 500}
	case 6:
		return trap{mute: true}
	case 7:
		return trap{garbage: true}
	default:
		return trap{}
	}
}

func (f *faults) refuse(string) string {
	f.m++
	if f.refused[f.m%len(f.refused)] == 0 {
		return "CustomerNotSubscribed"
	}
	return ""
}
