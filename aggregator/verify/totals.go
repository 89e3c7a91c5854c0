package verify

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"reckoner/ledger"
)

// What the replay knows of a total: the offset of its last change below the checkpoint (-1: none), and the offset at
// which it was found equal to the ledger's (-1: not yet).
type known struct{ changed, equal int64 }

func (k known) pack() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(k.changed))
	return binary.BigEndian.AppendUint64(b, uint64(k.equal))
}

func unpackKnown(b []byte) known {
	if len(b) < 16 {
		return known{-1, -1}
	}
	return known{int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:]))}
}

// snapshotTotals keeps the ledger's totals of the partition, and returns the offset that the replay must reach to meet
// each of them at its own position.
func (c *comparison) snapshotTotals(ctx context.Context) (to int64, err error) {
	for t, err := range c.Ledger.Totals(ctx, c.known.Log, c.known.Partition) {
		if err != nil {
			return 0, fmt.Errorf("read totals: %w", err)
		}
		c.result.Totals++
		to = max(to, t.Position.Offset+1)
		c.rows.set(totalKey(tableLedger, &t), packTotal(&t))
		if err := c.rows.flush(); err != nil {
			return 0, err
		}
	}
	return to, c.rows.flushAll()
}

// totalChanged meets a total at the position of the ledger's row, if this is the one.
func (c *comparison) totalChanged(t *ledger.Total) {
	if c.failed != nil {
		return
	}
	c.failed = c.meet(t)
}

func (c *comparison) meet(t *ledger.Total) error {
	key := totalKey(tableReplayed, t)
	b, err := c.rows.get(key)
	if err != nil {
		return err
	}
	k := unpackKnown(b)
	if t.Position.Offset < c.known.Next {
		k.changed = t.Position.Offset
	}
	stored, err := c.rows.get(totalKey(tableLedger, t))
	if err != nil {
		return err
	}
	if stored != nil && positionOf(stored) == [2]int64{t.Position.Offset, int64(t.Position.Index)} {
		k.equal = t.Position.Offset
		if want := packTotal(t); string(want) != string(stored) {
			like := totalFields(t)
			c.differ("totals", totalName(&t.TotalKey), "%s", differ(like, unpack(stored[16:], like)))
		}
	}
	c.rows.set(key, k.pack())
	return nil
}

// compareTotals finds the totals that the replay never met: rows that the ledger lacks or has too old, and rows at
// positions where the log changes no such total.
func (c *comparison) compareTotals() (err error) {
	it, err := c.rows.scan(tableReplayed)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for more := it.First(); more; more = it.Next() {
		k := unpackKnown(it.Value())
		if k.changed < 0 || k.equal >= k.changed {
			continue
		}
		name := string(it.Key()[1:])
		stored, err := c.rows.get(append([]byte{tableLedger}, it.Key()[1:]...))
		if err != nil {
			return err
		}
		if stored == nil {
			c.differ("totals", name, "missing in the ledger; the log changes it at offset %d", k.changed)
		} else if p := positionOf(stored)[0]; p < k.changed {
			c.differ("totals", name, "stands at offset %d; the log changes it at offset %d", p, k.changed)
		}
	}
	return errors.Join(it.Error(), c.strangeTotals())
}

func (c *comparison) strangeTotals() (err error) {
	it, err := c.rows.scan(tableLedger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for more := it.First(); more; more = it.Next() {
		p := positionOf(it.Value())[0]
		if p < c.result.From {
			continue // before the log's first record: nothing to hold it against
		}
		b, err := c.rows.get(append([]byte{tableReplayed}, it.Key()[1:]...))
		if err != nil {
			return err
		}
		if k := unpackKnown(b); k.equal < 0 && (k.changed < 0 || p >= k.changed) {
			c.differ("totals", string(it.Key()[1:]), "stands at offset %d, where the log does not change it", p)
		}
	}
	return it.Error()
}

// totalKey holds the total's name in full, so that a difference can be named from the key alone.
func totalKey(table byte, t *ledger.Total) []byte {
	return append([]byte{table}, totalName(&t.TotalKey)...)
}

// packTotal is the position, for finding the change, and all the columns.
func packTotal(t *ledger.Total) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(t.Position.Offset))
	b = binary.BigEndian.AppendUint64(b, uint64(t.Position.Index))
	return pack(b, totalFields(t))
}

func positionOf(packed []byte) [2]int64 {
	return [2]int64{int64(binary.BigEndian.Uint64(packed)), int64(binary.BigEndian.Uint64(packed[8:]))}
}

// offsetOf and indexOf read the position at the end of a row's key.
func offsetOf(key []byte) int64 {
	return int64(binary.BigEndian.Uint64(key[len(key)-12:]) & math.MaxInt64)
}

func indexOf(key []byte) int32 { return int32(binary.BigEndian.Uint32(key[len(key)-4:])) }
