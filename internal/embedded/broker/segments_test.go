package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

const batchesWritten = 12

// written returns the data directory of a broker that was closed in order, with a log of several batches: topic t,
// one partition.
func written(t *testing.T, config map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	b, c := openAt(t, dir)
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "t", 1, 1
	for name, value := range config {
		topic.Configs = append(topic.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: name, Value: &value})
	}
	request := kmsg.NewPtrCreateTopicsRequest()
	request.TimeoutMillis, request.Topics = 10_000, append(request.Topics, topic)
	if res, err := request.RequestWith(t.Context(), c); err != nil || res.Topics[0].ErrorCode != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	for i := range batchesWritten {
		recs := make([]*kgo.Record, 1+i%3)
		for j := range recs {
			recs[j] = &kgo.Record{Topic: "t", Key: []byte("k"), Value: fmt.Appendf(nil, "%d-%d %s", i, j, strings.Repeat("x", 10*i))}
		}
		if err := c.ProduceSync(t.Context(), recs...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func openAt(t *testing.T, dir string) (*Broker, *kgo.Client) {
	t.Helper()
	b, err := Open(t.Context(), Options{Dir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() }) // a second one does nothing
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Addrs()...), kgo.DisableClientMetrics(), kgo.MetadataMinAge(10*time.Millisecond), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return b, c
}

func partitionOf(dir string) string { return filepath.Join(dir, "log", "partitions", "t-0") }

// killed takes away what only a run that ended in order writes.
func killed(t *testing.T, dir string) {
	t.Helper()
	if err := os.Remove(filepath.Join(partitionOf(dir), "snapshot.json")); err != nil {
		t.Fatal(err)
	}
}

// starts returns where the batches of a sound segment begin, and where the last one ends.
func starts(t *testing.T, raw []byte) (at []int) {
	t.Helper()
	next := int64(0)
	for pos := 0; pos < len(raw); {
		size, ok := batchSize(raw[pos:], next)
		if !ok || !intact(raw[pos:pos+size]) {
			t.Fatalf("the segment is not as this package takes it, at byte %d", pos)
		}
		at = append(at, pos)
		next = lastOffset(raw[pos:]) + 1
		pos += size
	}
	return append(at, len(raw))
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

type fataler interface {
	Helper()
	Fatal(args ...any)
}

func put(t fataler, path string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// end returns the offset after the log's last record, as a client sees it.
func end(t *testing.T, c *kgo.Client) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	partition := kmsg.NewListOffsetsRequestTopicPartition()
	partition.Timestamp = -1
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic, topic.Partitions = "t", append(topic.Partitions, partition)
	request := kmsg.NewPtrListOffsetsRequest()
	request.ReplicaID, request.Topics = -1, append(request.Topics, topic)
	res, err := request.RequestWith(ctx, c)
	if err != nil || res.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	return res.Topics[0].Partitions[0].Offset
}

func TestATornEndIsCut(t *testing.T) {
	dir := written(t, nil)
	b, c := openAt(t, dir)
	all := end(t, c)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	killed(t, dir)
	path := segmentPath(partitionOf(dir), 0)
	raw := read(t, path)
	at := starts(t, raw)
	last := raw[at[len(at)-2]:]
	for name, tail := range map[string][]byte{
		"one byte":           last[:1],
		"half a header":      last[:30],
		"a header":           last[:batchHeader],
		"all but one byte":   last[:len(last)-1],
		"zeros":              make([]byte, 4096),
		"a header and zeros": append(bytes.Clone(last[:batchHeader]), make([]byte, 4096)...),
	} {
		t.Run(name, func(t *testing.T) {
			put(t, path, append(bytes.Clone(raw), tail...))
			b, c := openAt(t, dir)
			if got := end(t, c); got != all {
				t.Errorf("the log ends at %d, want %d", got, all)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(raw, read(t, path)); diff != "" {
				t.Error("the segment is not what it was before the kill")
			}
			killed(t, dir)
		})
	}
	// And when the batch that was being written is the log's last.
	put(t, path, raw[:len(raw)-1])
	if _, c := openAt(t, dir); end(t, c) >= all {
		t.Error("a torn batch is in the log")
	}
}

func TestDamageInTheMiddleIsRefused(t *testing.T) {
	dir := written(t, nil)
	killed(t, dir)
	path := segmentPath(partitionOf(dir), 0)
	raw := read(t, path)
	at := starts(t, raw)
	damaged := bytes.Clone(raw)
	damaged[at[5]+batchHeader+3] ^= 0x10
	put(t, path, damaged)
	b, err := Open(t.Context(), Options{Dir: dir, Listen: "127.0.0.1:0"})
	if err == nil {
		_ = b.Close()
		t.Fatal("opened")
	}
	var got *DamagedError
	if !errors.As(err, &got) || got.File != path || got.At != int64(at[5]) || got.Dir != dir {
		t.Errorf("got %v", err)
	}
	for _, want := range []string{path, fmt.Sprintf("byte %d", at[5]), fmt.Sprintf("at byte %d", at[6]), "good copy", "--new-log --recreated"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if !bytes.Equal(damaged, read(t, path)) {
		t.Error("the check changed the file")
	}
	// The remedy works, and the refusal has given the directory free.
	put(t, path, raw)
	openAt(t, dir)
}

// TestAnyFlippedBitIsRefused flips one bit anywhere in a batch that others follow, then anywhere in a log that was closed
// in order.
func TestAnyFlippedBitIsRefused(t *testing.T) {
	dir := written(t, nil)
	path := segmentPath(partitionOf(dir), 0)
	raw := read(t, path)
	at := starts(t, raw)
	// Two fields are covered by nothing. The leader's epoch does not matter; a greater offset of the last batch is a gap,
	// which the aggregator refuses.
	places := func(batches int) (all []int) {
		for i := range batches {
			for pos := at[i]; pos < at[i+1]; pos++ {
				in := pos - at[i]
				epoch := in >= batchLengthAdd && in < batchMagicAt
				if last := i == len(at)-2; !epoch && !(last && in < batchLengthAt) {
					all = append(all, pos)
				}
			}
		}
		return all
	}
	flip := func(t *rapid.T, places []int) {
		pos := rapid.SampledFrom(places).Draw(t, "byte")
		damaged := bytes.Clone(raw)
		damaged[pos] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		put(t, path, damaged)
		var refused *DamagedError
		if err := checkLogs(dir); !errors.As(err, &refused) || refused.File != path {
			t.Fatalf("got %v", err)
		}
	}
	t.Run("closed in order", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) { flip(t, places(len(at)-1)) })
	})
	killed(t, dir)
	t.Run("killed", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) { flip(t, places(len(at)-2)) })
	})
}

