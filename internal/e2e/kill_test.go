package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// killed is `dev` and a sender, and the moments at which they are killed.
type killed struct {
	*installation
	trace  string
	cache  string // where an interrupted sender leaves its mark
	rand   *rand.Rand
	sender *process
	during int // kills while something was on its way
}

// TestKilledAtAnyMomentCountsTheSame kills the process that has everything in it, again and again, while a trace is
// sent: during its start, while it serves, and sometimes the sender with it.
func TestKilledAtAnyMomentCountsTheSame(t *testing.T) {
	t.Parallel()
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed: -e2e.seed=%d", seed)
	kills := 10
	if testing.Short() {
		kills = 3
	}
	o := countTrace(t, "trace-a.csv")
	k := &killed{
		installation: newInstallation(t), trace: testdata(t, "trace-a.csv"), cache: t.TempDir(),
		rand: rand.New(rand.NewPCG(seed, 0)),
	}
	k.send(t)
	for n := range kills {
		k.round(t, n)
	}
	k.dev(t)
	k.finish(t)
	if k.during < kills/2 {
		t.Errorf("only %d of %d kills came while something was on its way", k.during, kills)
	}
	n := k.drain(t)
	k.wantTotals(t, o)
	k.wantOnce(t, n)
	k.want(t, "SELECT count() FROM usage_entries", fmt.Sprint(o.entries()))
	k.want(t, "SELECT outcome, count() FROM usage_refusals WHERE outcome != 'duplicate' GROUP BY outcome", fmt.Sprintf("unknown_usage %d", o.unknown))
	t.Logf("%d kills while sending, %d records for %d events", k.during, n, o.lines)
}

// round starts the process, and kills it at a random moment.
func (k *killed) round(t testing.TB, n int) {
	t.Helper()
	if k.rand.IntN(4) == 0 {
		p := start(t, nil, k.devArgs()...)
		if k.pause(400 * time.Millisecond); p.gone() {
			t.Fatalf("dev ended by itself in round %d", n)
		}
		p.kill(t)
		return
	}
	p := k.dev(t)
	k.pause(700 * time.Millisecond)
	if k.sender.gone() {
		if status := k.sender.wait(t, 0); status != 0 {
			t.Fatalf("send ended with status %d:\n%s", status, k.sender.out.String())
		}
		k.send(t, "--restart") // what is sent again are duplicates
	} else {
		k.during++
	}
	if k.rand.IntN(3) > 0 {
		k.sender.kill(t)
		p.kill(t)
		k.send(t) // goes on where it was
		return
	}
	p.kill(t)
}

// pause lets a random time pass: the moment of a kill is the one thing here that time decides.
func (k *killed) pause(longest time.Duration) {
	<-time.After(time.Duration(k.rand.Int64N(int64(longest))))
}

// send starts a sender. It sends in many small requests, and waits for a server that is gone.
func (k *killed) send(t testing.TB, args ...string) {
	t.Helper()
	args = append([]string{"send", "--url", "http://" + k.api, "--batch", "10", "--connections", "4", k.trace}, args...)
	k.sender = start(t, []string{"XDG_CACHE_HOME=" + k.cache}, args...)
}

func (k *killed) finish(t testing.TB) {
	t.Helper()
	if status := k.sender.wait(t, time.Minute); status != 0 {
		t.Fatalf("send ended with status %d:\n%s%s", status, k.sender.out.String(), tail(k.sender.log.String(), 2000))
	}
}
