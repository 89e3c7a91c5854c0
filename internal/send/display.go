package send

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

const (
	plainEvery = 5 * time.Second // between two lines where there is no terminal
	noteFor    = 2 * time.Second // a note stands beside the bar
)

// A display shows a person how far the file is: a bar with rate and remaining time on a terminal, lines elsewhere.
type display struct {
	mu       sync.Mutex
	out      io.Writer
	bar      *progressbar.ProgressBar // nil without a terminal
	track    *tracker
	lines    int64
	skipped  int64
	started  time.Time
	lastLine time.Time
	lastNote time.Time
}

func newDisplay(out io.Writer, lines int64, was progress, track *tracker) *display {
	now := time.Now()
	d := &display{out: out, track: track, lines: lines, skipped: was.Delivered, started: now, lastLine: now}
	if was.Delivered > 0 {
		_, _ = fmt.Fprintf(out, "going on after %d of %d lines, delivered until %s (--restart sends them again)\n",
			was.Delivered, lines, was.SavedAt.Local().Format(time.DateTime))
	}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		d.bar = progressbar.NewOptions64(lines-was.Delivered, progressbar.OptionSetWriter(out), progressbar.OptionShowCount(),
			progressbar.OptionShowIts(), progressbar.OptionSetItsString("lines"), progressbar.OptionSetPredictTime(true),
			progressbar.OptionFullWidth(), progressbar.OptionSetDescription("sending"))
	}
	return d
}

func (d *display) update(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, done := d.track.state()
	if d.bar != nil {
		if now.Sub(d.lastNote) > noteFor {
			d.bar.Describe("sending")
		}
		_ = d.bar.Set64(done)
		return
	}
	if now.Sub(d.lastLine) >= plainEvery {
		d.lastLine = now
		_, _ = fmt.Fprintln(d.out, d.plain(done, now))
	}
}

func (d *display) plain(done int64, now time.Time) string {
	passed := now.Sub(d.started)
	text := fmt.Sprintf("%d of %d lines", d.skipped+done, d.lines)
	if done == 0 || passed <= 0 {
		return text
	}
	left := time.Duration(float64(passed) * float64(d.lines-d.skipped-done) / float64(done))
	return fmt.Sprintf("%s, %.0f a second, %s left", text, float64(done)/passed.Seconds(), left.Round(time.Second))
}

// note shows why nothing moves. Without a terminal it speaks up once in a while only: every worker has the same to say.
func (d *display) note(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if d.bar != nil {
		d.lastNote = now
		d.bar.Describe(text)
		return
	}
	if now.Sub(d.lastNote) >= plainEvery {
		d.lastNote = now
		_, _ = fmt.Fprintln(d.out, text)
	}
}

func (d *display) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bar == nil {
		return
	}
	_, done := d.track.state()
	_ = d.bar.Set64(done)
	_ = d.bar.Exit()
	_, _ = fmt.Fprintln(d.out)
}
