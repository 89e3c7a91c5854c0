package ingest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/internal/embedded/broker"
	"reckoner/internal/embedded/broker/brokertest"
	"reckoner/internal/wire"
)

const partitions = 4

// onKafka returns a world whose server writes to a real log and hears outcomes from it.
func onKafka(t *testing.T) (*world, *bus.Client, *broker.Broker) {
	t.Helper()
	b := brokertest.Start(t)
	client, err := bus.Open(bus.Options{Brokers: b.Addrs(), IOTimeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if err := client.EnsureTopics(t.Context(), bus.Topics(partitions, 1)); err != nil {
		t.Fatal(err)
	}
	producer := client.NewProducer(bus.ProducerOptions{DeliveryTimeout: time.Second})
	t.Cleanup(func() { _ = producer.Close(context.Background()) })
	outcomes, err := OpenOutcomes(t.Context(), client, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = outcomes.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	w := newWorld(t, func(o *Options) {
		o.Publisher, o.Outcomes = producer, outcomes
		o.Limits.ProduceTimeout, o.OutcomeTimeout = 1500*time.Millisecond, 20*time.Second
	})
	return w, client, b
}

// read returns the next n events of the account's partition, and holds that they stand there under its key.
func read(t *testing.T, client *bus.Client, r *bus.Reader, n int) []*reckoner.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var events []*reckoner.Event
	for len(events) < n {
		recs, _, err := r.Fetch(ctx, bus.Limits{MaxRecords: n - len(events)})
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range recs {
			e, err := wire.DecodeEvent(rec.Value)
			if err != nil || string(rec.Key) != account {
				t.Fatalf("key %q: %v", rec.Key, err)
			}
			events = append(events, e)
		}
	}
	return events
}

func reader(t *testing.T, client *bus.Client) *bus.Reader {
	t.Helper()
	r, err := client.OpenReader(t.Context(), bus.TopicEvents, bus.PartitionFor([]byte(account), partitions), 0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestOnKafka: a 200 stands for records that the log holds, in the order of the request, and every failure of the log is
// a 503 whose repetition makes good.
func TestOnKafka(t *testing.T) {
	w, client, b := onKafka(t)
	r := reader(t, client)
	if a := w.post(createPath, usagesBody(1000)); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for i, e := range read(t, client, r, 1000) {
		if want := fmt.Sprintf("22222222-2222-4222-8222-%012d", i); e.ID != want {
			t.Fatalf("event %d is %s", i, e.ID)
		}
	}

	heal := b.FailProduce(-1)
	a := w.post(createPath, usagesBody(1))
	if code, _ := a.errorBody(t); a.status != 503 || code != 14 || a.header.Get("Retry-After") == "" {
		t.Errorf("without replicas: %d %s", a.status, a.body)
	}
	heal()
	if a := w.post(createPath, usagesBody(1)); a.status != 200 {
		t.Errorf("healed: %d %s", a.status, a.body)
	}
	read(t, client, r, 1)

	b.DropProduceAck(1)
	if a := w.post(createPath, usagesBody(1)); a.status != 200 {
		t.Errorf("an acknowledgement lost: %d %s", a.status, a.body)
	}
	copies := read(t, client, r, 2) // a copy for the aggregator to tell
	if copies[0].ID != copies[1].ID || copies[0].Fingerprint() != copies[1].Fingerprint() {
		t.Errorf("copies %+v", copies)
	}

	pause := b.PauseProduce()
	if a := w.post(createPath, usagesBody(1)); a.status != 503 {
		t.Errorf("a log that hangs: %d %s", a.status, a.body)
	}
	pause.Resume()
}

// TestOutcomesOnKafka: the verdict on a revert comes back through the topic, on whichever partition.
func TestOutcomesOnKafka(t *testing.T) {
	w, client, _ := onKafka(t)
	r := reader(t, client)
	verdicts := client.NewProducer(bus.ProducerOptions{})
	defer func() { _ = verdicts.Close(context.Background()) }()
	answered := make(chan answer)
	go func() { answered <- w.post(revertPath, "") }()
	e := read(t, client, r, 1)[0]
	value, err := wire.EncodeVerdict(&reckoner.Verdict{
		ReplyTo: e.ReplyTo, AccountID: e.AccountID, Kind: e.Kind, ID: e.ID, Outcome: reckoner.UnknownUsage, First: reckoner.UnknownUsage,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := verdicts.Produce(t.Context(), bus.TopicOutcomes, []bus.Record{{Key: []byte(e.AccountID), Value: value}}); err != nil {
		t.Fatal(err)
	}
	a := <-answered
	if code, _ := a.errorBody(t); a.status != 404 || code != 5 {
		t.Errorf("%d %s", a.status, a.body)
	}
}
