package tidy_test

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"reckoner/internal/tidy"
)

// TestGuaranteesNameTestsThatExist reads docs/guarantees.md: every promise names tests, each in the file that holds it.
func TestGuaranteesNameTestsThatExist(t *testing.T) {
	files, err := tidy.Load(root)
	if err != nil {
		t.Fatal(err)
	}
	functions := map[string]map[string]bool{} // by file
	for _, f := range files {
		functions[f.Path] = map[string]bool{}
		for _, d := range f.AST.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				functions[f.Path][fn.Name.Name] = true
			}
		}
	}
	data, err := os.ReadFile(filepath.Join(root, "docs", "guarantees.md"))
	if err != nil {
		t.Fatal(err)
	}
	evidence := regexp.MustCompile("^`([a-z0-9_/]+_test\\.go)` (.+)$")
	name := regexp.MustCompile(`^(Test|Fuzz)[A-Za-z0-9]+$`)
	promises, named := 0, 0
	for line := range strings.Lines(string(data)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "|") || len(cells) != 2 || strings.TrimSpace(cells[0]) == "promise" || strings.HasPrefix(cells[0], "---") {
			continue
		}
		promises++
		for _, part := range strings.Split(strings.TrimSpace(cells[1]), "; ") {
			m := evidence.FindStringSubmatch(part)
			if m == nil {
				t.Errorf("%q does not name a file and its tests", part)
				continue
			}
			for _, test := range strings.Split(m[2], ", ") {
				if named++; !name.MatchString(test) || !functions[m[1]][test] {
					t.Errorf("%s has no %s", m[1], test)
				}
			}
		}
	}
	if promises < 25 || named < 2*promises-15 {
		t.Errorf("%d promises and %d tests were found: is the table read right?", promises, named)
	}
}
