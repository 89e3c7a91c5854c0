package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"reckoner/internal/bus"
)

// adminCatalog is catalogWith, whose credential may change the catalog too.
func adminCatalog(account, more string) string {
	return strings.Replace(catalogWith(account, more), "usage.backfill]", "usage.backfill, catalog.write]", 1)
}

// ingestAt starts another ingest process and returns it, and where it is reached.
func (i *installation) ingestAt(t testing.TB, clickhouse string, args ...string) (*installation, *process) {
	t.Helper()
	other := *i
	other.api, other.ops = freeAddress(t), freeAddress(t)
	p := start(t, i.env, append([]string{"ingest", "--listen", other.api, "--ops-listen", other.ops, "--brokers", i.kafka, "--clickhouse", "http://" + clickhouse}, args...)...)
	i.ready(t, p, other.ops)
	return &other, p
}

// TestEveryIngestProcessFollowsTheCatalog changes the catalog at one process and asks another one.
func TestEveryIngestProcessFollowsTheCatalog(t *testing.T) {
	t.Parallel()
	account := uuid.NewString()
	i := newInstallation(t, patient())
	i.engines(t)
	i.migrate(t)
	i.aggregate(t, i.dir)
	first, _ := i.ingestAt(t, i.clickhouse, "--catalog", catalogFile(t, adminCatalog(account, subscriptionOf(account, "credit", "10"))))
	second, _ := i.ingestAt(t, i.clickhouse) // the topic has it
	a, b := first.producer(), second.producer()

	// Each change is seen by the other process within a second. A machine may pause now and then, so that one of ten may be late.
	var took []time.Duration
	for n := range 10 {
		id := uuid.NewString()
		if got := a.do(t, "PUT", "/admin/v1/accounts/"+id, m{"organization": "d3300000-0000-4000-8000-000000000001"}); got.status != 201 {
			t.Fatalf("put an account: %s", got)
		}
		changed := time.Now()
		use := usages(m{"id": uuid.NewString(), "amount": n + 1})
		wantOK(t, a.post(t, createPath(id), use)) // who made the change uses it
		eventually(t, 30*time.Second, func() string {
			got, err := b.try("POST", createPath(id), use)
			if err != nil || got.status != 200 {
				return fmt.Sprintf("%s %v", got, err)
			}
			return ""
		})
		took = append(took, time.Since(changed))
	}
	slices.Sort(took)
	t.Logf("the other process used a change after %v at most, %v in the middle", took[len(took)-1], took[len(took)/2])
	if late := took[len(took)-2]; late > time.Second {
		t.Errorf("two of %d changes took %v and more to reach the other process", len(took), late)
	}

	// A limit that changes between two requests counts at once, at both.
	use := func(to *api, amount int, want string) {
		t.Helper()
		id := uuid.NewString()
		quantity := fmt.Sprint(amount)
		if want != "applied" {
			quantity = "0"
		}
		wantOutcomes(t, to.post(t, createPath(account), usages(m{"id": id, "amount": amount}), "Prefer", "wait=30"), outcome{id, want, quantity, false})
	}
	use(a, 10, "applied")
	use(b, 1, "limit_exceeded")
	limit := func(text string) {
		t.Helper()
		got := a.do(t, "PUT", "/admin/v1/subscriptions/sub", m{"account": account, "meter": "credit", "limit": text})
		if got.status != 200 {
			t.Fatalf("change the limit: %s", got)
		}
		i.follows(t, second.ops)
	}
	limit("15.5")
	use(a, 2, "applied")
	use(b, 3, "applied")
	use(a, 1, "limit_exceeded")
	limit("12")
	use(b, 1, "limit_exceeded")

	// What is in use stays.
	if got := a.do(t, "DELETE", "/admin/v1/accounts/"+account, ""); got.status != 409 || !strings.Contains(got.body, "sub") {
		t.Errorf("delete an account in use: %s", got)
	}
	if status, out, log := i.catalog(t, "apply", "--prune", catalogFile(t, "organizations: [{id: d3300000-0000-4000-8000-000000000001, name: demo}]\n"+
		fmt.Sprintf("accounts: [{id: %s, organization: d3300000-0000-4000-8000-000000000001}]\n", account))); status != 0 {
		t.Errorf("prune the subscription and the credential: status %d\n%s%s", status, out, log)
	}
	i.follows(t, first.ops)
	if got := a.do(t, "GET", "/admin/v1/accounts/"+account, ""); got.status != 401 {
		t.Errorf("a pruned credential: %s", got)
	}
	i.want(t, "SELECT subscription_id, quantity, events FROM subscription_totals WHERE account_id = '"+account+"'", "sub 15 3")
}

