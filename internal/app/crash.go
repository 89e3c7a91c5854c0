package app

import (
	"context"
	"os"

	"reckoner/aggregator"
	"reckoner/ingest"
	"reckoner/internal/crash"
	"reckoner/ledger"
	"reckoner/ledger/report/runner"
)

// The components that have crash points.
const (
	componentAggregator = "aggregator"
	componentIngest     = "ingest"
	componentLedger     = "ledger"
	componentReport     = "report"
)

// The steps within aggregator:write: the rows of events are stored, then the totals, then the checkpoints.
const (
	stepTotals      = "totals"
	stepCheckpoints = "checkpoints"
)

// fear reads where a test wants this process to die. All processes know all points, so that one environment does for
// several of them; a point that nobody knows is an error in each.
func (p *Process) fear() (err error) {
	p.crash, err = crash.Parse(os.Getenv(crash.Env), crash.Steps{
		componentAggregator: aggregator.Steps(), componentIngest: ingest.Steps(), componentLedger: {stepTotals, stepCheckpoints},
		componentReport: runner.Steps(),
	}, p.Log)
	return err
}

// stepped is the ledger itself, unless this process is to die between two of its inserts.
func (p *Process) stepped(l aggregator.Ledger) aggregator.Ledger {
	if at := p.crash.At(componentLedger); at != nil {
		return &steppedLedger{l, at}
	}
	return l
}

// steppedLedger writes a batch table by table, in the order that ledger.Writer promises, and announces the steps that
// have something to write.
type steppedLedger struct {
	aggregator.Ledger
	at func(step string)
}

// Write implements ledger.Writer.
func (l *steppedLedger) Write(ctx context.Context, b *ledger.Batch) error {
	if err := l.Ledger.Write(ctx, &ledger.Batch{Entries: b.Entries, Refusals: b.Refusals}); err != nil {
		return err
	}
	if len(b.Totals) > 0 {
		l.at(stepTotals)
	}
	if err := l.Ledger.Write(ctx, &ledger.Batch{Totals: b.Totals}); err != nil {
		return err
	}
	if len(b.Checkpoints) > 0 {
		l.at(stepCheckpoints)
	}
	return l.Ledger.Write(ctx, &ledger.Batch{Checkpoints: b.Checkpoints})
}
