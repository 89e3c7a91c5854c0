package tidy

import (
	"fmt"
	"slices"
	"strings"
)

// Dependencies reports imported modules that a record does not name between backquotes.
func Dependencies(files []*File, record string) []string {
	var known []string
	for i, part := range strings.Split(record, "`") {
		if i%2 == 1 && strings.Contains(part, ".") && strings.Contains(part, "/") {
			known = append(known, part)
		}
	}
	missing := map[string]string{} // by import, the first file that has it
	for _, f := range files {
		for _, imported := range f.Imports() {
			if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") || under(imported, known...) {
				continue
			}
			if _, seen := missing[imported]; !seen {
				missing[imported] = f.Path
			}
		}
	}
	var wrong []string
	for imported, file := range missing {
		wrong = append(wrong, fmt.Sprintf("%s: imports %s, whose reason is not recorded", file, imported))
	}
	slices.Sort(wrong)
	return wrong
}
