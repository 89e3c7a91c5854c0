package runner_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/ledger"
	"reckoner/ledger/report"
	"reckoner/ledger/report/partner/vercel"
	"reckoner/ledger/report/partner/vercel/receiver"
	"reckoner/ledger/report/runner"
)

func newReader(b []byte) io.Reader { return bytes.NewReader(b) }

// step is one thing that happens.
type step struct{ kind, a, b, c int }

const (
	letGo   = iota // one waiting operation, mostly well
	use            // an event comes into the ledger
	pass           // time passes
	tick           // a reporter begins a run
	clock          // a reporter's clock jumps
	token          // the partner begins or ends to refuse a token
	kill           // a reporter dies
	calm           // all that is under way comes to its end
	reprice        // the catalog's prices and limits change, or change back
)

// trouble is how likely each kind of step is where all goes wrong that can, and race where two reporters whose clocks differ
// work side by side while usage comes in.
func trouble() []int {
	return []int{letGo: 40, use: 6, pass: 4, tick: 6, clock: 1, token: 1, kill: 1, calm: 1, reprice: 1}
}
func race() []int { return []int{letGo: 40, use: 16, tick: 12, clock: 2, calm: 1, reprice: 1} }

func drawSteps(t *rapid.T, weights []int) []step {
	var kinds []int
	for kind, weight := range weights {
		kinds = append(kinds, slices.Repeat([]int{kind}, weight)...)
	}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			rapid.SampledFrom(kinds).Draw(t, "kind"), rapid.IntRange(0, 1<<16).Draw(t, "a"),
			rapid.IntRange(0, 1<<16).Draw(t, "b"), rapid.IntRange(0, 1<<16).Draw(t, "c"),
		}
	}), 60, 240).Draw(t, "steps")
}

// play is a world, and two reporters that are started again whenever they die.
type play struct {
	*world
	t      testing.TB
	agents [2]*agent
	other  *catalog.Catalog
	born   int
	past   []*agent
	began  time.Time
}

func (p *play) do(s step) {
	who := p.agents[s.a%2]
	switch s.kind {
	case letGo:
		if all := p.next(); len(all) > 0 {
			p.let(all[s.a%len(all)], fateOf(s.b))
		}
	case use:
		p.use(s)
	case pass:
		time.Sleep([]time.Duration{time.Second, 20 * time.Second, 7 * time.Minute, 50 * time.Minute, 5 * time.Hour, 13 * time.Hour, 30 * time.Hour, 80 * time.Hour}[s.a%8] + time.Duration(s.b)*time.Millisecond)
	case tick:
		if !who.running() {
			who.start(runner.Request{})
		}
	case clock:
		who.ahead.Store(int64([]time.Duration{0, time.Hour, 26 * time.Hour, 100 * time.Hour, -time.Hour, -26 * time.Hour, -100 * time.Hour, -time.Millisecond}[s.b%8]))
	case token:
		id := fmt.Sprintf("icfg_%d", 1+s.a%3)
		p.world.mu.Lock()
		p.badToken[id] = !p.badToken[id]
		p.world.mu.Unlock()
	case kill:
		who.kill()
	case calm:
		p.settle()
	case reprice:
		p.world.mu.Lock()
		p.catalog, p.other = p.other, p.catalog
		p.world.mu.Unlock()
	}
	synctest.Wait()
	for i, a := range p.agents {
		if a.isDead() {
			p.agents[i] = p.bear(time.Duration(a.ahead.Load()))
		}
	}
}

func (p *play) bear(ahead time.Duration) *agent {
	p.born++
	a := p.agent(p.t, fmt.Sprintf("reporter %02d", p.born), slog.New(slog.DiscardHandler), nil)
	a.ahead.Store(int64(ahead))
	p.past = append(p.past, a)
	return a
}

func (p *play) let(o *op, f fate) {
	select {
	case o.let <- f:
	default: // it gave up
	}
	synctest.Wait()
}

