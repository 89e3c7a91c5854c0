package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"reckoner/internal/config"
)

// TestRunbooksNameWhatThereIs: what somebody types at night exists. Every command of docs/runbooks is one, with its flags,
// and so is every setting.
func TestRunbooksNameWhatThereIs(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join("..", "..", "docs", "runbooks", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("%v: %v", pages, err)
	}
	commands := regexp.MustCompile("(?m)(?:`|^)reckoner ([^`\n]+)")
	setting := regexp.MustCompile("`((?:aggregator|audit|catalog|clickhouse|health|ingest|kafka|report)\\.[a-z_]+)`")
	known := config.Describe()
	seen := 0
	for _, page := range pages {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range commands.FindAllStringSubmatch(string(data), -1) {
			seen++
			args := strings.Fields(found[1])
			if args[0] == "…" {
				continue
			}
			runnable(t, page, args)
		}
		for _, found := range setting.FindAllStringSubmatch(string(data), -1) {
			if !slices.ContainsFunc(known, func(k config.Key) bool { return k.Name == found[1] }) {
				t.Errorf("%s: there is no setting %s", page, found[1])
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d commands were found", seen)
	}
}

// runnable checks that a command is one, that its flags are, and that its arguments are as many as it takes.
func runnable(t *testing.T, page string, args []string) {
	t.Helper()
	line := strings.Join(args, " ")
	if line == "--version" {
		return
	}
	c, rest, err := newRoot().Find(args)
	if err != nil || !c.HasParent() {
		t.Errorf("%s: reckoner %s: there is no such command: %v", page, line, err)
		return
	}
	if err := c.ParseFlags(rest); err != nil {
		t.Errorf("%s: reckoner %s: %v", page, line, err)
		return
	}
	if err := c.ValidateArgs(c.Flags().Args()); err != nil {
		t.Errorf("%s: reckoner %s: %v", page, line, err)
	}
}
