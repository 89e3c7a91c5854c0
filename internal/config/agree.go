package config

import (
	"errors"
	"fmt"
)

// agree holds settings against each other.
func (s *Settings) agree() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	k, i, a, r := &s.Kafka, &s.Ingest, &s.Aggregator, &s.Report
	check(k.ReplicationFactor == 0 || k.MinInsyncReplicas <= k.ReplicationFactor,
		"kafka.min_insync_replicas: %d is more than kafka.replication_factor (%d): no write would ever be acknowledged",
		k.MinInsyncReplicas, k.ReplicationFactor)
	check(i.BodyBytesMax <= i.InflightBytesMax,
		"ingest.body_bytes_max: %d is more than ingest.inflight_bytes_max (%d): the largest request would never be accepted",
		i.BodyBytesMax, i.InflightBytesMax)
	check(a.RetryBackoffMin <= a.RetryBackoffMax,
		"aggregator.retry_backoff_min: %s is more than aggregator.retry_backoff_max (%s)", a.RetryBackoffMin, a.RetryBackoffMax)
	check(a.FlushIntervalWaited <= a.FlushInterval,
		"aggregator.flush_interval_waited: %s is more than aggregator.flush_interval (%s): waiting would slow a flush down",
		a.FlushIntervalWaited, a.FlushInterval)
	check(r.RetryBackoffMin <= r.RetryBackoffMax,
		"report.retry_backoff_min: %s is more than report.retry_backoff_max (%s)", r.RetryBackoffMin, r.RetryBackoffMax)
	check(r.RequestTimeout <= r.DeliveryTimeout,
		"report.request_timeout: %s is more than report.delivery_timeout (%s): no attempt would have its time",
		r.RequestTimeout, r.DeliveryTimeout)
	return errors.Join(append(errs, s.agreeTLS())...)
}
