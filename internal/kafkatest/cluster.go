package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Nodes is how many brokers a cluster has. Their ids are 1 to Nodes.
const Nodes = 3

// patience is how long a broker may take to start on a busy machine.
const patience = 2 * time.Minute

// Options say how a cluster is to be.
type Options struct {
	// Config are settings of every broker, by Kafka's names, in place of this package's.
	Config map[string]string
}

// Cluster is three running brokers and Kafka's own client.
type Cluster struct {
	dir     string
	jars    string
	starter *starter
	nodes   []*node
	admin   *Admin
}

// Start fetches Kafka if it has to, starts a cluster, and waits until all brokers serve. Close it.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	lib, err := jars(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "reckoner-kafka-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, jars: lib, starter: newStarter()}
	if err := c.open(ctx, o); err != nil {
		return nil, errors.Join(err, errors.New(c.logs()), c.Close())
	}
	return c, nil
}

func (c *Cluster) open(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := c.layout(o); err != nil {
		return err
	}
	if err := c.format(ctx); err != nil {
		return err
	}
	for _, n := range c.nodes {
		if err := c.launch(n); err != nil {
			return err
		}
	}
	// The client retries by itself, so that it may start while they do.
	var err error
	if c.admin, err = c.startAdmin(); err != nil {
		return err
	}
	return c.awaitNodes(ctx)
}

// awaitNodes waits until every broker that runs listens and is one that the cluster gives work to. A broker that was
// killed a moment ago is still among the latter, so both are needed.
func (c *Cluster) awaitNodes(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var want []int
		var missing error
		for _, n := range c.nodes {
			if n.killed {
				continue
			}
			if n.process.gone() {
				return fmt.Errorf("broker %d ended by itself", n.id)
			}
			want = append(want, n.id)
			missing = errors.Join(missing, n.listens(ctx))
		}
		if missing == nil {
			var got []int
			if got, missing = c.admin.nodes(); missing == nil && slices.Equal(got, want) {
				return nil
			}
			missing = errors.Join(missing, fmt.Errorf("the cluster has the brokers %v", got))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the brokers %v do not serve in time: %w", want, missing)
		case <-tick.C:
		}
	}
}

// Close ends all processes and removes their directories.
func (c *Cluster) Close() error {
	if c.admin != nil {
		c.admin.close()
	}
	for _, n := range c.nodes {
		if n.process != nil {
			n.process.kill()
		}
	}
	c.starter.stop()
	return os.RemoveAll(c.dir)
}

// Brokers returns the brokers' addresses. They stay the same over restarts.
func (c *Cluster) Brokers() []string {
	var all []string
	for _, n := range c.nodes {
		all = append(all, n.address())
	}
	return all
}

// Admin returns Kafka's own client.
func (c *Cluster) Admin() *Admin { return c.admin }

// Kill ends a broker as a power cut would, but for the machine's page cache.
func (c *Cluster) Kill(t testing.TB, id int) {
	t.Helper()
	n := c.nodes[id-1]
	if n.process.gone() {
		t.Fatalf("broker %d is gone already\n%s", id, n.process.tail(4<<10))
	}
	n.killed = true
	n.process.kill()
}

// Restart starts brokers that were killed, and waits until the cluster gives work to all that run.
func (c *Cluster) Restart(t testing.TB, ids ...int) {
	t.Helper()
	for _, id := range ids {
		n := c.nodes[id-1]
		if err := c.launch(n); err != nil {
			t.Fatal(err)
		}
		n.killed = false
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.awaitNodes(ctx); err != nil {
		t.Fatalf("restart the brokers %v: %v\n%s", ids, err, c.logs())
	}
}

// Standing makes sure that no broker ended that was not killed.
func (c *Cluster) Standing(t testing.TB) {
	t.Helper()
	for _, n := range c.nodes {
		if !n.killed && n.process.gone() {
			t.Fatalf("broker %d ended by itself\n%s", n.id, n.process.tail(4<<10))
		}
	}
}

// Pause stops a broker with SIGSTOP: it is not dead and does not answer. The returned function lets it go on.
func (c *Cluster) Pause(t testing.TB, id int) (resume func()) {
	t.Helper()
	p := c.nodes[id-1].process.cmd.Process
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := p.Signal(syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	}
}

// Log returns what a broker wrote.
func (c *Cluster) Log(t testing.TB, id int) string {
	t.Helper()
	b, err := os.ReadFile(c.nodes[id-1].process.out)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// logs returns the ends of what the brokers wrote.
func (c *Cluster) logs() string {
	var all []string
	for _, n := range c.nodes {
		if n.process != nil {
			all = append(all, n.process.tail(4<<10))
		}
	}
	return strings.Join(all, "\n")
}
