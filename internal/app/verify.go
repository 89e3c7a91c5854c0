package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"reckoner/aggregator"
	"reckoner/aggregator/verify"
	"reckoner/internal/bus"
	"reckoner/ledger"
	"reckoner/ledger/clickhouse"
)

// Verify replays the log beside the ledger and prints what differs. It reports whether nothing does.
func Verify(ctx context.Context, p *Process, out io.Writer, progress func(partition int32, done, total int64)) (clean bool, err error) {
	client, err := p.kafka()
	if err != nil {
		return false, err
	}
	l, err := p.ledger(clickhouse.Options{})
	if err != nil {
		return false, err
	}
	replay, err := p.replay(ctx, client, l)
	if err != nil {
		return false, err
	}
	lost, err := l.Losses(ctx)
	if err != nil {
		return false, err
	}
	started := time.Now()
	report, err := verify.Run(ctx, verify.Options{Replay: replay, Ledger: l, Progress: progress, Slog: p.Log})
	if err != nil && report.Found == 0 {
		return false, err
	}
	if err != nil { // what was found is worth knowing, whatever ended it
		err = fmt.Errorf("the verification ended early, after what is listed above: %w", err)
	}
	return report.Found == 0, errors.Join(printReport(out, replay.Log.Number, lost, report, time.Since(started)), err)
}

// replay returns how the registered log is decided again.
func (p *Process) replay(ctx context.Context, client *bus.Client, l *clickhouse.Ledger) (aggregator.Replay, error) {
	current, err := p.registered(ctx, client, l, p.readable)
	if err != nil {
		return aggregator.Replay{}, err
	}
	return p.replayOf(client, l, current), nil
}

// replayOf returns how a log is decided again.
func (p *Process) replayOf(client *bus.Client, l *clickhouse.Ledger, log ledger.Log) aggregator.Replay {
	return aggregator.Replay{
		Log: log, Partitioner: bus.PartitionFor, Restorer: l, CacheBytes: p.Settings.Aggregator.StateCacheBytes,
		Source: &aggregator.KafkaSource{Client: client, Topic: log.Topic, FetchBytes: int(p.Settings.Aggregator.FetchBytesMax), MaxWait: time.Second},
		Slog:   p.Log.With("component", "replay"),
	}
}

// registered returns the registered log. Unlike currentLog it is for a process that does not stay: it does not wait for
// what is missing.
func (p *Process) registered(ctx context.Context, client *bus.Client, l *clickhouse.Ledger, fits func(ledger.Log, int32) error) (ledger.Log, error) {
	if err := l.CheckSchema(ctx); err != nil {
		return ledger.Log{}, err
	}
	current, err := l.CurrentLog(ctx)
	if err != nil {
		return ledger.Log{}, err
	}
	n, err := client.Partitions(ctx, current.Topic)
	if err != nil {
		return ledger.Log{}, err
	}
	return current, fits(current, int32(n))
}

func printReport(out io.Writer, log uint32, lost []ledger.Loss, r *verify.Report, took time.Duration) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "partition\tfrom offset\tcheckpoint\tlog end\treplayed\tentries\trefusals\ttotals\t")
	var replayed, entries, refusals, totals int64
	for _, p := range r.Partitions {
		fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", p.Number, p.From, p.Checkpoint, p.End, p.Replayed, p.Entries, p.Refusals, p.Totals)
		replayed, entries, refusals, totals = replayed+p.Replayed, entries+p.Entries, refusals+p.Refusals, totals+p.Totals
	}
	fmt.Fprintf(t, "all\t\t\t\t%d\t%d\t%d\t%d\t\n", replayed, entries, refusals, totals)
	if err := t.Flush(); err != nil {
		return err
	}
	if log > 1 {
		fmt.Fprintf(out, "log %d: what the logs before it left was taken from the ledger\n", log)
	}
	for _, l := range lost {
		fmt.Fprintf(out, "%v; accepted on %s\n", l, l.AcceptedAt.Format(time.RFC3339))
	}
	for _, p := range r.Partitions {
		if p.From > p.Start {
			fmt.Fprintf(out, "partition %d: the log begins at offset %d; what stood before it was taken from the ledger and checked for consistency only\n", p.Number, p.First)
		}
	}
	if r.Found > 0 {
		if err := printDifferences(out, r); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "%d events replayed in %s: %s\n", replayed, took.Round(time.Millisecond), verdict(r))
	return err
}

func printDifferences(out io.Writer, r *verify.Report) error {
	fmt.Fprintln(out)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "partition\ttable\trow\tremedy\tdifference")
	for _, d := range r.Differences {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\n", d.Partition, d.Table, d.What, d.Remedy, d.Text)
	}
	if more := r.Found - int64(len(r.Differences)); more > 0 {
		fmt.Fprintf(t, "\t\t\t\tand %d more\n", more)
	}
	return t.Flush()
}

// verdict says in one line what was found, and what to do.
func verdict(r *verify.Report) string {
	if r.Found == 0 {
		return "the ledger is what the log gives"
	}
	var todo []string
	if n := r.Remedies[verify.Delete]; n > 0 {
		todo = append(todo, fmt.Sprintf("delete %d in ClickHouse (`ALTER TABLE … DELETE WHERE …`): no replay removes a row", n))
	}
	if r.Remedies[verify.Delete]+r.Remedies[verify.Replay] > 0 {
		todo = append(todo, "`reckoner replay` writes the rows again that the log gives")
	}
	if n := r.Remedies[verify.Named]; n > 0 {
		todo = append(todo, fmt.Sprintf("do what is said of %d", n))
	}
	what := "differences"
	if r.Found == 1 {
		what = "difference"
	}
	return fmt.Sprintf("%d %s; %s", r.Found, what, strings.Join(todo, "; then "))
}
