package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"reckoner/internal/bus"
)

// catalogWith is a catalog of the demo's organization, one account and its credential, with more sections.
func catalogWith(account, more string) string {
	sum := sha256.Sum256([]byte("demo-secret"))
	return fmt.Sprintf(`organizations: [{id: d3300000-0000-4000-8000-000000000001, name: demo}]
accounts: [{id: %s, organization: d3300000-0000-4000-8000-000000000001, default_subscription: sub}]
credentials: [{id: demo, secret_sha256: %s, scopes: [usage.write, usage.revert, usage.read, usage.backfill], organizations: ["*"]}]
%s`, account, hex.EncodeToString(sum[:]), more)
}

func subscriptionOf(account, meter, limit string) string {
	return fmt.Sprintf("subscriptions: [{id: sub, account: %s, meter: %s, limit: %q}]\n", account, meter, limit)
}

// catalogFile writes a catalog to a file of its own.
func catalogFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "catalog.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// catalog runs a subcommand of `catalog` and returns its status and what it wrote.
func (i *installation) catalog(t testing.TB, args ...string) (status int, out, log string) {
	t.Helper()
	status, p := run(t, i.env, append(append([]string{"catalog"}, args...), "--brokers", i.kafka)...)
	return status, p.out.String(), p.log.String()
}

// apply makes the catalog what a text says, and waits until the ingest process uses it.
func (i *installation) apply(t testing.TB, text string, flags ...string) (out string) {
	t.Helper()
	status, out, log := i.catalog(t, append([]string{"apply", catalogFile(t, text)}, flags...)...)
	if status != 0 {
		t.Fatalf("catalog apply: status %d\n%s%s", status, out, log)
	}
	i.follows(t, i.ops)
	return out
}

// follows waits until a process has read the whole topic.
func (i *installation) follows(t testing.TB, ops string) {
	t.Helper()
	end, err := i.bus(t).EndOffsets(t.Context(), bus.TopicCatalog)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, func() string {
		const series = "reckoner_catalog_position"
		if got := metric(t, ops, series); got != fmt.Sprint(end[0]) {
			return fmt.Sprintf("%s is %s of %d", series, got, end[0])
		}
		return ""
	})
}

// TestTheCatalogChangesWhileItIsUsed changes what usage counts for. What is counted stays, and so does who it is.
func TestTheCatalogChangesWhileItIsUsed(t *testing.T) {
	t.Parallel()
	account := uuid.NewString()
	match := func(meter string) string {
		return catalogWith(account, subscriptionOf(account, meter, "1000")+
			"meters: [{name: "+meter+", match: {type: feature, source: api}}]\n")
	}
	i := newInstallation(t, patient())
	i.dev(t, "--catalog", catalogFile(t, match("calls")))
	a := i.producer()
	wait := []string{"Prefer", "wait=30"}
	first := m{"id": uuid.NewString(), "amount": 7, "type": "feature", "source": "api"}
	wantOutcomes(t, a.post(t, createPath(account), usages(first), wait...), outcome{first["id"].(string), "applied", "7", false})
	wantError(t, a.post(t, createPath(demoAccount), usages(first)), 404, 5, "customer doesn't exist")

	i.apply(t, match("requests"), "--prune")
	wantOutcomes(t, a.post(t, createPath(account), usages(first), wait...), outcome{first["id"].(string), "applied", "7", true})
	second := m{"id": uuid.NewString(), "amount": 5, "type": "feature", "source": "api"}
	wantOutcomes(t, a.post(t, createPath(account), usages(second), wait...), outcome{second["id"].(string), "applied", "5", false})
	totals := []string{"calls 7 1", "requests 5 1"}
	const query = "SELECT meter, quantity, events FROM account_totals ORDER BY meter"
	i.want(t, query, totals...)
	i.want(t, "SELECT event_id, outcome, meter FROM usage_refusals", fmt.Sprint(first["id"], " duplicate requests"))

	// A bad file changes nothing, and says where it is bad.
	bad := strings.Replace(match("bad"), "type: feature", "kind: feature", 1)
	if status, out, log := i.catalog(t, "apply", catalogFile(t, bad)); status != 1 || out != "" || !strings.Contains(log, "catalog.yaml:5") || !strings.Contains(log, "kind") {
		t.Errorf("a bad file: status %d, %q, %q", status, out, log)
	}
	third := m{"id": uuid.NewString(), "amount": 1, "type": "feature", "source": "api"}
	wantOutcomes(t, a.post(t, createPath(account), usages(third), wait...), outcome{third["id"].(string), "applied", "1", false})
	i.want(t, query, "calls 7 1", "requests 6 2")

	// A credential that is gone is gone at once, and the good catalog comes back.
	i.apply(t, strings.Replace(match("requests"), "id: demo, secret", "id: other, secret", 1), "--prune")
	wantError(t, a.post(t, createPath(account), usages(third)), 401, 16, "not authenticated")
	i.apply(t, match("calls"), "--prune")
	wantError(t, a.post(t, revertPath(account, third["id"].(string)), m{"amount": 2}), 400, 3, "exceeds")
	wantOK(t, a.post(t, revertPath(account, third["id"].(string)), "{}")) // where it counted, whatever it would match now
	i.want(t, query, "calls 7 1", "requests 5 2")
}

// TestLimits holds what counts against a limit with three decimals.
func TestLimits(t *testing.T) {
	t.Parallel()
	account := uuid.NewString()
	i := newInstallation(t, patient())
	i.dev(t, "--catalog", catalogFile(t, catalogWith(account, subscriptionOf(account, "credit", "1000.999"))))
	a := i.producer()
	use := func(amount int, want string) string {
		t.Helper()
		id := uuid.NewString()
		quantity := fmt.Sprint(amount)
		if want != "applied" {
			quantity = "0"
		}
		wantOutcomes(t, a.post(t, createPath(account), usages(m{"id": id, "amount": amount}), "Prefer", "wait=30"), outcome{id, want, quantity, false})
		return id
	}
	big := use(1000, "applied")
	over := use(1, "limit_exceeded") // 0.999 is left
	wantError(t, a.post(t, revertPath(account, over), "{}"), 400, 9, "did not count")
	i.clipped(t, account, "1000.999", "0.999")
	use(1, "limit_exceeded")
	wantOK(t, a.post(t, revertPath(account, big), m{"amount": 400})) // the headroom comes back
	use(401, "limit_exceeded")
	use(400, "applied")
	i.apply(t, catalogWith(account, subscriptionOf(account, "credit", "1001.999")))
	use(1, "applied")
	use(1, "limit_exceeded")
	feature := uuid.NewString() // another meter has no limit
	wantOutcomes(t, a.post(t, createPath(account), usages(m{"id": feature, "amount": largest, "type": "feature"}), "Prefer", "wait=30"), outcome{feature, "applied", largest, false})
	// An id keeps its first answer, also when there is room now.
	wantOutcomes(t, a.post(t, createPath(account), usages(m{"id": over, "amount": 1}), "Prefer", "wait=30"), outcome{over, "limit_exceeded", "0", true})
	i.want(t, "SELECT subscription_id, meter, quantity, events, reverts FROM subscription_totals ORDER BY meter",
		"sub credit 1001.999 4 1", "sub feature "+largest+" 1 0")
	i.want(t, "SELECT count() FROM usage_refusals WHERE outcome = 'limit_exceeded'", "4")
}
