package verify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"reckoner"
	"reckoner/aggregator/disk"
)

// The first byte of a key in the temporary store.
const (
	tableEntries  = 'e'
	tableRefusals = 'r'
	tableTotals   = 't'
)

// rows is a temporary store of rows in sorted order, so that memory does not grow with the ledger. It is never synced:
// it does not outlive the verification.
type rows struct {
	guard *disk.Guard
	db    *pebble.DB
	batch *pebble.Batch
}

const (
	memtableBytes = 32 << 20
	// Tables may pile up before they are merged: a row is written once and read once, and each merge would do both again.
	l0Tables   = 16
	batchBytes = 4 << 20 // bounds what is held before it goes to the store
	batchRoom  = batchBytes + batchBytes/4
	bloomBits  = 10
)

func openRows(dir string, fs vfs.FS, log *slog.Logger) (*rows, error) {
	r := &rows{guard: disk.New(fs, dir, "set TMPDIR to a directory with more of it", log)}
	o := &pebble.Options{
		DisableWAL: true, FormatMajorVersion: pebble.FormatNewest, MemTableSize: memtableBytes,
		L0CompactionThreshold: l0Tables, L0StopWritesThreshold: 4 * l0Tables, Logger: r.guard, FS: r.guard.FS(),
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
	}
	if err := r.guard.Do(func() (err error) { r.db, err = pebble.Open(dir, o); return err }); err != nil {
		return nil, fmt.Errorf("temporary store: %w", err)
	}
	r.batch = r.db.NewBatch(pebble.WithInitialSizeBytes(batchRoom), pebble.WithMaxRetainedSizeBytes(batchRoom))
	return r, nil
}

// set keeps a value; get and scan find it after flush.
func (r *rows) set(key, value []byte) error {
	if err := r.batch.Set(key, value, nil); err != nil {
		return err
	}
	if r.batch.Len() < batchBytes {
		return nil
	}
	return r.flush()
}

func (r *rows) get(key []byte) ([]byte, error) {
	v, closer, err := r.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v = bytes.Clone(v)
	return v, closer.Close()
}

func (r *rows) flush() error {
	if r.batch.Empty() {
		return nil
	}
	if err := r.guard.Do(func() error { return r.db.Apply(r.batch, pebble.NoSync) }); err != nil {
		return fmt.Errorf("temporary store: %w", err)
	}
	r.batch.Reset() // and used again: growing to its size once more would copy it twice
	return nil
}

// scan returns an iterator over one table. The caller closes it.
func (r *rows) scan(table byte) (*pebble.Iterator, error) {
	if err := r.flush(); err != nil {
		return nil, err
	}
	return r.db.NewIter(&pebble.IterOptions{LowerBound: []byte{table}, UpperBound: []byte{table + 1}})
}

// close closes the store. One that cannot go on is left to the end of the process.
func (r *rows) close() error {
	if r.guard.Err() != nil {
		return nil
	}
	return r.guard.Do(func() error { return errors.Join(r.batch.Close(), r.db.Close()) })
}

// rowKey sorts rows as the ledger yields them: by the account's bytes, then by position. Every account's key ends
// with 0 0, and a 0 within an account becomes 0 255, so that the order of keys is that of accounts. A ledger may hold
// offsets that no log has, negative ones too.
//
// It is appended to b.
func rowKey(b []byte, table byte, account string, p reckoner.Position) []byte {
	b = append(b, table)
	for i := range len(account) {
		if b = append(b, account[i]); account[i] == 0 {
			b = append(b, 0xff)
		}
	}
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(p.Offset)^(1<<63))
	return binary.BigEndian.AppendUint32(b, uint32(p.Index)^(1<<31))
}

// positionOf reads offset and index at the end of a row's key.
func positionOf(key []byte) (offset int64, index int32) {
	offset = int64(binary.BigEndian.Uint64(key[len(key)-12:]) ^ (1 << 63))
	return offset, int32(binary.BigEndian.Uint32(key[len(key)-4:]) ^ (1 << 31))
}

// accountOf reads the account of a row's key.
func accountOf(key []byte) string {
	return string(bytes.ReplaceAll(key[1:len(key)-14], []byte{0, 0xff}, []byte{0}))
}

// never is the offset of what did not happen.
const never = math.MinInt64
