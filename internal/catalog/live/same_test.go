package live_test

import (
	"fmt"
	"strings"
	"testing"

	"reckoner/internal/catalog"
	"reckoner/internal/catalog/live"
	"reckoner/internal/embedded/broker"
	"reckoner/internal/embedded/broker/brokertest"
)

// Kafka comes back with a topic that was made anew and goes on further than the old one: offsets alone do not tell.
func TestALongerTopicMadeAnewEndsRun(t *testing.T) {
	noLeaks(t)
	b := brokertest.Open(t, broker.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	c := client(t, b)
	makeTopic(t, c)
	p := begin(t, c, live.Options{}, live.WriterOptions{})
	p.put(organization("a"))

	dir := t.TempDir()
	another := brokertest.Open(t, broker.Options{Dir: dir, Listen: "127.0.0.1:0"})
	there := client(t, another)
	makeTopic(t, there)
	q := begin(t, there, live.Options{}, live.WriterOptions{})
	for n := range 3 {
		_, v, _ := q.Current().Entity(catalog.OrganizationKind, org1)
		if d, err := q.writer.Do(within(t), catalog.Put(organization(fmt.Sprint("b", n)), v, "test")); err != nil || d.Result != catalog.Applied {
			t.Fatal(d, err)
		}
	}
	_ = q.stop()
	for _, one := range []*broker.Broker{another, b} {
		if err := one.Close(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "it is noticed that Kafka is away", func() bool { return p.metric("reckoner_catalog_stale") == 1 })
	brokertest.Open(t, broker.Options{Dir: dir, Listen: b.Addr()})
	eventually(t, "it notices", func() bool { return p.Err() != nil })
	if err := p.stop(); err == nil || !strings.Contains(err.Error(), "made anew") {
		t.Errorf("%v", err)
	}
	if o, _ := p.Current().Organization(org1); o.Name != "a" {
		t.Errorf("the other topic's changes are in force: %+v", o)
	}
}

// Who asks to be level sees whatever was acknowledged to anybody.
func TestSyncSeesWhatOthersWrote(t *testing.T) {
	_, c := start(t)
	makeTopic(t, c)
	p := begin(t, c, live.Options{}, live.WriterOptions{})
	other := begin(t, c, live.Options{}, live.WriterOptions{})
	for n := range 50 {
		_, v, _ := p.Current().Entity(catalog.OrganizationKind, org1)
		d, err := p.writer.Do(within(t), catalog.Put(organization(fmt.Sprint("n", n)), v, "test"))
		if err != nil || d.Result != catalog.Applied {
			t.Fatal(d, err)
		}
		if err := other.writer.Sync(within(t)); err != nil {
			t.Fatal(err)
		}
		if _, got, _ := other.Current().Entity(catalog.OrganizationKind, org1); got != d.Version {
			t.Fatalf("change %d made version %d, and the other process has %d", n, d.Version, got)
		}
	}
}
