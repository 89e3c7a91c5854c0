package aggregator

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"log/slog"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"reckoner"
	"reckoner/aggregator/disk"
	"reckoner/ledger"
)

// errNoState says that a directory holds no usable state of this partition and log: it is restored from the ledger.
var errNoState = errors.New("no usable local state")

// store is the durable state of one partition: memories, totals, what counts against limits, and the checkpoint. They
// change together, in one synced batch, or not at all. It is a view.
type store struct {
	db         *pebble.DB
	guard      *disk.Guard
	dir        string
	options    storeOptions
	checkpoint ledger.Checkpoint // as of opening
	filter     *filter           // nil: every key is looked up
}

// storeOptions are what the stores of a process share.
type storeOptions struct {
	cache *pebble.Cache
	log   *slog.Logger
	guard *disk.Guard // of the disk that they share; nil: each has its own, as one that lives in a temporary directory
	// metrics, nil for none, are told of the filters.
	metrics  *metrics
	memtable uint64 // bytes; 0: memtableBytes
	// temporary is for a state that does not outlive the process that makes it: nothing of it is logged or synced.
	temporary bool
	// Of tests that open many stores and crash them; nil is the disk.
	fs vfs.FS
}

func (o storeOptions) files() vfs.FS {
	if o.fs == nil {
		return vfs.Default
	}
	return o.fs
}

const (
	memtableBytes = 8 << 20
	l0Tables      = 10
	bloomBits     = 10 // of a key in a table, for the lookups that the store's filter lets through
	// blockBytes is twice Pebble's own: an id takes 2 bytes less on disk, and most ids are never read again.
	blockBytes = 8 << 10
)

// memtableOf is how much of what was written a state of so many keeps in memory before it becomes a table: the larger, the
// less is merged. Memtables take of the block cache.
func memtableOf(partitions int32) uint64 {
	return uint64(min(2*memtableBytes, max(memtableBytes/4, 16*memtableBytes/max(int(partitions), 1))))
}

// openStore opens the store in dir. It returns errNoState when there is none, when it belongs to another log, or when
// it cannot be read; the directory is then left as it was found.
func openStore(dir string, l ledger.Log, partition int32, o storeOptions) (*store, error) {
	if _, err := o.files().Stat(dir); err != nil {
		return nil, fmt.Errorf("%w in %s: %w", errNoState, dir, err)
	}
	if _, err := o.files().Stat(dir + condemned); err == nil {
		return nil, fmt.Errorf("%w in %s: it was found corrupt", errNoState, dir)
	}
	s, err := openPebble(dir, o, true)
	if disk.Ends(err) {
		return nil, err // it may be a good state
	}
	if err != nil {
		return nil, fmt.Errorf("%w in %s: %w", errNoState, dir, err)
	}
	if err := s.readMeta(l, partition); err != nil {
		return nil, errors.Join(fmt.Errorf("%w in %s: %w", errNoState, dir, err), s.close())
	}
	return s, nil
}

// createStore makes an empty store that counts as none until its first commit.
func createStore(dir string, l ledger.Log, partition int32, o storeOptions) (*store, error) {
	s, err := openPebble(dir, o, false)
	if err != nil {
		return nil, fmt.Errorf("create state in %s: %w", dir, err)
	}
	s.checkpoint = ledger.Checkpoint{Log: l.Number, Partition: partition}
	s.wake()
	return s, nil
}

func openPebble(dir string, o storeOptions, mustExist bool) (*store, error) {
	s := &store{dir: dir, options: o, guard: o.guard}
	if s.guard == nil {
		s.guard = disk.New(o.files(), dir, "set TMPDIR to a directory with more of it", o.log)
	}
	opts := &pebble.Options{
		Cache:              o.cache,
		FS:                 s.guard.FS(),
		MemTableSize:       cmp.Or(o.memtable, memtableBytes),
		FormatMajorVersion: pebble.FormatNewest,
		ErrorIfNotExists:   mustExist,
		// Tables may pile up before they are merged: the filter spares most lookups what that costs.
		L0CompactionThreshold: l0Tables,
		L0StopWritesThreshold: 4 * l0Tables,
		Logger:                s.guard,
	}
	formTables(opts)
	if o.temporary {
		opts.DisableWAL = true
		opts.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	}
	return s, s.guard.Do(func() (err error) {
		s.db, err = pebble.Open(dir, opts)
		return err
	})
}

// formTables sets how tables are written. The lowest level, where nearly all is, by zstd; those above it, which are
// rewritten often, by what costs least.
func formTables(opts *pebble.Options) {
	opts.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionBalanced })
	for i := range opts.Levels {
		opts.Levels[i].BlockSize = blockBytes
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
	}
}

func (s *store) memory(key []byte) (m memory, found bool, err error) {
	found, err = s.get(key, func(v []byte) error { m, err = parseMemory(key, v); return err })
	return m, found, err
}

func (s *store) total(key []byte) (t ledger.Total, found bool, err error) {
	found, err = s.get(key, func(v []byte) error { t, err = parseTotal(key, v); return err })
	return t, found, err
}

