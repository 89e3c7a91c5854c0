package live_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"reckoner/internal/bus"
	"reckoner/internal/catalog"
	"reckoner/internal/catalog/live"
	"reckoner/internal/embedded/broker"
	"reckoner/internal/embedded/broker/brokertest"
)

// A reader is ready when it has read what there was, and readers agree whenever they began.
func TestOpenReadsToTheEnd(t *testing.T) {
	b, c := start(t)
	makeTopic(t, c)
	first := begin(t, c, live.Options{}, live.WriterOptions{})
	if first.Current().Position() != 0 || first.Current().Count(catalog.OrganizationKind) != 0 {
		t.Errorf("an empty topic: %+v", first.Current().Counts())
	}
	var text strings.Builder
	fmt.Fprintf(&text, "organizations: [{id: %s, name: acme}]\naccounts:\n", org1)
	for i := range 2000 {
		fmt.Fprintf(&text, "- {id: 9c1e0000-0000-4000-8000-%012d, organization: %s}\n", i, org1)
	}
	if _, err := first.writer.ApplyDocument(within(t), parse(t, text.String()), live.ApplyOptions{By: "test"}); err != nil {
		t.Fatal(err)
	}
	second := begin(t, client(t, b), live.Options{Progress: time.Nanosecond}, live.WriterOptions{})
	now := second.Current() // before anything new can have come
	if now.Count(catalog.AccountKind) != 2000 || now.Digest() != first.Current().Digest() {
		t.Errorf("%+v", now.Counts())
	}
	if now.Position() != 2001 || second.metric("reckoner_catalog_position") != 2001 || second.metric("reckoner_catalog_entities", "account") != 2000 ||
		second.metric("reckoner_catalog_changes_total", "applied") != 2001 || second.metric("reckoner_catalog_load_seconds") <= 0 {
		t.Errorf("position %d", now.Position())
	}
	for _, want := range []string{"reading the catalog", "the catalog is read", "accounts=2000"} {
		if !strings.Contains(second.log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, second.log)
		}
	}
}

func TestFollowing(t *testing.T) {
	_, c := start(t)
	makeTopic(t, c)
	one, two := begin(t, c, live.Options{}, live.WriterOptions{}), begin(t, c, live.Options{}, live.WriterOptions{})
	for i := range 20 {
		writer, reader := one, two
		if i%2 == 1 {
			writer, reader = two, one
		}
		d := writer.put(organization(fmt.Sprintf("name %d", i)))
		if o, ok := writer.Current().Organization(org1); !ok || o.Name != fmt.Sprintf("name %d", i) {
			t.Fatalf("the writer does not see its own change: %+v", o)
		}
		written := time.Now()
		eventually(t, "the other one sees it", reader.has(d.Version))
		if took := time.Since(written); took > time.Second {
			t.Logf("change %d was seen after %v", i, took)
		}
	}
	if one.Current().Digest() != two.Current().Digest() {
		t.Error("they differ")
	}
}

