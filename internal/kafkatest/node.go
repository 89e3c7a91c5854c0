package kafkatest

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"fmt"
	"maps"
	mrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
)

//go:embed log4j2.properties
var log4j []byte

// node is one broker, which is a controller too.
type node struct {
	id      int
	port    int // for clients
	control int // for the other controllers
	config  string
	process *process
	killed  bool
}

func (n *node) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port)) }

// listens reports why the broker takes no connections, nil when it does.
func (n *node) listens(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", n.address())
	if err != nil {
		return err
	}
	return conn.Close()
}

// settings are a broker's, by Kafka's names. What is not here is Kafka's default.
func (c *Cluster) settings(n *node, o Options) map[string]string {
	var voters []string
	for _, v := range c.nodes {
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", v.id, v.control))
	}
	s := map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        strconv.Itoa(n.id),
		"listeners":                      fmt.Sprintf("PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d", n.port, n.control),
		"controller.listener.names":      "CONTROLLER",
		"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"controller.quorum.voters":       strings.Join(voters, ","),
		"log.dirs":                       filepath.Join(c.dir, "node-"+strconv.Itoa(n.id)),
		// What an operator sets for data that matters.
		"default.replication.factor":               "3",
		"min.insync.replicas":                      "2",
		"offsets.topic.replication.factor":         "3",
		"transaction.state.log.replication.factor": "3",
		"transaction.state.log.min.isr":            "2",
		"auto.create.topics.enable":                "false",
		// What keeps it small and quick.
		"offsets.topic.num.partitions":         "4",
		"transaction.state.log.num.partitions": "1",
		"group.initial.rebalance.delay.ms":     "0",
		"num.network.threads":                  "2",
		"num.io.threads":                       "2",
		"log.cleaner.dedupe.buffer.size":       "8388608",
	}
	maps.Copy(s, o.Config)
	return s
}

// layout chooses ports and writes the settings files.
func (c *Cluster) layout(o Options) error {
	ports, err := freePorts(2 * Nodes)
	if err != nil {
		return err
	}
	for i := range Nodes {
		c.nodes = append(c.nodes, &node{
			id: i + 1, port: ports[2*i], control: ports[2*i+1],
			config: filepath.Join(c.dir, fmt.Sprintf("node-%d.properties", i+1)),
		})
	}
	for _, n := range c.nodes {
		var text strings.Builder
		s := c.settings(n, o)
		for _, k := range slices.Sorted(maps.Keys(s)) {
			fmt.Fprintf(&text, "%s=%s\n", k, s[k])
		}
		if err := os.WriteFile(n.config, []byte(text.String()), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(c.log4jPath(), log4j, 0o644)
}

func (c *Cluster) log4jPath() string { return filepath.Join(c.dir, "log4j2.properties") }

// format prepares the brokers' directories, as Kafka demands before the first start.
func (c *Cluster) format(ctx context.Context) error {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[0] &= 0x7f           // so that its text never begins with a dash
	cluster := base64.RawURLEncoding.EncodeToString(id[:])
	group, ctx := errgroup.WithContext(ctx)
	for _, n := range c.nodes {
		group.Go(func() error {
			args := append(c.java(), "kafka.tools.StorageTool", "format", "-t", cluster, "-c", n.config)
			if out, err := exec.CommandContext(ctx, "java", args...).CombinedOutput(); err != nil {
				return fmt.Errorf("format the storage of broker %d: %w\n%s", n.id, err, out)
			}
			return nil
		})
	}
	return group.Wait()
}

// java are the arguments of every virtual machine.
func (c *Cluster) java() []string {
	return append(heap(), "-cp", filepath.Join(c.jars, "*"), "-Dlog4j2.configurationFile="+c.log4jPath())
}

func (c *Cluster) launch(n *node) (err error) {
	cmd := exec.Command("java", append(c.java(), "kafka.Kafka", n.config)...)
	cmd.Dir = c.dir
	n.process, err = c.spawn(fmt.Sprintf("broker-%d", n.id), cmd)
	return err
}

// freePorts returns ports that nobody listens on, of those that the system gives to nobody who does not ask for them:
// a broker that was killed finds its own again.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range 100 * n {
		port := 12000 + mrand.IntN(8000)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue // taken
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
		if !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
		if len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("no %d free ports were found", n)
}
