package app

import (
	"flag"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/internal/embedded/broker/brokertest"
	"reckoner/internal/wire"
)

// remedy is a command that a message names.
var remedy = regexp.MustCompile("`reckoner (migrate [^`]*)`")

// commandOf returns the last command that a message names.
func commandOf(t *testing.T, message string) string {
	t.Helper()
	all := remedy.FindAllStringSubmatch(message, -1)
	if len(all) == 0 {
		t.Fatalf("no command is named: %s", message)
	}
	return all[len(all)-1][1]
}

// follow does what a message says.
func (s *site) follow(command string) (string, error) {
	s.t.Helper()
	var o NewLogOptions
	f := flag.NewFlagSet("migrate", flag.ContinueOnError)
	newLog := f.Bool("new-log", false, "")
	f.BoolVar(&o.Recreated, "recreated", false, "")
	f.StringVar(&o.AcceptLoss, "accept-loss", "", "")
	f.IntVar(&o.Partitions, "partitions", 0, "")
	args, ok := strings.CutPrefix(command, "migrate ")
	if err := f.Parse(strings.Fields(args)); !ok || err != nil || !*newLog || f.NArg() > 0 {
		s.t.Fatalf("%q is no command of `migrate --new-log`: %v", command, err)
	}
	return s.migrateNewLog(o)
}

func (s *site) mustFollow(command string) string {
	s.t.Helper()
	out, err := s.follow(command)
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return out
}

// records reads what a partition holds, from its begin.
func (s *site) records(number int) []bus.Record {
	s.t.Helper()
	first, _, err := s.client.Offsets(s.t.Context(), bus.TopicEvents, number)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.recordsFrom(number, first)
}

func (s *site) recordsFrom(number int, from int64) []bus.Record {
	s.t.Helper()
	_, next, err := s.client.Offsets(s.t.Context(), bus.TopicEvents, number)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := s.client.OpenReader(s.t.Context(), bus.TopicEvents, number, from)
	if err != nil {
		s.t.Fatal(err)
	}
	var all []bus.Record
	for r.Next() < next {
		recs, _, err := r.Fetch(s.t.Context(), bus.Limits{})
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, recs...)
	}
	return all
}

// checkpoint is the offset up to which a partition of the newest log is counted.
func (s *site) checkpoint(number int) (next int64) {
	s.t.Helper()
	text := s.query(fmt.Sprintf("SELECT next_offset FROM reckoner.checkpoints FINAL WHERE partition = %d ORDER BY log DESC LIMIT 1", number))
	if _, err := fmt.Sscan(text, &next); err != nil {
		s.t.Fatal(err)
	}
	return next
}

func (s *site) truncate(number int, to int64) {
	s.t.Helper()
	if err := s.broker.DeleteRecords(bus.TopicEvents, number, to); err != nil {
		s.t.Fatal(err)
	}
}

// total is the sum of all accounts.
func (s *site) total() string { return s.query("SELECT sum(quantity) FROM reckoner.account_totals") }

// worth is what usages come to that no revert follows.
func (s *site) worth(recs []bus.Record) (units int64) {
	s.t.Helper()
	for _, r := range recs {
		e, err := wire.DecodeEvent(r.Value)
		if err != nil || e.Kind != reckoner.Usage {
			s.t.Fatalf("%+v, %v", e, err)
		}
		var q int64
		if _, err := fmt.Sscan(e.Written.Quantity.String(), &q); err != nil {
			s.t.Fatal(err)
		}
		units += q
	}
	return units
}

// whole holds the ledger against itself: the entries of each account are its total.
func (s *site) whole() {
	s.t.Helper()
	if odd := s.query("SELECT account_id, e, t FROM (SELECT account_id, sum(quantity) AS e FROM reckoner.usage_entries GROUP BY account_id) AS a " +
		"FULL JOIN (SELECT account_id, sum(quantity) AS t FROM reckoner.account_totals GROUP BY account_id) AS b USING account_id WHERE e != t"); odd != "" {
		s.t.Errorf("entries and totals differ:\n%s", odd)
	}
}

