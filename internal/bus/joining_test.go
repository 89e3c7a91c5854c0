package bus_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"reckoner/internal/bus"
)

// said collects what is logged as a warning or worse.
type said struct {
	slog.Handler
	mu    sync.Mutex
	lines []string
}

func (s *said) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (s *said) WithAttrs([]slog.Attr) slog.Handler           { return s }

func (s *said) Handle(_ context.Context, r slog.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	s.lines = append(s.lines, line)
	return nil
}

func (s *said) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.lines...)
}

// TestGroupOfAnotherProgram: a program that shares partitions in another way holds the group. The member says so once,
// with the remedy, tries ever more seldom, and joins when the other one has left.
func TestGroupOfAnotherProgram(t *testing.T) {
	_, b := start(t, 2)
	other := kafka.NewReader(kafka.ReaderConfig{
		Brokers: b.Addrs(), GroupID: "g", Topic: "t", MaxWait: 50 * time.Millisecond, RebalanceTimeout: 2 * time.Second, JoinGroupBackoff: 20 * time.Millisecond,
	})
	left := sync.OnceFunc(func() {
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	})
	defer left()
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	go func() { _, _ = other.FetchMessage(ctx) }() // it only has to be there
	admin := kafka.Client{Addr: kafka.TCP(b.Addrs()...)}
	eventually(t, "the other is a member", func() bool {
		res, err := admin.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{"g"}})
		return err == nil && res.Groups[0].GroupState == "Stable"
	})

	log := &said{Handler: slog.DiscardHandler}
	c, err := bus.Open(bus.Options{Brokers: b.Addrs(), IOTimeout: 2 * time.Second, MetadataTTL: 500 * time.Millisecond, Log: slog.New(log)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	type failure struct {
		at  time.Time
		err error
	}
	failures := make(chan failure, 100)
	o := quick("g")
	o.OnError = func(err error) { failures <- failure{time.Now(), err} }
	got := make(chan int, 1)
	result := make(chan error, 1)
	go func() {
		result <- c.RunGroup(ctx, o, func(ctx context.Context, g *bus.Generation) error {
			got <- len(g.Assigned)
			<-ctx.Done()
			return nil
		})
	}()
	var all []failure
	for len(all) < 6 {
		f := <-failures
		if taken, ok := errors.AsType[*bus.GroupTakenError](f.err); !ok || taken.Group != "g" || !strings.Contains(f.err.Error(), "kafka.group") {
			t.Fatalf("told of %v", f.err)
		}
		all = append(all, f)
	}
	if first, last := all[1].at.Sub(all[0].at), all[5].at.Sub(all[4].at); last < 4*o.JoinBackoff || last < first {
		t.Errorf("the waits grow from %s to %s only", first, last)
	}
	if lines := log.all(); len(lines) != 1 || !strings.Contains(lines[0], "another program uses the consumer group g") {
		t.Errorf("said %q", lines)
	}
	left()
	if n := <-got; n != 2 {
		t.Errorf("%d partitions when the other had left", n)
	}
	cancel()
	if err := <-result; err != nil {
		t.Error(err)
	}
}
