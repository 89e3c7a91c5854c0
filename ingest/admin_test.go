package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reckoner/internal/bus"
	"reckoner/internal/catalog"
	"reckoner/internal/catalog/live"
	"reckoner/internal/embedded/broker"
	"reckoner/internal/embedded/broker/brokertest"
)

// adminWorld is a server whose catalog is a topic of an embedded Kafka.
type adminWorld struct {
	*world
	broker *broker.Broker
	writer *live.Writer
	logs   *logBuffer
}

// logBuffer collects what is logged.
type logBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

const plantedSecret = "planted-secret"

// newAdminWorld has a catalog of two credentials: root, who may change it, and bound, whom acme's organization binds.
func newAdminWorld(t *testing.T, change ...func(*Options)) *adminWorld {
	t.Helper()
	a := &adminWorld{broker: brokertest.Start(t), logs: &logBuffer{}}
	client, err := bus.Open(bus.Options{Brokers: a.broker.Addrs(), IOTimeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if err := client.EnsureTopics(t.Context(), bus.Topics(1, 0)); err != nil {
		t.Fatal(err)
	}
	reader, err := live.Open(t.Context(), client, live.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := reader.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("following the catalog ended with %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	producer := client.NewProducer(bus.ProducerOptions{DeliveryTimeout: 500 * time.Millisecond})
	t.Cleanup(func() { _ = producer.Close(context.Background()) })
	a.writer = live.NewWriter(reader, producer, live.WriterOptions{Timeout: 2 * time.Second})
	a.world = newWorld(t, append([]func(*Options){func(o *Options) {
		o.Catalog, o.CatalogWriter = reader, a.writer
		o.Log = slog.New(slog.NewTextHandler(a.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}}, change...)...)
	a.seed(t, "organization", acme, `{"name":"acme"}`)
	for id, more := range map[string]string{
		"root":  `"scopes":["catalog.write"],"organizations":["*"]`,
		"bound": `"scopes":["catalog.write","usage.write"],"organizations":["` + acme + `"]`,
		"user":  `"scopes":["usage.write","usage.read"],"organizations":["*"]`,
	} {
		a.seed(t, "credential", id, fmt.Sprintf(`{"secret_sha256":%q,%s}`, hash("se:cret"), more))
	}
	return a
}

// seed writes an entity past the API.
func (a *adminWorld) seed(t *testing.T, kind, id, body string) {
	t.Helper()
	k, ok := catalog.ParseKind(kind)
	e, faults := catalog.DecodeEntity(k, id, []byte(body), nil)
	if !ok || len(faults) > 0 {
		t.Fatalf("seed %s %s: %v", kind, id, faults)
	}
	d, err := a.writer.Do(t.Context(), catalog.Put(e, 0, "test"))
	if err = errors.Join(err, d.Err()); err != nil {
		t.Fatal(err)
	}
}

// call makes a request as root, unless headers say otherwise.
func (a *adminWorld) call(method, path, body string, headers ...string) answer {
	a.t.Helper()
	return a.request(method, "/admin/v1/"+path, body, append([]string{as("root")}, headers...)...)
}

// want makes a request and holds the answer against a status; of a success it returns the ETag.
func (a *adminWorld) want(t *testing.T, status int, method, path, body string, headers ...string) answer {
	t.Helper()
	got := a.call(method, path, body, headers...)
	if got.status != status {
		t.Fatalf("%s %s: %d %s, want %d", method, path, got.status, got.body, status)
	}
	if status >= 400 {
		got.problem(t)
	}
	return got
}

func TestAdminMakesChangesAndDeletes(t *testing.T) {
	a := newAdminWorld(t)
	got := a.want(t, 404, "GET", "accounts/"+account, "")
	if p := got.problem(t); !strings.Contains(p.Detail, "no account "+`"`+account) {
		t.Errorf("detail %q", p.Detail)
	}
	body := `{"organization":"` + acme + `","created_at":"2026-01-01T00:00:00+01:00"}`
	made := a.want(t, 201, "PUT", "accounts/"+strings.ToUpper(account), body)
	const shown = `{"id":"` + account + `","organization":"` + acme + `","state":"active","created_at":"2025-12-31T23:00:00Z"}`
	if made.body != shown || made.header.Get("Location") != "/admin/v1/accounts/"+account || made.header.Get("Content-Type") != "application/json" {
		t.Errorf("made: %s, %v", made.body, made.header)
	}
	first := made.header.Get("ETag")
	if got := a.want(t, 200, "GET", "accounts/"+account, ""); got.body != shown || got.header.Get("ETag") != first || first == "" {
		t.Errorf("got %s with ETag %s, want %s", got.body, got.header.Get("ETag"), first)
	}
	if got := a.want(t, 304, "GET", "accounts/"+account, "", "If-None-Match: "+first); got.body != "" || got.header.Get("ETag") != first {
		t.Errorf("not modified: %q, ETag %s", got.body, got.header.Get("ETag"))
	}
	// The same again writes nothing.
	if got := a.want(t, 200, "PUT", "accounts/"+account, `{"id":"`+strings.ToUpper(account)+`",`+body[1:]); got.header.Get("ETag") != first {
		t.Errorf("a change of nothing made version %s of %s", got.header.Get("ETag"), first)
	}
	changed := a.want(t, 200, "PUT", "accounts/"+account, `{"organization":"`+acme+`","state":"disabled"}`)
	if second := changed.header.Get("ETag"); second == first || strings.Contains(changed.body, "created_at") || !strings.Contains(changed.body, `"disabled"`) {
		t.Errorf("changed: %s with ETag %s", changed.body, second)
	}
	if got := a.want(t, 204, "DELETE", "accounts/"+account, ""); got.body != "" {
		t.Errorf("deleted: %q", got.body)
	}
	a.want(t, 404, "DELETE", "accounts/"+account, "")
	a.want(t, 404, "GET", "accounts/"+account, "")
	if got := a.want(t, 201, "PUT", "meters/"+"a%2Fb%20c", `{"unit":"x"}`); got.header.Get("Location") != "/admin/v1/meters/a%2Fb%20c" {
		t.Errorf("Location %s", got.header.Get("Location"))
	}
}

func TestAdminErrors(t *testing.T) {
	a := newAdminWorld(t)
	a.seed(t, "account", account, `{"organization":"`+acme+`"}`)
	a.seed(t, "meter", "calls", `{}`)
	a.seed(t, "meter", "disk", `{"type":"total"}`)
	a.seed(t, "subscription", "sub_1", `{"account":"`+account+`","meter":"calls","limit":"5"}`)
	for _, c := range []struct {
		name                 string
		method, path, body   string
		header               string
		status               int
		detail, fields, says string
	}{
		{"no such kind", "GET", "things/1", "", "", 404, "no such path", "", ""},
		{"the singular", "GET", "account/" + account, "", "", 404, "no such path", "", ""},
		{"no such version of the API", "GET", "../v2/accounts", "", "", 404, "no such path", "", ""},
		{"wrong method", "POST", "accounts", "{}", "", 405, "it has GET", "", ""},
		{"wrong method of an entity", "PATCH", "accounts/" + account, "{}", "", 405, "GET, PUT, DELETE", "", ""},
		{"no JSON", "PUT", "accounts/" + account, `{"organization":`, "", 400, "invalid body", "", ""},
		{"empty", "PUT", "accounts/" + account, "", "", 400, "invalid body", "", ""},
		{"not an object", "PUT", "accounts/" + account, `[]`, "", 422, "", "account", "want an object"},
		{"another id", "PUT", "subscriptions/sub_1", `{"id":"sub_2","account":"` + account + `"}`, "", 422, "", "id", "sub_1"},
		{"all faults", "PUT", "subscriptions/sub_2", `{"account":"` + other + `","plan":"gone","meter":"nope","limit":"1.0001","limits":1,"period":{"every":"hour"}}`, "",
			422, "", "limit subscription period.every account plan meter", `"limits": did you mean`},
		{"another account", "PUT", "subscriptions/sub_1", `{"account":"` + other + `","meter":"calls"}`, "", 422, "", "account", "stays there"},
		{"another organization", "PUT", "accounts/" + account, `{"organization":"` + globex + `"}`, "", 422, "", "organization", "stays there"},
		{"all references", "PUT", "subscriptions/sub_2", `{"account":"` + other + `","plan":"gone","meter":"nope"}`, "", 422, "", "account plan meter", "nope"},
		{"a repeated key", "PUT", "meters/calls", `{"unit":"x","unit":"y"}`, "", 422, "", "meter", "duplicate"},
		{"a check", "PUT", "subscriptions/sub_2", `{"account":"` + account + `","meter":"disk","limit":"1"}`, "", 422, "", "limit", "only interval meters"},
		{"a check elsewhere", "PUT", "meters/calls", `{"type":"total"}`, "", 422, "", "type", "sub_1"},
		{"a new credential without a secret", "PUT", "credentials/new", `{"scopes":["usage.read"]}`, "", 422, "", "credential", "secret_sha256"},
		{"in use", "DELETE", "accounts/" + account, "", "", 409, "sub_1", "", ""},
		{"in use by an account", "DELETE", "organizations/" + acme, "", "", 409, "in use", "", ""},
		{"a taken name", "PUT", "organizations/" + globex, `{"name":"acme"}`, "", 409, "acme", "", ""},
		{"another version", "PUT", "meters/calls", `{}`, `If-Match: "1"`, 412, "changed by somebody else", "", ""},
		{"a version of nothing", "PUT", "meters/new", `{}`, `If-Match: "1"`, 412, "changed by somebody else", "", ""},
		{"any version of nothing", "PUT", "meters/new", `{}`, `If-Match: *`, 412, "changed by somebody else", "", ""},
		{"a weak version", "DELETE", "meters/disk", "", `If-Match: W/"1"`, 412, "changed by somebody else", "", ""},
		{"there already", "PUT", "meters/calls", `{}`, `If-None-Match: *`, 412, "changed by somebody else", "", ""},
		{"no version", "PUT", "meters/calls", `{}`, `If-Match: 7`, 400, "invalid entity tag 7", "", ""},
		{"delete nothing", "DELETE", "meters/none", "", `If-Match: "7"`, 404, `no meter "none"`, "", ""},
		{"list's parameters", "GET", "accounts?limit=0&page_token=%21&limits=1", "", "", 422, "", "limit limits page_token", "1 to 1000"},
		{"list's parameters, twice", "GET", "accounts?limit=1&limit=2", "", "", 422, "", "limit", "more than once"},
		{"no credential", "GET", "accounts", "", "Authorization: ", 401, "not authenticated", "", ""},
		{"not the scope", "GET", "accounts", "", as("user"), 403, "not authorized", "", ""},
		{"bound to an organization", "GET", "accounts/" + account, "", as("bound"), 403, "all organizations", "", ""},
		{"bound, and changes itself", "PUT", "credentials/bound", `{"organizations":["*"]}`, as("bound"), 403, "all organizations", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var headers []string
			if c.header != "" {
				headers = append(headers, c.header)
			}
			got := a.call(c.method, c.path, c.body, headers...)
			p := got.problem(t)
			if got.status != c.status || !strings.Contains(p.Detail, c.detail) || !strings.Contains(got.body, jsonText(c.says)) {
				t.Errorf("%d %.500s, want %d saying %q and %q", got.status, got.body, c.status, c.detail, c.says)
			}
			if c.fields != "" && !strings.HasPrefix(strings.Join(unique(p.fields()), " "), c.fields) {
				t.Errorf("fields %q, want %q\n%.500s", p.fields(), c.fields, got.body)
			}
		})
	}
	var big strings.Builder
	for i := range 9000 {
		fmt.Fprintf(&big, `,{"name":"%0100d","amount":"1"}`, i)
	}
	a.want(t, 413, "PUT", "plans/big", `{"discounts":[`+big.String()[1:]+`]}`)
	if got := a.want(t, 200, "GET", "subscriptions", ""); strings.Count(got.body, "etag") != 1 {
		t.Errorf("a refused change left something: %s", got.body)
	}
}

// jsonText is a text as it stands within a JSON string.
func jsonText(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return strings.Trim(string(b), `"`)
}

func unique(fields string) (all []string) {
	seen := map[string]bool{}
	for f := range strings.FieldsSeq(fields) {
		f, _, _ = strings.Cut(f, "[")
		if !seen[f] {
			seen[f] = true
			all = append(all, f)
		}
	}
	return all
}

func TestAdminLists(t *testing.T) {
	a := newAdminWorld(t)
	if got := a.want(t, 200, "GET", "plans", ""); got.body != `{"items":[]}` {
		t.Errorf("no plans: %s", got.body)
	}
	const n = 25
	for i := range n {
		a.seed(t, "plan", fmt.Sprintf("plan_%02d", i), `{}`)
	}
	var ids []string
	for next, page := "", 0; ; page++ {
		path := "plans?limit=7"
		if next != "" {
			path += "&page_token=" + next
		}
		var list struct {
			Items []struct {
				ETag   string
				Entity struct{ ID string }
			}
			NextPageToken string `json:"next_page_token"`
		}
		got := a.want(t, 200, "GET", path, "")
		if err := json.Unmarshal([]byte(got.body), &list); err != nil || len(list.Items) > 7 {
			t.Fatalf("%s: %v", got.body, err)
		}
		for _, item := range list.Items {
			ids = append(ids, item.Entity.ID)
			if one := a.call("GET", "plans/"+item.Entity.ID, ""); one.header.Get("ETag") != item.ETag {
				t.Errorf("%s has ETag %s, the list says %s", item.Entity.ID, one.header.Get("ETag"), item.ETag)
			}
		}
		if next = list.NextPageToken; next == "" {
			break
		}
		// What comes and goes meanwhile moves nothing.
		a.want(t, 201, "PUT", fmt.Sprintf("plans/a_%d", page), `{}`)
		a.want(t, 204, "DELETE", "plans/"+ids[0], "")
		a.want(t, 201, "PUT", "plans/"+ids[0], `{}`)
	}
	var want []string
	for i := range n {
		want = append(want, fmt.Sprintf("plan_%02d", i))
	}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Error(diff)
	}
}

// Large entities make a page shorter than it may be.
func TestAdminListsAreBoundedInBytes(t *testing.T) {
	a := newAdminWorld(t)
	var big strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&big, `,{"name":"%0250d","amount":"1"}`, i)
	}
	const n = 8 // of 840 kB
	for i := range n {
		a.seed(t, "plan", fmt.Sprint("plan_", i), `{"discounts":[`+big.String()[1:]+`]}`)
	}
	seen := 0
	for next, pages := "", 0; ; {
		path := "plans"
		if next != "" {
			path += "?page_token=" + next
		}
		got := a.want(t, 200, "GET", path, "")
		var list struct {
			Items         []struct{ ETag string }
			NextPageToken string `json:"next_page_token"`
		}
		if err := json.Unmarshal([]byte(got.body), &list); err != nil || len(got.body) > pageBytesMax+2<<20 {
			t.Fatalf("a page of %d bytes: %v", len(got.body), err)
		}
		seen += len(list.Items)
		pages++
		if next = list.NextPageToken; next == "" {
			if seen != n || pages < 2 {
				t.Errorf("%d plans in %d pages, want %d in several", seen, pages, n)
			}
			return
		}
	}
}

// Of two who change the same version one is told that the other was first; of two who do not say a version both change it.
func TestAdminsAtOnce(t *testing.T) {
	a := newAdminWorld(t)
	a.seed(t, "meter", "calls", `{}`)
	both := func(headers ...string) (statuses []int) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		for i := range 2 {
			wg.Go(func() {
				got := a.call("PUT", "meters/calls", fmt.Sprintf(`{"unit":"u%d-%d"}`, i, time.Now().UnixNano()), headers...)
				mu.Lock()
				defer mu.Unlock()
				statuses = append(statuses, got.status)
			})
		}
		wg.Wait()
		return statuses
	}
	for range 10 {
		tag := a.want(t, 200, "GET", "meters/calls", "").header.Get("ETag")
		if got := both("If-Match: " + tag); got[0]+got[1] != 200+412 {
			t.Errorf("both of version %s: %v, want one 200 and one 412", tag, got)
		}
		if got := both(); got[0]+got[1] != 200+200 {
			t.Errorf("both of any version: %v, want 200 twice", got)
		}
	}
	// Of two who create one wins, where both say so.
	var wg sync.WaitGroup
	statuses := make(chan int, 2)
	for range 2 {
		wg.Go(func() { statuses <- a.call("PUT", "meters/new", `{}`, "If-None-Match: *").status })
	}
	wg.Wait()
	if x, y := <-statuses, <-statuses; x+y != 201+412 {
		t.Errorf("both create: %d and %d, want one 201 and one 412", x, y)
	}
}

// A secret goes in and never comes out: in no answer, in no log.
func TestAdminNeverTellsASecret(t *testing.T) {
	a := newAdminWorld(t)
	secret := hash(plantedSecret)
	var said []string
	say := func(got answer) answer {
		said = append(said, got.body, fmt.Sprint(got.header))
		return got
	}
	put := func(body string, headers ...string) answer {
		return say(a.call("PUT", "credentials/c", body, headers...))
	}
	if got := put(`{"secret_sha256":"` + secret + `","scopes":["usage.read"],"organizations":["*"]}`); got.status != 201 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	login := func(want int) {
		t.Helper()
		if got := say(a.request("GET", "/admin/v1/meters", "", "Authorization: Bearer c:"+plantedSecret)); got.status != want {
			t.Errorf("with the secret: %d %s, want %d", got.status, got.body, want)
		}
	}
	login(403) // known, and not its to do
	// Without a secret the present one stays.
	if got := put(`{"scopes":["catalog.write"],"organizations":["*"]}`); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
	login(200)
	say(a.call("GET", "credentials/c", ""))
	say(a.call("GET", "credentials", ""))
	put(`{"secret_sha256":"` + plantedSecret + `"}`)                               // a secret where its hash belongs
	put(`{"secret_sha256":"` + secret + `x"}`)                                     // a broken hash
	put(`{"secret_sha256":"` + secret + `","scopes":["all"]}`)                     // a fault elsewhere
	put(`{"secret_sha256":"` + secret + `","secret_sha256":"` + secret + `"`)      // no JSON
	put(`{"secret_sha256":"` + secret + `","secret_sha256":"` + secret + `"}`)     // a repeated key
	put(`{"secret_sha256":"`+secret+`","scopes":["usage.read"]}`, `If-Match: "1"`) // another version
	// The same hash changes nothing, another one does.
	tag := a.call("GET", "credentials/c", "").header.Get("ETag")
	if got := put(`{"secret_sha256":"` + secret + `","scopes":["catalog.write"],"organizations":["*"]}`); got.header.Get("ETag") != tag {
		t.Errorf("the same made version %s of %s", got.header.Get("ETag"), tag)
	}
	if got := put(`{"secret_sha256":"` + hash("other") + `","scopes":["catalog.write"],"organizations":["*"]}`); got.status != 200 || got.header.Get("ETag") == tag {
		t.Errorf("another secret: %d, ETag %s", got.status, got.header.Get("ETag"))
	}
	login(401)
	if got := say(a.call("DELETE", "credentials/c", "")); got.status != 204 {
		t.Errorf("%d %s", got.status, got.body)
	}
	text := strings.Join(said, "\n") + a.logs.String()
	for _, never := range []string{plantedSecret, secret, strings.ToUpper(secret), hash("other")} {
		if at := strings.Index(text, never); at >= 0 {
			t.Errorf("a secret was told: …%s…", text[max(0, at-200):at+len(never)])
		}
	}
	if !strings.Contains(a.logs.String(), "change of the catalog") || !strings.Contains(a.logs.String(), "credential=root") {
		t.Error("the log does not say who changed the catalog")
	}
}

// What is not known to be done is not said to be done, and not said to be undone either.
func TestAdminWhileKafkaFails(t *testing.T) {
	a := newAdminWorld(t)
	unavailable := func(got answer, says string) {
		t.Helper()
		if p := got.problem(t); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || !strings.Contains(p.Detail, says) {
			t.Errorf("%d %s, want 503 saying %q", got.status, got.body, says)
		}
	}
	a.broker.CutConnections() // ridden out
	a.want(t, 201, "PUT", "meters/m", `{}`)
	a.broker.DropProduceAck(1) // two copies in the log: the first is the one that counts
	a.want(t, 200, "PUT", "meters/m", `{"unit":"copied"}`)

	pause := a.broker.PauseFetch()
	a.broker.CutConnections() // of fetches that are under way
	unavailable(a.call("PUT", "meters/m", `{"unit":"late"}`), "may come into force")
	pause.Resume()
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(a.call("GET", "meters/m", "").body, "late") {
		if time.Now().After(deadline) {
			t.Fatal("the change that is in the log did not come into force")
		}
		time.Sleep(5 * time.Millisecond)
	}

	heal := a.broker.FailProduce(-1)
	unavailable(a.call("PUT", "meters/m", `{"unit":"never"}`), "")
	heal()
	if err := a.broker.Close(); err != nil {
		t.Fatal(err)
	}
	unavailable(a.call("DELETE", "meters/m", ""), "")
	if got := a.want(t, 200, "GET", "meters/m", ""); strings.Contains(got.body, "copied") {
		t.Errorf("an old catalog came back: %s", got.body)
	}
}

// elsewhere is a writer that is level with the log only after another process's change has come in.
type elsewhere struct {
	CatalogWriter
	first func() // what another process was answered a moment ago; nil: nothing
}

func (e *elsewhere) Sync(ctx context.Context) error {
	if first := e.first; first != nil {
		e.first = nil
		first()
	}
	return e.CatalogWriter.Sync(ctx)
}

// A change is judged by what the log holds, not by what this process has read of it so far.
func TestAdminIsLevelWithOtherProcesses(t *testing.T) {
	late := &elsewhere{}
	a := newAdminWorld(t, func(o *Options) { late.CatalogWriter, o.CatalogWriter = o.CatalogWriter, late })
	a.seed(t, "meter", "calls", `{"unit":"x"}`)
	old := a.want(t, 200, "GET", "meters/calls", "").header.Get("ETag")
	var theirs string
	late.first = func() {
		version, err := strconv.ParseUint(strings.Trim(old, `"`), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		e, _ := catalog.DecodeEntity(catalog.MeterKind, "calls", []byte(`{"unit":"y"}`), nil)
		d, err := a.writer.Do(t.Context(), catalog.Put(e, catalog.Version(version), "another"))
		if err != nil || d.Err() != nil {
			t.Fatal(err, d.Err())
		}
		theirs = `"` + d.Version.String() + `"`
	}
	if got := a.want(t, 200, "PUT", "meters/calls", `{"unit":"x"}`).header.Get("ETag"); got == old || got == theirs {
		t.Errorf("the change was taken for none: %s, before %s, another's %s", got, old, theirs)
	}
	if got := a.want(t, 200, "GET", "meters/calls", ""); !strings.Contains(got.body, `"x"`) {
		t.Errorf("in force is %s", got.body)
	}
}
