package bus

import (
	"testing"

	"github.com/segmentio/kafka-go"
	"pgregory.net/rapid"
)

// TestMurmur2Vectors holds the hash against the vectors of the Java client (org.apache.kafka.common.utils.UtilsTest)
// and of librdkafka (rdmurmur2.c), each as the signed or unsigned number that its source gives.
func TestMurmur2Vectors(t *testing.T) {
	java := map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	}
	for key, want := range java {
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("murmur2(%q) = %d, Java has %d", key, got, want)
		}
	}
	librdkafka := map[string]uint32{
		"kafka": 0xd067cf64, "giberish123456789": 0x8f552b0c, "1234": 0x9fc97b14, "234": 0xe7c009ca, "34": 0x873930da,
		"4": 0x5a4b5ca1, "": 0x106e08d9,
	}
	for key, want := range librdkafka {
		if got := murmur2([]byte(key)); got != want {
			t.Errorf("murmur2(%q) = %#x, librdkafka has %#x", key, got, want)
		}
	}
}

func TestPartitionForIsTheClients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 0, 70).Draw(t, "key")
		if rapid.Bool().Draw(t, "nil") {
			key = nil
		}
		n := rapid.IntRange(1, 300).Draw(t, "partitions")
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		want := kafka.Murmur2Balancer{Consistent: true}.Balance(kafka.Message{Key: key}, all...)
		if got := PartitionFor(key, n); got != want {
			t.Fatalf("PartitionFor(%x, %d) = %d, the client says %d", key, n, got, want)
		}
	})
}

func TestPartitionForEdges(t *testing.T) {
	if got := PartitionFor(nil, 16); got != PartitionFor([]byte{}, 16) || got != 0x106e08d9%16 {
		t.Errorf("a nil key went to %d", got)
	}
	for _, n := range []int{0, -1} {
		if got := PartitionFor([]byte("k"), n); got != 0 {
			t.Errorf("among %d partitions: %d", n, got)
		}
	}
	if n := testing.AllocsPerRun(100, func() { PartitionFor([]byte("9c1e0000-0000-0000-0000-000000000000"), 16) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
