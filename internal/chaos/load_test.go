package chaos_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

// load is producers that send, repeat and take back usage, each for accounts of its own, and each sure of what it was
// told: a request without an answer is sent again, with the same ids, until it gets one.
type load struct {
	apis     []string
	pace     time.Duration // between two requests of a producer
	done     chan struct{}
	work     sync.WaitGroup
	all      []*producer
	acked    atomic.Int64 // events
	decided  atomic.Int64 // requests that were answered with an outcome
	deferred atomic.Int64 // requests that wait for the outcome and were answered 202: stored, and not decided in time
	tries    atomic.Int64 // requests that got no final answer and were sent again
	since    atomic.Int64 // the moment of a fault, UNIX nanoseconds
}

// key names an event: the scope of an id is (account, kind).
type key struct{ account, kind, id string }

// told is what a producer knows of one id of its own.
type told struct {
	must    string // the outcome that it must have got at first; "" when only the log can tell
	outcome string // what an answer said; "" when none did
}

// spent is a usage that was acknowledged.
type spent struct {
	id      string
	amount  int64
	reverts int
}

// tab is one account in its producer's books.
type tab struct {
	account
	used            []*spent
	total           int64 // of accounts without a limit: what must count
	events, reverts int64
}

// producer is one goroutine. Its books are read after it has ended.
type producer struct {
	load   *load
	rand   *rand.Rand
	client *http.Client
	api    int
	tabs   []*tab
	books  map[key]*told
	again  atomic.Int64 // nanoseconds from the fault to the begin of the first attempt after it that was acknowledged; 0: none was
	wrong  []string     // answers that must not be
}

// startLoad starts producers; they share out the accounts.
func (w *world) startLoad(t *testing.T, producers int, pace time.Duration, chance *rand.Rand) *load {
	t.Helper()
	l := &load{apis: w.apis, pace: pace, done: make(chan struct{})}
	for n := range producers {
		p := &producer{
			load: l, rand: rand.New(rand.NewPCG(chance.Uint64(), uint64(n))), books: make(map[key]*told),
			client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableCompression: true}},
		}
		for i := n; i < len(w.accounts); i += producers {
			p.tabs = append(p.tabs, &tab{account: w.accounts[i]})
		}
		l.all = append(l.all, p)
		l.work.Go(p.run)
	}
	t.Cleanup(l.stop)
	return l
}

// stop lets every producer get its last answer.
func (l *load) stop() {
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	l.work.Wait()
}

func (p *producer) run() {
	for {
		select {
		case <-p.load.done:
			return
		case <-time.After(p.load.pace):
		}
		a := p.tabs[p.rand.IntN(len(p.tabs))]
		switch n := p.rand.IntN(20); {
		case n < 13 || len(a.used) == 0:
			p.report(a, 1+p.rand.IntN(80), p.rand.IntN(5) == 0)
		case n < 15:
			p.repeat(a)
		default:
			p.revert(a)
		}
	}
}

// usage is one usage as it is sent.
type usage struct {
	ID          string `json:"id"`
	Amount      int64  `json:"amount"`
	Description string `json:"description,omitempty"`
}

// report sends new usages, some of them twice in one request.
func (p *producer) report(a *tab, n int, wait bool) {
	var list []usage
	for range n {
		u := usage{ID: uuid.NewString(), Amount: 1 + p.rand.Int64N(9)}
		if a.limit > 0 {
			u.Amount = 1 + p.rand.Int64N(3)
		}
		list = append(list, u)
		if p.rand.IntN(50) == 0 {
			list = append(list, u)
		}
		a.used = append(a.used, &spent{id: u.ID, amount: u.Amount})
		k := &told{}
		if a.limit == 0 {
			k.must = "applied"
			a.total += u.Amount
			a.events++
		}
		p.books[key{a.id, "usage", u.ID}] = k
	}
	p.create(a, list, wait)
}

// repeat sends usages again that were acknowledged: as they were, or with another amount.
func (p *producer) repeat(a *tab) {
	var list []usage
	for range 1 + p.rand.IntN(5) {
		u := a.used[p.rand.IntN(len(a.used))]
		again := usage{ID: u.id, Amount: u.amount, Description: "again"}
		if p.rand.IntN(2) == 0 {
			again.Amount++ // the same id for something else
		}
		list = append(list, again)
	}
	p.create(a, list, p.rand.IntN(4) == 0)
}

// create sends usages until they are acknowledged.
func (p *producer) create(a *tab, list []usage, wait bool) {
	path := "/v1beta1/organizations/" + organization + "/billing/" + a.id + "/usages"
	header := http.Header{}
	if wait {
		header.Set("Prefer", "wait=1")
	}
	got := p.send(path, map[string]any{"usages": list}, header)
	switch {
	case got.status == http.StatusOK && wait:
		p.load.decided.Add(1)
		p.note(a, list, got.body)
	case got.status == http.StatusOK && got.body == "{}":
	case got.status == http.StatusAccepted && wait:
		p.load.deferred.Add(1)
	case got.status == http.StatusConflict && wait && strings.Contains(got.body, "was used before"):
		p.load.decided.Add(1)
	default:
		p.wrong = append(p.wrong, fmt.Sprintf("%d usages: %d %s", len(list), got.status, got.body))
		return
	}
	p.load.acked.Add(int64(len(list)))
}

