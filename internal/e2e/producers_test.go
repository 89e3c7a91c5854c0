package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/internal/wire"
)

// direct is a producer that writes the log itself, as the schema allows.
type direct struct {
	client   *bus.Client
	producer *bus.Producer
}

func (i *installation) direct(t testing.TB) *direct {
	t.Helper()
	c := i.bus(t)
	p := c.NewProducer(bus.ProducerOptions{})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return &direct{c, p}
}

// usageEvent is a valid usage of an account, with all that ingest stamps.
func usageEvent(t testing.TB, account, amount string) *reckoner.Event {
	t.Helper()
	q, err := reckoner.ParseQuantity(amount)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	return &reckoner.Event{
		Rules: reckoner.Rules, Kind: reckoner.Usage, ID: uuid.NewString(), AccountID: account, OrganizationID: "o", Type: "credit",
		Written: reckoner.Written{Quantity: &q}, Meter: reckoner.Meter{Name: "credit", Type: reckoner.Interval},
		Period: reckoner.Cycle{}.At(now), UsageTime: now, ReceivedAt: now,
	}
}

func record(t testing.TB, e *reckoner.Event) bus.Record {
	t.Helper()
	value, err := wire.EncodeEvent(e)
	if err != nil {
		t.Fatal(err)
	}
	return bus.Record{Key: []byte(e.AccountID), Value: value}
}

