package reckoner

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Position is where an event stands: Log numbers the incarnations of the topic from 1, Index is the event within
// its record (0 while a record holds one event). Every stored row carries its position.
type Position struct {
	Log       uint32
	Partition int32
	Offset    int64
	Index     int32
}

// Cmp orders positions of one partition number: by log, then offset, then index.
func (p Position) Cmp(q Position) int {
	return cmp.Or(cmp.Compare(p.Log, q.Log), cmp.Compare(p.Offset, q.Offset), cmp.Compare(p.Index, q.Index))
}

// String returns log/partition/offset.index.
func (p Position) String() string {
	return fmt.Sprintf("%d/%d/%d.%d", p.Log, p.Partition, p.Offset, p.Index)
}

// ParsePosition is the inverse of String. An index that is not there is 0.
func ParsePosition(s string) (Position, error) {
	place, index, indexed := strings.Cut(s, ".")
	if !indexed {
		index = "0"
	}
	var numbers [4]int64
	parts := append(strings.Split(place, "/"), index)
	if len(parts) != len(numbers) {
		return Position{}, fmt.Errorf("%q is not a position: want log/partition/offset.index, as 1/3/120.0", clip(s))
	}
	for i, bits := range [...]int{32, 31, 63, 31} {
		n, err := strconv.ParseUint(parts[i], 10, bits)
		if err != nil {
			return Position{}, fmt.Errorf("%q is not a position: want log/partition/offset.index, as 1/3/120.0", clip(s))
		}
		numbers[i] = int64(n)
	}
	return Position{Log: uint32(numbers[0]), Partition: int32(numbers[1]), Offset: numbers[2], Index: int32(numbers[3])}, nil
}
