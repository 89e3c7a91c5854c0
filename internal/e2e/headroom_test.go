package e2e_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

// The subscription whose headroom all clients of a test share. Quantities are thousandths.
const (
	sharedSubscription = "sub"
	sharedLimit        = 1_000_000
)

// TestSixtyFourClientsShareOneLimit lets clients race for one subscription's headroom: they use, ask for what is left, take
// back, and send again. What each was told is what the ledger holds, and the limit holds at every position of the log.
func TestSixtyFourClientsShareOneLimit(t *testing.T) {
	t.Parallel()
	i := newInstallation(t, patient())
	i.dev(t, "--catalog", headroomCatalog(t))
	s := i.share(t, 64, 20)
	s.work.Wait()
	s.count(t)
}

// TestAggregatorsAreKilledWhileClientsShareOneLimit does the same while aggregators are killed, and others take over.
func TestAggregatorsAreKilledWhileClientsShareOneLimit(t *testing.T) {
	t.Parallel()
	i := newInstallation(t, setting("ingest.outcome_timeout", "10s"), setting("kafka.partitions", 2), setting("kafka.session_timeout", "2s"),
		setting("kafka.rebalance_timeout", "4s"), setting("aggregator.restore_delay", "500ms"))
	i.engines(t)
	i.migrate(t)
	dirs := []string{filepath.Join(i.dir, "first"), filepath.Join(i.dir, "second")}
	var aggregates []*process
	for _, dir := range dirs {
		p, _ := i.aggregate(t, dir)
		aggregates = append(aggregates, p)
	}
	i.ingest(t, headroomCatalog(t))
	const clients, each, kills = 64, 14, 4
	s := i.share(t, clients, each)
	for n := range kills {
		s.reach(t, int64(n+1)*clients*each/(kills+1))
		aggregates[n%2].kill(t)
		aggregates[n%2], _ = i.aggregate(t, dirs[n%2])
	}
	s.work.Wait()
	s.count(t)
}

func headroomCatalog(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "catalog.yaml")
	account := uuid.NewString()
	text := catalogWith(account, "meters: [{name: api_calls, unit: calls}]\n"+subscriptionOf(account, "api_calls", "1000"))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// share is clients of one subscription, and what each of them was told.
type share struct {
	i       *installation
	at      string // the time of use of all usages: they are of one period, whatever the clock does
	work    sync.WaitGroup
	decided atomic.Int64 // usages
	again   atomic.Int64 // requests that had no final answer and were sent again

	mu   sync.Mutex
	told map[string]*told // by id
}

// told is what the sender of a usage knows of it.
type told struct {
	asked   int64
	partial bool
	status  int   // 201 or 409
	counted int64 // of a 201
	deleted bool
}

// share starts clients that report so many usages each.
func (i *installation) share(t testing.TB, clients, each int) *share {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed: -e2e.seed %d", seed)
	s := &share{i: i, at: time.Now().UTC().Format(time.RFC3339Nano), told: map[string]*told{}}
	for n := range clients {
		c := &sharer{share: s, api: i.producer(), rand: rand.New(rand.NewPCG(seed, uint64(n))), t: t}
		s.work.Go(func() {
			for range each {
				if !c.one() {
					return
				}
			}
		})
	}
	return s
}

// reach waits until so many usages are decided.
func (s *share) reach(t testing.TB, goal int64) {
	t.Helper()
	eventually(t, 2*time.Minute, func() string {
		if got := s.decided.Load(); got < goal {
			return fmt.Sprintf("%d of %d usages are decided", got, goal)
		}
		return ""
	})
}

// sharer is one client.
type sharer struct {
	*share
	api  *api
	rand *rand.Rand
	t    testing.TB
}

// one reports one usage until it is decided, and does with some of them what clients do.
func (c *sharer) one() bool {
	id := "use-" + uuid.NewString()
	u := &told{asked: 1 + c.rand.Int64N(6_000), partial: c.rand.IntN(2) == 0}
	got, ok := c.report(id, u)
	if !ok {
		return false
	}
	u.status = got.status
	if got.status == http.StatusCreated {
		u.counted = c.quantity(got)
	}
	c.mu.Lock()
	c.told[id] = u
	c.mu.Unlock()
	c.decided.Add(1)
	if c.rand.IntN(5) == 0 {
		if same, ok := c.report(id, u); !ok || same.status != got.status || same.body != got.body {
			c.t.Errorf("a retry of %s was answered %s, first %s", id, same, got)
			return false
		}
	}
	if got.status != http.StatusCreated {
		return true
	}
	if c.rand.IntN(2) == 0 {
		return c.rand.IntN(4) > 0 || c.shows(id, u)
	}
	return c.takeBack(id, u)
}

