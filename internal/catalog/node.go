package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// nodeKind is what a node is.
type nodeKind uint8

const (
	nodeNull   nodeKind = iota
	nodeText            // a string, and a YAML timestamp
	nodeNumber          // text holds it as written: it never goes through a float
	nodeBool
	nodeList
	nodeObject
)

var nodeKindNames = [...]string{"nothing", "text", "a number", "true or false", "a list", "an object"}

func (k nodeKind) String() string { return nodeKindNames[k] }

// node is one value of a document, in whichever language that is written.
type node struct {
	kind   nodeKind
	line   int
	text   string  // of a scalar
	items  []node  // of a list
	fields []field // of an object
}

type field struct {
	key   string
	line  int
	value node
}

// maxDepth bounds how deep an entity is nested. The deepest there is are a match's metadata, at 4.
const maxDepth = 8

var errTooDeep = fmt.Errorf("nested deeper than %d levels: nothing in a catalog is", maxDepth)

// errEmpty refuses a document without anything in it: most often it is a file that is about to be written, and to take
// it would close every account.
const errEmpty = "is empty: write {} if nothing is what you mean"

// visitor takes what a reader finds in a document: an object of lists of entities.
type visitor interface {
	// list says that a list begins. False skips it.
	list(name string, line int) bool
	// item is the next entity of the list that began last.
	item(n node)
	// wrong is a fault in the document. The reader goes on where it can.
	wrong(line int, path, message string)
}

// Problem is one fault of a catalog document.
type Problem struct {
	File    string
	Line    int    // from 1; 0: the fault has no line
	Path    string // where in the document, as in accounts[3].organization; may be empty
	Message string // what is wrong and what would be right
}

// Error returns the problem as one line: "catalog.yaml:12: accounts[3].organization: …".
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	if p.Path != "" {
		b.WriteString(": " + p.Path)
	}
	return b.String() + ": " + p.Message
}

// maxProblems bounds what one bad document makes us say.
const maxProblems = 1000

// problems gathers faults.
type problems struct {
	file string
	all  []*Problem
	more int // beyond maxProblems
}

func (p *problems) add(line int, path, message string) {
	if p.full() {
		return
	}
	p.must(line, path, message)
}

// full reports whether nobody would read one more fault, and counts it.
func (p *problems) full() bool {
	if len(p.all) < maxProblems {
		return false
	}
	p.more++
	return true
}

// must adds a fault that ends the reading, however many there were before.
func (p *problems) must(line int, path, message string) {
	p.all = append(p.all, &Problem{File: p.file, Line: line, Path: path, Message: message})
}

// err joins the problems in the order of their lines, or is nil.
func (p *problems) err() error {
	if len(p.all) == 0 {
		return nil
	}
	slices.SortStableFunc(p.all, func(a, b *Problem) int { return a.Line - b.Line })
	errs := make([]error, 0, len(p.all)+1)
	for _, one := range p.all {
		errs = append(errs, one)
	}
	if p.more > 0 {
		errs = append(errs, fmt.Errorf("%s: and %d more problems", p.file, p.more))
	}
	return errors.Join(errs...)
}
