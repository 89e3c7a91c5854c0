package kafkatest

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

//go:embed Admin.java
var adminSource []byte

// Admin is Kafka's own Java client. Its calls fail the test when they fail. It is safe for concurrent use.
type Admin struct {
	mu      sync.Mutex
	process *process
	in      io.WriteCloser
	out     *bufio.Reader
}

func (c *Cluster) startAdmin() (*Admin, error) {
	source := filepath.Join(c.dir, "Admin.java")
	if err := os.WriteFile(source, adminSource, 0o644); err != nil {
		return nil, err
	}
	var all []string
	for _, n := range c.nodes {
		all = append(all, n.address())
	}
	cmd := exec.Command("java", append(c.java(), source, strings.Join(all, ","))...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	// Not StdoutPipe: waiting for the process must not race with reading its last words.
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = write.Close() }() // the process has it
	cmd.Stdout = write
	p, err := c.spawn("admin", cmd)
	if err != nil {
		return nil, errors.Join(err, read.Close())
	}
	return &Admin{process: p, in: in, out: bufio.NewReader(read)}, nil
}

func (a *Admin) close() {
	_ = a.in.Close() // that is how it is told to end
	a.process.end(5 * time.Second)
}

// call sends one line and returns the words of its answer. Brokers log to the same output, so other lines are passed
// over.
func (a *Admin) call(words ...string) ([]string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := io.WriteString(a.in, strings.Join(words, "\t")+"\n"); err != nil {
		return nil, fmt.Errorf("the Java client is gone: %w\n%s", err, a.process.tail(4<<10))
	}
	for {
		line, err := a.out.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("the Java client is gone: %w\n%s", err, a.process.tail(4<<10))
		}
		verdict, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		switch verdict {
		case "ok":
			if rest == "" {
				return nil, nil
			}
			return strings.Split(rest, "\t"), nil
		case "error":
			return nil, fmt.Errorf("%s: %s", words[0], rest)
		}
	}
}

func (a *Admin) must(t testing.TB, words ...string) []string {
	t.Helper()
	answer, err := a.call(words...)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func (a *Admin) nodes() ([]int, error) {
	answer, err := a.call("nodes")
	if err != nil {
		return nil, err
	}
	return ids(strings.Join(answer, ""))
}

func ids(text string) ([]int, error) {
	var all []int
	for s := range strings.SplitSeq(text, ",") {
		if s == "" {
			continue
		}
		n, err := strconv.Atoi(s)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

// Partition returns the broker that leads a partition, -1 when none does, and those that are in sync.
func (a *Admin) Partition(t testing.TB, topic string, partition int) (leader int, inSync []int) {
	t.Helper()
	answer := append(a.must(t, "partition", topic, strconv.Itoa(partition)), "", "")
	leader, err := strconv.Atoi(answer[0])
	if err == nil {
		inSync, err = ids(answer[1])
	}
	if err != nil {
		t.Fatal(err)
	}
	return leader, inSync
}

// Coordinator returns the broker that coordinates a consumer group.
func (a *Admin) Coordinator(t testing.TB, group string) int {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(coordinatorWait); ; {
		answer, err := a.call("coordinator", group)
		if err == nil {
			id, err := strconv.Atoi(strings.Join(answer, ""))
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
		// A broker that has just become the coordinator knows no group until it has read them.
		if !strings.Contains(err.Error(), "GroupIdNotFoundException") || time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-tick.C
	}
}

// coordinatorWait bounds the wait for a new coordinator to have read its groups.
const coordinatorWait = 30 * time.Second

// DeleteRecords removes the records before an offset.
func (a *Admin) DeleteRecords(t testing.TB, topic string, partition int, before int64) {
	t.Helper()
	a.must(t, "delete-records", topic, strconv.Itoa(partition), strconv.FormatInt(before, 10))
}

// DeleteTopic removes a topic.
func (a *Admin) DeleteTopic(t testing.TB, topic string) {
	t.Helper()
	a.must(t, "delete-topic", topic)
}

// LogLevel sets the level of a logger on every broker.
func (a *Admin) LogLevel(t testing.TB, logger, level string) {
	t.Helper()
	a.must(t, "log-level", logger, level)
}

// Produce writes a record for each key with Kafka's own producer, its default partitioner and this compression, and
// returns the partition of each. A value is the compression, a space and the key.
func (a *Admin) Produce(t testing.TB, topic, compression string, keys []string) []int {
	t.Helper()
	var partitions []int
	for _, word := range a.must(t, append([]string{"produce", topic, compression}, keys...)...) {
		n, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		partitions = append(partitions, n)
	}
	if len(partitions) != len(keys) {
		t.Fatalf("%d records were written for %d keys", len(partitions), len(keys))
	}
	return partitions
}

// Transact writes one record to a partition in a transaction.
func (a *Admin) Transact(t testing.TB, topic string, partition int, value string) {
	t.Helper()
	a.must(t, "transact", topic, strconv.Itoa(partition), value)
}

// Times returns the times of the first records of a partition as Kafka's own consumer sees them, each as its kind
// (CreateTime, LogAppendTime), a space and milliseconds.
func (a *Admin) Times(t testing.TB, topic string, partition, records int) []string {
	t.Helper()
	return a.must(t, "times", topic, strconv.Itoa(partition), strconv.Itoa(records))
}
