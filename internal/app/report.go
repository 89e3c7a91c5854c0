package app

import (
	"context"
	"fmt"
	"time"

	"reckoner/ingest"
	"reckoner/internal/bus"
	"reckoner/internal/catalog"
	"reckoner/internal/config"
	"reckoner/ledger/clickhouse"
	"reckoner/ledger/report/runner"
)

// lagTimeout is how long Kafka may take to tell how far the ledger is behind; reports wait no longer for it.
const lagTimeout = 5 * time.Second

// Report is the command `report`: reports to partners, by a schedule of its own and when asked over HTTP.
func Report(ctx context.Context, p *Process) error {
	if err := p.serveOps(); err != nil {
		return err
	}
	client, err := p.kafka()
	if err != nil {
		return err
	}
	l, err := p.ledger(clickhouse.Options{})
	if err != nil {
		return err
	}
	if _, err := p.currentLog(ctx, client, l); err != nil {
		return err
	}
	c, err := p.followCatalog(ctx, client)
	if err != nil {
		return err
	}
	r, err := p.reporter(client, l, c.Current, p.Settings.Report.DefaultBaseURL)
	if err != nil {
		return err
	}
	runs := newReportRuns()
	if err := p.serveReports(c, runs); err != nil {
		return err
	}
	p.Ops.Ready("clickhouse", l.Ping)
	p.report(r, runs)
	p.Ops.Stage("")
	return nil
}

// reporter makes the runner of this process.
func (p *Process) reporter(client *bus.Client, l *clickhouse.Ledger, current func() *catalog.Catalog, baseURL string) (*runner.Runner, error) {
	s := &p.Settings.Report
	lag := &reportLag{log: client, ledger: l, timeout: lagTimeout, now: time.Now, slog: p.Log.With("component", "reports")}
	return runner.New(runner.Options{
		Ledger: l, Catalog: current, Targets: p.reportTargets(), Lag: lag.Lag, BaseURL: baseURL,
		Batch: s.Batch, Concurrency: s.Concurrency, SlowConcurrency: s.SlowConcurrency,
		RequestTimeout: s.RequestTimeout, DeliveryTimeout: s.DeliveryTimeout,
		RetryBackoffMin: s.RetryBackoffMin, RetryBackoffMax: s.RetryBackoffMax, MaxLag: s.MaxLag,
		ShutdownTimeout: p.Settings.Shutdown.Timeout * 4 / 5,
		At:              p.crash.At(componentReport), Log: p.Log.With("component", "reports"), Registerer: p.Ops.Registry,
	})
}

// serveReports opens the port of a process that makes reports and nothing else.
func (p *Process) serveReports(c ingest.Catalogs, runs ingest.ReportRuns) error {
	log := p.Log.With("component", "api")
	api, err := ingest.NewReportServer(ingest.ReportOptions{Catalog: c, Runs: runs, Limits: p.limits(), Log: log, Registerer: p.Ops.Registry})
	if err != nil {
		return err
	}
	_, err = p.serveAPI(api, log)
	return err
}

// report starts the schedule, and lets others start runs. Both are told to end before either is waited for.
func (p *Process) report(r *runner.Runner, runs *reportRuns) {
	s, started := p.Settings.Report, time.Now()
	p.showSchedule(s.Every)
	runs.use(afterTheTick(r.Run))
	p.OnStop("runs of reports", runs.wait)
	p.Ops.Healthy("reports", func(context.Context) error {
		status := r.Status()
		return reporting(&status, &s, started, time.Now())
	})
	p.Go("reports", func(ctx context.Context) error { return r.Loop(ctx, s.Every, s.Jitter) })
	p.Close("asking for runs of reports", runs.close)
}

// tickWait is how long a run that somebody asked for waits for a tick of the schedule that has the installations in hand.
const tickWait = 10 * time.Second

// afterTheTick makes runs that come when a tick has just begun come after it: a run skips what is in hand, and figures that were
// read before it was asked for are not what was asked for.
func afterTheTick(run runReports) runReports {
	return func(ctx context.Context, r runner.Request, progress func(done, of int)) (runner.Summary, error) {
		until := time.Now().Add(tickWait)
		for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
			sum, err := run(ctx, r, progress)
			if err != nil || sum.Skipped == 0 || sum.Skipped < sum.Installations || time.Now().Add(pause).After(until) {
				return sum, err
			}
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return sum, context.Cause(ctx)
			}
		}
	}
}

// ticksMissed is how many ticks may pass without a run that ended well before a process is unwell.
const ticksMissed = 3

// reporting is health: runs end, whatever partners answer. A partner that fails is told by metrics and by `report status`;
// to replace this process would not mend it.
func reporting(status *runner.Status, s *config.Report, started, now time.Time) error {
	since := started
	if status.EndedAt.After(since) {
		since = status.EndedAt
	}
	// The last deliveries of a run may take this long, and the next tick its jitter.
	patience := ticksMissed*s.Every + s.Jitter + s.DeliveryTimeout + s.RequestTimeout
	if still := now.Sub(since); still > patience {
		return fmt.Errorf("no run ended well for %s (report.every is %s): %w", still.Round(time.Second), s.Every, orUnknown(status.Err))
	}
	return nil
}
