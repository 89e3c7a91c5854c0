// Package tidy holds the house to its plan: who may import whom, how long a file may be, where state may live. Its
// rules read the source as it is, of every platform, and need nothing but the source.
package tidy

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Module is the module's path.
const Module = "reckoner"

// A File is one Go file of the tree.
type File struct {
	Path      string // slash-separated, from the root
	Dir       string // the package's folder; "." is the root
	Test      bool
	Generated bool
	Lines     int
	AST       *ast.File
	fset      *token.FileSet
}

// Line returns where a node stands, as "path:line".
func (f *File) Line(pos token.Pos) string {
	return fmt.Sprintf("%s:%d", f.Path, f.fset.Position(pos).Line)
}

// Imports returns the paths that the file imports.
func (f *File) Imports() []string {
	var out []string
	for _, spec := range f.AST.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// Parse reads one Go file.
func Parse(name string, text []byte) (*File, error) {
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, name, text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	return &File{
		Path: name, Dir: path.Dir(name), Test: strings.HasSuffix(name, "_test.go"), Generated: ast.IsGenerated(tree),
		Lines: bytes.Count(text, []byte("\n")), AST: tree, fset: fset,
	}, nil
}

// Paths lists the files of the tree, slash-separated, without what is built, fetched or stored there.
func Paths(root string) ([]string, error) {
	ignored := []string{".git", "bin", "data", "interop/node_modules"}
	var out []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if slices.Contains(ignored, rel) {
				return filepath.SkipDir
			}
			return nil
		}
		if d.Type().IsRegular() {
			out = append(out, rel)
		}
		return nil
	})
	return out, err
}

// Load parses every Go file of the tree.
func Load(root string) ([]*File, error) {
	paths, err := Paths(root)
	if err != nil {
		return nil, err
	}
	var out []*File
	for _, p := range paths {
		if !strings.HasSuffix(p, ".go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(p)))
		if err != nil {
			return nil, err
		}
		f, err := Parse(p, text)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// under reports whether dir is one of the folders, or below one of them.
func under(dir string, folders ...string) bool {
	for _, f := range folders {
		if dir == f || f != "." && strings.HasPrefix(dir, f+"/") {
			return true
		}
	}
	return false
}
