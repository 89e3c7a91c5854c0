package aggregator

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"reckoner"
	"reckoner/ledger"
)

// KnownID is a usage that a state is to have seen and counted.
type KnownID struct {
	AccountID string
	ID        string
	Meter     string
	Quantity  reckoner.Quantity
	Period    reckoner.Period
	UsageTime time.Time
}

// Seed makes states that know ids which no log holds, so that it can be measured what many ids cost. A process that
// counts never uses it: those ids have no entries, and a verification would say so.
type Seed struct {
	Dir        string // as Options.Dir
	Log        ledger.Log
	CacheBytes int64
	Slog       *slog.Logger
}

// seedRows is how many ids go to the store together, as many as a partition's share of a flush.
const seedRows = 20_000

// Partition makes the state of a partition from which nothing was read yet. The ids take the way of any batch, in the
// order in which they come; it returns when the store has nothing left to tidy up.
func (s *Seed) Partition(ctx context.Context, number int32, ids iter.Seq[KnownID]) (err error) {
	cache := pebble.NewCache(s.CacheBytes)
	defer cache.Unref()
	at := &starter{dir: s.Dir, log: s.Log}
	options := storeOptions{cache: cache, log: s.Slog}
	dir := at.path(number)
	if err := options.files().MkdirAll(filepath.Dir(dir), 0o750); err != nil {
		return err
	}
	st, err := createStore(dir, s.Log, number, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	start := ledger.Checkpoint{Log: s.Log.Number, Partition: number, Next: s.Log.Start(number)}
	l := newLayer(st)
	var k keys
	for id := range ids {
		seedID(l, &k, &id)
		if len(l.memories) < seedRows {
			continue
		}
		if err := errors.Join(st.commit(l, start, s.Log), ctx.Err()); err != nil {
			return err
		}
		l = newLayer(st)
	}
	if err := st.commit(l, start, s.Log); err != nil {
		return err
	}
	return st.tidied(ctx)
}

// seedID remembers an id as a decision that applied it does.
func seedID(l *layer, k *keys, id *KnownID) {
	total := ledger.TotalKey{AccountID: id.AccountID, Meter: id.Meter, MeterType: reckoner.Interval, Period: id.Period}
	q := id.Quantity
	e := reckoner.Event{
		Kind: reckoner.Usage, ID: id.ID, AccountID: id.AccountID,
		Written: reckoner.Written{Type: id.Meter, Source: "seed", Quantity: &q, UsageTime: id.UsageTime},
	}
	l.setMemory(k.id(id.AccountID, reckoner.Usage, id.ID), &memory{
		fingerprint: e.Fingerprint(), outcome: reckoner.Applied, quantity: q,
		counted: &counted{total: total, typ: id.Meter, time: id.UsageTime},
	})
}

// tidied returns when what was written is in its place, and nothing is compacted any more.
func (s *store) tidied(ctx context.Context) error {
	if err := s.db.Flush(); err != nil {
		return fmt.Errorf("flush the state: %w", err)
	}
	const quiet = 10 // looks, since one compaction may follow another
	for n := 0; n < quiet; n++ {
		if s.db.Metrics().Compact.NumInProgress > 0 {
			n = 0
		}
		if !sleep(ctx, 50*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}
