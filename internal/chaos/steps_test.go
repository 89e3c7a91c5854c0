package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestKilledBetweenAnyTwoSteps lets `dev` kill itself at every crash point there is, in turn, under load. Each time it
// is started again on the same data; at the end everything counts once.
func TestKilledBetweenAnyTwoSteps(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4, 4, 8)
	api, ops := freeAddress(t), freeAddress(t)
	dev := newProcess(t, "dev", w.env, "dev", "--data-dir", filepath.Join(w.dir, "dev"), "--ops-listen", ops, "--listen", api,
		"--kafka-listen", w.kafka, "--clickhouse-listen", w.clickhouse, "--catalog", w.catalog)
	dev.ops = ops
	w.apis = []string{api}
	dev.Start(t)
	dev.ready(t)
	w.open(t, w.kafka)
	l := w.startLoad(t, 4, 30*time.Millisecond, rand.New(rand.NewPCG(1, 1)))
	d := w.startDirect(t, rand.New(rand.NewPCG(2, 2)))
	steps := []string{
		"aggregator:write", "ledger:totals", "ledger:checkpoints", "aggregator:bury", "aggregator:answer", "aggregator:settle",
		"aggregator:report", "aggregator:done", "ingest:produce", "ingest:answer",
	}
	for n, step := range steps {
		dev.Kill(t)
		at := fmt.Sprintf("%s:%d", step, 2+n%3)
		dev.Start(t, "RECKONER_CRASH_AT="+at)
		if !dev.Dies(t, 30*time.Second) {
			t.Fatalf("%s never came: %s", at, dev.tail())
		}
		if tail := dev.tail(); !strings.Contains(tail, "killing this process") {
			t.Errorf("it did not say that it dies at %s: %s", at, tail)
		}
		dev.Start(t)
		before := l.acked.Load()
		eventually(t, time.Minute, func() string {
			if l.acked.Load() <= before {
				return "nothing is acknowledged after a crash at " + at
			}
			return ""
		})
	}
	l.stop()
	d.stop()
	dev.Terminate(t) // what it may still be writing is written then
	dev.Start(t)
	dev.ready(t)
	w.drain(t, time.Minute)
	w.count(t, l)
	w.verify(t)
}

// TestACrashPointThatNobodyKnows ends every process at its start: a crash test that never crashes proves nothing.
func TestACrashPointThatNobodyKnows(t *testing.T) {
	for _, command := range []string{"dev", "engines", "ingest", "aggregate"} {
		status, out := run(t, []string{"RECKONER_CRASH_AT=aggregator:nothing:1"}, command)
		if status != 1 || !strings.Contains(out, "aggregator:settle") || !strings.Contains(out, "RECKONER_CRASH_AT") {
			t.Errorf("%s ended with status %d: %s", command, status, out)
		}
	}
}
