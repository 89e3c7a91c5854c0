package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"

	"reckoner"
	"reckoner/ledger"
)

// actual is a row of the ledger, ready to be compared.
type actual struct {
	key    []byte
	name   string // position and id
	fields []field
}

func (c *comparison) compareEntries(ctx context.Context) error {
	all := c.Ledger.Entries(ctx, c.known.Log, c.known.Partition, c.known.Next)
	return c.compare(tableEntries, "entries", &c.result.Entries, func(yield func(actual, error) bool) {
		for e, err := range all {
			if !yield(actual{rowKey(tableEntries, e.AccountID, e.Position), rowName(e.Position, e.EventID), entryFields(&e)}, err) {
				return
			}
		}
	}, entryFields(&ledger.Entry{}))
}

func (c *comparison) compareRefusals(ctx context.Context) error {
	all := c.Ledger.Refusals(ctx, c.known.Log, c.known.Partition, c.known.Next)
	return c.compare(tableRefusals, "refusals", &c.result.Refusals, func(yield func(actual, error) bool) {
		for r, err := range all {
			if !yield(actual{rowKey(tableRefusals, r.AccountID, r.Position), rowName(r.Position, r.EventID), refusalFields(&r)}, err) {
				return
			}
		}
	}, refusalFields(&ledger.Refusal{}))
}

func rowName(p reckoner.Position, id string) string { return fmt.Sprintf("%s, id %q", p, id) }

// compare walks through what the log gives and what the ledger holds side by side: both are in the order of rowKey.
// Rows before the log's first record have nothing to stand against and are passed over.
func (c *comparison) compare(table byte, name string, compared *int64, ledgers iter.Seq2[actual, error], like []field) (err error) {
	it, err := c.rows.scan(table)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	more := it.First()
	var last []byte
	for a, err := range ledgers {
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if bytes.Compare(a.key, last) <= 0 {
			return fmt.Errorf("read %s: %s is out of order or yielded twice", name, a.name)
		}
		last = a.key
		if offsetOf(a.key) < c.result.From {
			continue
		}
		*compared++
		for ; more && bytes.Compare(it.Key(), a.key) < 0; more = it.Next() {
			c.missing(name, it, like)
		}
		if !more || !bytes.Equal(it.Key(), a.key) {
			c.differ(name, a.name, "the ledger holds it, the log does not give it")
			continue
		}
		if !bytes.Equal(it.Value(), pack(nil, a.fields)) {
			c.differ(name, a.name, "%s", differ(unpack(it.Value(), like), a.fields))
		}
		more = it.Next()
	}
	for ; more; more = it.Next() {
		c.missing(name, it, like)
	}
	return it.Error()
}

// missing names a row that the log gives and the ledger does not hold.
func (c *comparison) missing(name string, it *pebble.Iterator, like []field) {
	id, account := "", ""
	for _, f := range unpack(it.Value(), like) {
		switch f.name {
		case "event_id":
			id = f.text
		case "account_id":
			account = f.text
		}
	}
	p := reckoner.Position{Log: c.known.Log, Partition: c.known.Partition, Offset: offsetOf(it.Key()), Index: indexOf(it.Key())}
	c.differ(name, rowName(p, id), "missing in the ledger (account %s)", account)
}
