package tidy_test

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"reckoner/internal/tidy"
)

const root = "../.."

// TestTheHouseIsTidy holds the whole tree to the rules.
func TestTheHouseIsTidy(t *testing.T) {
	files, err := tidy.Load(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("only %d Go files were found: is the root right?", len(files))
	}
	texts, err := tidy.LoadTexts(root)
	if err != nil {
		t.Fatal(err)
	}
	record, err := os.ReadFile(filepath.Join(root, "docs", "adr", "0002-dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name, wrong := range map[string][]string{
		"dependencies": tidy.Dependencies(files, string(record)),
		"imports":      tidy.Imports(files),
		"sizes":        tidy.Sizes(files),
		"state":        tidy.State(files),
		"floats":       tidy.Floats(files),
		"determinism":  tidy.Determinism(files),
		"registries":   tidy.Registries(files),
		"unfinished":   tidy.Unfinished(files),
		"machines":     tidy.Machines(texts),
	} {
		t.Run(name, func(t *testing.T) {
			for _, w := range wrong {
				t.Error(w)
			}
		})
	}
}

// TestTheMachineIsWatched fails when a file of the machine was renamed away from under the rule that watches it.
func TestTheMachineIsWatched(t *testing.T) {
	for _, name := range tidy.MachineFiles() {
		if _, err := os.Stat(filepath.Join(root, "aggregator", name)); err != nil {
			t.Error(err)
		}
	}
}

// TestDocumentsNameFilesThatExist reads the documents that describe the tree.
func TestDocumentsNameFilesThatExist(t *testing.T) {
	docs, err := filepath.Glob(filepath.Join(root, "docs", "adr", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for i, doc := range docs {
		docs[i] = path.Join("docs", "adr", filepath.Base(doc))
	}
	exists := func(name string) bool {
		found, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(name)))
		return err == nil && len(found) > 0
	}
	for _, name := range append(docs, "README.md", "ARCHITECTURE.md", "CHANGELOG.md") {
		data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Error(err)
			continue
		}
		text := tidy.Text{Path: name, Data: data}
		if strings.HasPrefix(name, "docs/adr/") {
			// Records keep the names of their day: only their links must lead somewhere.
			text.Data = []byte(strings.ReplaceAll(string(data), "`", ""))
		}
		for _, wrong := range tidy.Mentions(text, exists) {
			t.Error(wrong)
		}
	}
}
