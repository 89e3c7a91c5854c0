//go:build ops

package opstest_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/internal/wire"
)

func (w *world) partnerRefuses(p *prometheus, t *testing.T) {
	p.fires(t, 2*patience, "ReckonerReportsFailing", "1 installations are failing")
	w.partnerFails.Store(false)
	p.clears(t, patience, "ReckonerReportsFailing")
}

// targetsAreGone is a discovery of services that finds nothing.
func (w *world) targetsAreGone(p *prometheus, t *testing.T) {
	p.know(t, nil)
	p.fires(t, patience, "ReckonerNothingScraped", "knows no process")
	p.know(t, p.targets)
	p.clears(t, patience, "ReckonerNothingScraped")
}

func (w *world) aggregatorIsKilled(p *prometheus, t *testing.T) {
	w.aggregate.Kill(t)
	p.fires(t, patience, "ReckonerInstanceDown", w.aggregate.ops)
	p.fires(t, patience, "ReckonerPartitionsUnowned", "2 partitions")
	w.aggregate.start(t)
	p.clears(t, patience, "ReckonerInstanceDown", "ReckonerPartitionsUnowned")
}

func (w *world) aggregatorRestarts(p *prometheus, t *testing.T) {
	started := func() any {
		found, err := p.query(`process_start_time_seconds{instance="` + w.aggregate.ops + `"}`)
		if err != nil || len(found) == 0 {
			return nil
		}
		return found[0].Value[1]
	}
	for range 3 {
		before := started()
		w.aggregate.Kill(t)
		w.aggregate.start(t)
		eventually(t, patience, func() string {
			if now := started(); now == nil || now == before {
				return "the start is not seen"
			}
			return ""
		})
	}
	p.fires(t, patience, "ReckonerRestarting", w.aggregate.ops)
	p.clears(t, patience, "ReckonerRestarting")
}

// statesAreLost takes the states away, of which the new process believes that another one has them.
func (w *world) statesAreLost(p *prometheus, t *testing.T) {
	w.aggregate.Kill(t)
	must(t, os.Rename(filepath.Join(w.dir, "aggregate"), filepath.Join(w.dir, "lost")))
	w.aggregate.Start(t, setting("aggregator.restore_delay", "40s"))
	p.fires(t, patience, "ReckonerPartitionsNotOpen", w.aggregate.ops)
	p.clears(t, patience, "ReckonerPartitionsNotOpen")
	w.aggregate.Ready(t, w.aggregate.ops)
}

func (w *world) clickHouseIsKilled(p *prometheus, t *testing.T) {
	w.engines.Kill(t)
	p.fires(t, patience, "ReckonerLedgerInsertsFailing", w.aggregate.ops)
	p.fires(t, patience, "ReckonerPartitionStalled", "does not move")
	p.fires(t, patience, "ReckonerReportsLate", w.report.ops)
	p.fires(t, patience, "ReckonerLagGrowing", "falls behind")
	p.fires(t, patience, "ReckonerAuditFailing", w.aggregate.ops)
	w.engines.start(t)
	p.clears(t, patience, "ReckonerLedgerInsertsFailing", "ReckonerPartitionStalled", "ReckonerReportsLate", "ReckonerLagGrowing", "ReckonerAuditFailing")
}

func (w *world) kafkaIsAway(p *prometheus, t *testing.T) {
	must(t, w.broker.Close())
	p.fires(t, patience, "ReckonerRequestsFailing", w.ingest.ops)
	p.fires(t, patience, "ReckonerCatalogStale", w.ingest.ops)
	p.fires(t, patience, "ReckonerNotAMember", w.aggregate.ops)
	w.openKafka(t)
	p.clears(t, patience, "ReckonerRequestsFailing", "ReckonerCatalogStale", "ReckonerNotAMember")
}

func (w *world) recordIsNoEvent(p *prometheus, t *testing.T) {
	w.produce(t, 0, bus.Record{Key: []byte("x"), Value: []byte("this is no event")})
	p.fires(t, patience, "ReckonerDeadLetters", w.aggregate.ops)
	p.clears(t, patience, "ReckonerDeadLetters")
}

func (w *world) recordIsMisrouted(p *prometheus, t *testing.T) {
	account := uuid.NewString()
	q, err := reckoner.ParseQuantity("1")
	must(t, err)
	now := time.Now().UTC()
	value, err := wire.EncodeEvent(&reckoner.Event{
		Rules: reckoner.Rules, Kind: reckoner.Usage, ID: uuid.NewString(), AccountID: account, OrganizationID: "o", Type: "credit",
		Written: reckoner.Written{Quantity: &q}, Meter: reckoner.Meter{Name: "credit", Type: reckoner.Interval},
		Period: reckoner.Cycle{}.At(now), UsageTime: now, ReceivedAt: now,
	})
	must(t, err)
	w.produce(t, 1-bus.PartitionFor([]byte(account), partitions), bus.Record{Key: []byte(account), Value: value})
	p.fires(t, patience, "ReckonerMisroutedEvents", w.aggregate.ops)
	p.clears(t, patience, "ReckonerMisroutedEvents")
}

