package tidy

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// A Text is any file of the tree.
type Text struct {
	Path string
	Data []byte
}

// LoadTexts reads every file of the tree that is text, but for what testdata holds.
func LoadTexts(root string) ([]Text, error) {
	paths, err := Paths(root)
	if err != nil {
		return nil, err
	}
	var out []Text
	for _, p := range paths {
		if strings.HasPrefix(p, "testdata/") || strings.Contains(p, "/testdata/") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(p)))
		if err != nil {
			return nil, err
		}
		if !bytes.ContainsRune(data[:min(len(data), 8<<10)], 0) {
			out = append(out, Text{Path: p, Data: data})
		}
	}
	return out, nil
}

// machinePath finds the homes of people and of build machines: no other machine has them.
var machinePath = regexp.MustCompile(`(^|[\s"'` + "`" + `=(:])/(work|root|home|Users)/[A-Za-z0-9._-]+`)

// registry finds where a package was fetched from; a link inside the tree is none.
var registry = regexp.MustCompile(`"resolved": "[a-z+]+:`)

// Machines reports paths of somebody's machine, and settings that tie a clone to somebody's registry.
func Machines(texts []Text) []string {
	var wrong []string
	for _, t := range texts {
		for i, line := range bytes.Split(t.Data, []byte("\n")) {
			if m := machinePath.Find(line); m != nil {
				wrong = append(wrong, fmt.Sprintf("%s:%d: %s is a path of one machine", t.Path, i+1, bytes.TrimSpace(m)))
			}
			if path.Base(t.Path) == "package-lock.json" && registry.Match(line) {
				wrong = append(wrong, fmt.Sprintf("%s:%d: names a registry; write it with npm install --omit-lockfile-registry-resolved", t.Path, i+1))
			}
		}
		if base := path.Base(t.Path); base == ".npmrc" || base == "go.work" {
			wrong = append(wrong, t.Path+": is one machine's setting")
		}
	}
	return wrong
}

// named finds what a document calls a file: something in backquotes with a slash or a known ending, and the target of
// a link.
var named = regexp.MustCompile("`([A-Za-z0-9_.*/-]+)`|\\]\\(([A-Za-z0-9_./-]+)\\)")

// Mentions reports files and folders that a document names and that do not exist. exists is asked with paths from the
// root. A folder is named with a slash at its end.
func Mentions(doc Text, exists func(string) bool) []string {
	var wrong []string
	for i, line := range strings.Split(string(doc.Data), "\n") {
		for _, m := range named.FindAllStringSubmatch(line, -1) {
			name, link := m[1], m[2] != ""
			if link {
				name = path.Join(path.Dir(doc.Path), m[2])
			}
			if link || isFile(name) {
				if !exists(strings.TrimSuffix(name, "/")) {
					wrong = append(wrong, fmt.Sprintf("%s:%d: names %s, which does not exist", doc.Path, i+1, name))
				}
			}
		}
	}
	return wrong
}

// isFile tells the name of a file of ours from a route, a key, a topic or a command.
func isFile(name string) bool {
	if strings.HasPrefix(name, "/") || strings.HasPrefix(name, "bin/") {
		return false
	}
	if strings.HasSuffix(name, "/") {
		return true
	}
	switch path.Ext(name) {
	case ".go", ".md", ".yaml", ".yml", ".sql", ".proto", ".csv", ".mjs", ".json":
		return true
	default:
		return false
	}
}
