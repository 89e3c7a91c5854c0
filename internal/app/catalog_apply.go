package app

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"reckoner/internal/bus"
	"reckoner/internal/catalog"
	"reckoner/internal/catalog/live"
)

// CatalogApplyOptions say how a catalog document is applied.
type CatalogApplyOptions struct {
	Prune    bool // delete what the document does not list
	DryRun   bool // show what would be done, and do nothing
	Lines    int  // of the diff that are shown at most; 0: all
	Progress func(done, of int)
}

// CatalogApply is the command `catalog apply`: it shows how a document differs from the catalog, and makes the catalog so.
// A document with any fault in it changes nothing.
func CatalogApply(ctx context.Context, p *Process, out io.Writer, path string, o CatalogApplyOptions) error {
	data, err := readCatalogFile(path)
	if err != nil {
		return fmt.Errorf("read the catalog file: %w", err)
	}
	client, reader, err := p.catalogReader(ctx)
	if err != nil {
		return err
	}
	current := reader.Current()
	document, err := catalog.ParseOver(filepath.Base(path), data, current)
	if err != nil {
		return fmt.Errorf("the catalog is not valid; nothing was changed:\n%w", err)
	}
	diff, err := catalog.NewDiff(current, document, catalog.DiffOptions{Prune: o.Prune, By: byApply})
	if err != nil {
		return fmt.Errorf("the file does not fit the catalog; nothing was changed:\n%w", err)
	}
	if err := printDiff(out, diff, o.Lines); err != nil || diff.Empty() || o.DryRun {
		return err
	}
	p.Go("catalog", reader.Run)
	started := time.Now()
	w := p.catalogWriter(client, reader)
	report, err := w.Apply(ctx, diff, o.Progress)
	if err == nil && report.Refused > 0 { // somebody else was quicker: what is left is compared again
		applied := report.Applied
		report, err = w.ApplyDocument(ctx, document, live.ApplyOptions{Prune: o.Prune, By: byApply, Progress: o.Progress})
		report.Applied += applied
	}
	if err != nil {
		return fmt.Errorf("%d changes were made, then it stopped; apply the file again to go on: %w", report.Applied, err)
	}
	_, err = fmt.Fprintf(out, "%d changes made in %s\n", report.Applied, time.Since(started).Round(time.Millisecond))
	return err
}

// catalogReader reads the topic to its end, for a command that does not stay: it does not wait for what is missing.
func (p *Process) catalogReader(ctx context.Context) (*bus.Client, *live.Reader, error) {
	client, err := p.kafka()
	if err != nil {
		return nil, nil, err
	}
	if err := client.Ping(ctx); err != nil {
		return nil, nil, fmt.Errorf("%w; name it with --brokers (setting kafka.brokers)", err)
	}
	if _, err := client.Partitions(ctx, bus.TopicCatalog); err != nil {
		return nil, nil, fmt.Errorf("the topic %s cannot be read (has `reckoner migrate` been run?): %w", bus.TopicCatalog, err)
	}
	reader, err := live.Open(ctx, client, live.Options{Log: p.Log.With("component", "catalog")})
	return client, reader, err
}

// printDiff writes a line a change, and how many there are of each sort.
func printDiff(out io.Writer, d *catalog.Diff, limit int) error {
	if d.Empty() {
		_, err := fmt.Fprintln(out, "nothing to do: the catalog is what the file says")
		return err
	}
	n := 0
	for line := range d.Lines() {
		if n++; limit > 0 && n > limit {
			if _, err := fmt.Fprintln(out, "… and more; --lines 0 shows all"); err != nil {
				return err
			}
			break
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "to create: %d, to change: %d, to delete: %d\n", d.Created, d.Changed, d.Deleted)
	return err
}
