package config

import "time"

func reportKeys() []key {
	at := func(f func(*Report) *time.Duration) func(*Settings) *time.Duration {
		return func(s *Settings) *time.Duration { return f(&s.Report) }
	}
	return []key{
		row("report.every", "1h", "", at(func(r *Report) *time.Duration { return &r.Every }), duration(time.Second, day),
			"How often partners are reported to. They want it daily at least, hourly at best. A report holds running totals, so a tick that was missed is made up for by the next one."),
		row("report.jitter", "1m", "", at(func(r *Report) *time.Duration { return &r.Jitter }), duration(0, time.Hour),
			"Longest random wait before each tick, so that not every reporter of the world calls its partner at the full hour. It is never more than half of report.every. dev does not wait."),
		row("report.batch", "500", "installations", func(s *Settings) *int { return &s.Report.Batch }, number(1, 10_000),
			"Installations whose figures are read in one SELECT. Their reports are in memory together, so it bounds memory; fewer cost ClickHouse more queries."),
		row("report.concurrency", "32", "deliveries", func(s *Settings) *int { return &s.Report.Concurrency }, number(1, 1000),
			"Reports on their way to partners at the same time, of installations whose last one was accepted."),
		row("report.slow_concurrency", "16", "deliveries", func(s *Settings) *int { return &s.Report.SlowConcurrency }, number(1, 1000),
			"The same of installations whose last report was not accepted. They have slots of their own, so that those that hang never hold up the others."),
		row("report.request_timeout", "10s", "", at(func(r *Report) *time.Duration { return &r.RequestTimeout }),
			duration(100*time.Millisecond, 5*time.Minute),
			"How long a partner may take to answer one attempt. After it nobody knows whether the partner has the report; it is sent again, which is safe."),
		row("report.delivery_timeout", "5m", "", at(func(r *Report) *time.Duration { return &r.DeliveryTimeout }),
			duration(time.Second, day),
			"How long an installation's reports of one run are tried again, waits included. What was not accepted by then is left to the next tick, with newer figures."),
		row("report.retry_backoff_min", "1s", "", at(func(r *Report) *time.Duration { return &r.RetryBackoffMin }),
			duration(time.Millisecond, time.Hour),
			"Longest wait after the first failed attempt; it doubles with every further one. The wait is a random part of it, unless the partner asked for more by Retry-After."),
		row("report.retry_backoff_max", "1m", "", at(func(r *Report) *time.Duration { return &r.RetryBackoffMax }),
			duration(time.Millisecond, time.Hour),
			"Longest wait between attempts, but for Retry-After."),
		row("report.max_lag", "5m", "", at(func(r *Report) *time.Duration { return &r.MaxLag }), duration(time.Second, day),
			"How far the aggregator may be behind the log before reports count as stale. They are sent all the same, since the next ones put them right; metrics and the stored rows say so."),
		row("report.default_base_url", "", "", func(s *Settings) *string { return &s.Report.DefaultBaseURL }, baseURL(),
			"Where installations without a base_url of their own are reported to. Empty: nowhere, and `reckoner report status` says so. dev uses its built-in receiver, unless this is set."),
	}
}
