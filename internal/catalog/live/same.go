package live

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"reckoner/internal/bus"
)

// checkEvery is how often the topic is held against what was read of it while nothing seems to be wrong.
const checkEvery = 30 * time.Second

// errMadeAnew says that offsets go on in another topic of the same name: its changes would be mixed with the old one's.
var errMadeAnew = errors.New("the catalog's topic holds another record where the last one was read: it was made anew; start the process again to read the new one")

// fingerprint is what a record is known by.
func fingerprint(r *bus.Record) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%d:%s%s", len(r.Key), r.Key, r.Value))
}

// same makes sure that the topic is still the one that was read: the last record that was applied is there. Kafka's
// offsets alone cannot tell, and kafka-go knows no topic ids. It waits while Kafka does not answer.
func (r *Reader) same(ctx context.Context) error {
	for {
		err := r.trySame(ctx)
		if err == nil || ctx.Err() != nil || !bus.Retryable(err) {
			r.checked = time.Now()
			return err
		}
		if err := sleep(ctx, reopenPause); err != nil {
			return err
		}
	}
}

func (r *Reader) trySame(ctx context.Context) error {
	first, _, err := r.client.Offsets(ctx, bus.TopicCatalog, 0)
	if err != nil {
		return err
	}
	if first > 0 && !r.beheaded {
		r.beheaded = true
		r.log.Error("the catalog's topic has lost its beginning, and no process can start on it any more: write the catalog out now, "+
			"while a process that read all of it serves (GET /admin/v1), and keep the topic for ever (retention.ms=-1)",
			"begins_at", first)
	}
	next := r.machine.Next()
	if next == 0 || next <= first {
		return nil
	}
	topic, err := r.client.OpenReader(ctx, bus.TopicCatalog, 0, next-1)
	if err != nil {
		return err
	}
	records, _, err := topic.Fetch(ctx, bus.Limits{MaxBytes: 1, MaxWait: fetchWait})
	if err != nil {
		return err
	}
	if len(records) > 0 && fingerprint(&records[0]) != r.last {
		return errMadeAnew
	}
	return nil
}
