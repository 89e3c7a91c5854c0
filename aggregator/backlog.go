package aggregator

import (
	"context"
	"errors"
	"time"
)

// backlogEvery is how often a partition that must not read looks how far its log goes on meanwhile. Metrics and health
// are all that depends on it.
const backlogEvery = time.Second

// await returns when there is room for more decided records. Until then nothing is read, so nobody would learn how the
// log grows: while the ledger is away the lag would stand still where reading stopped.
func (r *round) await(ctx context.Context, number int32) error {
	for {
		turn, cancel := context.WithTimeout(ctx, backlogEvery)
		err := r.budget.wait(turn)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		asked, cancel := context.WithTimeout(ctx, backlogEvery)
		_, next, err := r.o.Source.Offsets(asked, number)
		cancel()
		if err == nil { // else reading says what is wrong with Kafka, when it may
			r.status.seen(number, next)
		}
	}
}
