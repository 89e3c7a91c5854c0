package live_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"reckoner/internal/bus"
	"reckoner/internal/catalog"
	"reckoner/internal/catalog/live"
)

// Of two who expect the same version one gets it, and the other is told.
func TestTwoWritersOneWins(t *testing.T) {
	_, c := start(t)
	makeTopic(t, c)
	one, two := begin(t, c, live.Options{}, live.WriterOptions{}), begin(t, c, live.Options{}, live.WriterOptions{})
	base := one.put(organization("base"))
	eventually(t, "both see it", two.has(base.Version))
	for range 10 {
		_, v, _ := one.Current().Entity(catalog.OrganizationKind, org1)
		var decisions [2]catalog.Decision
		var group sync.WaitGroup
		for i, p := range []*process{one, two} {
			group.Go(func() { decisions[i] = p.do(catalog.Put(organization(fmt.Sprintf("by %d", i)), v, "test")) })
		}
		group.Wait()
		results := []catalog.Result{decisions[0].Result, decisions[1].Result}
		slices.Sort(results)
		if !slices.Equal(results, []catalog.Result{catalog.Applied, catalog.Stale}) {
			t.Fatalf("%v", results)
		}
		last := max(one.Current().Position(), two.Current().Position())
		eventually(t, "both have read all", func() bool { return one.has(last)() && two.has(last)() })
	}
	if one.Current().Digest() != two.Current().Digest() {
		t.Error("they differ")
	}
}

// A lost acknowledgement puts a change into the log twice. It takes place once, and its writer hears so.
func TestALostAcknowledgement(t *testing.T) {
	b, c := start(t)
	makeTopic(t, c)
	p := begin(t, c, live.Options{}, live.WriterOptions{})
	v := p.put(organization("first")).Version
	for _, want := range []catalog.Result{catalog.Applied, catalog.Stale} {
		_, end, err := c.Offsets(within(t), bus.TopicCatalog, 0)
		if err != nil {
			t.Fatal(err)
		}
		pause := b.PauseFetch() // a writer that has heard the decision sends nothing again
		eventually(t, "nothing is read", func() bool { return pause.Held() > 0 })
		b.DropProduceAck(1)
		decided := make(chan catalog.Decision, 1)
		go func() { decided <- p.do(catalog.Put(organization("second"), v, "test")) }()
		eventually(t, "the copy is written", func() bool {
			_, next, err := c.Offsets(within(t), bus.TopicCatalog, 0)
			return err == nil && next == end+2
		})
		pause.Resume()
		if d := <-decided; d.Result != want {
			t.Errorf("%+v, want %v", d, want)
		}
		eventually(t, "the copy is read", p.has(catalog.Version(end)+2))
	}
	if o, _ := p.Current().Organization(org1); o.Name != "second" || p.metric("reckoner_catalog_changes_total", "copy") != 2 ||
		p.metric("reckoner_catalog_changes_total", "applied") != 2 {
		t.Errorf("%+v", o)
	}
}

// What was not written is not changed; what may have been is not said to be either.
func TestFailuresOfWriting(t *testing.T) {
	b, c := start(t)
	makeTopic(t, c)
	p := begin(t, c, live.Options{}, live.WriterOptions{})
	v := p.put(organization("first")).Version
	t.Run("nobody reads on", func(t *testing.T) {
		_, end, err := c.Offsets(within(t), bus.TopicCatalog, 0)
		if err != nil {
			t.Fatal(err)
		}
		pause := b.PauseFetch()
		defer pause.Resume()
		eventually(t, "nothing is read", func() bool { return pause.Held() > 0 })
		ctx, giveUp := context.WithCancel(within(t))
		defer giveUp()
		failed := make(chan error, 1)
		go func() {
			_, err := p.writer.Do(ctx, catalog.Put(organization("third"), v, "test"))
			failed <- err
		}()
		eventually(t, "it is written", func() bool {
			_, next, err := c.Offsets(within(t), bus.TopicCatalog, 0)
			return err == nil && next > end
		})
		giveUp()
		if unknown, ok := errors.AsType[*live.UnknownError](<-failed); !ok || !errors.Is(unknown, context.Canceled) {
			t.Errorf("%v", unknown)
		}
	})
	eventually(t, "the change takes place all the same", func() bool {
		o, _ := p.Current().Organization(org1)
		return o.Name == "third"
	})
	t.Run("too large", func(t *testing.T) {
		plan := &catalog.Plan{ID: "p", Name: strings.Repeat("x", catalog.MaxChangeBytes)}
		before := p.Current().Position()
		_, err := p.writer.Do(within(t), catalog.Put(plan, 0, "test"))
		if _, unknown := errors.AsType[*live.UnknownError](err); unknown || err == nil || !strings.Contains(err.Error(), "make it smaller") || p.Current().Position() != before {
			t.Errorf("%v", err)
		}
	})
	t.Run("refused for good", func(t *testing.T) {
		b.RefuseProduceTooLarge(1)
		_, err := p.writer.Do(within(t), catalog.Put(organization("fourth"), v, "test"))
		if err == nil {
			t.Error("made")
		}
	})
	t.Run("refused by the brokers for long", func(t *testing.T) { // last: it may be written once they are well
		heal := b.FailProduce(-1)
		defer heal()
		hasty := live.NewWriter(p.Reader, p.producer, live.WriterOptions{Timeout: 500 * time.Millisecond})
		if d, err := hasty.Do(within(t), catalog.Put(organization("second"), v, "test")); err == nil {
			t.Errorf("%+v", d)
		}
	})
}

