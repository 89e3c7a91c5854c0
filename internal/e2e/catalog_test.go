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

// catalogFile is a catalog that a test rewrites while it is in use.
type catalogFile struct {
	path string
	ops  string
}

func (c *catalogFile) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(c.path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// change writes a catalog and waits until the process has judged it.
func (c *catalogFile) change(t *testing.T, text, result string) {
	t.Helper()
	series := `reckoner_catalog_loads_total{result="` + result + `"}`
	before := metric(t, c.ops, series)
	c.write(t, text)
	eventually(t, 30*time.Second, func() string {
		if metric(t, c.ops, series) == before {
			return "the change was not seen"
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
	file := &catalogFile{path: filepath.Join(t.TempDir(), "catalog.yaml"), ops: i.ops}
	file.write(t, match("calls"))
	dev := i.dev(t, "--catalog", file.path)
	a := i.producer()
	wait := []string{"Prefer", "wait=30"}
	first := m{"id": uuid.NewString(), "amount": 7, "type": "feature", "source": "api"}
	wantOutcomes(t, a.post(t, createPath(account), usages(first), wait...), outcome{first["id"].(string), "applied", "7", false})
	wantError(t, a.post(t, createPath(demoAccount), usages(first)), 404, 5, "customer doesn't exist")

	file.change(t, match("requests"), "good")
	wantOutcomes(t, a.post(t, createPath(account), usages(first), wait...), outcome{first["id"].(string), "applied", "7", true})
	second := m{"id": uuid.NewString(), "amount": 5, "type": "feature", "source": "api"}
	wantOutcomes(t, a.post(t, createPath(account), usages(second), wait...), outcome{second["id"].(string), "applied", "5", false})
	totals := []string{"calls 7 1", "requests 5 1"}
	const query = "SELECT meter, quantity, events FROM account_totals ORDER BY meter"
	i.want(t, query, totals...)
	i.want(t, "SELECT event_id, outcome, meter FROM usage_refusals", fmt.Sprint(first["id"], " duplicate requests"))

	// A bad file changes nothing, and says where it is bad.
	bad := strings.Replace(match("bad"), "type: feature", "kind: feature", 1)
	file.change(t, bad, "bad")
	if log := dev.log.String(); !strings.Contains(log, "catalog.yaml:5") || !strings.Contains(log, "kind") || !strings.Contains(log, "stays in force") {
		t.Errorf("the log does not say what is wrong:\n%s", tail(log, 2000))
	}
	third := m{"id": uuid.NewString(), "amount": 1, "type": "feature", "source": "api"}
	wantOutcomes(t, a.post(t, createPath(account), usages(third), wait...), outcome{third["id"].(string), "applied", "1", false})
	i.want(t, query, "calls 7 1", "requests 6 2")

	// A credential that is gone is gone at once, and the good catalog comes back.
	file.change(t, strings.Replace(match("requests"), "id: demo, secret", "id: other, secret", 1), "good")
	wantError(t, a.post(t, createPath(account), usages(third)), 401, 16, "not authenticated")
	file.change(t, match("calls"), "good")
	wantError(t, a.post(t, revertPath(account, third["id"].(string)), m{"amount": 2}), 400, 3, "exceeds")
	wantOK(t, a.post(t, revertPath(account, third["id"].(string)), "{}")) // where it counted, whatever it would match now
	i.want(t, query, "calls 7 1", "requests 5 2")
}

// TestLimits holds what counts against a limit with three decimals.
func TestLimits(t *testing.T) {
	t.Parallel()
	account := uuid.NewString()
	i := newInstallation(t, patient())
	path := filepath.Join(t.TempDir(), "catalog.yaml")
	file := &catalogFile{path: path, ops: i.ops}
	file.write(t, catalogWith(account, subscriptionOf(account, "credit", "1000.999")))
	i.dev(t, "--catalog", path)
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
	file.change(t, catalogWith(account, subscriptionOf(account, "credit", "1001.999")), "good")
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