// fateOf makes most operations go well.
func fateOf(n int) fate {
	if n%8 != 0 {
		return well
	}
	return fate(n / 8 % int(fates))
}

// use adds an event: of now or of some time ago, now and then a revert of an earlier one.
func (p *play) use(s step) {
	if s.c%5 == 0 && len(p.events) > 0 {
		if e := p.events[s.a%len(p.events)]; e.meter == "calls" && e.quantity.Sign() > 0 && !p.reverted(e) {
			e.quantity, _ = reckoner.Quantity{}.Sub(e.quantity)
			p.put(e) // it counts where its usage does
			return
		}
	}
	of := []struct{ account, subscription string }{{accountA, "s1"}, {accountA, "s2"}, {accountB, "s3"}, {accountB, ""}, {accountC, ""}}[s.a%5]
	ago := []time.Duration{0, 0, 10 * time.Minute, 9 * time.Hour, 25 * time.Hour, 60 * time.Hour}[s.b%6] + time.Duration(s.c%900)*time.Second
	var cycle reckoner.Cycle
	if sub, ok := p.catalog.Subscription(of.subscription); ok {
		cycle = sub.Cycle
	}
	p.add(event{
		account: of.account, subscription: of.subscription, meter: []string{"calls", "disk", "peak"}[s.b/6%3], at: time.Now().UTC().Add(-ago),
		quantity: reckoner.Thousandths(int64(1 + s.c%9_000)),
	}, cycle)
}

func (p *play) reverted(e event) bool {
	return slices.ContainsFunc(p.events, func(o event) bool {
		return o.quantity.Sign() < 0 && o.subscription == e.subscription && o.at.Equal(e.at) && o.account == e.account
	})
}

// settle lets everything that is under way come to its end, and well.
func (p *play) settle() {
	for {
		synctest.Wait()
		all := p.next()
		if len(all) > 0 {
			p.let(all[0], well)
			continue
		}
		if !slices.ContainsFunc(p.past, (*agent).running) {
			return
		}
		time.Sleep(time.Second)
	}
}

// quiet ends all trouble, and lets a few runs go by.
func (p *play) quiet() {
	p.world.mu.Lock()
	clear(p.badToken)
	p.world.mu.Unlock()
	for _, a := range p.agents {
		a.ahead.Store(0)
	}
	p.settle()
	for i := range 3 {
		time.Sleep(10 * time.Minute)
		p.agents[i%2].start(runner.Request{})
		p.settle()
	}
}

// Whatever was used, reverted or late, wherever clocks jumped, runs were missed, processes were killed, and the partner or the
// ledger failed: once it is quiet, the partner's figures are those of the ledger, and every one it ever had was at its position.
func TestThePartnerHoldsWhatTheLedgerHolds(t *testing.T) { check(t, trouble()) }

// The same where two reporters are at work all the time, each of whose steps may come between any two of the other's.
func TestTwoReportersAreAsOne(t *testing.T) { check(t, race()) }

func check(t *testing.T, weights []int) {
	rapid.Check(t, func(rt *rapid.T) {
		script := drawSteps(rt, weights)
		var wrong error
		synctest.Test(t, func(t *testing.T) { wrong = act(t, script) })
		if wrong != nil {
			rt.Fatal(wrong)
		}
	})
}

func act(t *testing.T, script []step) error {
	p := &play{world: newWorld(t, document), t: t}
	p.other = parse(t, strings.NewReplacer(`unit_price: "0.0125"`, `unit_price: "0.02"`, "plan: pro, meter: calls,", `plan: pro, meter: calls, limit: "100",`).Replace(document))
	time.Sleep(3 * 24 * time.Hour) // so that there is a time before
	p.began = time.Now()
	for i := range p.agents {
		p.agents[i] = p.bear(0)
	}
	for _, s := range script {
		p.do(s)
	}
	p.quiet()
	defer func() {
		for _, a := range p.past {
			a.kill()
		}
		time.Sleep(time.Hour)
	}()
	for in := range p.catalog.Installations() {
		for _, check := range []func(*catalog.Installation) error{p.checkLatest, p.checkRows, p.checkOrder} {
			if err := check(in); err != nil {
				return fmt.Errorf("installation %s: %w", in.ID, err)
			}
		}
	}
	return nil
}

