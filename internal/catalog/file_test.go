package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reckoner/internal/catalog"
)

// lines is a log that can be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// watched is a catalog file that is being followed.
type watched struct {
	*catalog.File
	t       *testing.T
	log     *lines
	reg     *prometheus.Registry
	changes chan *catalog.Catalog
}

func watch(t *testing.T, path string, poll time.Duration) *watched {
	t.Helper()
	w := &watched{t: t, log: new(lines), reg: prometheus.NewRegistry(), changes: make(chan *catalog.Catalog, 100)}
	opts := catalog.Options{Registerer: w.reg, OnChange: func(c *catalog.Catalog) { w.changes <- c }, Poll: poll}
	f, err := catalog.Open(path, opts, slog.New(slog.NewTextHandler(w.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	w.File = f
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
	})
	return w
}

// until polls a condition.
func (w *watched) until(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("not %s in time; the log:\n%s", what, w.log)
		}
	}
}

func (w *watched) has(org string) func() bool {
	return func() bool {
		_, ok := w.Current().Organization(org)
		return ok
	}
}

func (w *watched) gauge(name string) float64 {
	w.t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	w.t.Fatalf("no metric %s", name)
	return 0
}

func org(id string) string { return "organizations: [{id: " + id + "}]\n" }

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// hour is a poll that never comes in a test.
const hour = time.Hour

func TestAFileWrittenInPlaceIsSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.yaml")
	put(t, path, org("a"))
	w := watch(t, path, hour)
	put(t, path, org("b"))
	w.until("seen", w.has("b"))
	if _, ok := (<-w.changes).Organization("b"); !ok {
		t.Error("OnChange got another catalog")
	}
}

func TestAFileRenamedOverItIsSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.yaml")
	put(t, path, org("a"))
	w := watch(t, path, hour)
	for _, id := range []string{"b", "c"} { // the second one too: the watch is not with the first file
		put(t, path+"~", org(id))
		if err := os.Rename(path+"~", path); err != nil {
			t.Fatal(err)
		}
		w.until("seen", w.has(id))
	}
}

// Kubernetes mounts a ConfigMap as links over ..data, which is itself a link that is swapped.
func TestASwappedDirectoryLinkIsSeen(t *testing.T) {
	dir := t.TempDir()
	version := func(name, id string) {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, name, "catalog.yaml"), org(id))
		if err := errors.Join(os.Symlink(name, filepath.Join(dir, "..tmp")),
			os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	version("..1", "a")
	path := filepath.Join(dir, "catalog.yaml")
	if err := os.Symlink("..data/catalog.yaml", path); err != nil {
		t.Fatal(err)
	}
	w := watch(t, path, hour)
	version("..2", "b")
	w.until("seen", w.has("b"))
}

// A target elsewhere gives the directory no notice, as network file systems give none: the poll sees it.
func TestAFileWithoutNoticesIsPolled(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "real.yaml")
	put(t, elsewhere, org("a"))
	path := filepath.Join(t.TempDir(), "catalog.yaml")
	if err := os.Symlink(elsewhere, path); err != nil {
		t.Fatal(err)
	}
	w := watch(t, path, 10*time.Millisecond)
	put(t, elsewhere, org("b"))
	w.until("seen", w.has("b"))
}

func TestABadFileKeepsTheOldCatalog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.yaml")
	put(t, path, org("a"))
	w := watch(t, path, 10*time.Millisecond)
	stale := func(want float64) func() bool {
		return func() bool { return w.gauge("reckoner_catalog_stale") == want }
	}
	keeps := func(what, logged string) {
		t.Helper()
		w.until(what, stale(1))
		w.until("logged", func() bool { return strings.Contains(w.log.String(), logged) })
		if !w.has("a")() {
			t.Errorf("%s: the old catalog is gone", what)
		}
	}
	put(t, path, "organizations:\n- {id: b, colour: red}\n- {nmae: c}\n")
	keeps("bad", `catalog.yaml:2: organizations[0]: unknown key`)
	w.until("both logged", func() bool { return strings.Contains(w.log.String(), `catalog.yaml:3: organizations[1]`) })
	put(t, path, org("a"))
	w.until("good again", stale(0))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	keeps("gone", "no such file")
	put(t, path, org("a")) // the same bytes as before
	w.until("back", stale(0))
	put(t, path, org("d"))
	w.until("changed", w.has("d"))
}

// What is bad is told once, not at every poll.
func TestABadFileIsLoggedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.yaml")
	put(t, path, org("a"))
	log := new(lines)
	f, err := catalog.Open(path, catalog.Options{}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	put(t, path, "x")
	for range 3 {
		if f.Reload() {
			t.Error("a bad file came into force")
		}
	}
	if n := strings.Count(log.String(), "bad catalog file"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	bad := filepath.Join(dir, "bad.yaml")
	put(t, bad, "organizations: [{}]\nprojects: [{}]")
	good := filepath.Join(dir, "good.yaml")
	put(t, good, org("a"))
	for _, c := range []struct{ path, auto, want string }{
		{filepath.Join(dir, "none.yaml"), "", "no such file"},
		{dir, "", "is a directory"},
		{bad, "", "bad.yaml:2: projects[0]: id is missing"},
		{good, "b", `catalog.auto_accounts`},
	} {
		if f, err := catalog.Open(c.path, catalog.Options{AutoAccounts: c.auto}, log); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v", c.path, f, err)
		}
	}
	f, err := catalog.Open(good, catalog.Options{AutoAccounts: "a"}, log)
	if err != nil {
		t.Fatal(err)
	}
	if a, ok := f.Current().Account(account1); !ok || a.OrganizationID != "a" || !a.Auto {
		t.Errorf("%+v", a)
	}
}
