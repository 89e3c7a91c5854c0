package chaos_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"reckoner/internal/bus"
	pb "reckoner/internal/wire/usagev1"
)

// direct is a producer of the log itself, as the schema allows: it writes what no HTTP dialect does, usages that take
// what fits under a limit among them, and things that are no events. It writes again what was not acknowledged.
type direct struct {
	producer *bus.Producer
	accounts []string
	written  int // usages, of which every so many share a limit
	rand     *rand.Rand
	done     chan struct{}
	work     sync.WaitGroup
}

func (w *world) startDirect(t *testing.T, chance *rand.Rand) *direct {
	t.Helper()
	d := &direct{
		producer: w.client.NewProducer(bus.ProducerOptions{DeliveryTimeout: 2 * time.Second}), done: make(chan struct{}),
		accounts: []string{uuid.NewString(), uuid.NewString(), uuid.NewString()}, rand: rand.New(rand.NewPCG(chance.Uint64(), 3)),
	}
	d.work.Go(func() {
		for {
			select {
			case <-d.done:
				return
			case <-time.After(100 * time.Millisecond):
				d.write(t)
			}
		}
	})
	t.Cleanup(d.stop)
	return d
}

// stop ends it after its last records are acknowledged.
func (d *direct) stop() {
	select {
	case <-d.done:
	default:
		close(d.done)
	}
	d.work.Wait()
}

func (d *direct) write(t *testing.T) {
	var recs []bus.Record
	for range 1 + d.rand.IntN(12) {
		account := d.accounts[d.rand.IntN(len(d.accounts))]
		value, err := proto.Marshal(d.usage(account))
		if err != nil {
			t.Error(err)
			return
		}
		recs = append(recs, bus.Record{Key: []byte(account), Value: value})
	}
	switch d.rand.IntN(8) {
	case 0:
		recs = append(recs, bus.Record{Key: []byte(d.accounts[0]), Value: []byte("\xffno event\x00")})
	case 1:
		recs[0].Key = []byte(uuid.NewString()) // not the account's
	case 2:
		recs = append(recs, recs...)
	}
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		err := d.producer.Produce(ctx, bus.TopicEvents, recs)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-t.Context().Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// usage is half a unit to eight of a usage whose limit is soon reached.
func (d *direct) usage(account string) *pb.Event {
	d.written++
	now := time.Now().UTC()
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	return &pb.Event{
		Rules: 1, Kind: pb.Kind_KIND_USAGE, Id: uuid.NewString(), AccountId: account, OrganizationId: "o", Type: "credit",
		Written: &pb.Written{Quantity: &pb.Quantity{Low: uint64(500 * (1 + d.rand.IntN(16)))}, AcceptPartial: d.rand.IntN(3) > 0},
		Meter:   "credit", MeterType: pb.MeterType_METER_TYPE_INTERVAL, SubscriptionId: fmt.Sprintf("direct-%d", d.written/1000),
		PeriodStart: month.UnixNano(), PeriodEnd: month.AddDate(0, 1, 0).UnixNano(), Limit: &pb.Quantity{Low: 100_250},
		UsageTime: now.UnixNano(), ReceivedAt: now.UnixNano(),
	}
}
