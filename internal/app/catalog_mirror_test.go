package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reckoner/internal/catalog"
	"reckoner/internal/embedded/chdb/chdbtest"
	"reckoner/ledger"
	"reckoner/ledger/clickhouse"
)

// mirrorWorld is a catalog that a test changes, and its copy in a real ClickHouse.
type mirrorWorld struct {
	t       *testing.T
	machine *catalog.Machine
	ledger  *clickhouse.Ledger
	site    *site
	logs    messages
	metrics *prometheus.Registry
	down    bool // ClickHouse does not answer
	failAt  int  // the write of this number, from 1, fails; 0: none
	writes  int
}

func newMirrorWorld(t *testing.T) *mirrorWorld {
	t.Helper()
	w := &mirrorWorld{t: t, machine: catalog.NewMachine(), site: &site{t: t, clickhouse: chdbtest.Start(t)}}
	var err error
	if w.ledger, err = clickhouse.Open(clickhouse.Options{URL: w.site.clickhouse}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.ledger.Close() })
	if err := w.ledger.Migrate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *mirrorWorld) Current() *catalog.Catalog { return w.machine.Snapshot() }

// mirror returns a new process's mirror.
func (w *mirrorWorld) mirror() *mirror {
	w.metrics = prometheus.NewRegistry()
	return &mirror{
		to: w, from: w, timeout: 30 * time.Second, log: slog.New(slog.NewTextHandler(&w.logs, nil)),
		metrics: newMirrorMetrics(w.metrics),
	}
}

var errDown = errors.New("ClickHouse is away")

// CatalogVersion implements ledger.CatalogMirror, unless ClickHouse is to be down.
func (w *mirrorWorld) CatalogVersion(ctx context.Context) (uint64, error) {
	if w.down {
		return 0, errDown
	}
	return w.ledger.CatalogVersion(ctx)
}

// WriteCatalog implements ledger.CatalogMirror.
func (w *mirrorWorld) WriteCatalog(ctx context.Context, rows []ledger.CatalogRow) error {
	if w.writes++; w.down || w.writes == w.failAt {
		return errDown
	}
	return w.ledger.WriteCatalog(ctx, rows)
}

// put changes the catalog; an empty entity deletes.
func (w *mirrorWorld) put(kind catalog.Kind, id, entity string) {
	w.t.Helper()
	_, version, _ := w.Current().Entity(kind, id)
	change := catalog.Delete(kind, id, version, "test")
	if entity != "" {
		e, faults := catalog.DecodeEntity(kind, id, []byte(entity), nil)
		if len(faults) > 0 {
			w.t.Fatal(faults)
		}
		change = catalog.Put(e, version, "test")
	}
	key, value, err := change.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	d, err := w.machine.Apply(catalog.Record{Offset: w.machine.Next(), Key: key, Value: value, Time: time.UnixMilli(1767225600000)})
	if err = errors.Join(err, d.Err()); err != nil {
		w.t.Fatal(err)
	}
}

// rows returns the rows of a query as text.
func (w *mirrorWorld) rows(sql string) map[string]bool {
	w.t.Helper()
	rows := map[string]bool{}
	for line := range strings.SplitSeq(w.site.query(sql+" FORMAT TSVRaw"), "\n") {
		if line != "" {
			rows[line] = true
		}
	}
	return rows
}

// behind is by how many changes the newest mirror says that the copy is behind.
func (w *mirrorWorld) behind() float64 {
	w.t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "reckoner_catalog_copy_behind_changes" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	w.t.Fatal("no metric says how far the copy is behind")
	return 0
}

// same holds the copy against the catalog, entity by entity.
func (w *mirrorWorld) same() {
	w.t.Helper()
	var want []string
	for _, kind := range catalog.Kinds() {
		for e, version := range w.Current().Entities(kind, "") {
			want = append(want, fmt.Sprintf("%s\t%s\t%d\t%s", kind, e.Key(), version, catalog.JSON(e)))
		}
	}
	got := w.rows("SELECT kind, id, version, entity FROM reckoner.catalog FINAL WHERE NOT deleted")
	for i := range want {
		if !got[want[i]] {
			w.t.Errorf("the copy has not\n%s", want[i])
		}
	}
	if len(got) != len(want) {
		w.t.Errorf("the copy has %d entities, want %d", len(got), len(want))
	}
}

