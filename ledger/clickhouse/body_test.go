package clickhouse

import (
	"errors"
	"io"
	"net/http/httptest"
	"testing"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"

	"reckoner"
	"reckoner/internal/embedded/chdb"
	"reckoner/internal/embedded/chdb/chdbtest"
	"reckoner/ledger"
)

// Rows of several blocks, and blocks that are compressed in several pieces, arrive as they were: and over HTTP as they do
// by the driver's own columns.
func TestRowsOfManyBlocksArriveAsTheyAre(t *testing.T) {
	engine := chdbtest.Open(t, chdb.Options{Dir: t.TempDir()})
	server := httptest.NewServer(engine.Handler())
	t.Cleanup(server.Close)
	batch := newFlushes().batch(2*blockRows + 100)
	long := make([]byte, packBytes+packBytes/2)
	for i := range long {
		long[i] = "0123456789abcdef"[i*i%13]
	}
	batch.Entries[blockRows/2].Description = string(long)
	var want []string
	for _, how := range []string{"columns", "none", "lz4", "zstd", "gzip"} {
		t.Run(how, func(t *testing.T) {
			compress := how
			if how == "columns" {
				compress = "none"
			}
			l, err := Open(Options{URL: server.URL + "/" + how + "?compress=" + compress})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if how == "columns" {
				l.blocks = nil
			}
			if err := l.Migrate(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			if err := l.Write(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, table := range []string{"entries", "refusals", "totals", "checkpoints"} {
				got = append(got, queryTSV(t, l, "SELECT count(), sum(cityHash64(*)) FROM "+table)...)
			}
			if want == nil {
				want = got
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("rows and hashes of each table (-columns +%s):\n%s", how, diff)
			}
		})
	}
}

// A row that cannot be encoded is found when part of the body is on its way. Nothing of the insert stays.
func TestAnInsertThatBreaksOffLeavesNothing(t *testing.T) {
	for name, spoil := range map[string]func(*ledger.Entry){
		"outcome": func(e *ledger.Entry) { e.Outcome = 99 },
		"time":    func(e *ledger.Entry) { e.UsageTime = time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC) },
		"bucket":  func(e *ledger.Entry) { e.Bucket = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC) },
		"updated": func(e *ledger.Entry) { e.UpdatedAt = time.Date(1899, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		t.Run(name, func(t *testing.T) {
			l := openLedger(t)
			batch := newFlushes().batch(2 * blockRows)
			spoil(&batch.Entries[len(batch.Entries)-1])
			if err := l.Write(t.Context(), batch); !ledger.Permanent(err) {
				t.Errorf("%v, want a permanent error", err)
			}
			if n := scalar[uint64](t, l, "SELECT count() FROM entries"); n != 0 {
				t.Errorf("%d entries of an insert that broke off", n)
			}
			if n := scalar[uint64](t, l, "SELECT count() FROM checkpoints"); n != 0 {
				t.Error("a checkpoint without what it speaks for")
			}
		})
	}
}

// A transport may read on after its request has failed: it must not see rows that the caller uses again by then.
func TestABodyThatEndedGivesNothing(t *testing.T) {
	q, err := loadQueries()
	if err != nil {
		t.Fatal(err)
	}
	from := newBlocks(&ch.Compression{Method: ch.CompressionLZ4})
	b := newBody(newTables(q).entries, newFlushes().batch(100).Entries, from)
	if _, err := b.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	b.end()
	if n, err := b.Read(make([]byte, 10)); n != 0 || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// What is not said is chosen by where the server is.
func TestCompressionIsForNetworks(t *testing.T) {
	engine := chdbtest.Open(t, chdb.Options{Dir: t.TempDir()})
	for _, c := range []struct {
		options Options
		want    ch.CompressionMethod
	}{
		{Options{URL: "http://127.0.0.1:1"}, ch.CompressionNone},
		{Options{URL: "http://localhost:1"}, ch.CompressionNone},
		{Options{URL: "http://[::1]:1"}, ch.CompressionNone},
		{Options{URL: "clickhouse://127.0.0.1:1"}, ch.CompressionNone},
		{Options{URL: "http://engine", Transport: engine.Transport()}, ch.CompressionNone},
		{Options{URL: "http://ch"}, ch.CompressionLZ4},
		{Options{URL: "http://10.0.0.1"}, ch.CompressionLZ4},
		{Options{URL: "clickhouse://localhost:1,ch:1"}, ch.CompressionLZ4},
		{Options{URL: "http://127.0.0.1:1?compress=zstd"}, ch.CompressionZSTD},
		{Options{URL: "http://ch?compress=none"}, ch.CompressionNone},
	} {
		l, err := Open(c.options)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.base.Compression.Method; got != c.want {
			t.Errorf("%s: %s, want %s", c.options.URL, got, c.want)
		}
		if http := l.blocks != nil; http != (c.options.URL[:4] == "http") {
			t.Errorf("%s: blocks of its own: %t", c.options.URL, http)
		}
		_ = l.Close()
	}
}

// What the ledger holds of a time and of a quantity is what the row says, to the bounds of each.
func TestBoundsOfValuesArriveAsTheyAre(t *testing.T) {
	l := openLedger(t)
	greatest, err := reckoner.ParseQuantity("99999999999999999999999999999999999.999")
	if err != nil {
		t.Fatal(err)
	}
	var batch ledger.Batch
	times := []time.Time{reckoner.MinTime, time.Unix(0, 1), time.Date(2199, 12, 31, 23, 59, 59, 999_999_999, time.UTC)}
	for i, q := range []reckoner.Quantity{greatest, greatest.Neg(), reckoner.Thousandths(-1)} {
		e := usageAt(int64(i), q, times[i])
		e.Limit = &q
		batch.Entries = append(batch.Entries, e)
	}
	if err := l.Write(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(batch.Entries, collect(t, l.WholeEntries(t.Context(), 1, 0, 100)), cmp.Comparer(func(a, b reckoner.Quantity) bool { return a == b })); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
}
