package chaos_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"reckoner/internal/bus"
	"reckoner/internal/kafkatest"
)

// brokerSession is how long the cluster waits for a broker that is silent before it gives its partitions to others.
const brokerSession = 3 * time.Second

// onApache describes an installation whose log is in three brokers of Apache Kafka. ClickHouse is the embedded one.
func onApache(t *testing.T, partitions, limited, unlimited int) *world {
	t.Helper()
	cluster, err := kafkatest.Start(t.Context(), kafkatest.Options{Config: map[string]string{
		"broker.session.timeout.ms":    fmt.Sprint(brokerSession.Milliseconds()),
		"broker.heartbeat.interval.ms": "500",
		"group.min.session.timeout.ms": "1000", // the sessions of these tests are shorter than Kafka wants
	}})
	must(t, err)
	t.Cleanup(func() { must(t, cluster.Close()) })
	w := newWorld(t, partitions, limited, unlimited, setting("kafka.replication_factor", kafkatest.Nodes))
	w.cluster = cluster
	return w
}

// beginOnApache starts ClickHouse, and makes topics and tables. The engines' own Kafka listens where nobody asks.
func (w *world) beginOnApache(t *testing.T) {
	t.Helper()
	w.startEngines(t, "127.0.0.1:0")
	w.migrate(t, strings.Join(w.cluster.Brokers(), ","))
	w.inSync(t)
}

// inSync waits until every broker has every event. Only then may one of them be lost: of three copies two must be there
// for a write to be acknowledged.
func (w *world) inSync(t *testing.T) {
	t.Helper()
	if w.cluster == nil {
		return
	}
	eventually(t, progressWithin, func() string {
		for p := range w.partitions {
			if _, got := w.cluster.Admin().Partition(t, bus.TopicEvents, p); !slices.Equal(got, []int{1, 2, 3}) {
				return fmt.Sprintf("partition %d is in sync on the brokers %v", p, got)
			}
		}
		return ""
	})
}

// leader returns a broker that leads a partition of chance.
func (f *faults) leader() int {
	partition := f.rand.IntN(f.world.partitions)
	var leader int
	eventually(f.t, progressWithin, func() string {
		if leader, _ = f.world.cluster.Admin().Partition(f.t, bus.TopicEvents, partition); leader < 1 {
			return fmt.Sprintf("nobody leads partition %d", partition)
		}
		return ""
	})
	return leader
}

// killLeader ends a broker that leads, and starts it again: at once, or after others lead in its place.
func (f *faults) killLeader() (name string, began time.Time, did string) {
	id := f.leader()
	name = fmt.Sprintf("broker-%d", id)
	began = time.Now()
	f.world.cluster.Kill(f.t, id)
	f.load.fault(began)
	f.kills++
	if f.rand.IntN(2) == 0 {
		pause(time.Duration(f.rand.Int64N(int64(2 * brokerSession))))
	}
	f.world.cluster.Restart(f.t, id)
	return name, began, f.did("kill -9", name) + ", a leader"
}

// freezeBroker stops a broker, every other time for so long that it wakes up as a leader of the past.
func (f *faults) freezeBroker() (what string, thaw func()) {
	id := f.leader()
	d := time.Duration(500+f.rand.IntN(1500)) * time.Millisecond
	if f.rand.IntN(2) == 0 {
		d = brokerSession + 2*time.Second
	}
	resume := f.world.cluster.Pause(f.t, id)
	until := time.Now().Add(d)
	f.frozen = true
	return f.did("freeze", fmt.Sprintf("broker-%d", id)) + " for " + d.String(), func() {
		pause(time.Until(until))
		resume()
		f.frozen = false
	}
}
