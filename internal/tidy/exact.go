package tidy

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
)

// Floats reports floating point on the path of a quantity: it would round. What only measures may use it.
func Floats(files []*File) []string {
	var wrong []string
	for _, f := range files {
		if f.Test || f.Generated || !under(f.Dir, ".", "ingest", "aggregator", "ledger", "internal/wire") ||
			strings.HasPrefix(path.Base(f.Path), "metrics") {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				return !measures(n.Fun)
			case *ast.Ident:
				if n.Name == "float32" || n.Name == "float64" {
					wrong = append(wrong, f.Line(n.Pos())+": "+n.Name+" rounds; use a Quantity, or keep it in a metrics file")
				}
			case *ast.SelectorExpr:
				switch dotted(n) {
				case "strconv.ParseFloat", "strconv.FormatFloat", "strconv.AppendFloat", "big.Float", "big.NewFloat", "big.ParseFloat":
					wrong = append(wrong, f.Line(n.Pos())+": "+dotted(n)+" rounds; use a Quantity")
				}
			}
			return true
		})
	}
	return wrong
}

// measures reports whether a call goes to a field called metrics.
func measures(e ast.Expr) bool {
	for {
		switch x := e.(type) {
		case *ast.CallExpr:
			e = x.Fun
		case *ast.SelectorExpr:
			if x.Sel.Name == "metrics" {
				return true
			}
			e = x.X
		default:
			return false
		}
	}
}

// machineFiles are the files of the pure machine: state and output are a function of the log alone.
var machineFiles = []string{"machine.go", "decide.go", "effect.go", "memory.go", "keys.go"}

// clocks are what a replay would answer differently.
var clocks = []string{
	"time.Now", "time.Since", "time.Until", "time.After", "time.AfterFunc", "time.Sleep", "time.Tick", "time.NewTimer", "time.NewTicker",
	"context.WithTimeout", "context.WithDeadline", "os.Getenv", "os.LookupEnv", "os.Hostname", "os.Getpid",
}

// Determinism reports clocks, dice and surroundings in the machine, in the nouns and on the wire, and goroutines in the
// machine.
func Determinism(files []*File) []string {
	var wrong []string
	for _, f := range files {
		machine := f.Dir == "aggregator" && slices.Contains(machineFiles, path.Base(f.Path))
		if f.Test || !machine && f.Dir != "." && f.Dir != "internal/wire" {
			continue
		}
		for _, imported := range f.Imports() {
			if slices.Contains([]string{"math/rand", "math/rand/v2", "crypto/rand", "os", "net", "net/http", "hash/maphash"}, imported) {
				wrong = append(wrong, fmt.Sprintf("%s: imports %s: a replay would differ", f.Path, imported))
			}
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if name := dotted(n); slices.Contains(clocks, name) {
					wrong = append(wrong, f.Line(n.Pos())+": "+name+": a replay would differ")
				}
			case *ast.GoStmt:
				wrong = append(wrong, f.Line(n.Pos())+": a goroutine: the order of the log is the only order")
			}
			return true
		})
	}
	return wrong
}

// Registries reports uses of Prometheus' default registry: two parts of one process, or two tests, would share it.
func Registries(files []*File) []string {
	var wrong []string
	for _, f := range files {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				switch name := dotted(sel); name {
				case "prometheus.MustRegister", "prometheus.Register", "prometheus.Unregister", "prometheus.DefaultRegisterer",
					"prometheus.DefaultGatherer", "promhttp.Handler":
					wrong = append(wrong, f.Line(sel.Pos())+": "+name+" is the default registry; use the one that was passed in")
				}
			}
			return true
		})
	}
	return wrong
}

// Unfinished reports comments that put something off, and tests that are skipped.
func Unfinished(files []*File) []string {
	var wrong []string
	for _, f := range files {
		for _, group := range f.AST.Comments {
			for _, c := range group.List {
				for _, word := range []string{"TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"} {
					if slices.Contains(strings.FieldsFunc(c.Text, func(r rune) bool { return r < 'A' || r > 'Z' }), word) {
						wrong = append(wrong, f.Line(c.Pos())+": "+word+": finish it or write an issue")
					}
				}
			}
		}
		if !f.Test {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			switch dotted(call.Fun) {
			case "t.Skip", "t.Skipf", "t.SkipNow", "b.Skip", "b.Skipf", "b.SkipNow":
				wrong = append(wrong, f.Line(call.Pos())+": a test that is skipped shows nothing")
			}
			return true
		})
	}
	return wrong
}

// MachineFiles lists the files that Determinism watches in aggregator.
func MachineFiles() []string { return slices.Clone(machineFiles) }
