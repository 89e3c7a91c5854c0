package bus_test

import (
	"bufio"
	"context"
	"errors"
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

func quick(group string) bus.GroupOptions {
	return bus.GroupOptions{
		Group: group, Topic: "t", SessionTimeout: 8 * time.Second, Heartbeat: 30 * time.Millisecond,
		RebalanceTimeout: 8 * time.Second, JoinBackoff: 20 * time.Millisecond,
	}
}

func join(t *testing.T, c *bus.Client, held map[int]int64) *bustest.Member {
	t.Helper()
	return bustest.Join(t, c, quick("g"), held)
}

func TestGroupOfOne(t *testing.T) {
	c, _ := start(t, 4)
	m := join(t, c, nil)
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
	if err := g.Commit(within(t), nil); err != nil {
		t.Fatal(err)
	}
	if err := m.End(); err != nil {
		t.Fatal(err)
	}
	if err := g.Commit(within(t), map[int]int64{0: 6}); err == nil {
		t.Error("a generation that is over took a commit")
	}
	next := join(t, c, nil)
	eventually(t, "the next has all", bustest.Shares(4, []int{4}, next))
	if got := next.Generation().Assigned; !maps.Equal(got, map[int]int64{0: 5, 1: bus.NoOffset, 2: bus.NoOffset, 3: 7}) {
		t.Errorf("got %v", got)
	}
}

func TestGroupJoinAndLeave(t *testing.T) {
	c, _ := start(t, 4)
	a := join(t, c, nil)
	eventually(t, "the first has all", bustest.Shares(4, []int{4}, a))
	b := join(t, c, nil)
	eventually(t, "they share", bustest.Shares(4, []int{2, 2}, a, b))
	third := join(t, c, nil)
	eventually(t, "three share", bustest.Shares(4, []int{1, 1, 2}, a, b, third))
	begin := time.Now()
	if err := b.End(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "two take over", bustest.Shares(4, []int{2, 2}, a, third))
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("taking over from a member that left took %v, as if it had to be given up first", took)
	}
}

// TestGroupOfMoreThanPartitions: who gets nothing is a member all the same, and gets its share when there is one.
func TestGroupOfMoreThanPartitions(t *testing.T) {
	c, _ := start(t, 1)
	a := join(t, c, nil)
	eventually(t, "the first has all", bustest.Shares(1, []int{1}, a))
	b := join(t, c, nil)
	eventually(t, "the second has nothing, in a generation", func() bool {
		return b.Generation() != nil && len(b.Partitions())+len(a.Partitions()) == 1
	})
	if err := a.End(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second has all", bustest.Shares(1, []int{1}, b))
}

// TestGroupIsSticky restarts a member: it gets back what it has states of, and the other keeps its own.
func TestGroupIsSticky(t *testing.T) {
	c, _ := start(t, 8)
	a := join(t, c, map[int]int64{1: 100, 3: 100, 5: 100, 7: 100})
	b := join(t, c, map[int]int64{0: 100, 2: 100, 4: 100, 6: 100})
	odd, even := []int{1, 3, 5, 7}, []int{0, 2, 4, 6}
	placed := func(x, y *bustest.Member) func() bool {
		return func() bool { return slices.Equal(x.Partitions(), odd) && slices.Equal(y.Partitions(), even) }
	}
	eventually(t, "each has what it holds", placed(a, b))
	if err := a.End(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other has all", bustest.Shares(8, []int{8}, b))
	again := join(t, c, map[int]int64{1: 200, 3: 200, 5: 200, 7: 200})
	eventually(t, "each has what it holds again", placed(again, b))
}

func TestGroupEndsWithAnError(t *testing.T) {
	c, _ := start(t, 2)
	broken := errors.New("broken")
	err := c.RunGroup(within(t), quick("g"), func(ctx context.Context, g *bus.Generation) error { return broken })
	if !errors.Is(err, broken) {
		t.Fatalf("ended with %v", err)
	}
	// It left: the next one need not wait for the session to end.
	begin := time.Now()
	m := join(t, c, nil)
	eventually(t, "the next has all", bustest.Shares(2, []int{2}, m))
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("joining took %v", took)
	}
}

func TestGroupWaitsForItsTopic(t *testing.T) {
	c, _ := start(t, 1)
	o := quick("g")
	o.Topic = "late"
	failures := make(chan error, 1)
	o.OnError = func(err error) {
		select {
		case failures <- err:
		default:
		}
	}
	got := make(chan []int, 1)
	ctx, cancel := context.WithCancel(within(t))
	result := make(chan error, 1)
	go func() {
		result <- c.RunGroup(ctx, o, func(ctx context.Context, g *bus.Generation) error {
			got <- g.Partitions()
			<-ctx.Done()
			return nil
		})
	}()
	if err := <-failures; err == nil || !strings.Contains(err.Error(), "late") {
		t.Errorf("told of %v", err)
	}
	makeTopic(t, c, "late", 3)
	if ps := <-got; !slices.Equal(ps, []int{0, 1, 2}) {
		t.Errorf("got %v", ps)
	}
	cancel()
	if err := <-result; err != nil {
		t.Error(err)
	}
}

// TestGroupSurvivesCutConnections: the heartbeat fails, the member joins again and gets the same.
func TestGroupSurvivesCutConnections(t *testing.T) {
	c, b := start(t, 2)
	m := join(t, c, nil)
	eventually(t, "it has all", bustest.Shares(2, []int{2}, m))
	before := m.Generation().ID
	b.CutConnections()
	eventually(t, "a new generation", func() bool { g := m.Generation(); return g != nil && g.ID > before })
	if ps := m.Partitions(); len(ps) != 2 {
		t.Errorf("got %v", ps)
	}
}

// TestGroupLeavesInTime stops a member whose join waits for another that does not end its work.
func TestGroupLeavesInTime(t *testing.T) {
	c, _ := start(t, 2)
	busy, let := make(chan struct{}), make(chan struct{})
	slow := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		slow <- c.RunGroup(ctx, quick("g"), func(context.Context, *bus.Generation) error {
			close(busy)
			<-let
			return errors.New("done")
		})
	}()
	defer cancel()
	<-busy
	o := quick("g")
	o.LeaveTimeout = 50 * time.Millisecond
	second, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer stop()
	begin := time.Now()
	if err := c.RunGroup(second, o, func(ctx context.Context, _ *bus.Generation) error { <-ctx.Done(); return nil }); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	close(let)
	if err := <-slow; err == nil || err.Error() != "done" {
		t.Errorf("the other ended with %v", err)
	}
}

// memberEnv makes this test binary a group member of its own, to be killed.
const memberEnv = "BUS_TEST_MEMBER_OF"

func TestMain(m *testing.M) {
	if addr := os.Getenv(memberEnv); addr != "" {
		c, err := bus.Open(bus.Options{Brokers: []string{addr}})
		if err != nil {
			panic(err)
		}
		o := quick("g")
		o.SessionTimeout = 500 * time.Millisecond // for so long the others wait for it
		err = c.RunGroup(context.Background(), o, func(ctx context.Context, g *bus.Generation) error {
			fmt.Println(len(g.Assigned))
			<-ctx.Done()
			return nil
		})
		fmt.Println("ended:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestGroupMemberIsKilled(t *testing.T) {
	c, b := start(t, 4)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), memberEnv+"="+b.Addr())
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
	m := join(t, c, nil)
	eventually(t, "it has its half", func() bool { return len(m.Partitions()) == 2 })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed, and says so
	eventually(t, "it takes over", bustest.Shares(4, []int{4}, m))
}