const document = `organizations: [{id: ` + org1 + `, name: acme}]
accounts: [{id: ` + acc1 + `, organization: ` + org1 + `, default_subscription: s1}]
meters: [{name: calls}]
plans: [{id: pro, prices: [{meter: calls}]}]
subscriptions: [{id: s1, account: ` + acc1 + `, plan: pro, meter: calls, limit: 5}]
credentials: [{id: c1, secret_sha256: 0000000000000000000000000000000000000000000000000000000000000000, organizations: [` + org1 + `]}]
`

// A document is applied in batches however small they are, and what is there already is not written again.
func TestApplyDocument(t *testing.T) {
	for _, inFlight := range []int{1, 2, 3, 5000} {
		t.Run(fmt.Sprint(inFlight), func(t *testing.T) {
			_, c := start(t)
			makeTopic(t, c)
			p := begin(t, c, live.Options{}, live.WriterOptions{InFlight: inFlight})
			var done []int
			apply := func(text string, prune bool) live.Report {
				t.Helper()
				want := parse(t, text)
				done = nil
				report, err := p.writer.ApplyDocument(within(t), want, live.ApplyOptions{Prune: prune, By: "test", Progress: func(n, of int) {
					if n > of {
						t.Errorf("%d of %d", n, of)
					}
					done = append(done, n)
				}})
				if err != nil {
					t.Fatal(err)
				}
				if got := export(t, p.Current()); got != export(t, want) {
					t.Errorf("got\n%s\nwant\n%s", got, export(t, want))
				}
				return report
			}
			report := apply(document, false)
			if report.Applied != 7 || report.Steps != 7 || report.Refused != 0 || !slices.IsSorted(done) || done[len(done)-1] != 7 {
				t.Errorf("%+v %v", report, done)
			}
			position := p.Current().Position()
			if report = apply(document, true); report.Steps != 0 || p.Current().Position() != position || done != nil {
				t.Errorf("again: %+v", report)
			}
			changed := strings.NewReplacer("s1", "s2", "limit: 5", "limit: 6", "calls", "requests").Replace(document)
			if report = apply(changed, true); report.Applied == 0 {
				t.Errorf("%+v", report)
			}
			if report = apply("{}", true); report.Applied < 6 {
				t.Errorf("%+v", report)
			}
		})
	}
}

// meddler changes an entity before each of the first records it is asked to write.
type meddler struct {
	live.Producer
	t           *testing.T
	mine, other *process
	times       atomic.Int32
}

func (m *meddler) Produce(ctx context.Context, topic string, records []bus.Record) error {
	if n := m.times.Add(-1); n >= 0 {
		eventually(m.t, "the other one sees all", m.other.has(m.mine.Current().Position()))
		m.other.put(organization(fmt.Sprintf("meddled %d", n)))
	}
	return m.Producer.Produce(ctx, topic, records)
}

// Who applies a document while another changes the same wins in the end, and says so if not.
func TestApplyAgainstOthers(t *testing.T) {
	_, c := start(t)
	makeTopic(t, c)
	p, other := begin(t, c, live.Options{}, live.WriterOptions{}), begin(t, c, live.Options{}, live.WriterOptions{})
	m := &meddler{Producer: p.producer, t: t, mine: p, other: other}
	w := live.NewWriter(p.Reader, m, live.WriterOptions{})
	m.times.Store(3)
	report, err := w.ApplyDocument(within(t), parse(t, document), live.ApplyOptions{})
	if err != nil || report.Err() != nil {
		t.Fatalf("%+v: %v", report, err)
	}
	if o, ok := p.Current().Organization("acme"); !ok || o.ID != org1 || p.metric("reckoner_catalog_changes_total", "stale") == 0 {
		t.Errorf("%+v", p.Current().Counts())
	}
	m.times.Store(1000)
	renamed := strings.Replace(document, "acme", "again", 1)
	report, err = w.ApplyDocument(within(t), parse(t, renamed), live.ApplyOptions{})
	if err == nil || !strings.Contains(err.Error(), "by others all the time") || report.Refused == 0 || report.Err() == nil {
		t.Errorf("%+v: %v", report, err)
	}
	m.times.Store(0)
	d, err := catalog.NewDiff(p.Current(), parse(t, renamed), catalog.DiffOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "p is behind nobody", p.has(other.Current().Position()))
	m.times.Store(1) // behind the diff's back
	report, err = w.Apply(within(t), d, nil)
	if err != nil || report.Refused != 1 || len(report.Refusals) != 1 || report.Refusals[0].Result != catalog.Stale {
		t.Errorf("%+v: %v", report, err)
	}
}