// checkLatest holds the newest figures of every part that is still taken against the ledger.
func (p *play) checkLatest(in *catalog.Installation) error {
	now := time.Now().UTC()
	tm, err := terms(p.catalog, in.ID)
	if err != nil {
		return err
	}
	latest := p.receiver.Latest(in.ID)
	for _, part := range tm.Calendar().Due(now, 24*time.Hour-20*time.Minute) {
		i := slices.IndexFunc(latest, func(l receiver.Taken) bool { return l.EOD.Equal(part.Day.End) && l.PeriodEnd.Equal(part.Period.End) })
		if i < 0 {
			return fmt.Errorf("nothing was accepted for %s", part)
		}
		if err := p.holds(in, tm, &latest[i], part); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
		newest := latest[i]
		for _, l := range latest {
			if l.PeriodStart.Equal(newest.PeriodStart) && l.PeriodEnd.Equal(newest.PeriodEnd) && l.Timestamp.After(newest.Timestamp) {
				newest = l
			}
		}
		if err := p.sums(in, tm, &newest, part.Period, func(u *receiver.Usage) string { return u.Period.String() }); err != nil {
			return fmt.Errorf("the period of %s: %w", part, err)
		}
	}
	return nil
}

// holds checks what was taken of a part: against all events, one by one, and as a statement made anew.
func (p *play) holds(in *catalog.Installation, tm *report.Terms, got *receiver.Taken, part report.Part) error {
	if err := p.sums(in, tm, got, part.Day, func(u *receiver.Usage) string { return u.Day.String() }); err != nil {
		return err
	}
	row, err := p.rowOf(in.ID, got)
	if err != nil {
		return err
	}
	figures, err := p.memory.Figures(context.Background(), []ledger.FiguresQuery{{AccountID: in.AccountID, SubscriptionIDs: tm.SubscriptionIDs(), Edges: tm.Edges(part)}})
	if err != nil {
		return err
	}
	s, err := report.Make(report.Input{Terms: tm, Part: part, Readings: readings(figures[0]), Moment: row.Moment, Timestamp: row.Timestamp})
	if err != nil {
		return err
	}
	want, err := s.Payload().Encode()
	if err == nil && !bytes.Equal(want, got.Body) {
		err = fmt.Errorf("the ledger says\n%s\nthe partner holds\n%s", want, got.Body)
	}
	return err
}

// sums adds up the events of a window and compares it with the roll-up's rows of sums.
func (p *play) sums(in *catalog.Installation, tm *report.Terms, got *receiver.Taken, window reckoner.Period, value func(*receiver.Usage) string) error {
	var sum reckoner.Quantity
	for _, e := range p.events {
		held := e.account == in.AccountID && e.meter == "calls" && window.Contains(e.instant) && slices.Contains(tm.SubscriptionIDs(), e.subscription)
		if held && (e.subscription != "s2" || !e.instant.Before(time.Date(2000, 1, 2, 0, 0, 0, 0, time.UTC))) {
			sum, _ = sum.Add(e.quantity)
		}
	}
	said := "0"
	for i := range got.Usage {
		if u := &got.Usage[i]; u.ResourceID == "" && u.Name == "calls" {
			said = value(u)
		}
	}
	if said != sum.String() {
		return fmt.Errorf("calls in [%s, %s) come to %s, and the partner holds %s, made %s", window.Start, window.End, sum, said, got.Timestamp)
	}
	return nil
}

