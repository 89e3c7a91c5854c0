package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"reckoner/internal/bus"
	"reckoner/ledger"
	"reckoner/ledger/clickhouse"
)

// retryUntil tries until it works, until an error is final, or until ctx ends. It tells of every failure that it tries
// again after; the last one is in the error when ctx ends.
func retryUntil(ctx context.Context, try func(context.Context) error, final func(error) bool, failed func(error)) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 100*time.Millisecond, 5*time.Second
	var last error
	for {
		err := try(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ended(ctx, last)
		case final(err):
			return err
		}
		last = err
		failed(err)
		timer := time.NewTimer(wait.NextBackOff())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ended(ctx, last)
		}
	}
}

// ended says why ctx ended, and what went wrong until then.
func ended(ctx context.Context, last error) error {
	if last == nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", context.Cause(ctx), last)
}

// lasting reports whether a failure at start stays until a person changes a setting, a right or a build. To wait for it
// would hide it. Everything else may pass: an engine that starts, a name that is not known yet, a `migrate` that is to run.
func lasting(err error) bool {
	return clickhouse.Refused(err) || bus.Refused(err) || errors.Is(err, ledger.ErrLogMismatch)
}