func (s *store) used(key []byte) (q reckoner.Quantity, found bool, err error) {
	found, err = s.get(key, func(v []byte) error {
		r := cursor{rest: v}
		q = r.quantity()
		return r.end()
	})
	return q, found, err
}

func (s *store) get(key []byte, parse func([]byte) error) (bool, error) {
	if s.filter != nil && s.filter.absent(key) {
		return false, nil
	}
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		s.condemn(err)
		return false, fmt.Errorf("read state: %w", err)
	}
	defer func() { _ = closer.Close() }() // it only unpins the block
	if err := parse(v); err != nil {
		s.condemn(err)
		return false, fmt.Errorf("read state, key %x: %w", key, err)
	}
	return true, nil
}

// condemned is the name, after the directory's, of the mark beside a state that was found corrupt.
const condemned = ".corrupt"

// condemn marks a corrupt state, so that the next process restores it instead of failing on it again.
func (s *store) condemn(err error) {
	if !errors.Is(err, errCorrupt) && !pebble.IsCorruptionError(err) {
		return
	}
	mark, err := s.options.files().Create(s.dir+condemned, vfs.WriteCategoryUnspecified)
	if err == nil {
		err = errors.Join(mark.Sync(), mark.Close())
	}
	if err != nil {
		s.options.log.Error("corrupt state not marked; remove its directory", "dir", s.dir, "error", err)
	}
}

// commit writes a layer and its checkpoint in one batch and returns when it is on disk. After an error it is not known
// whether the batch was written: the store must be opened again.
func (s *store) commit(l *layer, c ledger.Checkpoint, registered ledger.Log) error {
	return s.write(l, func(b *pebble.Batch) error {
		return b.Set([]byte{prefixMeta}, appendMeta(nil, registered, c), nil)
	})
}

// finish is commit for a store that is being built: it is none any more.
func (s *store) finish(l *layer, c ledger.Checkpoint, registered ledger.Log) error {
	err := s.write(l, func(b *pebble.Batch) error {
		return errors.Join(b.Delete([]byte{prefixBuilding}, nil), b.Set([]byte{prefixMeta}, appendMeta(nil, registered, c), nil))
	})
	if err != nil || !s.options.temporary {
		return err
	}
	return s.guard.Do(s.db.Flush) // it is closed and opened again, and without a log that takes what is in memory
}

// write writes a layer and what goes with it in one batch, synced unless the store is temporary.
func (s *store) write(l *layer, also func(*pebble.Batch) error) error {
	b := s.db.NewBatch()
	if err := errors.Join(s.writeLayer(b, l), also(b), s.learnMore(l)); err != nil {
		return errors.Join(err, b.Close())
	}
	durable := pebble.Sync
	if s.options.temporary {
		durable = pebble.NoSync
	}
	if err := s.guard.Do(func() error { return s.db.Apply(b, durable) }); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

// writeLayer sorts the keys: Pebble takes sorted batches at two thirds of the cost.
func (s *store) writeLayer(b *pebble.Batch, l *layer) error {
	for _, k := range slices.Sorted(maps.Keys(l.memories)) {
		if err := set(s, b, k, l.memories[k]); err != nil {
			return err
		}
	}
	var value []byte
	for _, k := range slices.Sorted(maps.Keys(l.totals)) {
		value = appendTotal(value[:0], l.totals[k])
		if err := set(s, b, k, value); err != nil {
			return err
		}
	}
	for _, k := range slices.Sorted(maps.Keys(l.useds)) {
		value = appendQuantity(value[:0], *l.useds[k])
		if err := set(s, b, k, value); err != nil {
			return err
		}
	}
	return nil
}

// set copies a key and its value straight into a batch, and the key into the filter.
func set[T ~string | ~[]byte](s *store, b *pebble.Batch, key string, value T) error {
	op := b.SetDeferred(len(key), len(value))
	copy(op.Key, key)
	s.remember(op.Key)
	copy(op.Value, value)
	return op.Finish()
}

// digest is a hash of everything in the store, for comparing two states bit by bit.
func (s *store) digest() (uint64, error) {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return 0, err
	}
	h := crc64.New(crc64.MakeTable(crc64.ECMA))
	var n [8]byte
	for ok := it.First(); ok; ok = it.Next() {
		for _, part := range [][]byte{it.Key(), it.Value()} {
			binary.BigEndian.PutUint64(n[:], uint64(len(part)))
			_, _ = h.Write(n[:]) // a hash never fails
			_, _ = h.Write(part)
		}
	}
	return h.Sum64(), it.Close()
}

// close closes the store. One that cannot go on is left to the end of the process: the error was told before.
func (s *store) close() error {
	if s.guard.Err() != nil {
		return nil
	}
	if s.filter != nil {
		learning := 0
		if s.filter.next() != nil {
			learning = 1
		}
		s.options.metrics.filter(-s.filter.bytes(), -learning)
		if err := s.leaveFilter(); err != nil {
			s.options.log.Warn("the filter of a local state is not kept", "dir", s.dir, "error", err)
		}
	}
	return s.guard.Do(s.db.Close)
}