// producerConflicts is a producer that gives one id to everything.
func (w *world) producerConflicts(p *prometheus, t *testing.T) {
	done, ended := make(chan struct{}), make(chan struct{})
	id := uuid.NewString()
	go func() {
		defer close(ended)
		for n := int64(1); ; n++ {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
				var all []usage
				for i := range int64(20) {
					all = append(all, usage{id, 20*n + i})
				}
				_, _ = w.send(w.accounts[0], all...) // the alert tells
			}
		}
	}()
	p.fires(t, patience, "ReckonerRefusalsJumped", "are conflict")
	close(done)
	<-ended
	p.clears(t, patience, "ReckonerRefusalsJumped")
}

// totalIsChanged does it to an account that nobody uses any more: the next event would put its total right.
func (w *world) totalIsChanged(p *prometheus, t *testing.T) {
	account := uuid.NewString()
	if status, err := w.send(account, usage{uuid.NewString(), 7}); err != nil || status != 200 {
		t.Fatalf("send: %d %v", status, err)
	}
	eventually(t, patience, func() string {
		if got := w.sql(t, "SELECT count() FROM totals WHERE account_id = '"+account+"'"); got == "0" {
			return "the usage is not counted"
		}
		return ""
	})
	w.sql(t, "ALTER TABLE totals UPDATE quantity = quantity + 0.001 WHERE account_id = '"+account+"' SETTINGS mutations_sync = 1")
	p.fires(t, patience, "ReckonerLedgerMismatch", "1 accounts")
	w.run(t, "replay")
	p.clears(t, patience, "ReckonerLedgerMismatch")
}

// checkpointsAreLost makes a ledger that holds less than the states, as one from an old backup does.
func (w *world) checkpointsAreLost(p *prometheus, t *testing.T) {
	w.sql(t, "ALTER TABLE checkpoints DELETE WHERE partition = 1 SETTINGS mutations_sync = 1")
	p.fires(t, patience, "ReckonerPartitionStopped", "partition 1 stands still at "+w.aggregate.ops)
	w.run(t, "replay")
	p.clears(t, patience, "ReckonerPartitionStopped")
}

// asRoot runs a command that only root may.
func asRoot(t *testing.T, args ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		args = append([]string{"sudo", "-n"}, args...)
	}
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("a disk that may be filled needs root, or sudo without a password: %q: %v\n%s", args, err, out)
	}
}

// diskFills has an aggregator on a small disk of its own.
func (w *world) diskFills(p *prometheus, t *testing.T) {
	disk := filepath.Join(w.dir, "disk")
	must(t, os.Mkdir(disk, 0o700))
	asRoot(t, "mount", "-t", "tmpfs", "-o", "size=1g,mode=777", "tmpfs", disk)
	a := w.process(t, "aggregate", "--data-dir", filepath.Join(disk, "data"))
	t.Cleanup(func() {
		a.Terminate(t)
		asRoot(t, "umount", "--lazy", disk)
	})
	a.start(t)
	p.smallDisk = a.ops
	p.watch(t, a.ops)
	<-time.After(5 * time.Second)
	p.quiet(t, "ReckonerStateDiskFilling", "ReckonerStateDiskAlmostFull")

	ballast, err := os.Create(filepath.Join(disk, "ballast"))
	must(t, err)
	block := bytes.Repeat([]byte("x"), 1<<20)
	fill := func(left uint64) { // in percent; the states take their own share
		for {
			var fs syscall.Statfs_t
			must(t, syscall.Statfs(disk, &fs))
			if fs.Bavail*100 <= left*fs.Blocks {
				return
			}
			_, err = ballast.Write(block)
			must(t, err)
		}
	}
	grown := time.NewTicker(time.Second)
	defer grown.Stop()
	for left := uint64(45); left > 15; left-- { // a percent a second, which is a day's worth in production
		<-grown.C
		fill(left)
		if found, err := p.firing("ReckonerStateDiskFilling"); err == nil && len(found) > 0 {
			break
		}
	}
	p.fires(t, patience, "ReckonerStateDiskFilling", a.ops)
	fill(8)
	p.fires(t, patience, "ReckonerStateDiskAlmostFull", a.ops)
	must(t, ballast.Close())
	must(t, os.Remove(ballast.Name()))
	p.clears(t, patience, "ReckonerStateDiskAlmostFull", "ReckonerStateDiskFilling")
}
