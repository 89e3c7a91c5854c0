package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"reckoner"
	"reckoner/aggregator"
	"reckoner/internal/bench/workload"
	"reckoner/internal/bus"
	"reckoner/ledger"
)

// knownIDs decides one log twice: with states that have seen many ids, and with none.
//
// To count 50 million events first would take a quarter of an hour for every try, and the ledger's rows of them would
// take part in nothing that is measured. So the states are written by aggregator.Seed: the same keys and values, in
// batches as large as a flush's, in no order; what a store makes of them is its own business.
func knownIDs(ctx context.Context, s *site, r *Result) error {
	f, err := s.fill(s.scale.knownLog)
	if err != nil {
		return err
	}
	if err := s.migrate(oursDatabase, nil); err != nil {
		return err
	}
	k := &known{site: s, log: f, ids: s.scale.knownIDs, seed: filepath.Join(s.dir, "seed")}
	if err := k.make(ctx); err != nil {
		return err
	}
	var ours, floors []float64
	with, without := s.meter(), meter{}
	for turn := range s.scale.turns {
		if err := copyTree(k.seed, s.states(oursDatabase, 0)); err != nil {
			return err
		}
		a, err := k.decided(&with, turn == 0)
		if err != nil {
			return err
		}
		b, err := k.decided(&without, turn == 0)
		if err != nil {
			return err
		}
		ours, floors = append(ours, a), append(floors, b)
		s.say("  turn %d: with ids %.0f, without %.0f events/s", turn+1, a, b)
	}
	r.ratio(median(ours), median(floors))
	disk, err := treeBytes(k.seed)
	if err != nil {
		return err
	}
	memory := max(float64(with.goPeak-without.goPeak), 0) / float64(k.ids)
	r.extra("ids", float64(k.ids))
	r.extra("memory_bytes_per_id", memory)
	r.extra("disk_bytes_per_id", float64(disk)/float64(k.ids))
	with.report(r)
	without.reportFloor(r)
	r.Met = *r.Ratio >= 0.8 && memory <= 24 && float64(disk)/float64(k.ids) <= 64 && k.ids >= knownGoal
	return nil
}

type known struct {
	*site
	log  *filled
	ids  int64
	seed string // data directory of an aggregator
}

// make writes the states of all partitions, as many at once as there are processors.
func (k *known) make(ctx context.Context) error {
	registered := ledger.Log{Number: 1, Topic: bus.TopicEvents, Partitions: int32(k.log.partitions)}
	if err := k.db.One(ctx, "SELECT registered_at FROM "+oursDatabase+".logs", &registered.RegisteredAt); err != nil {
		return err
	}
	registered.RegisteredAt = registered.RegisteredAt.UTC()
	seed := &aggregator.Seed{
		Dir: filepath.Join(k.seed, "state"), Log: registered, CacheBytes: k.Settings.Aggregator.StateCacheBytes, Slog: k.Log,
	}
	began, made := time.Now(), new(atomic.Int64)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for p := range k.log.partitions {
		g.Go(func() error { return seed.Partition(ctx, int32(p), k.idsOf(p, made)) })
	}
	err := g.Wait()
	k.say("  %d ids were made in %s", made.Load(), time.Since(began).Round(time.Second))
	return err
}

// idsOf yields a partition's share of the ids, over its accounts as the workload has them.
func (k *known) idsOf(partition int, made *atomic.Int64) iter.Seq[aggregator.KnownID] {
	var accounts []string
	for i := range uint64(workload.AccountsDefault) {
		if id := workload.AccountID(k.Seed, i); bus.PartitionFor([]byte(id), k.log.partitions) == partition {
			accounts = append(accounts, id)
		}
	}
	source := rand.NewPCG(k.Seed, uint64(partition))
	zipf := rand.NewZipf(rand.New(source), 1.1, 8, uint64(len(accounts)-1))
	month := reckoner.Period{Start: time.Date(k.now.Year(), k.now.Month(), 1, 0, 0, 0, 0, time.UTC)}
	month.End = month.Start.AddDate(0, 1, 0)
	n := k.ids / int64(k.log.partitions)
	return func(yield func(aggregator.KnownID) bool) {
		for range n {
			more := source.Uint64()
			id := aggregator.KnownID{
				AccountID: accounts[zipf.Uint64()], ID: workload.AccountID(source.Uint64(), more), Meter: "credit", Period: month,
				Quantity: reckoner.Units(1 + int64(more%2000)), UsageTime: month.Start.Add(time.Duration(more>>8) % (28 * 24 * time.Hour)),
			}
			if !yield(id) {
				return
			}
			if all := made.Add(1); all%5_000_000 == 0 {
				k.say("  %d million ids are made", all/1_000_000)
			}
		}
	}
}

// decided decides the log with the states that are there, or none, and clears everything for the next time.
func (k *known) decided(m *meter, prove bool) (eventsPerSecond float64, err error) {
	err = m.during(func() (int64, error) {
		eventsPerSecond, err = k.decide(k.log, oursDatabase, 1, nil)
		return k.log.events, err
	})
	if err == nil && prove {
		err = k.proven(k.log, oursDatabase)
	}
	// The log stays registered as it is, for the states are bound to that.
	for _, table := range []string{"entries", "refusals", "totals", "checkpoints"} {
		if err == nil {
			err = k.db.Exec(k.ctx, "TRUNCATE TABLE "+oursDatabase+"."+table)
		}
	}
	return eventsPerSecond, errors.Join(err, os.RemoveAll(k.states(oursDatabase, 0)))
}

// copyTree copies a directory. The tables of a store are never written again, so they are linked, which costs nothing.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		switch {
		case d.IsDir():
			return os.MkdirAll(target, 0o750)
		case strings.HasSuffix(path, ".sst"):
			return os.Link(path, target)
		default:
			return copyFile(path, target)
		}
	})
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// treeBytes is what the files of a directory hold.
func treeBytes(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return fmt.Errorf("size of %s: %w", d.Name(), err)
		}
		n += info.Size()
		return nil
	})
	return n, err
}
