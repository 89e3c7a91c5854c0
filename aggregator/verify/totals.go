package verify

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"reckoner"
	"reckoner/ledger"
)

// total is what is known of one total: the ledger's row, and what the replay met so far.
type total struct {
	held    []byte // the ledger's row, packed; nil: it has none
	offset  int64  // where the ledger's row stands
	index   int64
	changed int64 // the offset of the replay's last change below the checkpoint; never: none
	met     bool  // the replay changed it where the ledger's row stands
	named   bool  // and to something else: a difference names it
	odd     bool  // the ledger's row may keep a right one from taking its place
}

const (
	flagMet   = 1 << 0
	flagNamed = 1 << 1
	flagOdd   = 1 << 2
)

func (t *total) append(b []byte) []byte {
	for _, n := range [...]int64{t.offset, t.index, t.changed} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	var flags byte
	if t.met {
		flags |= flagMet
	}
	if t.named {
		flags |= flagNamed
	}
	if t.odd {
		flags |= flagOdd
	}
	return append(append(b, flags), t.held...)
}

func parseTotal(b []byte) *total {
	if len(b) < 25 {
		return &total{offset: never, changed: never}
	}
	t := &total{
		offset: int64(binary.BigEndian.Uint64(b)), index: int64(binary.BigEndian.Uint64(b[8:])),
		changed: int64(binary.BigEndian.Uint64(b[16:])), met: b[24]&flagMet != 0, named: b[24]&flagNamed != 0,
		odd: b[24]&flagOdd != 0,
	}
	if len(b) > 25 {
		t.held = bytes.Clone(b[25:])
	}
	return t
}

// snapshotTotals keeps the ledger's totals of the partition, and returns the offset that the replay must reach to meet
// each of them at its own position.
func (c *comparison) snapshotTotals(ctx context.Context) (to int64, err error) {
	for t, err := range c.Ledger.Totals(ctx, c.known.Log, c.known.Partition) {
		damaged, ok := errors.AsType[*ledger.RowError](err)
		if err != nil && !ok {
			return 0, fmt.Errorf("read totals: %w", err)
		}
		c.result.Totals++
		to = max(to, t.Position.Offset+1)
		row := total{held: packed((*packer).total, &t), offset: t.Position.Offset, index: int64(t.Position.Index), changed: never}
		if row.odd = ok; ok {
			row.held = packed(func(p *packer, t *ledger.Total) { p.totalAs(t, damaged.Err.Error()) }, &t)
		}
		if err := c.rows.set(totalKey(&t.TotalKey), row.append(nil)); err != nil {
			return 0, err
		}
	}
	return to, c.rows.flush()
}

// totalChanged is the hook of the replay, which takes no error: the next batch returns it.
func (c *comparison) totalChanged(t *ledger.Total) {
	if c.failed == nil {
		c.failed = c.meet(t)
	}
}

// meet compares a total when the replay is where the ledger's row stands. What it touches stays in memory until the end
// of a run.
func (c *comparison) meet(t *ledger.Total) error {
	key := totalKey(&t.TotalKey)
	row := c.touched[string(key)]
	if row == nil {
		b, err := c.rows.get(key)
		if err != nil {
			return err
		}
		row = parseTotal(b)
		c.touched[string(key)] = row
	}
	if t.Position.Offset < c.known.Next {
		row.changed = t.Position.Offset
	}
	if row.held == nil || row.offset != t.Position.Offset || row.index != int64(t.Position.Index) {
		return nil
	}
	row.met = true
	if want := again(&c.pack, (*packer).total, t); !bytes.Equal(want, row.held) {
		row.named = true
		tell := c.differ
		if row.odd {
			tell = c.extra
		}
		tell("totals", totalName(&t.TotalKey), "%s", differ(columns((*packer).total), want, row.held))
	}
	return nil
}

// meetRestored compares a total with what the rows before the log's first record come to.
func (c *comparison) meetRestored(t *ledger.Total) error {
	if err := c.meet(t); err != nil {
		return err
	}
	if len(c.touched) < touchedMax {
		return nil
	}
	return c.keepTotals()
}

// touchedMax bounds the totals that are held in memory before they go to the store. A run of records touches fewer.
const touchedMax = 20_000

// keepTotals stores what was touched.
func (c *comparison) keepTotals() error {
	for key, row := range c.touched {
		if err := c.rows.set([]byte(key), row.append(nil)); err != nil {
			return err
		}
	}
	clear(c.touched)
	return c.rows.flush()
}

// compareTotals finds the totals that the replay did not meet: those that the ledger lacks or has too old, and those at
// positions where the log changes no such total.
func (c *comparison) compareTotals(to int64) (err error) {
	it, err := c.rows.scan(tableTotals)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for more := it.First(); more; more = it.Next() {
		row := parseTotal(it.Value())
		var text string
		tell := c.extra // a row that stands too high stays, whatever a replay writes
		switch {
		case row.held == nil && row.changed == never, row.named:
			continue // made above the checkpoint, and the ledger need not have it yet; or told already
		case row.held == nil:
			tell, text = c.differ, fmt.Sprintf("missing in the ledger; the log changes it at offset %d", row.changed)
		case row.offset < row.changed:
			tell, text = c.differ, fmt.Sprintf("stands at offset %d; the log changes it at offset %d", row.offset, row.changed)
		case row.met:
			continue
		case row.offset >= to && c.truncated:
			continue // the log cannot be replayed to there
		case row.offset >= to:
			text = fmt.Sprintf("stands at offset %d, and the log ends before %d", row.offset, to)
		default:
			text = fmt.Sprintf("stands at offset %d, where the log does not change it", row.offset)
		}
		key, err := parseTotalKey(it.Key())
		if err != nil {
			return err
		}
		tell("totals", totalName(&key), "%s", text)
	}
	return it.Error()
}

func totalName(k *ledger.TotalKey) string {
	return fmt.Sprintf("account %s, subscription %q, meter %q (%s), period %s to %s, bucket %s", k.AccountID, k.SubscriptionID, k.Meter,
		k.MeterType, k.Period.Start.Format(time.RFC3339Nano), k.Period.End.Format(time.RFC3339Nano), k.Bucket.Format(time.RFC3339))
}

func totalKey(k *ledger.TotalKey) []byte {
	b := append(make([]byte, 0, 128), tableTotals)
	for _, s := range [...]string{k.AccountID, k.SubscriptionID, k.Meter} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	b = append(b, byte(k.MeterType))
	for _, t := range [...]time.Time{k.Period.Start, k.Period.End, k.Bucket} {
		b = binary.BigEndian.AppendUint64(b, uint64(t.UnixNano()))
	}
	return b
}

func parseTotalKey(b []byte) (ledger.TotalKey, error) {
	rest := b[1:]
	var texts [3]string
	for i := range texts {
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > uint64(len(rest)-size) {
			return ledger.TotalKey{}, fmt.Errorf("temporary store: key %x of a total", b)
		}
		texts[i], rest = string(rest[size:size+int(n)]), rest[size+int(n):]
	}
	if len(rest) != 25 {
		return ledger.TotalKey{}, fmt.Errorf("temporary store: key %x of a total", b)
	}
	at := func(i int) time.Time { return time.Unix(0, int64(binary.BigEndian.Uint64(rest[1+8*i:]))).UTC() }
	return ledger.TotalKey{
		AccountID: texts[0], SubscriptionID: texts[1], Meter: texts[2], MeterType: reckoner.MeterType(rest[0]),
		Period: reckoner.Period{Start: at(0), End: at(1)}, Bucket: at(2),
	}, nil
}