// applied is one version of what a test changes, and when it came into force.
type applied struct {
	limit         string
	begun, ensued time.Time // it was in force nowhere before begun, and everywhere after ensued
}

// sent is one usage that was acknowledged.
type sent struct{ asked, answered time.Time }

// TestApplyingUnderLoadChangesNothingInFlight changes limits, plans and accounts while usage comes in. Every usage that was
// acknowledged counts once, with a limit that was in force while it was under way.
func TestApplyingUnderLoadChangesNothingInFlight(t *testing.T) {
	t.Parallel()
	account := uuid.NewString()
	i := newInstallation(t, patient())
	version := func(n int) (limit, text string) {
		limit = strconv.Itoa(1_000_000 + n)
		more := fmt.Sprintf("subscriptions: [{id: sub, account: %s, plan: pro, meter: credit, limit: %q}]\nplans: [{id: pro, name: Version %d}, {id: plan_%d}]\nprojects: [{id: p%d, organization: d3300000-0000-4000-8000-000000000001}]\n",
			account, limit, n, n%3, n)
		return limit, adminCatalog(account, more)
	}
	limit, text := version(0)
	started := time.Now()
	i.dev(t, "--catalog", catalogFile(t, text))
	versions := []applied{{limit, started, time.Now()}}

	var mu sync.Mutex
	acknowledged := map[string]sent{}
	done := make(chan struct{})
	var work sync.WaitGroup
	for range 4 {
		a := i.producer()
		work.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				list, ids := manyUsages(5, 1)
				asked := time.Now()
				got, err := a.try("POST", createPath(account), usages(list...))
				answered := time.Now()
				if err != nil || got.status != 200 {
					t.Errorf("a usage while the catalog changes: %s %v", got, err)
					return
				}
				mu.Lock()
				for _, id := range ids {
					acknowledged[id] = sent{asked, answered}
				}
				mu.Unlock()
			}
		})
	}
	for n := 1; n <= 8; n++ {
		limit, text := version(n)
		begun := time.Now()
		i.apply(t, text, "--prune")
		versions = append(versions, applied{limit, begun, time.Now()})
	}
	close(done)
	work.Wait()
	i.drain(t)

	rows := i.rows(t, "SELECT event_id, toString(usage_limit), subscription_id, outcome FROM entries FINAL")
	if len(rows) != len(acknowledged) || len(rows) == 0 {
		t.Errorf("%d usages count, %d were acknowledged", len(rows), len(acknowledged))
	}
	used := map[string]int{}
	for _, r := range rows {
		s, known := acknowledged[r[0]]
		if !known || r[2] != "sub" || r[3] != "applied" {
			t.Errorf("a row that nobody sent, or not as it was sent: %v", r)
			continue
		}
		if !inForce(versions, r[1], s) {
			t.Errorf("%s, sent from %v to %v, has the limit %s, which was not in force", r[0], s.asked, s.answered, r[1])
		}
		used[r[1]]++
	}
	t.Logf("%d usages over %d versions: %v", len(rows), len(versions), used)
	if len(used) < len(versions)/2 {
		t.Errorf("only %d of %d versions were met: this shows little", len(used), len(versions))
	}
	if got := i.value(t, "SELECT groupArray(name) FROM catalog_plans WHERE plan = 'pro'"); got != "['Version 8']" {
		t.Errorf("the copy has the plan %s", got)
	}
}

// inForce reports whether a limit could be in force at some time while a usage was under way: it had begun before the
// answer, and its successor was not everywhere yet when the usage was sent.
func inForce(versions []applied, limit string, s sent) bool {
	for n, v := range versions {
		if v.limit == limit {
			return !v.begun.After(s.answered) && (n+1 == len(versions) || !versions[n+1].ensued.Before(s.asked))
		}
	}
	return false
}

// gate lets connections through to an address, or cuts them all.
type gate struct {
	to   string
	addr string
	mu   sync.Mutex
	shut bool
	open []net.Conn
}

func newGate(t testing.TB, to string) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{to: to, addr: l.Addr().String()}
	t.Cleanup(func() { _ = l.Close(); g.set(true) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			g.pass(c)
		}
	}()
	return g
}

