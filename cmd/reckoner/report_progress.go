package main

import (
	"io"
	"maps"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
)

// withDefault adds a default of a command.
func withDefault(defaults map[string]string, key, value string) map[string]string {
	more := maps.Clone(defaults)
	more[key] = value
	return more
}

// terminal reports whether somebody watches: the log of a scheduler has no use for a bar.
func terminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// showInstallations draws a bar of the installations that a run has worked; nil where nobody watches.
func showInstallations(out io.Writer) func(done, of int) {
	if !terminal(out) {
		return nil
	}
	var bar *progressbar.ProgressBar
	return func(done, of int) {
		if bar == nil {
			bar = progressbar.NewOptions(of, progressbar.OptionSetWriter(out), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
				progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetDescription("installations"))
		}
		_ = bar.Set(done) // a bar that cannot be drawn is no reason to stop
	}
}

// showChecked counts the reports that were made again; how many there are nobody knows before. Nil where nobody watches.
func showChecked(out io.Writer) func(checked int64, installation string) {
	if !terminal(out) {
		return nil
	}
	bar := progressbar.NewOptions64(-1, progressbar.OptionSetWriter(out), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
		progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetDescription("reports"))
	return func(checked int64, _ string) {
		_ = bar.Set64(checked) // as above
	}
}