func TestTheCopyFollowsTheCatalog(t *testing.T) {
	w := newMirrorWorld(t)
	now := time.Unix(0, 0)
	m := w.mirror()
	step := func(want error) {
		t.Helper()
		if err := m.step(t.Context(), now); !errors.Is(err, want) {
			t.Fatalf("step: %v, want %v", err, want)
		}
		now = now.Add(time.Second)
	}
	step(nil)
	w.same()
	w.put(catalog.OrganizationKind, "o1", `{"name":"acme \"\\ ü"}`)
	w.put(catalog.CredentialKind, "c1", `{"secret_sha256":"`+hashOf("planted")+`","organizations":["o1"]}`)
	w.put(catalog.PlanKind, "pro", `{}`)
	step(nil)
	w.same()
	w.put(catalog.PlanKind, "pro", "")
	w.put(catalog.OrganizationKind, "o1", `{"name":"b"}`)
	step(nil)
	w.same()
	if rows := w.rows("SELECT * FROM reckoner.catalog"); len(rows) == 0 || strings.Contains(fmt.Sprint(rows), hashOf("planted")) {
		t.Errorf("rows, or a hash in them: %v", rows)
	}
	writes := w.writes
	step(nil)
	if w.writes != writes {
		t.Error("an unchanged catalog was written again")
	}

	// While ClickHouse is away it falls behind.
	w.down = true
	w.put(catalog.PlanKind, "later", `{}`)
	step(errDown)
	step(errDown)
	if got := w.behind(); got != 1 {
		t.Errorf("behind by %v changes, want 1", got)
	}
	w.down = false
	w.put(catalog.PlanKind, "latest", `{}`)
	step(nil)
	w.same()
	if got := w.behind(); got != 0 {
		t.Errorf("behind by %v changes, want 0", got)
	}

	// Emptied by somebody, it is filled again.
	w.site.exec("TRUNCATE TABLE reckoner.catalog")
	step(nil) // not looked at yet
	now = now.Add(mirrorRecheck)
	step(nil)
	w.same()
	// A copy of another catalog is left alone, and told once.
	w.site.exec(`INSERT INTO reckoner.catalog (kind, id, version, deleted, entity) VALUES ('plan', 'x', 1000, false, '{}')`)
	for range 3 {
		now = now.Add(mirrorRecheck)
		step(nil)
	}
	if got := strings.Count(w.logs.String(), "newer catalog"); got != 1 {
		t.Errorf("a copy of another catalog was told %d times:\n%s", got, w.logs.String())
	}
}

// Cut off between two inserts it goes on where it was, also by another process, and several at once write the same.
func TestTheCopyIsWrittenInPieces(t *testing.T) {
	w := newMirrorWorld(t)
	const n = mirrorRowsMax + 1000
	w.put(catalog.OrganizationKind, "o1", `{"name":"first"}`)
	for i := range n {
		w.put(catalog.PlanKind, fmt.Sprint("plan_", i), `{}`)
	}
	w.failAt = 2
	if err := w.mirror().step(t.Context(), time.Unix(0, 0)); !errors.Is(err, errDown) {
		t.Fatalf("the second insert: %v", err)
	}
	if got := w.behind(); got != 1001 {
		t.Errorf("behind by %v changes, want 1001", got)
	}
	if got := len(w.rows("SELECT id FROM reckoner.catalog")); got != mirrorRowsMax {
		t.Errorf("%d rows are there after the first insert, want %d", got, mirrorRowsMax)
	}
	w.put(catalog.OrganizationKind, "o1", `{"name":"second"}`)
	w.put(catalog.PlanKind, "plan_3", "")
	w.failAt = 0
	var wg sync.WaitGroup
	errs := make([]error, 3)
	mirrors := []*mirror{w.mirror(), w.mirror(), w.mirror()}
	snapshot := w.Current()
	for i, m := range mirrors {
		m.to, m.from = w.ledger, snapshot
		wg.Go(func() { errs[i] = m.step(t.Context(), time.Unix(0, 0)) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	w.same()
}