// goesOn shows that after the remedy everything runs: ids of before are remembered, what is new counts, and verify has
// nothing to say but what was lost.
func (s *site) goesOn(lost ...string) {
	s.t.Helper()
	before, duplicates := s.total(), s.query("SELECT count() FROM reckoner.usage_refusals WHERE outcome = 'duplicate'")
	s.write(20, "a", "")
	s.write(20, "z"+s.query("SELECT max(number) FROM reckoner.logs"), "")
	s.drain()
	var was, is, dups, now int64
	if _, err := fmt.Sscan(before+" "+s.total()+" "+duplicates+" "+s.query("SELECT count() FROM reckoner.usage_refusals WHERE outcome = 'duplicate'"), &was, &is, &dups, &now); err != nil {
		s.t.Fatal(err)
	}
	if is != was+210 || now != dups+20 {
		s.t.Errorf("totals from %d to %d, want 210 more; %d duplicates more, want 20", was, is, now-dups)
	}
	s.whole()
	clean, out := s.verify()
	if !clean {
		s.t.Errorf("verify:\n%s", out)
	}
	for _, l := range lost {
		if !strings.Contains(out, l) {
			s.t.Errorf("verify does not say %q:\n%s", l, out)
		}
	}
	if n := strings.Count(out, "; accepted on "); n != len(lost) {
		s.t.Errorf("verify tells %d losses, want %d:\n%s", n, len(lost), out)
	}
	s.mustReplay()
	s.proven()
}

// stuck waits until an aggregator says of a partition that it stands, and returns what it says.
func (s *site) stuck(r *running, number int, because string) string {
	s.t.Helper()
	prefix, ready := fmt.Sprintf("partition %d: ", number), ""
	eventually(s.t, func() string {
		for line := range strings.Lines(r.says(r.Ops.ready)) {
			if strings.Contains(line, prefix) && strings.Contains(line, because) {
				ready = line
				return ""
			}
		}
		return "/readyz does not say that " + because + ":\n" + r.says(r.Ops.ready)
	})
	return ready
}

// drained waits until everything that can be counted is: all but so many events.
func (s *site) drained(lost int) {
	s.t.Helper()
	s.decided -= lost
	s.awaitAll()
}

func TestALogThatIsTruncatedPastItsCheckpoint(t *testing.T) {
	s := readySite(t)
	s.write(20, "d", "")
	all, at := s.records(2), s.checkpoint(2)
	first := at + 3
	if len(all) < int(first)+2 {
		t.Fatalf("%d records in partition 2, %d of them counted: nothing would be left", len(all), at)
	}
	was, gone := s.total(), s.worth(all[at:first])
	s.truncate(2, first)
	want := "migrate --new-log --accept-loss 2:3"

	r := s.run(nil)
	if got := commandOf(t, s.stuck(r, 2, "no longer reaches back to the checkpoint")); got != want {
		t.Errorf("aggregate names %q, want %q", got, want)
	}
	clean, out := s.verify()
	if got := commandOf(t, out); clean || got != want || !strings.Contains(out, fmt.Sprintf("partition 2: the log begins at offset %d", first)) {
		t.Errorf("verify names %q, want %q:\n%s", got, want, out)
	}
	if _, err := s.replay(ReplayOptions{Partition: 2}); err == nil || commandOf(t, err.Error()) != want {
		t.Errorf("replay: %v, want %q", err, want)
	}
	if out, err := s.follow(want); err == nil || !strings.Contains(err.Error(), "at work") || !strings.Contains(out, "truncated") {
		t.Errorf("beside an aggregator: %v\n%s", err, out)
	}
	s.drained(len(all) - int(at)) // the other partitions
	r.stop()

	logs := s.query("SELECT count() FROM reckoner.logs")
	for _, tt := range []struct {
		o    NewLogOptions
		says string
	}{
		{NewLogOptions{}, "2: 3 records of the offsets"},
		{NewLogOptions{AcceptLoss: "2:2"}, "2: 3 records of the offsets"},
		{NewLogOptions{AcceptLoss: "2:unknown"}, "2: 3 records of the offsets"},
		{NewLogOptions{AcceptLoss: "1:3"}, "2: 3 records of the offsets"},
		{NewLogOptions{AcceptLoss: "2"}, "is not PARTITION:RECORDS"},
		{NewLogOptions{Recreated: true}, "partitions 0, 1 still holds the record"},
		{NewLogOptions{AcceptLoss: "2:3", Partitions: 2}, "none can be taken away"},
		{NewLogOptions{AcceptLoss: "2:3", Partitions: 5}, "partition 2 holds records that were written for 3 partitions"},
	} {
		if out, err := s.migrateNewLog(tt.o); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%+v: %v, want %q\n%s", tt.o, err, tt.says, out)
		} else if strings.Contains(tt.says, "records of") && commandOf(t, err.Error()) != want {
			t.Errorf("%+v: %v, want %q", tt.o, err, want)
		}
	}
	if out, err := s.migrateNewLog(NewLogOptions{DryRun: true}); err != nil || commandOf(t, out) != want || !strings.Contains(out, fmt.Sprintf("3 of the offsets %d to %d", at, first-1)) {
		t.Errorf("dry run: %v\n%s", err, out)
	}
	if got := s.query("SELECT count() FROM reckoner.logs"); got != logs {
		t.Fatalf("%s logs, want %s: what was refused was registered", got, logs)
	}
	s.mustFollow(want)
	s.decided += len(all) - int(first)
	s.drain()
	if got, want := s.total(), fmt.Sprint(add(t, was, 210)-gone); got != want {
		t.Errorf("total %s, want %s: all of round d but what was lost", got, want)
	}
	s.goesOn(fmt.Sprintf("log 1, partition 2: 3 records of the offsets %d to %d lost (truncated); accepted on 20", at, first-1))
	if got := s.query("SELECT log, partition, first_offset, next_offset, records, cause FROM reckoner.lost_records"); got != fmt.Sprintf("1\t2\t%d\t%d\t3\ttruncated", at, first) {
		t.Errorf("lost_records: %s", got)
	}
	if err := s.newLog(NewLogOptions{Partitions: 5}); err != nil { // the way that was refused is open now
		t.Fatal(err)
	}
	s.partitions = 5
	s.goesOn("log 1, partition 2: 3 records")
}