func readings(f ledger.Figures) []report.Reading {
	all := make([]report.Reading, len(f.Rows))
	for i, row := range f.Rows {
		all[i] = report.Reading(row)
	}
	return all
}

// rowOf returns the stored row of what the partner took. Another reporter that was overtaken may have made the same bytes: its
// row is none of these, unless there is no other.
func (p *play) rowOf(id string, got *receiver.Taken) (row *ledger.Report, err error) {
	err = fmt.Errorf("the partner took a report with timestamp %s that is not stored", got.Timestamp)
	for _, r := range p.reports(id) {
		if r.Timestamp.Equal(got.Timestamp) && bytes.Equal(r.Payload, got.Body) && (row == nil || row.Status == ledger.ReportSuperseded) {
			row, err = &r, nil
		}
	}
	return row, err
}

// checkRows holds all that was ever taken against the rows and against the ledger at their positions, and rows that say
// accepted against what was taken.
func (p *play) checkRows(in *catalog.Installation) error {
	target := vercel.New(vercel.Options{})
	taken := p.receiver.Reports(in.ID)
	for i := range taken {
		row, err := p.rowOf(in.ID, &taken[i])
		if err != nil {
			return err
		}
		if row.Status != ledger.ReportAccepted && row.Status != ledger.ReportSending && row.Status != ledger.ReportFailed {
			return fmt.Errorf("the partner took the report of %s, and the row says %s", row.Timestamp, row.Status)
		}
		tm, err := report.DecodeTerms(row.Inputs)
		if err != nil {
			return err
		}
		figures, err := p.FiguresAt(context.Background(), []ledger.FiguresQuery{{
			AccountID: row.AccountID, SubscriptionIDs: tm.SubscriptionIDs(), AsOf: row.AsOf, Edges: tm.Edges(report.Part{Day: row.Day, Period: row.Period}),
		}})
		if err != nil {
			return err
		}
		d, err := target.Redraft(row, readings(figures[0]))
		if err != nil {
			return err
		}
		if !bytes.Equal(d.Payload, taken[i].Body) || d.Figures != row.Figures {
			return fmt.Errorf("at its position the report of %s is\n%s\nand the partner took\n%s", row.Timestamp, d.Payload, taken[i].Body)
		}
	}
	for _, row := range p.reports(in.ID) {
		if row.Status == ledger.ReportAccepted && !slices.ContainsFunc(taken, func(t receiver.Taken) bool { return t.Timestamp.Equal(row.Timestamp) }) {
			return fmt.Errorf("the row of %s says accepted, and the partner never took it", row.Timestamp)
		}
	}
	return nil
}

// checkOrder makes sure that among all that was taken for a period a greater timestamp never has older figures.
func (p *play) checkOrder(in *catalog.Installation) error {
	type seen struct {
		timestamp time.Time
		offset    int64
	}
	newest := make(map[int64]seen)
	taken := p.receiver.Reports(in.ID)
	slices.SortStableFunc(taken, func(a, b receiver.Taken) int { return a.Timestamp.Compare(b.Timestamp) })
	for i := range taken {
		row, err := p.rowOf(in.ID, &taken[i])
		if err != nil {
			return err
		}
		offset := int64(-1)
		if row.AsOf != nil {
			offset = row.AsOf.Offset
		}
		was, ok := newest[row.Period.Start.UnixNano()]
		if ok && offset < was.offset {
			return fmt.Errorf("the report of %s has figures up to %d, and that of %s before it up to %d", row.Timestamp, offset, was.timestamp, was.offset)
		}
		if ok && row.Timestamp.Equal(was.timestamp) && !bytes.Equal(row.Payload, taken[i].Body) {
			return fmt.Errorf("two reports have the timestamp %s", row.Timestamp)
		}
		newest[row.Period.Start.UnixNano()] = seen{row.Timestamp, offset}
	}
	return nil
}
