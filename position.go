package reckoner

import (
	"cmp"
	"fmt"
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