func add(t *testing.T, text string, units int64) (sum int64) {
	t.Helper()
	if _, err := fmt.Sscan(text, &sum); err != nil {
		t.Fatal(err)
	}
	return sum + units
}

// again makes the topic anew and writes records back, a slice of them a partition.
func (s *site) again(keep [][]bus.Record) {
	s.t.Helper()
	s.broker.DeleteTopic(bus.TopicEvents)
	if err := s.client.EnsureTopics(s.t.Context(), bus.Topics(len(keep), 1)); err != nil {
		s.t.Fatal(err)
	}
	producer := s.client.NewProducer(bus.ProducerOptions{})
	for number, recs := range keep {
		if len(recs) == 0 {
			continue
		}
		if err := producer.ProduceTo(s.t.Context(), bus.TopicEvents, number, recs); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := producer.Close(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// One partition lost its newest records, as when the only replica in sync is gone: the others are as they were. What is
// written afterwards takes the place of what was counted.
func TestALogThatLostItsEnd(t *testing.T) {
	for _, tt := range []struct {
		name, because, cause string
		written              int // rounds of 20 after the loss
	}{
		{"shorter than its checkpoint", "ends before the ledger's checkpoint", "shortened", 0},
		{"grown beyond its checkpoint again", "holds another record before the checkpoint", "replaced", 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := readySite(t)
			keep := [][]bus.Record{s.records(0), s.records(1), s.records(2)}
			at := s.checkpoint(1)
			keep[1] = keep[1][:at-5]
			s.again(keep)
			want := "migrate --new-log --accept-loss 1:unknown"
			for i := range tt.written {
				s.write(20, fmt.Sprint("n", i), "")
			}
			was := s.total()

			r := s.run(nil)
			if got := commandOf(t, s.stuck(r, 1, tt.because)); got != want {
				t.Errorf("aggregate names %q, want %q", got, want)
			}
			clean, out := s.verify()
			if got := commandOf(t, out); clean || got != want || !strings.Contains(out, ": 1 difference; do what is said of 1") {
				t.Errorf("verify names %q, want %q:\n%s", got, want, out)
			}
			if _, err := s.replay(ReplayOptions{Partition: 1}); err == nil || commandOf(t, err.Error()) != want {
				t.Errorf("replay: %v, want %q", err, want)
			}
			have := len(s.records(1))
			s.drained(have - len(keep[1]))
			r.stop()
			if _, err := s.migrateNewLog(NewLogOptions{}); err == nil || commandOf(t, err.Error()) != want {
				t.Errorf("unconfirmed: %v, want %q", err, want)
			}
			if _, err := s.migrateNewLog(NewLogOptions{AcceptLoss: "1:1000000"}); err == nil {
				t.Error("a number of records was accepted where nobody can tell it")
			}
			s.mustFollow(want)
			// All that the partition holds is decided again: what was counted before is a duplicate, or as refused as it was.
			s.decided += have
			s.drain()
			if got, want := s.total(), fmt.Sprint(add(t, was, int64(tt.written)*210)); got != want {
				t.Errorf("total %s, want %s: nothing twice, nothing that was counted lost", got, want)
			}
			s.goesOn(fmt.Sprintf("log 1, partition 1: records from offset %d on were lost, if it held any; nobody can tell how many (%s); accepted on 20", at, tt.cause))
		})
	}
}

// Each partition has its own misfortune, and one command is told that names all of them.
func TestALogOfWhichEachPartitionLostSomething(t *testing.T) {
	s := readySite(t)
	s.write(20, "d", "")
	keep := [][]bus.Record{s.records(0), s.records(1), s.records(2)}
	at0, at1, at2 := s.checkpoint(0), s.checkpoint(1), s.checkpoint(2)
	lost := len(keep[0]) + len(keep[1]) + len(keep[2]) - int(at0+at1+at2) // rows of round d that are not counted
	left := keep[0][at0+2:]
	gone := s.worth(keep[0][at0:at0+2]) + s.worth(keep[1][at1:])
	keep[1] = keep[1][:at1-1]
	was := s.total()
	s.again(keep)
	s.truncate(0, at0+2)
	r := s.run(nil)
	named := commandOf(t, s.stuck(r, 0, "no longer reaches back"))
	s.stuck(r, 1, "ends before")
	s.drained(lost - (len(keep[2]) - int(at2)))
	r.stop()
	// The command that one partition's message names is answered with the one that is needed for all.
	_, err := s.follow(named)
	if err == nil {
		t.Fatalf("%s gave up more than it names", named)
	}
	want := "migrate --new-log --accept-loss 0:2,1:unknown"
	if got := commandOf(t, err.Error()); got != want {
		t.Fatalf("%v, want %q", err, want)
	}
	s.mustFollow(want)
	s.decided += len(left) + len(keep[1])
	s.drain()
	if got, want := s.total(), fmt.Sprint(add(t, was, 210)-gone); got != want {
		t.Errorf("total %s, want %s", got, want)
	}
	s.goesOn("log 1, partition 0: 2 records", "log 1, partition 1: records from")
}

// A batch was written up to its totals, or in part, when the log was lost: its rows count, and their totals follow.
func TestALogThatIsLostInMidBatch(t *testing.T) {
	for _, tt := range []struct {
		name   string
		delete string // of the rows from the checkpoint on
		lost   int
	}{
		{"rows whole", "", 0},
		{"rows in part", "ALTER TABLE reckoner.entries DELETE WHERE partition = 2 AND offset IN (%d, %d)", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := readySite(t)
			restore := s.backup()
			s.write(20, "d", "")
			all, at := s.records(2), s.checkpoint(2)
			s.drain()
			for _, table := range []string{"entries", "refusals"} {
				s.exec("TRUNCATE TABLE reckoner.backup_" + table)
				s.exec(fmt.Sprintf("INSERT INTO reckoner.backup_%s SELECT * FROM reckoner.%[1]s FINAL", table))
			}
			restore() // totals and checkpoints only
			gone := int64(0)
			if tt.delete != "" {
				s.exec(fmt.Sprintf(tt.delete, at, at+2))
				gone = s.worth([]bus.Record{all[at], all[at+2]})
			}
			s.dir = t.TempDir()
			first := at + 4
			s.truncate(2, first)
			r := s.run(func(p *Process) { p.Settings.Aggregator.RestoreDelay = 0 }) // nobody else has the states
			command := commandOf(t, s.stuck(r, 2, "no longer reaches back"))
			s.decided -= tt.lost
			eventually(t, func() string {
				for p := range 2 {
					if end := int64(len(s.records(p))); s.checkpoint(p) != end {
						return fmt.Sprintf("partition %d stands at %d of %d", p, s.checkpoint(p), end)
					}
				}
				return ""
			})
			r.stop()
			s.mustFollow(command)
			s.decided += len(all) - int(first) // decided again, as duplicates of the rows that are there
			s.drain()
			// Round d counts in full but for the rows that are gone.
			if got, want := s.total(), fmt.Sprint(add(t, s.query("SELECT sum(quantity) FROM reckoner.usage_entries WHERE event_id != 'd'"), 210)-gone); got != want {
				t.Errorf("total %s, want %s", got, want)
			}
			s.whole()
			if tt.lost == 0 {
				s.goesOn()
			} else {
				s.goesOn(fmt.Sprintf("log 1, partition 2: 2 records of the offsets %d to %d lost (truncated); the ledger has the other 2", at, first-1))
			}
		})
	}
}

// A transaction leaves a marker in the log, which is a gap.
func TestALogWithAGap(t *testing.T) {
	s := readySite(t)
	last := s.records(1)
	brokertest.Transact(t, s.broker, bus.TopicEvents, 1, last[0].Key, last[0].Value)
	s.decided++ // a copy of the first record of the partition
	s.write(20, "d", "")
	at := int64(len(last)) + 1
	want := "migrate --new-log --accept-loss 1:1"
	r := s.run(nil)
	if got := commandOf(t, s.stuck(r, 1, "has a gap")); got != want {
		t.Errorf("aggregate names %q, want %q", got, want)
	}
	left := len(s.recordsFrom(1, at+1))
	s.drained(left)
	r.stop()
	s.mustFollow(want)
	s.decided += left
	s.drain()
	s.goesOn(fmt.Sprintf("log 1, partition 1: 1 record of the offsets %d to %d lost (gap)", at, at))
}

// Partitions were added by hand before the log was drained: an aggregator that starts now drains it all the same, and
// leaves the new partitions alone.
func TestPartitionsWereAddedToALogThatIsNotDrained(t *testing.T) {
	s := readySite(t)
	s.write(20, "d", "")
	if err := s.client.AddPartitions(t.Context(), bus.TopicEvents, 5); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		if n, err := s.client.Partitions(t.Context(), bus.TopicEvents); err != nil || n != 5 {
			return fmt.Sprintf("%d partitions, %v", n, err)
		}
		return ""
	})
	if err := s.do(Migrate, "5"); err == nil || !strings.Contains(err.Error(), "--new-log") {
		t.Errorf("`migrate` of a topic with other partitions: %v", err)
	}
	if err := s.newLog(NewLogOptions{}); err == nil || !strings.Contains(err.Error(), "not drained in partitions 0, 1, 2") {
		t.Errorf("a log that is not drained: %v", err)
	}
	s.drain()
	if clean, out := s.verify(); !clean {
		t.Errorf("verify:\n%s", out)
	}
	if got := s.query("SELECT max(partition) FROM reckoner.checkpoints"); got != "2" {
		t.Errorf("partition %s was worked on, of a log of 3", got)
	}
	s.mustFollow("migrate --new-log")
	s.partitions = 5
	s.goesOn()
}

// The same, and one partition is truncated: the next log keeps the old partitions until what is left is drained.
func TestPartitionsWereAddedToALogThatIsTruncated(t *testing.T) {
	s := readySite(t)
	s.write(20, "d", "")
	all, at := s.records(2), s.checkpoint(2)
	s.truncate(2, at+1)
	if err := s.client.AddPartitions(t.Context(), bus.TopicEvents, 5); err != nil {
		t.Fatal(err)
	}
	r := s.run(nil)
	command := commandOf(t, s.stuck(r, 2, "no longer reaches back"))
	s.drained(len(all) - int(at))
	r.stop()
	_, err := s.follow(command)
	if err == nil || !strings.Contains(err.Error(), "written for 3 partitions") {
		t.Fatalf("%s: %v", command, err)
	}
	s.mustFollow(commandOf(t, err.Error()))
	s.decided += len(all) - int(at) - 1
	s.drain()
	if got := s.query("SELECT count() FROM reckoner.usage_refusals WHERE outcome = 'misrouted'"); got != "0" {
		t.Errorf("%s records are misrouted", got)
	}
	s.mustFollow("migrate --new-log")
	s.partitions = 5
	s.goesOn("log 1, partition 2: 1 record")
}
