package awsmarketplace_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"reckoner"
	"reckoner/ledger"
	"reckoner/ledger/report"
)

// play drives a target by hand: reports are made, and the test says what came of them.
type play struct {
	*rig
	text string // of the catalog
}

func newPlay(t testing.TB, text string) *play { return &play{newRig(t), text} }

// tell makes the report that is due at a time of the first day and lets it end. It returns what AWS is told, as "hour dimension=quantity".
func (p *play) tell(at time.Duration, status ledger.ReportStatus, response string) string {
	p.t.Helper()
	terms := termsOf(p.t, parse(p.t, p.text))
	now := start.Add(at)
	parts, err := p.target.Due(terms, p.ledger.rows, now)
	if err != nil {
		return err.Error()
	}
	if len(parts) == 0 {
		return ""
	}
	edges := p.target.Edges(terms, nil, parts[0])
	figures, _ := p.ledger.Figures(p.t.Context(), []ledger.FiguresQuery{{SubscriptionIDs: terms.SubscriptionIDs(), Edges: edges}})
	draft, err := p.target.Draft(&report.Input{Terms: terms, Part: parts[0], Readings: readingsOf(figures[0]), Moment: now}, p.ledger.rows)
	if err != nil {
		p.t.Fatal(err)
	}
	// Only the newest report is in sight: the worst that can be.
	p.ledger.rows = []ledger.Report{{Timestamp: now, Moment: now, Day: parts[0].Day, Period: parts[0].Period, State: draft.State,
		Payload: draft.Payload, Status: status, Attempt: 1, Response: response}}
	return told(p.t, draft.Payload)
}

