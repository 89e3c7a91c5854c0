package aggregator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"reckoner/ledger"
)

// bulkRows is how many rows go to the store together while it is built: what an interrupted restore reads again at most.
const bulkRows = 500_000

// bulk fills a store that is being built with sorted tables, which the store takes as they are: a row is written once,
// where a batch would write it to the log, to a table, and again with each compaction. The ledger yields accounts in
// order, so one table follows the other, and none has to be merged.
//
// What was added is found in the store after ingest only.
type bulk struct {
	store  *store
	log    ledger.Log
	tables map[byte]*table // that are being written, by the first byte of their keys
	at     []byte          // the building that they speak for; nil: nothing was added since the last ingest
	rows   int             // in them, with those that left no key
}

// table is one sorted file on its way. Its keys rise.
type table struct {
	path string
	w    *sstable.Writer
	last []byte // its greatest key
}

func newBulk(s *store, l ledger.Log) *bulk {
	return &bulk{store: s, log: l, tables: make(map[byte]*table)}
}

// bulkFile is how the names of tables begin that are not part of the store yet; the prefix of their keys ends them.
const bulkFile = "bulk-"

// sweep removes the tables that a killed process left.
func (b *bulk) sweep() error {
	fs := b.store.guard.FS()
	names, err := fs.List(b.store.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, bulkFile) {
			if err := fs.Remove(fs.PathJoin(b.store.dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// add appends a layer to the tables, and what the store is with it.
func (b *bulk) add(ctx context.Context, l *layer, rows int, at *building) error {
	batch := b.store.db.NewBatch()
	err := b.store.writeLayer(batch, l) // into the filter, too
	if err == nil && !b.follows(batch) {
		err = b.ingest(ctx)
	}
	if err == nil {
		err = b.store.guard.Do(func() error { return b.append(batch) })
	}
	if b.store.guard.Err() == nil { // else what hangs with the disk may still read the batch
		err = errors.Join(err, batch.Close())
	}
	if err != nil {
		return fmt.Errorf("build state: %w", err)
	}
	b.at = appendBuilding(nil, b.log, at)
	b.rows += rows
	return nil
}

// follows reports whether all keys of a batch come after those of the open tables.
func (b *bulk) follows(batch *pebble.Batch) bool {
	known := byte(0)
	for r := batch.Reader(); ; {
		_, key, _, ok, err := r.Next()
		if !ok || err != nil {
			return err == nil
		}
		if key[0] == known {
			continue // the keys of a layer are sorted
		}
		known = key[0]
		if t := b.tables[known]; t != nil && bytes.Compare(key, t.last) <= 0 {
			return false
		}
	}
}

func (b *bulk) append(batch *pebble.Batch) error {
	for r := batch.Reader(); ; {
		kind, key, value, ok, err := r.Next()
		if !ok || err != nil {
			return err
		}
		if kind != pebble.InternalKeyKindSet {
			return fmt.Errorf("a layer holds a record of kind %s", kind)
		}
		t, err := b.table(key[0])
		if err != nil {
			return err
		}
		if err := t.set(key, value); err != nil {
			return err
		}
	}
}

func (t *table) set(key, value []byte) error {
	t.last = append(t.last[:0], key...)
	return t.w.Set(key, value)
}

// table returns the open table of a prefix.
func (b *bulk) table(prefix byte) (*table, error) {
	if t := b.tables[prefix]; t != nil {
		return t, nil
	}
	fs := b.store.guard.FS()
	t := &table{path: fs.PathJoin(b.store.dir, fmt.Sprint(bulkFile, prefix))}
	file, err := fs.Create(t.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	// As the store would write them itself.
	o := &pebble.Options{FormatMajorVersion: b.store.db.FormatMajorVersion()}
	formTables(o)
	o.EnsureDefaults()
	lowest := len(o.Levels) - 1
	t.w = sstable.NewWriter(objstorageprovider.NewFileWritable(file), o.MakeWriterOptions(lowest, b.store.db.TableFormat()))
	b.tables[prefix] = t
	return t, nil
}

// ingest makes the tables part of the store, durably, all of them or none, and with them how far it is built.
func (b *bulk) ingest(ctx context.Context) error {
	if b.at == nil { // not when there are no rows: the last layer may come without any that were not counted before
		return nil
	}
	err := b.store.guard.Do(func() error {
		mark, err := b.table(prefixBuilding)
		if err != nil {
			return err
		}
		if err := mark.set([]byte{prefixBuilding}, b.at); err != nil {
			return err
		}
		var paths []string
		for _, prefix := range slices.Sorted(maps.Keys(b.tables)) {
			t := b.tables[prefix]
			if err := t.w.Close(); err != nil {
				return err
			}
			paths = append(paths, t.path)
		}
		return b.store.db.Ingest(ctx, paths)
	})
	if err != nil {
		return fmt.Errorf("build state: %w", err)
	}
	clear(b.tables)
	b.at, b.rows = nil, 0
	return nil
}

// drop leaves tables that were not ingested. Their rows are read again.
func (b *bulk) drop() error {
	if b.store.guard.Err() != nil {
		return nil
	}
	var errs []error
	for _, t := range b.tables {
		_ = t.w.Close() // what it holds is not wanted
		if err := b.store.guard.FS().Remove(t.path); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	clear(b.tables)
	return errors.Join(errs...)
}