// to writes records to a partition, -1 for that of their keys.
func (d *direct) to(t testing.TB, partition int, recs ...bus.Record) {
	t.Helper()
	var err error
	if partition < 0 {
		err = d.producer.Produce(t.Context(), bus.TopicEvents, recs)
	} else {
		err = d.producer.ProduceTo(t.Context(), bus.TopicEvents, partition, recs)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// accountIn returns a new account whose place is a partition.
func accountIn(partition, partitions int) string {
	for {
		if id := uuid.NewString(); bus.PartitionFor([]byte(id), partitions) == partition {
			return id
		}
	}
}

// clipped sends a usage that takes what fits, and wants this much of it to count.
func (i *installation) clipped(t testing.TB, account, limit, counts string) {
	t.Helper()
	most, err := reckoner.ParseQuantity(limit)
	if err != nil {
		t.Fatal(err)
	}
	e := usageEvent(t, account, "5.5")
	e.SubscriptionID, e.Limit, e.Written.AcceptPartial = "sub", &most, true
	i.direct(t).to(t, -1, record(t, e))
	i.drain(t)
	i.want(t, "SELECT outcome, requested, quantity FROM usage_entries WHERE event_id = '"+e.ID+"'", "clipped 5.5 "+counts)
}

// TestProducersOfTheLog writes to the log what ingest never would. Nothing of it counts wrongly, all of it is found.
func TestProducersOfTheLog(t *testing.T) {
	t.Parallel()
	const partitions = 4
	i := newInstallation(t, setting("health.stall_after", "1s"), setting("aggregator.retry_backoff_max", "500ms"))
	i.dev(t)
	d := i.direct(t)
	home, away := 1, 2
	account := accountIn(home, partitions)

	good := usageEvent(t, account, "0.001")
	d.to(t, -1, record(t, good), record(t, good)) // an acknowledgement was lost: it stands twice
	misrouted := usageEvent(t, account, "100")
	d.to(t, away, record(t, misrouted))
	d.to(t, home, record(t, misrouted)) // its id was not used up by the wrong place
	wrongKey := record(t, usageEvent(t, account, "100"))
	wrongKey.Key = []byte(accountIn(home, partitions))
	noKey := record(t, usageEvent(t, account, "100"))
	noKey.Key = nil
	d.to(t, home, wrongKey, noKey)
	garbage := bus.Record{Key: []byte("not\xffan account"), Value: []byte("\x00garbage\xff\xfe"), Headers: []bus.Header{{Key: "trace", Value: []byte("t-1")}}}
	d.to(t, home, garbage, bus.Record{Key: []byte(account)})
	upper := usageEvent(t, strings.ToUpper(account), "100")
	d.to(t, home, record(t, upper))

	n := i.drain(t)
	i.wantOnce(t, n)
	i.want(t, "SELECT account_id, quantity, events FROM account_totals", account+" 100.001 2")
	i.want(t, "SELECT outcome, count() FROM usage_refusals GROUP BY outcome ORDER BY outcome", "duplicate 1", "misrouted 3", "undecodable 3")
	i.want(t, fmt.Sprintf("SELECT event_id, account_id, reason FROM usage_refusals WHERE partition = %d", away),
		fmt.Sprintf("%s %s the account belongs to partition %d (murmur2 of the key)", misrouted.ID, account, home))
	d.wantDeadLetter(t, i, garbage)
	i.want(t, "SELECT event_id, account_id FROM usage_refusals WHERE outcome = 'undecodable' AND event_id != ''", upper.ID+" "+upper.AccountID)

	i.stops(t, d, home, account)
}

// wantDeadLetter finds the copy of a record, with why and from where.
func (d *direct) wantDeadLetter(t testing.TB, i *installation, want bus.Record) {
	t.Helper()
	row := i.rows(t, "SELECT reason, log, partition, offset, index FROM usage_refusals WHERE reason LIKE '%protobuf%'")
	if len(row) != 1 {
		t.Fatalf("refusals of what is no protobuf: %v", row)
	}
	position := fmt.Sprintf("%s/%s/%s.%s", row[0][1], row[0][2], row[0][3], row[0][4])
	ends, err := d.client.EndOffsets(t.Context(), bus.TopicDeadLetter)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for partition, end := range ends {
		for offset := range end {
			r, err := d.client.ReadRecord(t.Context(), bus.TopicDeadLetter, partition, offset)
			if err != nil {
				t.Fatal(err)
			}
			headers := map[string]string{}
			for _, h := range r.Headers {
				headers[h.Key] = string(h.Value)
			}
			if headers["reckoner-position"] != position {
				continue
			}
			found++
			if string(r.Key) != string(want.Key) || string(r.Value) != string(want.Value) || headers["reckoner-reason"] != row[0][0] || headers["trace"] != "t-1" {
				t.Errorf("the dead letter of %s: key %q, value %q, headers %v", position, r.Key, r.Value, headers)
			}
		}
	}
	if found == 0 {
		t.Errorf("no dead letter names %s", position)
	}
}

// stops writes an event of rules that are not known yet. Its partition stops and says so; the others go on.
func (i *installation) stops(t testing.TB, d *direct, home int, account string) {
	t.Helper()
	before := i.value(t, fmt.Sprintf("SELECT max(next_offset) FROM checkpoints WHERE partition = %d", home))
	newer := usageEvent(t, account, "1")
	newer.Rules = reckoner.Rules + 1
	d.to(t, -1, record(t, newer), record(t, usageEvent(t, account, "1")))
	for _, path := range []string{"/readyz", "/healthz"} {
		eventually(t, 30*time.Second, func() string {
			status, body := get("http://" + i.ops + path)
			if status != http.StatusServiceUnavailable || !strings.Contains(body, fmt.Sprintf("partition %d", home)) || !strings.Contains(body, "upgrade the aggregators") {
				return fmt.Sprintf("%s: %d %s", path, status, body)
			}
			if strings.Count(body, "partition ") != 1 {
				t.Errorf("%s names more than the one partition: %s", path, body)
			}
			return ""
		})
	}
	other := accountIn((home+1)%4, 4)
	id := uuid.NewString()
	wantOutcomes(t, i.producer().post(t, createPath(other), usages(m{"id": id, "amount": 1}), "Prefer", "wait=30"), outcome{id, "applied", "1", false})
	i.want(t, fmt.Sprintf("SELECT max(next_offset) FROM checkpoints WHERE partition = %d", home), before)
	i.want(t, "SELECT quantity FROM account_totals WHERE account_id = '"+account+"'", "100.001")
	// What is written to the stopped partition is stored all the same.
	wantOK(t, i.producer().post(t, createPath(account), usages(m{"id": uuid.NewString(), "amount": 1})))
}
