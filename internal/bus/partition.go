package bus

// PartitionFor returns the partition of a key among partitions, as Kafka's default partitioner chooses it: the
// positive part of murmur2 modulo the number of partitions. A nil key is taken for an empty one, so that the answer is
// always the same. It returns 0 when partitions is less than 1.
//
// Source: org.apache.kafka.clients.producer.internals.BuiltInPartitioner.partitionForKey.
func PartitionFor(key []byte, partitions int) int {
	if partitions < 1 {
		return 0
	}
	return int(murmur2(key)&0x7fffffff) % partitions
}

// murmur2 is the hash of org.apache.kafka.common.utils.Utils.murmur2. The Kafka client has the same one, behind an
// interface that needs a list of partitions for every key; a test holds this against it.
func murmur2(data []byte) uint32 {
	const (
		seed = 0x9747b28c
		m    = 0x5bd1e995
		r    = 24
	)
	h := uint32(seed) ^ uint32(len(data))
	for len(data) >= 4 {
		k := uint32(data[0]) | uint32(data[1])<<8 | uint32(data[2])<<16 | uint32(data[3])<<24
		k *= m
		k ^= k >> r
		k *= m
		h = h*m ^ k
		data = data[4:]
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(data[0])) * m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