// note keeps the outcomes that an answer tells.
func (p *producer) note(a *tab, list []usage, body string) {
	var answer struct {
		Outcomes []struct{ ID, Outcome string }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || len(answer.Outcomes) != len(list) {
		p.wrong = append(p.wrong, fmt.Sprintf("outcomes of %d usages: %v %s", len(list), err, body))
		return
	}
	for i, o := range answer.Outcomes {
		if o.ID != list[i].ID {
			p.wrong = append(p.wrong, "outcomes in another order: "+body)
		}
		p.books[key{a.id, "usage", o.ID}].hear(p, o.Outcome)
	}
}

// hear keeps an outcome; an id has one for ever.
func (k *told) hear(p *producer, outcome string) {
	if k.outcome != "" && k.outcome != outcome || k.must != "" && k.must != outcome {
		p.wrong = append(p.wrong, fmt.Sprintf("an answer says %q of an id that was %q and must be %q", outcome, k.outcome, k.must))
	}
	k.outcome = outcome
}

// revert takes a usage back: all of it, a part, more than there was, twice, or one that is not there.
func (p *producer) revert(a *tab) {
	u := a.used[p.rand.IntN(len(a.used))]
	if p.rand.IntN(8) == 0 {
		u = &spent{id: uuid.NewString()}
	}
	amount := int64(0) // all
	if u.amount > 1 && p.rand.IntN(2) == 0 {
		amount = 1 + p.rand.Int64N(u.amount+1)
	}
	id := uuid.NewString()
	if _, used := p.books[key{a.id, "revert", u.id}]; !used && p.rand.IntN(4) == 0 {
		id = u.id // an id may be that of a usage, too
	}
	k := &told{}
	if a.limit == 0 {
		k.must = a.take(u, amount)
	}
	p.books[key{a.id, "revert", id}] = k
	path := "/v1beta1/admin/organizations/" + organization + "/billing/" + a.id + "/usage/" + u.id + "/revert"
	for range 1 + p.rand.IntN(5)/4 { // now and then the same request once more
		p.takeBack(path, amount, id, k)
	}
}

// take says what must become of a revert of an account without a limit, and books it.
func (a *tab) take(u *spent, amount int64) string {
	if amount == 0 {
		amount = u.amount
	}
	switch {
	case u.amount == 0:
		return "unknown_usage"
	case u.reverts > 0:
		return "already_reverted"
	case amount > u.amount:
		return "exceeds_usage"
	}
	u.reverts++
	a.total -= amount
	a.reverts++
	return "reverted"
}

// statuses of decided reverts, by outcome.
func statuses() map[string]int {
	return map[string]int{"reverted": 200, "unknown_usage": 404, "already_reverted": 400, "not_revertable": 400, "exceeds_usage": 400}
}

func (p *producer) takeBack(path string, amount int64, id string, k *told) {
	body := map[string]any{}
	if amount > 0 {
		body["amount"] = amount
	}
	got := p.send(path, body, http.Header{"Idempotency-Key": {id}})
	outcome := got.header.Get("Reckoner-Outcome")
	want, decided := statuses()[outcome]
	switch {
	case decided && got.status == want:
		p.load.decided.Add(1)
		k.hear(p, outcome)
	case got.status == http.StatusAccepted && outcome == "":
		p.load.deferred.Add(1)
	default:
		p.wrong = append(p.wrong, fmt.Sprintf("revert: %d %q %s", got.status, outcome, got.body))
		return
	}
	p.load.acked.Add(1)
}

type answer struct {
	status int
	header http.Header
	body   string
}

// send makes a request, at one server or the other, until it gets an answer that is final.
func (p *producer) send(path string, body any, header http.Header) answer {
	text, err := json.Marshal(body)
	if err != nil {
		return answer{body: err.Error()}
	}
	for {
		p.api = p.rand.IntN(len(p.load.apis))
		began := time.Now()
		got, err := p.try(path, text, header)
		if err == nil && !slices.Contains([]int{503, 500, 502, 408}, got.status) {
			if after := began.UnixNano() - p.load.since.Load(); after > 0 {
				p.again.CompareAndSwap(0, after)
			}
			return got
		}
		if err == nil && (got.status != 503 || got.header.Get("Retry-After") == "" || !strings.HasPrefix(got.body, `{"code":14,`)) {
			p.wrong = append(p.wrong, fmt.Sprintf("%d %s", got.status, got.body))
		}
		p.load.tries.Add(1)
		pause(time.Duration(20+p.rand.IntN(80)) * time.Millisecond)
	}
}

func (p *producer) try(path string, body []byte, header http.Header) (answer, error) {
	req, err := http.NewRequest(http.MethodPost, "http://"+p.load.apis[p.api]+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header = header.Clone()
	req.SetBasicAuth(credential, secret)
	res, err := p.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(b)}, err
}

// fault sets the moment from which again counts.
func (l *load) fault(at time.Time) {
	l.since.Store(at.UnixNano())
	for _, p := range l.all {
		p.again.Store(0)
	}
}

// again returns how long after the fault every producer was acknowledged again, and false while one was not.
func (l *load) again() (time.Duration, bool) {
	var most int64
	for _, p := range l.all {
		n := p.again.Load()
		if n == 0 {
			return 0, false
		}
		most = max(most, n)
	}
	return time.Duration(most), true
}

// wanted holds every answer that the producers got against what they may get.
func (l *load) wanted(t *testing.T) {
	t.Helper()
	for _, p := range l.all {
		for i, w := range p.wrong {
			if i < 5 {
				t.Errorf("a wrong answer: %s", w)
			}
		}
	}
}
