package verify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"

	"reckoner"
)

// The first byte of a key in the temporary store.
const (
	tableEntries  = 'e'
	tableRefusals = 'r'
	tableLedger   = 'l' // totals as the ledger has them
	tableReplayed = 't' // what the replay knows of totals
)

// rows is a temporary store of rows in sorted order, so that memory does not grow with the ledger. It is never synced:
// it does not outlive the verification.
type rows struct {
	db    *pebble.DB
	batch *pebble.Batch
}

func openRows(dir string) (*rows, error) {
	db, err := pebble.Open(dir, &pebble.Options{
		DisableWAL: true, FormatMajorVersion: pebble.FormatNewest, MemTableSize: 32 << 20, Logger: quiet{},
	})
	if err != nil {
		return nil, err
	}
	return &rows{db: db, batch: db.NewIndexedBatch()}, nil
}

// batchBytes bounds what is held before it goes to the store.
const batchBytes = 4 << 20

func (r *rows) set(key, value []byte) {
	_ = r.batch.Set(key, value, nil) // it fails only on a batch that is closed
}

func (r *rows) get(key []byte) ([]byte, error) {
	v, closer, err := r.batch.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v = bytes.Clone(v)
	return v, closer.Close()
}

// flush writes what piled up, when it is much.
func (r *rows) flush() error {
	if r.batch.Len() < batchBytes {
		return nil
	}
	return r.flushAll()
}

func (r *rows) flushAll() error {
	if err := r.db.Apply(r.batch, pebble.NoSync); err != nil {
		return err
	}
	if err := r.batch.Close(); err != nil {
		return err
	}
	r.batch = r.db.NewIndexedBatch()
	return nil
}

func (r *rows) add(table byte, account string, p reckoner.Position, fields []field) {
	r.set(rowKey(table, account, p), pack(nil, fields))
}

// scan returns an iterator over one table. The caller closes it.
func (r *rows) scan(table byte) (*pebble.Iterator, error) {
	if err := r.flushAll(); err != nil {
		return nil, err
	}
	return r.db.NewIter(&pebble.IterOptions{LowerBound: []byte{table}, UpperBound: []byte{table + 1}})
}

func (r *rows) close() error { return errors.Join(r.batch.Close(), r.db.Close()) }

// rowKey sorts rows as the ledger yields them: by the account's bytes, then by position. Every account's key ends
// with 0 0, and a 0 within an account becomes 0 255, so that the order of keys is that of accounts.
func rowKey(table byte, account string, p reckoner.Position) []byte {
	b := append(make([]byte, 0, len(account)+16), table)
	for i := range len(account) {
		if b = append(b, account[i]); account[i] == 0 {
			b = append(b, 0xff)
		}
	}
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(p.Offset))
	return binary.BigEndian.AppendUint32(b, uint32(p.Index))
}

// quiet keeps the temporary store from logging.
type quiet struct{}

func (quiet) Infof(string, ...any)         {}
func (quiet) Errorf(f string, args ...any) { slog.Default().Error("temporary store", "error", f) }
func (quiet) Fatalf(f string, args ...any) { panic("temporary store: " + f) }