func TestDamageBeforeAnotherSegmentIsRefused(t *testing.T) {
	dir := written(t, map[string]string{"segment.bytes": "600"})
	killed(t, dir)
	segments, err := filepath.Glob(filepath.Join(partitionOf(dir), "*.dat"))
	if err != nil || len(segments) < 3 {
		t.Fatalf("segments %v, %v", segments, err)
	}
	if err := checkLogs(dir); err != nil {
		t.Fatal(err)
	}
	path := segmentPath(partitionOf(dir), 0)
	raw := read(t, path)
	put(t, path, raw[:len(raw)-1]) // as a torn end looks, but this segment was left behind
	var refused *DamagedError
	if err := checkLogs(dir); !errors.As(err, &refused) || refused.File != path || !strings.Contains(err.Error(), "another segment follows") {
		t.Errorf("got %v", err)
	}
}

func TestAPathIsNoPattern(t *testing.T) {
	dir := filepath.Join(t.TempDir(), `a[b]*?\`)
	partition := partitionOf(dir)
	if err := os.MkdirAll(partition, 0o700); err != nil {
		t.Fatal(err)
	}
	from := written(t, nil)
	raw := read(t, segmentPath(partitionOf(from), 0))
	raw[batchHeader]++
	put(t, segmentPath(partition, 0), raw)
	var refused *DamagedError
	if err := checkLogs(dir); !errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}
}
