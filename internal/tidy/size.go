package tidy

import (
	"fmt"
	"go/ast"
)

// The limits of size.
const (
	FileLinesMax     = 400
	FunctionLinesMax = 70
)

// Sizes reports files and functions that are too long to read in one go. Generated files may be; a test's table may.
func Sizes(files []*File) []string {
	var wrong []string
	for _, f := range files {
		if f.Generated || f.Test {
			continue
		}
		if f.Lines >= FileLinesMax {
			wrong = append(wrong, fmt.Sprintf("%s: %d lines; a file has one job and less than %d", f.Path, f.Lines, FileLinesMax))
		}
		for _, d := range f.AST.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line + 1
			if lines >= FunctionLinesMax {
				wrong = append(wrong, fmt.Sprintf("%s: %s has %d lines; less than %d is readable", f.Line(fn.Pos()), fn.Name.Name, lines, FunctionLinesMax))
			}
		}
	}
	return wrong
}
