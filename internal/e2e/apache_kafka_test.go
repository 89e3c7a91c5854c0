//go:build kafka

package e2e_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"reckoner/internal/bus"
	"reckoner/internal/kafkatest"
)

// onKafka is an installation as it is in production but for ClickHouse, which is the embedded one.
type onKafka struct {
	*installation // whose Kafka is one of the brokers, for what the test itself asks
	cluster       *kafkatest.Cluster
	processes     *installation // whose Kafka is all brokers, for the processes
}

func newOnKafka(t testing.TB) *onKafka {
	t.Helper()
	cluster, err := kafkatest.Start(t.Context(), kafkatest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	i := newInstallation(t, setting("kafka.partitions", 6), setting("kafka.replication_factor", 3), setting("catalog.auto_accounts", demoOrg))
	i.engines(t) // its Kafka is not used
	i.kafka = cluster.Brokers()[0]
	processes := *i
	processes.kafka = strings.Join(cluster.Brokers(), ",")
	return &onKafka{i, cluster, &processes}
}

// sendThroughALoss sends a trace, and kills the broker that leads a partition as soon as a part of it is in the log.
// The broker comes back at once, or when all is sent.
func (k *onKafka) sendThroughALoss(t testing.TB, trace string, partition int, atOnce bool) {
	t.Helper()
	before := k.records(t)
	sender := start(t, nil, "send", "--url", "http://"+k.api, "--batch", "10", "--connections", "4", testdata(t, trace))
	eventually(t, time.Minute, func() string {
		if n := k.records(t) - before; n < 500 {
			return fmt.Sprintf("%d events are in the log", n)
		}
		return ""
	})
	leader, _ := k.cluster.Admin().Partition(t, bus.TopicEvents, partition)
	if sender.gone() {
		t.Fatalf("all of %s was sent before the kill", trace)
	}
	k.cluster.Kill(t, leader)
	killed := time.Now()
	if atOnce {
		k.cluster.Restart(t, leader)
	}
	if status := sender.wait(t, 2*time.Minute); status != 0 {
		t.Fatalf("send ended with status %d:\n%s%s", status, sender.out.String(), tail(sender.log.String(), 2000))
	}
	t.Logf("%s was sent %s after broker %d was killed", trace, time.Since(killed).Round(time.Millisecond), leader)
	if !atOnce {
		k.cluster.Restart(t, leader)
	}
	eventually(t, time.Minute, func() string {
		for p := range 6 {
			if _, inSync := k.cluster.Admin().Partition(t, bus.TopicEvents, p); !slices.Equal(inSync, []int{1, 2, 3}) {
				return fmt.Sprintf("partition %d is in sync on %v", p, inSync)
			}
		}
		return ""
	})
}

// TestApacheKafkaLosesLeaders runs every process on three brokers of Apache Kafka, and kills a broker that leads a
// partition while a trace is sent: totals are those of an independent count, and verify agrees.
func TestApacheKafkaLosesLeaders(t *testing.T) {
	a, b := countTrace(t, "trace-a.csv"), countTrace(t, "trace-b.csv")
	k := newOnKafka(t)
	k.processes.migrate(t)
	k.processes.migrate(t)
	k.want(t, "SELECT number, topic, partitions FROM logs", "1 usage.events 6")
	if _, inSync := k.cluster.Admin().Partition(t, bus.TopicEvents, 0); len(inSync) != 3 {
		t.Errorf("usage.events has copies on %v", inSync)
	}
	_, first := k.processes.aggregate(t, filepath.Join(k.dir, "first"))
	_, second := k.processes.aggregate(t, filepath.Join(k.dir, "second"))
	k.wantShared(t, first, second)
	k.processes.ingest(t, demoCatalog(t))

	k.sendThroughALoss(t, "trace-a.csv", 0, false)
	k.wantExact(t, a)
	k.sendThroughALoss(t, "trace-b.csv", 1, true)
	k.wantExact(t, a, b)
	k.wantShared(t, first, second)
}

// wantShared waits until two aggregators have half of the partitions each.
func (k *onKafka) wantShared(t testing.TB, first, second string) {
	t.Helper()
	eventually(t, time.Minute, func() string {
		const assigned = "reckoner_aggregator_assigned_partitions"
		if a, b := metric(t, first, assigned), metric(t, second, assigned); a != "3" || b != "3" {
			return fmt.Sprintf("of 6 partitions one aggregator has %s, the other %s", a, b)
		}
		return ""
	})
}

// wantExact waits until the log is drained and holds the ledger against the counts, then against the log.
func (k *onKafka) wantExact(t testing.TB, traces ...*oracle) {
	t.Helper()
	begin := time.Now()
	n := k.drain(t)
	t.Logf("%d records are in the ledger %s after the broker was back", n, time.Since(begin).Round(time.Millisecond))
	k.wantTotals(t, traces...)
	k.wantOnce(t, n)
	entries, unknown := 0, 0
	for _, o := range traces {
		entries, unknown = entries+o.entries(), unknown+o.unknown
	}
	k.want(t, "SELECT count() FROM usage_entries", fmt.Sprint(entries))
	k.want(t, "SELECT outcome, count() FROM usage_refusals WHERE outcome != 'duplicate' GROUP BY outcome", fmt.Sprintf("unknown_usage %d", unknown))
	status, p := run(t, nil, append([]string{"verify"}, k.processes.at()...)...)
	if status != 0 {
		t.Errorf("verify ended with status %d:\n%s%s", status, p.out.String(), tail(p.log.String(), 4000))
	}
	t.Logf("verify:\n%s", p.out.String())
}
