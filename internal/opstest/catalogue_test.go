package opstest_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

// metric is a metric as the code declares it.
type metric struct {
	name, kind, help string // kind is counter, gauge or histogram
	labels           []string
	dir              string // of the package, from the root
}

// declared reads every metric of the program out of its source: also those that no process shows before something
// happened.
func declared(t *testing.T) []metric {
	t.Helper()
	var all []metric
	for _, tree := range []string{"aggregator", "ingest", "internal", "ledger"} {
		err := filepath.WalkDir(filepath.Join(root, tree), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			dir, err := filepath.Rel(root, filepath.Dir(path))
			if err != nil {
				return err
			}
			found, err := inFile(file)
			for i := range found {
				found[i].dir = filepath.ToSlash(dir)
			}
			all = append(all, found...)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.SortFunc(all, func(a, b metric) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(all); i++ {
		if all[i].name == all[i-1].name {
			t.Errorf("%s is declared twice, in %s and in %s", all[i].name, all[i-1].dir, all[i].dir)
		}
	}
	if len(all) < 40 {
		t.Fatalf("only %d metrics were found: they are declared in a way that this test does not know", len(all))
	}
	return all
}

// inFile finds the calls of prometheus.New….
func inFile(file *ast.File) (found []metric, err error) {
	names := constants(file)
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || err != nil {
			return err == nil
		}
		made, ok := strings.CutPrefix(called(call), "prometheus.New")
		if !ok || made == "Registry" || made == "PedanticRegistry" {
			return true
		}
		m := metric{kind: strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(made, "Vec"), "Func"))}
		err = m.options(call.Args[0], names)
		if err == nil && strings.HasSuffix(made, "Vec") {
			m.labels, err = words(call.Args[1], names)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", called(call), err)
		}
		found = append(found, m)
		return true
	})
	return found, err
}

// called returns package.Function of a call, or "".
func called(call *ast.CallExpr) string {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	pkg, ok := f.X.(*ast.Ident)
	if !ok {
		return ""
	}
	return pkg.Name + "." + f.Sel.Name
}

// constants returns the texts that the file gives names to.
func constants(file *ast.File) map[string]string {
	names := make(map[string]string)
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v, ok := s.(*ast.ValueSpec)
			if !ok {
				continue
			}
			for i, name := range v.Names {
				if i < len(v.Values) {
					if text, err := word(v.Values[i], nil); err == nil {
						names[name.Name] = text
					}
				}
			}
		}
	}
	return names
}

// options takes name, help and constant labels out of a literal of options.
func (m *metric) options(arg ast.Expr, names map[string]string) error {
	literal, ok := arg.(*ast.CompositeLit)
	if !ok {
		return fmt.Errorf("its options are no literal")
	}
	for _, e := range literal.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			return fmt.Errorf("its options have no names")
		}
		var err error
		switch key := fmt.Sprint(kv.Key); key {
		case "Name":
			m.name, err = word(kv.Value, names)
		case "Help":
			m.help, err = word(kv.Value, names)
		case "ConstLabels":
			labels, ok := kv.Value.(*ast.CompositeLit)
			if !ok {
				return fmt.Errorf("its labels are no literal")
			}
			for _, l := range labels.Elts {
				text, err := word(l.(*ast.KeyValueExpr).Key, names)
				if err != nil {
					return err
				}
				m.labels = append(m.labels, text)
			}
		case "Buckets":
		default:
			return fmt.Errorf("this test knows no option %s", key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func word(e ast.Expr, names map[string]string) (string, error) {
	switch e := e.(type) {
	case *ast.BasicLit:
		return strconv.Unquote(e.Value)
	case *ast.Ident:
		if text, ok := names[e.Name]; ok {
			return text, nil
		}
	case *ast.BinaryExpr:
		left, err := word(e.X, names)
		if err != nil {
			return "", err
		}
		right, err := word(e.Y, names)
		return left + right, err
	}
	return "", fmt.Errorf("%T is no text that can be read off the source", e)
}

func words(e ast.Expr, names map[string]string) (all []string, err error) {
	literal, ok := e.(*ast.CompositeLit)
	if !ok {
		return nil, fmt.Errorf("its labels are no literal")
	}
	for _, l := range literal.Elts {
		text, err := word(l, names)
		if err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, nil
}