// report sends a usage until its answer is final. Half of the clients name it in the body, half in a header.
func (c *sharer) report(id string, u *told) (answer, bool) {
	body := m{"subscriptionId": sharedSubscription, "quantity": json.Number(thousandths(u.asked)), "usageTime": c.at}
	var header []string
	if u.partial {
		body["acceptPartialQuantity"] = true
	}
	if u.asked%2 == 0 {
		body["id"] = id
	} else {
		header = []string{"Idempotency-Key", id}
	}
	return c.until(http.MethodPost, "/usages", body, []int{http.StatusCreated, http.StatusConflict}, header...)
}

// until makes a request until its answer is one of those that are final. Anything else than "not yet" fails the test. Who is
// refused for now waits a little, as a client does.
func (c *sharer) until(method, path string, body any, final []int, header ...string) (answer, bool) {
	const patience = 2 * time.Minute
	var last answer
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); c.again.Add(1) {
		got, err := c.api.try(method, path, body, header...)
		switch {
		case err != nil:
			last = answer{body: err.Error()}
		case slices.Contains(final, got.status):
			return got, true
		case got.status != http.StatusAccepted && got.status != http.StatusServiceUnavailable:
			c.t.Errorf("%s %s was answered %s", method, path, got)
			return got, false
		default:
			last = got
		}
		if last.status != http.StatusAccepted {
			<-time.After(100 * time.Millisecond)
		}
	}
	c.t.Errorf("%s %s had no final answer within %s, last %s", method, path, patience, last)
	return answer{}, false
}

// shows reads a usage that was just recorded.
func (c *sharer) shows(id string, u *told) bool {
	got, ok := c.until(http.MethodGet, "/usages/"+id, "", []int{http.StatusOK})
	if ok && c.quantity(got) != u.counted {
		c.t.Errorf("%s shows as %s, recorded were %s", id, got, thousandths(u.counted))
	}
	return ok
}

// takeBack deletes a usage, which comes off once.
func (c *sharer) takeBack(id string, u *told) bool {
	key := "delete-" + id
	got, ok := c.until(http.MethodDelete, "/usages/"+id, "", []int{http.StatusNoContent}, "Idempotency-Key", key)
	if !ok {
		return false
	}
	c.mu.Lock()
	u.deleted = true
	c.mu.Unlock()
	if same, ok := c.until(http.MethodDelete, "/usages/"+id, "", []int{http.StatusNoContent}, "Idempotency-Key", key); !ok {
		c.t.Errorf("a retry of a delete was answered %s, first %s", same, got)
	}
	if c.rand.IntN(3) == 0 {
		_, ok = c.until(http.MethodDelete, "/usages/"+id, "", []int{http.StatusConflict})
	}
	return ok
}

// quantity reads an answer's quantity, digit for digit.
func (c *sharer) quantity(got answer) int64 {
	var shape struct {
		Quantity json.Number `json:"quantity"`
	}
	if err := json.Unmarshal([]byte(got.body), &shape); err != nil {
		c.t.Errorf("%s: %v", got, err)
		return -1
	}
	return inThousandths(c.t, shape.Quantity.String())
}

func thousandths(n int64) string { return fmt.Sprintf("%d.%03d", n/1000, n%1000) }

// inThousandths reads a decimal number with at most three decimals.
func inThousandths(t testing.TB, s string) int64 {
	sign := int64(1)
	digits, minus := strings.CutPrefix(s, "-")
	if minus {
		sign = -1
	}
	whole, part, _ := strings.Cut(digits, ".")
	if len(part) > 3 || whole == "" {
		t.Errorf("%q is no quantity", s)
		return 0
	}
	var n int64
	for _, r := range whole + (part + "000")[:3] {
		if r < '0' || r > '9' {
			t.Errorf("%q is no quantity", s)
			return 0
		}
		n = 10*n + int64(r-'0')
	}
	return sign * n
}
