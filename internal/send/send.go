package send

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// The defaults of Options.
const (
	DefaultURL         = "http://127.0.0.1:7400"
	DefaultCredential  = "demo:demo-secret"
	DefaultConnections = 8
	DefaultBatch       = 500
	DefaultRetryFor    = 10 * time.Minute
)

const (
	// pendingMax bounds the lines that wait for a fuller batch, over all workers.
	pendingMax = 64 << 10
	saveEvery  = time.Second
)

// Options say what to send where. All but Path and Org have defaults.
type Options struct {
	Path        string        // the file
	Format      string        // CSV or NDJSON; empty: by the file's extension
	URL         string        // of the ingest
	Credential  string        // id:secret
	Org         string        // the organization of the accounts, by id or name
	Connections int           // requests under way at once
	Batch       int           // usages a request
	RetryFor    time.Duration // how long one request may go without a final answer
	Restart     bool          // forget what an interrupted run has delivered
	StateDir    string        // where interrupted runs leave their mark; empty: in the user's cache folder
	Out         io.Writer     // progress, for people: a bar on a terminal, else lines; nil for none
}

func (o *Options) complete() error {
	if o.Org == "" {
		return errors.New("no organization is given")
	}
	if o.URL == "" {
		o.URL = DefaultURL
	}
	if o.Credential == "" {
		o.Credential = DefaultCredential
	}
	if o.Connections == 0 {
		o.Connections = DefaultConnections
	}
	if o.Batch == 0 {
		o.Batch = DefaultBatch
	}
	if o.RetryFor == 0 {
		o.RetryFor = DefaultRetryFor
	}
	if o.Connections < 1 || o.Connections > 1024 {
		return fmt.Errorf("connections: %d is not between 1 and 1024", o.Connections)
	}
	if o.Batch < 1 || o.Batch > 10_000 {
		return fmt.Errorf("batch: %d is not between 1 and 10000", o.Batch)
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.StateDir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("find a place for the progress file: %w", err)
		}
		o.StateDir = filepath.Join(cache, "reckoner", "send")
	}
	var err error
	o.Format, err = formatOf(o.Path, o.Format)
	return err
}

// Run sends a file. Its error means that the run ended early: the file cannot be read or has invalid lines, ctx ended,
// or the server cannot be reached or does not know the credential. The summary then says how far it came, and the same
// call goes on from there. Without an error Summary.Complete says whether every line is delivered.
func Run(ctx context.Context, o Options) (Summary, error) {
	if err := o.complete(); err != nil {
		return Summary{}, err
	}
	file, err := os.Open(o.Path)
	if err != nil {
		return Summary{}, err
	}
	defer func() { _ = file.Close() }()
	found, err := scan(file, o.Format)
	if err != nil {
		return Summary{}, fmt.Errorf("%s: %w", o.Path, err)
	}
	saved := newProgressFile(o.StateDir, found.sha256, o.URL, o.Org)
	was, err := resume(ctx, &o, file, saved, found.lines)
	if err != nil {
		return Summary{}, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return Summary{}, err
	}
	return deliver(ctx, o, file, found, saved, was)
}

// resume returns how far an earlier run came, as far as the server shows that it still has what it was sent.
func resume(ctx context.Context, o *Options, file io.ReadSeeker, saved *progressFile, lines int64) (progress, error) {
	if o.Restart {
		return progress{}, nil
	}
	was, err := saved.load(lines)
	if err != nil || was.Delivered == 0 {
		return progress{}, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return progress{}, err
	}
	return confirm(ctx, o, file, saved, was)
}

// deliver sends the lines that an earlier run did not.
func deliver(ctx context.Context, o Options, file io.Reader, found content, saved *progressFile, was progress) (Summary, error) {
	start := time.Now()
	track := newTracker(was.Delivered)
	counts := &tally{summary: Summary{Lines: found.lines, Skipped: was.Delivered, Counts: make(map[Class]int64)}}
	shown := newDisplay(o.Out, found.lines, was, track)
	client, err := newClient(o, shown.note)
	if err != nil {
		return Summary{}, err
	}
	defer client.close()

	watch, stop := context.WithCancel(context.Background())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		keep(watch, saved, track, shown)
	}()

	lines, err := newReader(file, o.Format)
	if err == nil {
		err = work(ctx, o, lines, client, track, counts)
	}
	stop()
	<-watched // nobody else saves from here on
	counts.summary.Took = time.Since(start)
	if err == nil && counts.summary.Complete() {
		// Sending a complete file again is a wish to send it all again.
		err = saved.remove()
	} else {
		next, _ := track.state()
		err = errors.Join(err, saved.save(next, time.Now()))
	}
	shown.close()
	return counts.summary, err
}

// keep saves the progress and shows it while the workers run.
func keep(ctx context.Context, saved *progressFile, track *tracker, shown *display) {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			next, _ := track.state()
			if err := saved.save(next, now); err != nil {
				// The run is worth more than its mark: say so and go on.
				shown.note(err.Error())
			}
			shown.update(now)
		case <-ctx.Done():
			return
		}
	}
}

// work reads the file once more and gives each account's lines to its worker.
func work(ctx context.Context, o Options, lines reader, c *client, track *tracker, counts *tally) error {
	group, ctx := errgroup.WithContext(ctx)
	queues := make([]chan line, o.Connections)
	for i := range queues {
		queues[i] = make(chan line, 256)
		w := &worker{
			client: c, org: o.Org, batch: o.Batch, pending: max(pendingMax/o.Connections, o.Batch),
			tracker: track, tally: counts, accounts: make(map[string]*account),
		}
		group.Go(func() error { return w.run(ctx, queues[i]) })
	}
	from, _ := track.state()
	group.Go(func() error {
		defer func() {
			for _, q := range queues {
				close(q)
			}
		}()
		return dispatch(ctx, lines, from, queues)
	})
	return group.Wait()
}

func dispatch(ctx context.Context, lines reader, from int64, queues []chan line) error {
	for {
		l, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("the file changed while it was sent: %w", err)
		}
		if l.seq < from {
			continue
		}
		h := fnv.New32a()
		_, _ = h.Write([]byte(l.account))
		select {
		case queues[h.Sum32()%uint32(len(queues))] <- l:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
