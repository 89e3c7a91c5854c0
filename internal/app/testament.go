package app

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"reckoner/ledger"
)

// testament is what is to become of a log: what was found of it, and what an operator says about that.
type testament struct {
	options    NewLogOptions
	accepted   ledger.Accepted
	old        ledger.Log
	topic      int // partitions that the topic has
	partitions int // of the new log
	estates    []estate
	proven     []int32 // still hold what was counted, although the topic is said to be created anew
	working    int     // aggregators at work
	group      string
}

// log is the new log's registration.
func (t *testament) log(at time.Time) ledger.Log {
	next := ledger.Log{Number: t.old.Number + 1, Topic: t.old.Topic, Partitions: int32(t.partitions), RegisteredAt: at}
	starts, above := make([]int64, t.partitions), false
	for i := range t.estates {
		e := &t.estates[i]
		if int(e.number) < t.partitions {
			starts[e.number] = e.start
			above = above || e.start > 0
		}
		if e.lost != nil {
			next.Lost = append(next.Lost, *e.lost)
			next.Lost[len(next.Lost)-1].AcceptedAt = at
		}
	}
	if above {
		next.Starts = starts
	}
	return next
}

// print shows what was found, a line a partition.
func (t *testament) print(out io.Writer) error {
	if _, err := fmt.Fprintf(out, "log %d of topic %s, %d partitions; the topic has %d\n", t.old.Number, t.old.Topic, t.old.Partitions, t.topic); err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "partition\tcounted to\ttopic holds\tstate\tnew log from\tlost")
	for i := range t.estates {
		e := &t.estates[i]
		holds, from, lost := fmt.Sprintf("%d to %d", e.first, e.end), fmt.Sprint(e.start), "nothing"
		if e.condition == gone {
			holds, from = "-", "-"
		}
		if e.lost != nil {
			lost = fmt.Sprintf("what it held from %d on; nobody can tell how much", e.lost.From)
			if e.lost.Records != ledger.UnknownLoss {
				lost = fmt.Sprintf("%d of the offsets %d to %d", e.lost.Records, e.lost.From, e.lost.To-1)
			}
		}
		fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\t%s\n", e.number, e.counted, holds, e.condition, from, lost)
	}
	return w.Flush()
}

// which returns the partitions that something holds of.
func (t *testament) which(holds func(*estate) bool) (numbers []int32) {
	for i := range t.estates {
		if holds(&t.estates[i]) {
			numbers = append(numbers, t.estates[i].number)
		}
	}
	return numbers
}

// all returns what has to be accepted.
func (t *testament) all() ledger.Accepted {
	a := make(ledger.Accepted)
	for i := range t.estates {
		if e := &t.estates[i]; e.lost != nil {
			a[e.number] = e.lost.Records
		}
	}
	return a
}

func list(numbers []int32) string {
	noun := "partition "
	if len(numbers) > 1 {
		noun = "partitions "
	}
	return noun + strings.Trim(strings.ReplaceAll(fmt.Sprint(numbers), " ", ", "), "[]")
}

// refusal says what is to be done before the new log can be registered; nil: nothing.
func (t *testament) refusal() error {
	o, undrained := t.options, t.which(func(e *estate) bool { return e.condition == undrained })
	switch {
	case t.working > 0:
		return fmt.Errorf("%d aggregators are at work in group %s: stop ingest, let them drain the log%s, stop them, and try again", t.working, t.group, t.except())
	case t.partitions < t.topic && t.partitions != int(t.old.Partitions):
		return fmt.Errorf("--partitions %d: topic %s has %d partitions, and none can be taken away", o.Partitions, t.old.Topic, t.topic)
	case len(t.proven) > 0:
		return fmt.Errorf("--recreated is given, but %s still holds the record that log %d counted last: without --recreated it is said what is lost of the others",
			list(t.proven), t.old.Number)
	case t.whole() && !o.Recreated:
		return fmt.Errorf("the topic was created anew: no partition of it holds the records that log %d counted; whatever was not counted of it is lost. "+
			"Point kafka.brokers at the right cluster, bring the topic back, or confirm with --recreated: `%s`", t.old.Number, t.command("reckoner migrate --new-log --recreated"))
	case len(undrained) > 0:
		return fmt.Errorf("log %d is not drained in %s: stop ingest, run the aggregators until nothing is left%s, stop them, and try again",
			t.old.Number, list(undrained), t.except())
	}
	if err := t.unaccepted(); err != nil {
		return err
	}
	left := t.which((*estate).left)
	if t.partitions != int(t.old.Partitions) && len(left) > 0 && !o.Recreated {
		accepted := ""
		if len(t.accepted) > 0 {
			accepted = " --accept-loss " + t.accepted.String()
		}
		return fmt.Errorf("%s holds records that were written for %d partitions, and not counted: first register a log with as many, by `reckoner migrate --new-log --partitions %d%s`, "+
			"run the aggregators until nothing is left, stop them, and then add partitions", list(left), t.old.Partitions, t.old.Partitions, accepted)
	}
	return nil
}

// unaccepted names what would be lost that nobody accepted.
func (t *testament) unaccepted() error {
	if t.options.Recreated {
		return nil
	}
	var lost []string
	for i := range t.estates {
		if e := &t.estates[i]; e.lost != nil && !t.accepted.Covers(*e.lost) {
			lost = append(lost, e.lost.String())
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return fmt.Errorf("nobody has accepted yet that records are lost for good: %s. Bring back what the topic held, or accept it: `%s`",
		strings.Join(lost, "; "), t.command(t.all().Command()))
}

// whole reports whether nothing shows that the topic is the one that was counted, and something that it is not.
func (t *testament) whole() bool {
	same := t.which(func(e *estate) bool { return e.counted > t.old.Start(e.number) && !e.anew() })
	return len(same) == 0 && len(t.which((*estate).anew)) > 0
}

// except names the partitions that no aggregator can drain.
func (t *testament) except() string {
	lost := t.which(func(e *estate) bool { return e.lost != nil })
	if len(lost) == 0 {
		return ""
	}
	return " (but for " + list(lost) + ", where records are lost)"
}

// command adds the options that stay as they were.
func (t *testament) command(c string) string {
	if t.options.Partitions > 0 {
		c += fmt.Sprintf(" --partitions %d", t.options.Partitions)
	}
	return c
}
