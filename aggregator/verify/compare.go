package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"reckoner"
	"reckoner/ledger"
)

// actual is a row of the ledger, ready to be compared. It is valid until the row after the next is read, see buffers.
type actual struct {
	key    []byte
	id     string
	packed []byte
	damage error // why the row cannot be read; nil: it can
}

// buffers hold the row that is read, and the one that was taken before it, which is compared when the next is taken.
type buffers struct {
	of [2]buffer
	at int
}

type buffer struct {
	key  []byte
	pack packer
}

func (b *buffers) next() *buffer { return &b.of[b.at] }

// taken leaves the row of next alone until the next but one.
func (b *buffers) taken() { b.at ^= 1 }

func (a actual) clone() actual {
	a.key, a.packed = bytes.Clone(a.key), bytes.Clone(a.packed)
	return a
}

func (c *comparison) compareEntries(ctx context.Context) error {
	all := c.Ledger.WholeEntries(ctx, c.known.Log, c.known.Partition, c.known.Next)
	return c.compare(tableEntries, "entries", &c.result.Entries, columns((*packer).entry), func(yield func(actual, error) bool) {
		for e, err := range all {
			b := c.buffers.next()
			b.key = rowKey(b.key[:0], tableEntries, e.AccountID, e.Position)
			if !yield(actual{b.key, e.EventID, again(&b.pack, (*packer).entry, &e), nil}, err) {
				return
			}
		}
	})
}

func (c *comparison) compareRefusals(ctx context.Context) error {
	all := c.Ledger.WholeRefusals(ctx, c.known.Log, c.known.Partition, c.known.Next)
	return c.compare(tableRefusals, "refusals", &c.result.Refusals, columns((*packer).refusal), func(yield func(actual, error) bool) {
		for r, err := range all {
			b := c.buffers.next()
			b.key = rowKey(b.key[:0], tableRefusals, r.AccountID, r.Position)
			if !yield(actual{b.key, r.EventID, again(&b.pack, (*packer).refusal, &r), nil}, err) {
				return
			}
		}
	})
}

// compare walks through what the log gives and what the ledger holds side by side: both are in the order of rowKey.
// Rows before the log's first record have nothing to stand against and are passed over.
func (c *comparison) compare(table byte, name string, compared *int64, all []column, ledgers iter.Seq2[actual, error]) (err error) {
	it, err := c.rows.scan(table)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	w := &walk{comparison: c, name: name, columns: all, it: it, more: it.First()}
	for a, err := range ledgers {
		if damaged, ok := errors.AsType[*ledger.RowError](err); ok {
			a.damage = damaged.Err
		} else if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if offset, _ := positionOf(a.key); offset < c.result.From && offset >= c.result.Start {
			continue
		}
		*compared++
		if err := w.take(a); err != nil {
			return err
		}
	}
	w.settle()
	w.missing(nil)
	return it.Error()
}

// walk is a comparison of one table on its way.
type walk struct {
	*comparison
	name    string
	columns []column
	it      *pebble.Iterator // over what the log gives
	more    bool
	group   []actual // rows of the ledger with one key; more than one only in a ledger that is wrong
}

func (w *walk) take(a actual) error {
	if len(w.group) > 0 {
		switch order := bytes.Compare(a.key, w.group[0].key); {
		case order < 0:
			return fmt.Errorf("read %s: the row at %s came out of order", w.name, w.row(a.key, a.id))
		case order > 0:
			w.settle()
		default:
			w.group[0], a = w.group[0].clone(), a.clone() // the group outlives their buffers
		}
	}
	w.group = append(w.group, a)
	w.buffers.taken()
	return nil
}

// settle compares the rows of one key: exactly one must be there, and be what the log gives.
func (w *walk) settle() {
	if len(w.group) == 0 {
		return
	}
	key := w.group[0].key
	w.missing(key)
	if w.more && bytes.Equal(w.it.Key(), key) {
		want := w.it.Value()
		before := w.report.Found
		right := max(slices.IndexFunc(w.group, func(a actual) bool { return a.damage == nil && bytes.Equal(a.packed, want) }), 0)
		for i, a := range w.group {
			if i != right {
				w.extra(w.name, w.row(key, a.id), "the ledger holds a second row there")
			} else if a.damage != nil {
				w.differ(w.name, w.row(key, a.id), "the row cannot be read: %v", a.damage)
			} else if !bytes.Equal(a.packed, want) {
				w.differ(w.name, w.row(key, a.id), "%s", differ(w.columns, want, a.packed))
			}
		}
		w.note(key, w.report.Found > before)
		w.more = w.it.Next()
	} else {
		for _, a := range w.group {
			w.extra(w.name, w.row(key, a.id), "the ledger holds it, the log does not give it")
		}
	}
	w.group = w.group[:0]
}

// missing names the rows that the log gives before a key, or to its end, and the ledger does not hold.
func (w *walk) missing(before []byte) {
	for ; w.more && (before == nil || bytes.Compare(w.it.Key(), before) < 0); w.more = w.it.Next() {
		at := slices.IndexFunc(w.columns, func(c column) bool { return c.name == "event_id" })
		id := textAt(unpack(w.it.Value()), at)
		w.differ(w.name, w.row(w.it.Key(), id), "missing in the ledger (account %q)", accountOf(w.it.Key()))
		w.note(w.it.Key(), true)
	}
}

// note takes down whether the row of the record before the checkpoint is what the log gives.
func (w *walk) note(key []byte, differs bool) {
	if offset, _ := positionOf(key); differs && offset == w.known.Next-1 {
		w.last = true
	}
}

func (w *walk) row(key []byte, id string) string {
	p := reckoner.Position{Log: w.known.Log, Partition: w.known.Partition}
	p.Offset, p.Index = positionOf(key)
	return rowName(p, id)
}

func rowName(p reckoner.Position, id string) string { return fmt.Sprintf("%s, id %q", p, id) }
