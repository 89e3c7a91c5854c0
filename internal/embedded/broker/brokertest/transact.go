package brokertest

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"reckoner/internal/embedded/broker"
)

// Transact writes a record in a transaction, whose marker then takes the offset after it.
func Transact(t testing.TB, b *broker.Broker, topic string, partition int, key, value []byte) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Addrs()...), kgo.TransactionalID(t.Name()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	res := c.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: int32(partition), Key: key, Value: value})
	if err := res.FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := c.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
}