func told(t testing.TB, payload []byte) string {
	var p struct {
		Hours []struct {
			UsageRecords []struct {
				Timestamp time.Time
				Dimension string
				Quantity  int64
			}
		}
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, h := range p.Hours {
		for _, r := range h.UsageRecords {
			all = append(all, fmt.Sprintf("%d %s=%d", int(r.Timestamp.Sub(start)/time.Hour), r.Dimension, r.Quantity))
		}
	}
	return strings.Join(all, ", ")
}

func (p *play) want(what, got, want string) {
	p.t.Helper()
	if got != want {
		p.t.Errorf("%s: told %q, want %q", what, got, want)
	}
}

const (
	thousands = "{meter: calls, dimension: d, unit: 1000}"
	hour      = time.Hour
	due       = 10 * time.Minute // after an hour's end
)

func (p *play) calls(subscription string, at time.Duration, n int64) {
	p.ledger.use(subscription, "calls", start.Add(at), reckoner.Units(n))
}

// What is left over goes into the next hour, what is late into the next one that is told, and what is reverted is made up for.
func TestWhatIsOwed(t *testing.T) {
	p := newPlay(t, document(thousands, ""))
	p.want("before its time", p.tell(hour+due-1, ledger.ReportAccepted, ""), "")
	p.calls("s1", 0, 1500)
	p.want("whole units", p.tell(hour+due, ledger.ReportAccepted, ""), "0 d=1")
	p.want("told already", p.tell(hour+due, ledger.ReportAccepted, ""), "")
	p.calls("s2", hour, 400)
	p.want("too little", p.tell(2*hour+due, ledger.ReportAccepted, ""), "1 d=0")
	p.calls("", 2*hour, 100)
	p.want("left over", p.tell(3*hour+due, ledger.ReportAccepted, ""), "2 d=1")
	p.calls("s1", 0, 2000) // late
	p.want("late", p.tell(4*hour+due, ledger.ReportAccepted, ""), "3 d=2")
	p.calls("s1", 0, -2500)
	p.calls("s1", 4*hour, 1000)
	p.want("reverted", p.tell(5*hour+due, ledger.ReportAccepted, ""), "4 d=0")
	p.calls("s1", 5*hour, 2499)
	p.want("nearly made up for", p.tell(6*hour+due, ledger.ReportAccepted, ""), "5 d=0")
	p.calls("s1", 6*hour, 1)
	p.want("made up for", p.tell(7*hour+due, ledger.ReportAccepted, ""), "6 d=1")
	p.calls("s1", 7*hour, 3_000_000_000_000)
	p.want("more than a record takes", p.tell(8*hour+due, ledger.ReportAccepted, ""), "7 d=2147483647")
	p.want("the rest", p.tell(9*hour+due, ledger.ReportAccepted, ""), "8 d=852516353")
}

func TestMissedHours(t *testing.T) {
	p := newPlay(t, document(thousands, ""))
	p.tell(hour+due, ledger.ReportAccepted, "")
	for h := range 12 {
		p.calls("s1", time.Duration(h)*hour, 1000)
	}
	p.want("three hours", p.tell(4*hour+due, ledger.ReportAccepted, ""), "1 d=2, 2 d=1, 3 d=1")
	// From 28:00 on, AWS takes the hour from 4 no more.
	got := p.tell(30*hour, ledger.ReportAccepted, "")
	if !strings.HasPrefix(got, "7 d=4, 8 d=1, 9 d=1, 10 d=1, 11 d=1, 12 d=0,") || !strings.HasSuffix(got, ", 28 d=0") {
		t.Errorf("told %q", got)
	}
	// The month ends 42 hours after the start: at 06:00 of the next one AWS takes it no more, whatever its age.
	p.calls("s1", 41*hour, 5000)
	p.want("another month", p.tell(48*hour, ledger.ReportAccepted, "")[:7], "42 d=5,")
}

// What came of a report decides what comes next.
func TestWhatComesAfter(t *testing.T) {
	for _, c := range []struct {
		name     string
		status   ledger.ReportStatus
		response string
		attempt  uint32
		next     string // told an hour later: 1000 more were used
		tooLate  string // told when AWS takes that hour no more, before anything else
	}{
		{"accepted", ledger.ReportAccepted, `{"results":"S"}`, 1, "1 d=1", "1 d=1"},
		{"surely not taken", ledger.ReportRefused, `{"results":"N"}`, 1, "0 d=2, 1 d=1", "1 d=3"},
		{"not processed", ledger.ReportFailed, `{"results":"U"}`, 3, "0 d=2, 1 d=1", "1 d=3"},
		{"never sent", ledger.ReportFailed, ``, 0, "0 d=2, 1 d=1", "1 d=3"},
		{"another quantity is there", ledger.ReportRefused, `{"results":"D"}`, 1, "1 d=1", "1 d=1"},
		{"no answer", ledger.ReportFailed, `{"results":"?"}`, 1, "0 d=2, 1 d=1", "0 d=2, 1 d=1"},
		{"an answer of something else", ledger.ReportFailed, `<html>`, 1, "0 d=2, 1 d=1", "0 d=2, 1 d=1"},
		{"killed", ledger.ReportSending, ``, 0, "0 d=2, 1 d=1", "0 d=2, 1 d=1"},
		{"refused, and before that no answer", ledger.ReportRefused, `{"results":"?"}`, 2, "0 d=2, 1 d=1", "1 d=1"},
	} {
		for _, late := range []bool{false, true} {
			p := newPlay(t, document(thousands, ""))
			p.calls("s1", 0, 2000)
			p.want(c.name, p.tell(hour+due, c.status, c.response), "0 d=2")
			p.ledger.rows[0].Attempt = c.attempt
			p.calls("s1", hour, 1000)
			at, want := 2*hour+due, c.next
			if late {
				at, want = 24*hour, c.tooLate
			}
			got := p.tell(at, ledger.ReportAccepted, "")
			if late {
				got, _, _ = strings.Cut(got, ", 2 d=")
			}
			p.want(fmt.Sprintf("%s, too late %t", c.name, late), got, want)
		}
	}
}

// An hour of which nobody knows what came of it is told again with the very same bytes, even when more came in or the
// catalog says otherwise by then.
func TestADoubtfulHourStaysTheSame(t *testing.T) {
	p := newPlay(t, document(thousands, ""))
	p.calls("s1", 0, 2000)
	p.tell(hour+due, ledger.ReportSending, "")
	first := p.ledger.rows[0].Payload
	p.calls("s1", 0, 5000)
	terms, now := termsOf(t, parse(t, p.text)), start.Add(hour+due+9*time.Minute)
	part := report.Part{Day: p.ledger.rows[0].Day, Period: p.ledger.rows[0].Period}
	if draft, err := p.target.Draft(&report.Input{Terms: terms, Part: part, Moment: now}, p.ledger.rows); draft != nil || err != nil {
		t.Errorf("while it is being sent: %+v %v", draft, err)
	}
	p.want("while it is being sent", p.tell(hour+due+9*time.Minute, ledger.ReportAccepted, ""), "")
	p.text = strings.ReplaceAll(document("{meter: calls, dimension: e, unit: 10}", ""), "eu-west-1", "us-east-1")
	p.want("again", p.tell(hour+due+20*time.Minute, ledger.ReportFailed, `{"results":"?"}`), "0 d=2")
	if again := p.ledger.rows[0].Payload; string(again) != string(first) {
		t.Errorf("%s\nand then\n%s", first, again)
	}
	p.want("beside a new one", p.tell(2*hour+due, ledger.ReportAccepted, ""), "0 d=2, 1 e=700")
}

// Each change of the catalog leaves what was reported as it was.
func TestTheCatalogChanges(t *testing.T) {
	resources := func(list string) string {
		return strings.Replace(document(thousands, ""), "  target:", "  resources: ["+list+"]\n  target:", 1)
	}
	const s1, s2 = "{subscription: s1, resource_id: a}", "{subscription: s2, resource_id: b}"
	at := func(h int) string { return start.Add(time.Duration(h) * hour).Format(time.RFC3339) }
	for _, c := range []struct {
		name, before, after string
		used                int64 // by s1, then as much by s2, in the hour before and again in the hour after
		first, second       string
	}{
		{"unit", document(thousands, ""), document("{meter: calls, dimension: d, unit: 100}", ""), 1250, "0 d=2", "1 d=30"},
		{"larger unit", document(thousands, ""), document("{meter: calls, dimension: d, unit: 2500}", ""), 1250, "0 d=2", "1 d=1"},
		{"a dimension more", document(thousands, ""), document(thousands+", {meter: calls, dimension: e, unit: 500}", ""), 1000, "0 d=2", "1 d=2, 1 e=8"},
		{"a dimension more, from then on", document(thousands, ""), document(thousands+", {meter: calls, dimension: e, unit: 500, from: "+at(1)+"}", ""), 1000, "0 d=2", "1 d=2, 1 e=4"},
		{"another meter", document("{meter: bytes, dimension: d}", ""), document(thousands, ""), 1000, "0 d=0", "1 d=4"},
		{"a subscription less", resources(s1 + ", " + s2), resources(s2), 1000, "0 d=2", "1 d=1"},
		{"a subscription more", resources(s2), resources(s1 + ", " + s2), 1000, "0 d=1", "1 d=3"},
		{"a subscription more, from then on", resources(s2), resources(`{subscription: s1, resource_id: a, from: ` + at(1) + `}, ` + s2), 1000, "0 d=1", "1 d=2"},
		{"a subscription that ended", resources(s1 + ", " + s2), resources(`{subscription: s1, resource_id: a, to: ` + at(1) + `}, ` + s2), 1000, "0 d=2", "1 d=1"},
		{"a dimension that is not there yet", document(thousands+", {meter: calls, dimension: e, from: "+at(1)+"}", ""), document(thousands+", {meter: calls, dimension: e, from: "+at(1)+"}", ""), 1000, "0 d=2", "1 d=2, 1 e=2000"},
	} {
		p := newPlay(t, c.before)
		p.calls("s1", 0, c.used)
		p.calls("s2", 0, c.used)
		p.want(c.name, p.tell(hour+due, ledger.ReportAccepted, ""), c.first)
		p.text = c.after
		p.calls("s1", hour, c.used)
		p.calls("s2", hour, c.used)
		p.want(c.name, p.tell(2*hour+due, ledger.ReportAccepted, ""), c.second)
	}
}

// Who lost what is kept of reports would bill all again.
func TestALostPastIsNotBilledAgain(t *testing.T) {
	p := newPlay(t, document(thousands, ""))
	if got := p.tell(8*day, ledger.ReportAccepted, ""); !strings.Contains(got, "would be billed again: set from to the first hour") {
		t.Error(got)
	}
	p.tell(hour+due, ledger.ReportAccepted, "")
	if got := p.tell(8*day, ledger.ReportAccepted, ""); !strings.HasPrefix(got, "168 d=0, ") && !strings.HasPrefix(got, "169 d=0, ") {
		t.Error(got)
	}
	p.ledger.rows[0].State = []byte(`{"tomorrow":1}`)
	if got := p.tell(8*day+hour, ledger.ReportAccepted, ""); !strings.Contains(got, "it is not known what AWS has been told") {
		t.Error(got)
	}
}

const day = 24 * time.Hour

// A clock that was ahead told hours to come. AWS refused them, and they are told when they have come.
func TestAClockThatWasAhead(t *testing.T) {
	p := newPlay(t, document(thousands, ""))
	p.tell(hour+due, ledger.ReportAccepted, "")
	p.calls("s1", hour, 3000)
	p.tell(40*day, ledger.ReportRefused, `{"results":"`+strings.Repeat("N", 22)+`"}`)
	p.want("set right", p.tell(2*hour+due, ledger.ReportAccepted, ""), "1 d=3")
}

func TestEdgesAreTheSameWithoutThePast(t *testing.T) {
	p := newPlay(t, document(thousands+", {meter: bytes, dimension: e, from: "+start.Add(hour).Format(time.RFC3339)+"}", ""))
	terms := termsOf(t, parse(t, p.text))
	part := report.Part{Period: reckoner.Period{Start: start, End: start.Add(5 * hour)}, Day: reckoner.Period{Start: start.Add(3 * hour), End: start.Add(5 * hour)}}
	var want []time.Time
	for _, h := range []int{0, 1, 3, 4, 5} {
		want = append(want, start.Add(time.Duration(h)*hour))
	}
	if got := p.target.Edges(terms, nil, part); !slices.EqualFunc(got, want, time.Time.Equal) {
		t.Errorf("%s, want %s", got, want)
	}
}
