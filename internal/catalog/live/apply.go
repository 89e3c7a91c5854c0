package live

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"reckoner/internal/catalog"
)

// Report is what became of a diff.
type Report struct {
	Steps    int                // of the diff
	Applied  int                // steps that took place
	Refused  int                // steps that did not
	Refusals []catalog.Decision // of those the first ones
}

// refusalsMax bounds what a report holds of refusals.
const refusalsMax = 20

// Err returns nil when all took place.
func (r *Report) Err() error {
	if r.Refused == 0 {
		return nil
	}
	errs := make([]error, 0, len(r.Refusals)+1)
	errs = append(errs, fmt.Errorf("%d of %d changes were refused, because somebody else changed the catalog meanwhile", r.Refused, r.Steps))
	for _, d := range r.Refusals {
		errs = append(errs, d.Err())
	}
	return errors.Join(errs...)
}

// Apply goes the steps of a diff, in batches of WriterOptions.InFlight; each is decided before the next is written. It
// stops behind the batch in which a step was refused: what was applied stays, and another diff finds the rest. Progress,
// when set, is told after each batch. The error is that of Do.
func (w *Writer) Apply(ctx context.Context, d *catalog.Diff, progress func(done, of int)) (Report, error) {
	report := Report{Steps: d.Len()}
	made := map[int]catalog.Version{} // by steps that later ones follow
	for at := 0; at < d.Len() && report.Refused == 0; {
		batch := w.batch(d, at, made)
		decisions, err := w.write(ctx, batch)
		if err != nil {
			return report, fmt.Errorf("after %d of %d changes: %w", report.Applied, report.Steps, err)
		}
		for i, decision := range decisions {
			if decision.Result != catalog.Applied {
				report.Refused++
				if len(report.Refusals) < refusalsMax {
					report.Refusals = append(report.Refusals, decision)
				}
				continue
			}
			report.Applied++
			if d.Followed(at + i) {
				made[at+i] = decision.Version
			}
		}
		at += len(batch)
		if progress != nil {
			progress(at, d.Len())
		}
	}
	return report, nil
}

// batch returns the changes of the next steps: not those behind the first one that follows another of the batch, because
// its expectation is not known before that is decided.
func (w *Writer) batch(d *catalog.Diff, from int, made map[int]catalog.Version) []catalog.Change {
	var batch []catalog.Change
	for i := from; i < d.Len() && len(batch) < w.opts.InFlight; i++ {
		ch, follows := d.Step(i)
		if follows >= from {
			break
		}
		if follows >= 0 {
			ch.Expect = made[follows]
			delete(made, follows)
		}
		ch.ID = uuid.NewString()
		batch = append(batch, ch)
	}
	return batch
}

// ApplyOptions say how a document is applied.
type ApplyOptions struct {
	// Prune deletes what the document does not list.
	Prune bool
	// By says who asks.
	By string
	// Progress is told after each batch.
	Progress func(done, of int)
}

// attempts is how often a document is applied anew because somebody else changed the catalog meanwhile. Each finds less
// to do than the one before, unless that one was undone.
const attempts = 10

// ApplyDocument makes the catalog say what the document does, whoever else changes it at the same time: what another
// one has changed meanwhile is compared again. The report is that of all attempts together.
func (w *Writer) ApplyDocument(ctx context.Context, document *catalog.Catalog, o ApplyOptions) (Report, error) {
	var all Report
	for range attempts {
		d, err := catalog.NewDiff(w.reader.Current(), document, catalog.DiffOptions{Prune: o.Prune, By: o.By})
		if err != nil {
			return all, err
		}
		report, err := w.Apply(ctx, d, o.Progress)
		all.Steps = all.Applied + report.Steps
		all.Applied += report.Applied
		all.Refused, all.Refusals = report.Refused, report.Refusals
		if err != nil || report.Refused == 0 {
			return all, err
		}
	}
	return all, fmt.Errorf("the catalog is being changed by others all the time; try again: %w", all.Err())
}
