package app

import (
	"fmt"
	"strings"
	"testing"

	"reckoner/internal/bus"
)

// backup keeps the ledger as it is, and returns what puts it back.
func (s *site) backup() (restore func()) {
	tables := []string{"entries", "refusals", "totals", "checkpoints"}
	for _, table := range tables {
		s.exec(fmt.Sprintf("CREATE TABLE reckoner.backup_%s ENGINE = MergeTree ORDER BY tuple() AS SELECT * FROM reckoner.%[1]s FINAL", table))
	}
	return func() {
		for _, table := range tables {
			s.exec("TRUNCATE TABLE reckoner." + table)
			s.exec(fmt.Sprintf("INSERT INTO reckoner.%s SELECT * FROM reckoner.backup_%[1]s", table))
		}
	}
}

// An old backup of the ledger comes back: the aggregator, whose own state is ahead, stops and names the remedy. After
// the remedy it goes on by itself.
func TestReplayIsTheRemedyForAnOldBackup(t *testing.T) {
	s := readySite(t)
	restore := s.backup()
	s.write(20, "d", "c")
	s.drain()
	totals := s.query("SELECT * FROM reckoner.account_totals ORDER BY account_id, meter")
	restore()

	r := s.run(nil)
	const stopped = "the ledger is behind the local state"
	eventually(t, func() string {
		if strings.Contains(r.said.String(), stopped) {
			return ""
		}
		return "the aggregator does not say that " + stopped
	})
	if !strings.Contains(r.said.String(), "reckoner replay") {
		t.Errorf("the remedy is not named:\n%s", r.said.String())
	}
	partitions, err := s.replay(ReplayOptions{Partition: 1})
	if err != nil || strings.Count(partitions, "records replayed") != 1 {
		t.Errorf("one partition: %v\n%s", err, partitions)
	}
	s.mustReplay()
	if got := s.query("SELECT * FROM reckoner.account_totals ORDER BY account_id, meter"); got != totals {
		t.Errorf("totals after the replay:\n%s\nbefore the old backup:\n%s", got, totals)
	}
	s.write(20, "e", "d")
	s.awaitAll()
	s.proven()
	r.stop()
}

// A replay refuses to say that rows are stored which it does not write, and to write those of another log.
func TestReplayRefusesWhatCouldNotBeRight(t *testing.T) {
	s := readySite(t)
	refused := func(o ReplayOptions, says string) {
		t.Helper()
		before := s.query("SELECT * FROM reckoner.checkpoints FINAL ORDER BY ALL")
		if out, err := s.replay(o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want %q\n%s", o, err, says, out)
		}
		if after := s.query("SELECT * FROM reckoner.checkpoints FINAL ORDER BY ALL"); after != before {
			t.Errorf("%+v changed checkpoints:\n%s\n%s", o, before, after)
		}
	}
	refused(ReplayOptions{Partition: -1, From: 1 << 40}, "is above the ledger's checkpoint")
	refused(ReplayOptions{Partition: 3}, "partition 3 does not exist")
	refused(ReplayOptions{Partition: -7}, "--partition -7: partitions begin at 0")
	refused(ReplayOptions{Partition: -1, From: -5}, "--from -5: offsets begin at 0")

	s.exec("ALTER TABLE reckoner.checkpoints UPDATE record_hash = record_hash + 1 WHERE partition = 0")
	refused(ReplayOptions{Partition: 0}, "the log holds another record before the checkpoint")
	s.exec("INSERT INTO reckoner.checkpoints SELECT * REPLACE (next_offset + 1000 AS next_offset) FROM reckoner.checkpoints FINAL WHERE partition = 0")
	refused(ReplayOptions{Partition: 0}, "the log ends before the ledger's checkpoint")
	s.exec("ALTER TABLE reckoner.checkpoints DELETE WHERE partition = 0") // the remedy for a checkpoint that is itself wrong
	s.mustReplay()
	s.proven()

	// The ledger is older than what the log still holds: rows between them are nowhere.
	s.exec("ALTER TABLE reckoner.checkpoints DELETE WHERE partition = 2")
	if err := s.broker.DeleteRecords(bus.TopicEvents, 2, 5); err != nil {
		t.Fatal(err)
	}
	refused(ReplayOptions{Partition: 2}, "no longer reaches back to the checkpoint")
}

// With --from, only rows from there on are written; what is decided below it is decided all the same.
func TestReplayFromAnOffset(t *testing.T) {
	s := readySite(t)
	count := func() string {
		return s.query("SELECT count(), countIf(offset < 12) FROM (SELECT offset FROM reckoner.entries FINAL WHERE partition = 2 UNION ALL SELECT offset FROM reckoner.refusals FINAL WHERE partition = 2)")
	}
	whole := count()
	for _, table := range []string{"entries", "refusals"} {
		s.exec("ALTER TABLE reckoner." + table + " DELETE WHERE partition = 2")
	}
	out, err := s.replay(ReplayOptions{Partition: 2, From: 12})
	if err != nil || !strings.Contains(out, "41 records replayed") {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := count(); got != "29\t0" {
		t.Errorf("rows, rows below: %s", got)
	}
	s.mustReplay()
	if got := count(); got != whole {
		t.Errorf("rows, rows below: %s, want %s", got, whole)
	}
	s.proven()
}
