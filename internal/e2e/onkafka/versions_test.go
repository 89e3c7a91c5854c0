//go:build kafka

package onkafka_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reckoner/internal/bus"
	"reckoner/internal/bus/bustest"
	"reckoner/internal/kafkatest"
)

// TestApacheRequestVersions does everything that the bus can do, and reads in the brokers' logs which version of which
// request the client sent. Kafka 4 serves no version older than those of 2.1 (KIP-896), and a later one may serve less:
// the table says what would have to stay.
func TestApacheRequestVersions(t *testing.T) {
	id := fmt.Sprintf("versions-%x", time.Now().UnixNano())
	c, err := bus.Open(bus.Options{Brokers: cluster.Brokers(), ClientID: id})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cluster.Admin().LogLevel(t, "kafka.request.logger", "DEBUG")
	makeTopic(t, c, id, 1)
	produce(t, c, id, numbered("k", 0, 3)...)
	if n := len(readAll(t, c, id, 0, 0)); n != 3 {
		t.Errorf("the log has %d records", n)
	}
	if err := c.Ping(within(t)); err != nil {
		t.Error(err)
	}
	m := join(t, c, id, nil)
	eventually(t, "it has its partition", bustest.Shares(1, []int{1}, m))
	if err := m.Generation().Commit(within(t), map[int]int64{0: 1}); err != nil {
		t.Error(err)
	}
	alone := m.Generation().ID
	second := join(t, c, id, nil)
	eventually(t, "the first looks for its coordinator and joins again", func() bool {
		g := m.Generation()
		return g != nil && g.ID > alone && second.Generation() != nil
	})
	logged := func(kind string) func() bool { return func() bool { return requests(t, id)[kind] != "" } }
	eventually(t, "the logs have a heartbeat", logged("HEARTBEAT")) // one is due before the first leaves
	if err := m.End(); err != nil {
		t.Error(err)
	}
	eventually(t, "the logs have its leaving", logged("LEAVE_GROUP"))
	cluster.Admin().LogLevel(t, "kafka.request.logger", "WARN")

	want := map[string]string{
		"API_VERSIONS": "0 2", "CREATE_TOPICS": "5", "DESCRIBE_CONFIGS": "3", "FETCH": "11", "FIND_COORDINATOR": "0 2",
		"HEARTBEAT": "0", "JOIN_GROUP": "2", "LEAVE_GROUP": "0", "LIST_OFFSETS": "5", "METADATA": "6 8",
		"OFFSET_COMMIT": "2", "OFFSET_FETCH": "1 5", "PRODUCE": "8", "SYNC_GROUP": "0",
	}
	got := requests(t, id)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the client sends other requests than it used to; see whether Kafka will go on serving them, then write them down here:\n%s", diff)
	}
}

// requests returns the versions of each kind of request that a client sent, as the brokers logged them.
func requests(t *testing.T, client string) map[string]string {
	t.Helper()
	pattern := regexp.MustCompile(`"requestApiVersion":(\d+),.*?"clientId":"` + client + `".*?"requestApiKeyName":"([A-Z_]+)"`)
	versions := map[string][]string{}
	for node := range kafkatest.Nodes {
		for line := range strings.Lines(cluster.Log(t, node+1)) {
			if m := pattern.FindStringSubmatch(line); m != nil && !slices.Contains(versions[m[2]], m[1]) {
				versions[m[2]] = append(versions[m[2]], m[1])
			}
		}
	}
	all := map[string]string{}
	for _, kind := range slices.Sorted(maps.Keys(versions)) {
		slices.Sort(versions[kind])
		all[kind] = strings.Join(versions[kind], " ")
	}
	return all
}
