//go:build kafka

package onkafka_test

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"reckoner/internal/bus"
	"reckoner/internal/bus/bustest"
)

// sessionLeast is the shortest session that Apache Kafka takes by default.
const sessionLeast = 6 * time.Second

func options(group, topic string) bus.GroupOptions {
	return bus.GroupOptions{
		Group: group, Topic: topic, SessionTimeout: sessionLeast, Heartbeat: 100 * time.Millisecond,
		RebalanceTimeout: 10 * time.Second, JoinBackoff: 50 * time.Millisecond,
	}
}

func join(t *testing.T, c *bus.Client, topic string, held map[int]int64) *bustest.Member {
	t.Helper()
	return bustest.Join(t, c, options(topic, topic), held)
}

func TestApacheGroupOfOne(t *testing.T) {
	c, topic := topic(t, 4)
	m := join(t, c, topic, nil)
	eventually(t, "it has all", bustest.Shares(4, []int{4}, m))
	g := m.Generation()
	for p, offset := range g.Assigned {
		if offset != bus.NoOffset {
			t.Errorf("partition %d has the offset %d, none was committed", p, offset)
		}
	}
	if err := g.Commit(within(t), map[int]int64{0: 5, 3: 7}); err != nil {
		t.Fatal(err)
	}
	if err := m.End(); err != nil {
		t.Fatal(err)
	}
	if err := g.Commit(within(t), map[int]int64{0: 6}); err == nil {
		t.Error("a generation that is over took a commit")
	}
	next := join(t, c, topic, nil)
	eventually(t, "the next has all", bustest.Shares(4, []int{4}, next))
	if got := next.Generation().Assigned; !maps.Equal(got, map[int]int64{0: 5, 1: bus.NoOffset, 2: bus.NoOffset, 3: 7}) {
		t.Errorf("got %v", got)
	}
}

func TestApacheGroupJoinAndLeave(t *testing.T) {
	c, topic := topic(t, 4)
	a := join(t, c, topic, nil)
	eventually(t, "the first has all", bustest.Shares(4, []int{4}, a))
	old := a.Generation()
	b := join(t, c, topic, nil)
	eventually(t, "they share", bustest.Shares(4, []int{2, 2}, a, b))
	if err := old.Commit(within(t), map[int]int64{0: 1}); err == nil {
		t.Error("a generation that is over took a commit")
	}
	third := join(t, c, topic, nil)
	eventually(t, "three share", bustest.Shares(4, []int{1, 1, 2}, a, b, third))
	begin := time.Now()
	if err := b.End(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "two take over", bustest.Shares(4, []int{2, 2}, a, third))
	if took := time.Since(begin); took > sessionLeast-time.Second {
		t.Errorf("taking over from a member that left took %v, as if it had to be given up first", took)
	}
}

