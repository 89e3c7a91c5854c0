package send

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"reckoner"
)

// probeWait is how long the server may take to decide a line that it should know: as long as it lets anybody wait.
const probeWait = 30 * time.Second

// confirm returns was when the server shows that it still knows what it took, else an empty progress: then every line goes
// out again, which is safe. The server may have lost its data since, or be another one at the same address.
//
// It sends two of the delivered usages again: repetitions change nothing, and are answered as such. A line that turns out
// to be new is one the next run would be told to be known; so there is no mark on disk while it is not clear.
func confirm(ctx context.Context, o *Options, file io.Reader, saved *progressFile, was progress) (progress, error) {
	lines, err := newReader(file, o.Format)
	if err != nil {
		return progress{}, err
	}
	probes, err := chooseProbes(lines, was.Delivered)
	if err != nil {
		return progress{}, err
	}
	c, err := newClient(*o, func(text string) { _, _ = fmt.Fprintln(o.Out, text) })
	if err != nil {
		return progress{}, err
	}
	defer c.close()
	if err := saved.remove(); err != nil {
		return progress{}, err
	}
	why, err := c.unknown(ctx, o.Org, probes)
	switch {
	case errors.Is(err, errUnclear) && ctx.Err() == nil:
		why = err.Error()
	case errors.Is(err, errUnclear):
		return progress{}, context.Cause(ctx)
	case err != nil || why == "": // no line was new to the server
		return was, errors.Join(err, saved.save(was.Delivered, was.SavedAt))
	}
	_, _ = fmt.Fprintf(o.Out, "an earlier run delivered %d lines to %s, but the server does not show that it has them (%s): sending every line\n",
		was.Delivered, o.URL, why)
	return progress{}, nil
}

// unknown asks the server about delivered usages. It returns why the server cannot be taken to have them, empty when it
// has.
func (c *client) unknown(ctx context.Context, org string, probes []line) (why string, err error) {
	if len(probes) == 0 {
		return "there is no usage among them to ask about", nil
	}
	for i, l := range probes {
		how := asked{prefer: fmt.Sprintf("wait=%d", int(probeWait.Seconds())), once: true}
		got, err := c.postUsages(ctx, org, probes[i:i+1], how)
		if err == nil {
			err = c.known(got)
		}
		switch {
		case err != nil:
			return "", err
		case got.repeats:
		case got.status == http.StatusAccepted:
			return fmt.Sprintf("it did not decide line %d within %s", l.number, probeWait), nil
		case got.ok():
			return fmt.Sprintf("line %d is new to it", l.number), nil
		default:
			return fmt.Sprintf("line %d is answered %s", l.number, got), nil
		}
	}
	return "", nil
}

// chooseProbes returns what to ask about, in this order: the first usage that begins its account, and the last delivered
// usage. The first may be sent to an empty server without harm, for it keeps its place in its account's order; it tells
// of a server that knows nothing. The last tells of one that went back to an older state. Never a revert: one that is
// sent before its usage is refused for ever.
func chooseProbes(lines reader, delivered int64) ([]line, error) {
	var first, last *line
	begun := make(map[string]struct{}) // accounts, until first is found: rarely more than none
	for {
		l, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("the file changed while it was read: %w", err)
		}
		if l.seq >= delivered {
			break
		}
		usage := l.kind == reckoner.Usage
		if _, has := begun[l.account]; first == nil && usage && !has {
			first, begun = &l, nil
		}
		if usage {
			last = &l
		}
		if first == nil {
			begun[l.account] = struct{}{}
		}
	}
	switch {
	case first == nil:
		return nil, nil
	case last.seq == first.seq:
		return []line{*first}, nil
	default:
		return []line{*first, *last}, nil
	}
}
