package app

import (
	"context"
	"testing"
	"time"

	"reckoner/internal/bus"
	"reckoner/ledger/clickhouse"
)

// The lag of an account is the age of the first record of its partition that the ledger has not.
func TestLagIsTheAgeOfTheFirstRecordThatIsMissing(t *testing.T) {
	s := newSite(t)
	if err := s.do(Migrate, "2"); err != nil {
		t.Fatal(err)
	}
	l, err := clickhouse.Open(clickhouse.Options{URL: s.clickhouse})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	lag := &reportLag{log: s.client, ledger: l, timeout: 10 * time.Second, now: time.Now, slog: quiet}
	of := func(account string) time.Duration {
		t.Helper()
		lags, err := lag.Lag(t.Context())
		if err != nil {
			t.Error(err)
		}
		got, known := lags(account)
		if !known {
			t.Errorf("the lag of %s is unknown", account)
		}
		return got
	}
	first, second := account(0), ""
	for i := 1; second == ""; i++ {
		if bus.PartitionFor([]byte(account(i)), 2) != bus.PartitionFor([]byte(first), 2) {
			second = account(i)
		}
	}
	if of(first) != 0 || of(second) != 0 {
		t.Errorf("an empty log lags by %s and %s", of(first), of(second))
	}
	written := time.Now()
	e := dayUsage("late", 1)
	e.AccountID = first
	producer := s.client.NewProducer(bus.ProducerOptions{})
	defer func() { _ = producer.Close(context.Background()) }()
	if err := producer.Produce(t.Context(), bus.TopicEvents, []bus.Record{s.record(e)}); err != nil {
		t.Fatal(err)
	}
	s.decided++
	lag.now = func() time.Time { return written.Add(time.Hour) }
	if got := of(first); got < time.Hour-time.Minute || got > time.Hour+time.Minute {
		t.Errorf("an hour later it lags by %s", got)
	}
	if got := of(second); got != 0 {
		t.Errorf("the other partition lags by %s", got)
	}
	s.drain()
	if got := of(first); got != 0 {
		t.Errorf("drained, it lags by %s", got)
	}

	// Kafka that does not answer makes it unknown, within the time.
	lag.timeout = time.Nanosecond
	lags, err := lag.Lag(t.Context())
	if _, known := lags(first); err == nil || known {
		t.Errorf("what nobody told in time is known, %v", err)
	}
}
