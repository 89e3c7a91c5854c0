package app

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// retryUntil tries until it works or ctx ends, and tells of every failure.
func retryUntil(ctx context.Context, try func(context.Context) error, failed func(error)) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 100*time.Millisecond, 5*time.Second
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		failed(err)
		timer := time.NewTimer(wait.NextBackOff())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}