// TestApacheGroupIsSticky restarts a member: it gets back what it has states of, and the other keeps its own.
func TestApacheGroupIsSticky(t *testing.T) {
	c, topic := topic(t, 8)
	odd, even := []int{1, 3, 5, 7}, []int{0, 2, 4, 6}
	states := func(ps []int, offset int64) map[int]int64 {
		held := map[int]int64{}
		for _, p := range ps {
			held[p] = offset
		}
		return held
	}
	placed := func(x, y *bustest.Member) func() bool {
		return func() bool { return slices.Equal(x.Partitions(), odd) && slices.Equal(y.Partitions(), even) }
	}
	a, b := join(t, c, topic, states(odd, 100)), join(t, c, topic, states(even, 100))
	eventually(t, "each has what it holds", placed(a, b))
	if err := a.End(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other has all", bustest.Shares(8, []int{8}, b))
	again := join(t, c, topic, states(odd, 200))
	eventually(t, "each has what it holds again", placed(again, b))
}

// memberOf makes this test binary a group member of its own, to be killed.
const memberOf = "ONKAFKA_TEST_MEMBER_OF"

func beMember(group string) int {
	brokers := strings.Split(os.Getenv(memberOf+"_BROKERS"), ",")
	c, err := bus.Open(bus.Options{Brokers: brokers})
	if err == nil {
		err = c.RunGroup(context.Background(), options(group, group), func(ctx context.Context, g *bus.Generation) error {
			fmt.Println(len(g.Assigned))
			<-ctx.Done()
			return nil
		})
	}
	fmt.Println("ended:", err)
	return 1
}

func TestApacheGroupMemberIsKilled(t *testing.T) {
	c, topic := topic(t, 4)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), memberOf+"="+topic, memberOf+"_BROKERS="+strings.Join(cluster.Brokers(), ","))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "4" {
		t.Fatalf("the process said %q", lines.Text())
	}
	m := join(t, c, topic, nil)
	eventually(t, "it has its half", func() bool { return len(m.Partitions()) == 2 })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	_ = cmd.Wait() // it was killed, and says so
	eventually(t, "it takes over", bustest.Shares(4, []int{4}, m))
	took := time.Since(begin)
	t.Logf("from the kill to taking over: %s, with a session of %s", took.Round(time.Millisecond), sessionLeast)
	if took > sessionLeast+5*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestApacheGroupLosesItsCoordinator kills the broker that coordinates a group of two. Each member keeps what it had:
// it goes on under its old name, and nobody has to be given up first.
func TestApacheGroupLosesItsCoordinator(t *testing.T) {
	c, topic := topic(t, 4)
	a, b := join(t, c, topic, nil), join(t, c, topic, nil)
	eventually(t, "they share", bustest.Shares(4, []int{2, 2}, a, b))
	inSync(t, "__consumer_offsets", 4)
	old := a.Generation()
	coordinator := cluster.Admin().Coordinator(t, topic)
	cluster.Kill(t, coordinator)
	begin := time.Now()
	eventually(t, "another coordinates", func() bool {
		return cluster.Admin().Coordinator(t, topic) != coordinator
	})
	found := time.Since(begin)
	eventually(t, "they share again", func() bool {
		g := a.Generation()
		return g != nil && g.ID > old.ID && bustest.Shares(4, []int{2, 2}, a, b)()
	})
	t.Logf("another broker coordinated after %s, both members worked after %s", found.Round(time.Millisecond), time.Since(begin).Round(time.Millisecond))
	if g := a.Generation(); g.Member != old.Member || !slices.Equal(g.Partitions(), old.Partitions()) {
		t.Errorf("%s had %v; it is %s now and has %v", old.Member, old.Partitions(), g.Member, g.Partitions())
	}
	cluster.Restart(t, coordinator)
}

// TestApacheGroupCoordinatorHangs stops the broker that coordinates a group with SIGSTOP. It is also the first that the
// member knows, and goes on taking connections.
func TestApacheGroupCoordinatorHangs(t *testing.T) {
	c, topic := topic(t, 4)
	first := join(t, c, topic, nil)
	eventually(t, "it has all", bustest.Shares(4, []int{4}, first))
	coordinator := cluster.Admin().Coordinator(t, topic)
	if err := first.End(); err != nil {
		t.Fatal(err)
	}
	brokers := cluster.Brokers()
	brokers[0], brokers[coordinator-1] = brokers[coordinator-1], brokers[0]
	m := join(t, openWith(t, bus.Options{Brokers: brokers, IOTimeout: hastyTimeout}), topic, nil)
	eventually(t, "it has all", bustest.Shares(4, []int{4}, m))
	inSync(t, "__consumer_offsets", 4)
	old := m.Generation().ID
	resume := cluster.Pause(t, coordinator)
	begin := time.Now()
	eventually(t, "it works without the broker", func() bool {
		g := m.Generation()
		return g != nil && g.ID > old && len(g.Assigned) == 4
	})
	t.Logf("it worked again after %s", time.Since(begin).Round(time.Millisecond))
	resume()
	inSync(t, "__consumer_offsets", 4)
}
