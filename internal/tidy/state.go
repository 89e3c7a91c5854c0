package tidy

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
)

// stateAllowed are the package-level variables that do change, each with its reason beside it in the source.
var stateAllowed = map[string]bool{
	"internal/embedded/chdb process": true, // the library is loaded once a process, whatever the engines in it
}

// constructors make values that nobody changes.
var constructors = map[string]bool{
	"errors.New": true, "fmt.Errorf": true, "regexp.MustCompile": true, "time.Date": true, "time.Unix": true,
	"reckoner.Errorf": true, "Units": true, "Thousandths": true, "strings.NewReplacer": true, "template.Must": true,
}

// State reports init functions, and package-level variables that are not constant in all but name: an error, an
// embedded file, a pattern, a table. A variable of these that is assigned to somewhere is state, too.
func State(files []*File) []string {
	var wrong []string
	declared := map[string]map[string]bool{} // by package, the names of its variables
	for _, f := range files {
		if f.Generated || f.Test {
			continue
		}
		for _, d := range f.AST.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					wrong = append(wrong, f.Line(d.Pos())+": init runs behind everybody's back; call what must run")
				}
			case *ast.GenDecl:
				if d.Tok != token.VAR {
					continue
				}
				for _, spec := range d.Specs {
					wrong = append(wrong, variables(f, d, spec.(*ast.ValueSpec), declared)...)
				}
			}
		}
	}
	return append(wrong, assignments(files, declared)...)
}

func variables(f *File, d *ast.GenDecl, spec *ast.ValueSpec, declared map[string]map[string]bool) []string {
	var wrong []string
	for i, name := range spec.Names {
		if name.Name == "_" || stateAllowed[f.Dir+" "+name.Name] || embedded(d, spec) {
			continue
		}
		if i >= len(spec.Values) || !constant(spec.Values[i]) {
			wrong = append(wrong, fmt.Sprintf("%s: the package-level variable %s is state; pass it to whoever needs it", f.Line(name.Pos()), name.Name))
			continue
		}
		if declared[f.Dir] == nil {
			declared[f.Dir] = map[string]bool{}
		}
		declared[f.Dir][name.Name] = true
	}
	return wrong
}

func embedded(d *ast.GenDecl, spec *ast.ValueSpec) bool {
	for _, doc := range []*ast.CommentGroup{d.Doc, spec.Doc} {
		if doc == nil {
			continue
		}
		for _, c := range doc.List {
			if strings.HasPrefix(c.Text, "//go:embed ") {
				return true
			}
		}
	}
	return false
}

// constant reports whether an expression makes a value that can stay as it is.
func constant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit, *ast.CompositeLit, *ast.FuncLit, *ast.BinaryExpr:
		return true
	case *ast.ParenExpr:
		return constant(e.X)
	case *ast.UnaryExpr:
		lit, ok := e.X.(*ast.CompositeLit)
		return ok && strings.HasSuffix(dotted(lit.Type), "Error") // an error to compare with
	case *ast.CallExpr:
		if fn, ok := e.Fun.(*ast.FuncLit); ok {
			return len(fn.Type.Params.List) == 0 // a table that is computed once
		}
		if sel, ok := e.Fun.(*ast.SelectorExpr); ok {
			if inner, ok := sel.X.(*ast.CallExpr); ok {
				return constant(inner) // time.Unix(0, 0).UTC()
			}
		}
		return constructors[dotted(e.Fun)]
	default:
		return false
	}
}

// assignments reports every change to a variable that was declared constant in all but name.
func assignments(files []*File, declared map[string]map[string]bool) []string {
	var wrong []string
	for _, f := range files {
		names := declared[f.Dir]
		changed := func(e ast.Expr) {
			name := root(e)
			// A local variable of the same name resolves inside the file, to something other than a package-level spec.
			if name == nil || !names[name.Name] || local(f, name) {
				return
			}
			wrong = append(wrong, fmt.Sprintf("%s: %s is changed here; a package-level variable never is", f.Line(e.Pos()), name.Name))
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, left := range n.Lhs {
						changed(left)
					}
				}
			case *ast.IncDecStmt:
				changed(n.X)
			case *ast.CallExpr:
				if fn, ok := n.Fun.(*ast.Ident); ok && (fn.Name == "delete" || fn.Name == "clear" || fn.Name == "copy") && len(n.Args) > 0 {
					changed(n.Args[0])
				}
			}
			return true
		})
	}
	return wrong
}

// root returns the variable that an assignable expression is part of.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// local reports whether a name resolves to something inside a function of its own file. The parser resolves within
// a file, which is all that is needed here.
func local(f *File, name *ast.Ident) bool {
	if name.Obj == nil {
		return false // declared in another file of the package
	}
	return f.AST.Scope.Lookup(name.Name) != name.Obj
}

func dotted(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return dotted(e.X) + "." + e.Sel.Name
	default:
		return ""
	}
}
