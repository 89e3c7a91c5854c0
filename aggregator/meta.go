package aggregator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"reckoner/ledger"
)

// metaVersion numbers the layout of the whole store: keys and values.
const metaVersion = 1

// appendMeta appends the identity of the log, so that a directory of another cluster is never taken for this one's,
// and the checkpoint.
func appendMeta(b []byte, l ledger.Log, c ledger.Checkpoint) []byte {
	b = append(b, metaVersion)
	b = appendText(b, l.Topic)
	b = binary.AppendUvarint(b, uint64(uint32(l.Partitions)))
	b = binary.AppendUvarint(b, uint64(l.RegisteredAt.UnixNano()))
	for _, v := range []uint64{
		uint64(c.Log), uint64(uint32(c.Partition)), uint64(c.Next), c.Entries, c.Refusals, c.EntriesDigest,
		c.RefusalsDigest, uint64(c.Rules), c.RecordHash,
	} {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

func (s *store) readMeta(l ledger.Log, partition int32) error {
	v, closer, err := s.db.Get([]byte{prefixMeta})
	if errors.Is(err, pebble.ErrNotFound) {
		return errors.New("it was never committed")
	}
	if err != nil {
		return err
	}
	was, c, err := parseMeta(v)
	if err := errors.Join(err, closer.Close()); err != nil {
		return err
	}
	s.checkpoint = c
	return belongs(was, c, l, partition)
}

// belongs returns an error unless a state is one of this log and partition.
func belongs(was ledger.Log, c ledger.Checkpoint, l ledger.Log, partition int32) error {
	if was.Topic != l.Topic || was.Partitions != l.Partitions || was.RegisteredAt.UnixNano() != l.RegisteredAt.UnixNano() ||
		c.Log != l.Number || c.Partition != partition {
		return fmt.Errorf("it belongs to log %d of topic %q, partition %d", c.Log, was.Topic, c.Partition)
	}
	return nil
}

// parseMeta reads what appendMeta wrote.
func parseMeta(b []byte) (ledger.Log, ledger.Checkpoint, error) {
	r := cursor{rest: b}
	if version := r.byte(); version != metaVersion {
		return ledger.Log{}, ledger.Checkpoint{}, fmt.Errorf("layout %d, this build knows %d", version, metaVersion)
	}
	l := ledger.Log{Topic: r.text(), Partitions: int32(r.uvarint()), RegisteredAt: time.Unix(0, int64(r.uvarint())).UTC()}
	c := ledger.Checkpoint{
		Log: uint32(r.uvarint()), Partition: int32(r.uvarint()), Next: int64(r.uvarint()), Entries: r.uvarint(),
		Refusals: r.uvarint(), EntriesDigest: r.uvarint(), RefusalsDigest: r.uvarint(), Rules: uint32(r.uvarint()),
		RecordHash: r.uvarint(),
	}
	l.Number = c.Log
	return l, c, r.end()
}

// appendBuilding appends how far a restoration is: the identity of its log and the checkpoint that it is to reach, what
// it has come to, and after which row it goes on.
func appendBuilding(b []byte, l ledger.Log, at *building) []byte {
	b = appendText(b, string(appendMeta(nil, l, at.want)))
	b = appendText(b, string(appendMeta(nil, l, at.got)))
	b = append(b, byte(at.stage))
	b = binary.AppendUvarint(b, at.rows)
	if at.after == nil {
		return append(b, 0)
	}
	return appendPosition(appendText(append(b, 1), at.after.AccountID), at.after.Position)
}

func parseBuilding(v []byte) (l ledger.Log, at building, err error) {
	r := cursor{rest: v}
	l, at.want, err = parseMeta([]byte(r.text()))
	if err != nil {
		return l, at, err
	}
	if _, at.got, err = parseMeta([]byte(r.text())); err != nil {
		return l, at, err
	}
	at.stage, at.rows = stage(r.byte()), r.uvarint()
	if r.byte() == 1 {
		at.after = &ledger.Place{AccountID: r.text(), Position: r.position()}
	}
	return l, at, r.end()
}

// building returns how far the store is built, or errBegun. It may be whole: then only its place is wrong.
func (s *store) building(l ledger.Log, partition int32) (building, error) {
	v, closer, err := s.db.Get([]byte{prefixBuilding})
	if errors.Is(err, pebble.ErrNotFound) {
		if err := s.readMeta(l, partition); err != nil {
			return building{}, fmt.Errorf("%w: %w", errBegun, err)
		}
		c := s.checkpoint
		return building{want: c, got: c, stage: stageDone, rows: c.Entries + c.Refusals}, nil
	}
	if err != nil {
		return building{}, fmt.Errorf("%w: %w", errBegun, err)
	}
	was, at, err := parseBuilding(v)
	if err := errors.Join(err, closer.Close()); err != nil {
		return at, fmt.Errorf("%w: %w", errBegun, err)
	}
	if err := belongs(was, at.want, l, partition); err != nil {
		return at, fmt.Errorf("%w: %w", errBegun, err)
	}
	return at, nil
}
