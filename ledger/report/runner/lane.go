package runner

import "context"

// batches is how many batches may be in a lane: one that is being sent, and one that is being prepared meanwhile.
const batches = 2

// lane is the slots and the room of installations that fare alike: those whose last report was accepted, or the others. What
// hangs in one lane never takes anything from the other.
type lane struct {
	slots chan struct{} // one for each delivery
	room  chan struct{} // one for each installation whose reports are in memory
	entry chan struct{} // who enters takes all its room before the next one takes any
}

func newLane(concurrency, batch int) *lane {
	return &lane{slots: make(chan struct{}, concurrency), room: make(chan struct{}, batches*batch), entry: make(chan struct{}, 1)}
}

// enter waits for the room of n installations, at most a batch.
func (l *lane) enter(ctx context.Context, n int) error {
	if !take(ctx, l.entry) {
		return context.Cause(ctx)
	}
	defer func() { <-l.entry }()
	for i := range n {
		if !take(ctx, l.room) {
			for range i {
				l.leave()
			}
			return context.Cause(ctx)
		}
	}
	return nil
}

// leave gives back the room of one installation.
func (l *lane) leave() { <-l.room }

// take puts a token into a channel of them; false: ctx ended.
func take(ctx context.Context, tokens chan struct{}) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case tokens <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}