func (g *gate) pass(from net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	to, err := net.Dial("tcp", g.to)
	if g.shut || err != nil {
		_ = from.Close()
		if err == nil {
			_ = to.Close()
		}
		return
	}
	g.open = append(g.open, from, to)
	copyAll := func(dst, src net.Conn) {
		_, _ = io.Copy(dst, src) // until either end closes
		_, _ = dst.Close(), src.Close()
	}
	go copyAll(to, from)
	go copyAll(from, to)
}

// set shuts the gate or opens it.
func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	if shut {
		for _, c := range g.open {
			_ = c.Close()
		}
		g.open = nil
	}
}

// TestTheCopyOfTheCatalogCatchesUp changes the catalog while ClickHouse is away from an ingest process. Its copy is then
// what `catalog get` says, and no secret is anywhere but in the topic.
func TestTheCopyOfTheCatalogCatchesUp(t *testing.T) {
	t.Parallel()
	account := uuid.NewString()
	planted := strings.Repeat("5ec2e7", 10) + "0000" // a hash that only the topic may hold
	i := newInstallation(t)
	i.engines(t)
	i.migrate(t)
	g := newGate(t, i.clickhouse)
	in, p := i.ingestAt(t, g.addr, "--catalog", catalogFile(t, adminCatalog(account, subscriptionOf(account, "credit", "1"))))
	a := in.producer()
	put := func(path string, body any, status int) {
		t.Helper()
		if got := a.do(t, "PUT", "/admin/v1/"+path, body); got.status != status {
			t.Fatalf("PUT %s: %s", path, got)
		}
	}
	put("plans/before", m{}, 201)
	i.copied(t, in.ops)

	g.set(true)
	put("credentials/planted", m{"secret_sha256": planted, "scopes": []string{"usage.read"}, "organizations": []string{"*"}}, 201)
	put("plans/during", m{"prices": []m{{"meter": "credit", "unit_price": "0.002"}}}, 201)
	put("plans/before", m{"name": "Renamed"}, 200)
	put("meters/gone", m{}, 201)
	if got := a.do(t, "DELETE", "/admin/v1/meters/gone", ""); got.status != 204 {
		t.Errorf("DELETE: %s", got)
	}
	eventually(t, 30*time.Second, func() string {
		if got := metric(t, in.ops, "reckoner_catalog_copy_behind_changes"); got == "0" || got == "" {
			return "the metric does not say that the copy is behind: " + got
		}
		return ""
	})
	if status, body := get("http://" + in.ops + "/readyz"); status != 200 {
		t.Errorf("not ready, because its copy of the catalog is behind: %d %s", status, body)
	}
	i.want(t, "SELECT plan FROM catalog_plans", "before")
	g.set(false)
	i.copied(t, in.ops)
	i.want(t, "SELECT plan, name FROM catalog_plans ORDER BY plan", "before Renamed", "during during")

	// The copy is the catalog, entity by entity, and holds no hash.
	status, out, log := i.catalog(t, "get", "--format", "json")
	if status != 0 {
		t.Fatalf("catalog get: %s", log)
	}
	var document map[string][]json.RawMessage
	if err := json.Unmarshal([]byte(out), &document); err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for kind, entities := range document {
		for _, e := range entities {
			want = append(want, strings.TrimSuffix(kind, "s")+"\t"+string(e))
		}
	}
	for _, r := range i.rows(t, "SELECT kind, entity FROM catalog FINAL WHERE NOT deleted") {
		got = append(got, strings.Join(r, "\t"))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the copy is\n%s\nthe catalog is\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	all := out + log + p.log.String() + strings.Join(got, "\n") + a.do(t, "GET", "/admin/v1/credentials", "").body
	for _, r := range i.rows(t, "SELECT * FROM catalog") {
		all += strings.Join(r, "\t")
	}
	if strings.Contains(all, planted) {
		t.Error("a hash is told")
	}
}

// copied waits until the copy in ClickHouse is of the topic's last change.
func (i *installation) copied(t testing.TB, ops string) {
	t.Helper()
	i.follows(t, ops)
	end, err := i.bus(t).EndOffsets(t.Context(), bus.TopicCatalog)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, func() string {
		if got := i.value(t, "SELECT max(version) FROM catalog"); got != fmt.Sprint(end[0]) {
			return fmt.Sprintf("the copy is of version %s, the catalog of %d", got, end[0])
		}
		return ""
	})
}