func TestTheTopicIsWaitedFor(t *testing.T) {
	_, c := start(t)
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := live.Open(short, c, live.Options{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a topic: %v", err)
	}
	opened := make(chan error, 1)
	go func() {
		_, err := live.Open(within(t), c, live.Options{})
		opened <- err
	}()
	makeTopic(t, c)
	if err := <-opened; err != nil {
		t.Error(err)
	}
}

// The catalog in force stays while Kafka is away, and goes on when it is back.
func TestKafkaGoesAndComesBack(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	b := brokertest.Open(t, broker.Options{Dir: dir, Listen: "127.0.0.1:0"})
	c := client(t, b)
	makeTopic(t, c)
	p := begin(t, c, live.Options{}, live.WriterOptions{Timeout: time.Second})
	other := begin(t, c, live.Options{}, live.WriterOptions{})
	p.put(organization("before"))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the metric says so", func() bool { return p.metric("reckoner_catalog_stale") == 1 })
	if _, err := p.writer.Do(within(t), catalog.Put(organization("meanwhile"), 1, "test")); err == nil {
		t.Error("a change is made without Kafka")
	}
	if o, ok := p.Current().Organization(org1); !ok || o.Name != "before" {
		t.Errorf("while it is away: %+v", o)
	}
	brokertest.Open(t, broker.Options{Dir: dir, Listen: b.Addr()})
	eventually(t, "it is followed again", func() bool { return p.metric("reckoner_catalog_stale") == 0 })
	eventually(t, "changes are made again", func() bool {
		_, v, _ := p.Current().Entity(catalog.OrganizationKind, org1)
		d, err := p.writer.Do(within(t), catalog.Put(organization("after"), v, "test"))
		return err == nil && d.Result == catalog.Applied
	})
	eventually(t, "all see it", other.has(p.Current().Position()))
	if other.Current().Digest() != p.Current().Digest() {
		t.Error("they differ")
	}
	for _, want := range []string{"not followed while Kafka does not answer", "followed again"} {
		if strings.Count(p.log.String(), want) < 1 {
			t.Errorf("the log does not say %q:\n%s", want, p.log)
		}
	}
}

// What cannot be trusted is not served.
func TestOpenRefuses(t *testing.T) {
	t.Run("a topic that lost its beginning", func(t *testing.T) {
		b, c := start(t)
		makeTopic(t, c)
		p := begin(t, c, live.Options{}, live.WriterOptions{})
		p.put(organization("a"))
		p.put(organization("b"))
		if err := b.DeleteRecords(bus.TopicCatalog, 0, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := live.Open(within(t), c, live.Options{}); err == nil || !strings.Contains(err.Error(), "begins at offset 1") {
			t.Errorf("%v", err)
		}
	})
	t.Run("a topic of two partitions", func(t *testing.T) {
		_, c := start(t)
		if err := c.EnsureTopics(within(t), []bus.TopicSpec{{Name: bus.TopicCatalog, Partitions: 2}}); err != nil {
			t.Fatal(err)
		}
		if _, err := live.Open(within(t), c, live.Options{}); err == nil || !strings.Contains(err.Error(), "has 2 partitions") {
			t.Errorf("%v", err)
		}
	})
	t.Run("newer rules", func(t *testing.T) {
		_, c := start(t)
		makeTopic(t, c)
		p := begin(t, c, live.Options{}, live.WriterOptions{})
		p.put(organization("a"))
		if err := p.producer.Produce(within(t), bus.TopicCatalog, []bus.Record{{Key: []byte("plan/p"), Value: []byte(`{"rules":99}`)}}); err != nil {
			t.Fatal(err)
		}
		if _, err := live.Open(within(t), c, live.Options{}); !isNewer(err) {
			t.Errorf("%v", err)
		}
		eventually(t, "who follows stops too", func() bool { return p.Err() != nil })
		if err := p.stop(); !isNewer(err) || !isNewer(p.Err()) {
			t.Errorf("%v", err)
		}
		if _, err := p.writer.Do(within(t), catalog.Put(organization("b"), 1, "test")); !isNewer(err) {
			t.Errorf("a writer that nobody reads for: %v", err)
		}
		if o, ok := p.Current().Organization(org1); !ok || o.Name != "a" {
			t.Errorf("%+v", o)
		}
	})
}

func isNewer(err error) bool {
	e, ok := errors.AsType[*catalog.RulesError](err)
	return ok && e.Offset == 1 && strings.Contains(err.Error(), "upgrade")
}

// A topic that was made anew is another catalog: to follow it would mix the two.
func TestATopicMadeAnewEndsRun(t *testing.T) {
	b, c := start(t)
	makeTopic(t, c)
	p := begin(t, c, live.Options{}, live.WriterOptions{})
	p.put(organization("a"))
	if err := b.DeleteTopic(bus.TopicCatalog); err != nil {
		t.Fatal(err)
	}
	makeTopic(t, c)
	eventually(t, "it notices", func() bool { return p.Err() != nil })
	if err := p.stop(); err == nil || !strings.Contains(err.Error(), "keep all that was ever written") {
		t.Errorf("%v", err)
	}
}

// Records that are no changes are ignored by all, and shown.
func TestJunkIsIgnored(t *testing.T) {
	_, c := start(t)
	makeTopic(t, c)
	p := begin(t, c, live.Options{}, live.WriterOptions{})
	junk := []bus.Record{{Key: []byte("plan/p"), Value: []byte("junk")}, {}}
	if err := p.producer.Produce(within(t), bus.TopicCatalog, junk); err != nil {
		t.Fatal(err)
	}
	d := p.put(organization("a"))
	if d.Version != 3 || p.metric("reckoner_catalog_changes_total", "undecodable") != 2 || !strings.Contains(p.log.String(), "is not a change; it is ignored") {
		t.Errorf("%+v\n%s", d, p.log)
	}
}

// Automatic accounts are there while their organization is.
func TestAutomaticAccounts(t *testing.T) {
	_, c := start(t)
	makeTopic(t, c)
	p := begin(t, c, live.Options{AutoAccounts: "acme"}, live.WriterOptions{})
	auto := func() bool {
		a, ok := p.Current().Account(acc9)
		return ok && a.Auto && a.OrganizationID == org1
	}
	if auto() {
		t.Error("an account of nobody")
	}
	p.put(organization("acme"))
	if !auto() {
		t.Error("none of the organization's")
	}
	p.put(organization("renamed"))
	if auto() {
		t.Error("an account of nobody, again")
	}
	if n := strings.Count(p.log.String(), "are refused for now"); n != 2 {
		t.Errorf("said %d times:\n%s", n, p.log)
	}
}
