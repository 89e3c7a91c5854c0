package catalog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// decoder turns the nodes of a document into a draft. It is the visitor of a reader.
type decoder struct {
	problems
	draft
	at    Kind       // the list being read
	index int        // of the entity being read
	sub   []string   // the way from the entity to what is being read: keys, and indexes in brackets
	begun [kinds]int // the line where each list began; 0: not yet

	left    int      // entities that there may still be
	present *Catalog // whose credentials lend their hashes to those that come without; nil: none
	keeps   Entity   // the one that does; nil: none
	alone   bool     // one entity is read, not a document: paths begin within it
}

func newDecoder(file string) *decoder {
	return &decoder{problems: problems{file: file}, left: maxEntities}
}

// decode reads an entity of the kind of the list that is being read.
func (d *decoder) decode(n *node) {
	switch d.at {
	case OrganizationKind:
		d.organization(n)
	case ProjectKind:
		d.project(n)
	case AccountKind:
		d.account(n)
	case MeterKind:
		d.meter(n)
	case PlanKind:
		d.plan(n)
	case SubscriptionKind:
		d.subscription(n)
	case InstallationKind:
		d.installation(n)
	case CredentialKind:
		d.credential(n)
	case kinds:
	}
}

func (d *decoder) list(name string, line int) bool {
	i := slices.Index(plurals[:], name)
	switch {
	case i < 0:
		d.add(line, "", unknownKey(name, plurals[:]))
		return false
	case d.begun[i] > 0:
		d.add(line, name, fmt.Sprintf("the key is repeated: it is at line %d too", d.begun[i]))
		return false
	}
	d.at, d.index, d.begun[i] = Kind(i), 0, line
	return true
}

// maxEntities bounds a document: a small one can list many that say nothing.
const maxEntities = 4_000_000

func (d *decoder) item(n node) {
	if d.left--; d.left < 0 {
		if d.left == -1 {
			d.must(n.line, plurals[d.at], fmt.Sprintf("more than the %d entities that a catalog may have", maxEntities))
		}
		return
	}
	d.lines[d.at] = append(d.lines[d.at], int32(max(n.line, 0)))
	d.decode(&n)
	d.index++
}

func (d *decoder) wrong(line int, path, message string) { d.add(line, path, message) }

// fault records that what is being read is wrong.
func (d *decoder) fault(line int, format string, args ...any) {
	if !d.full() {
		d.must(line, d.where(d.path()), fmt.Sprintf(format, args...))
	}
}

// where is the path of something in the entity being read.
func (d *decoder) where(sub string) string {
	if d.alone {
		return sub
	}
	return entityPath(d.at, d.index, sub)
}

// path is the way from the entity to what is being read, as in resources[2].from.
func (d *decoder) path() string {
	if len(d.sub) == 1 {
		return d.sub[0]
	}
	return strings.ReplaceAll(strings.Join(d.sub, "."), ".[", "[")
}

func entityPath(at Kind, index int, sub string) string {
	path := plurals[at] + "[" + strconv.Itoa(index) + "]"
	if sub == "" {
		return path
	}
	return path + "." + sub
}

// maxKeys is the most keys that an entity has.
const maxKeys = 9

// object hands every field of an object to set and reports whether n is one. A repeated or unknown key is a fault; null
// is as good as absent.
func (d *decoder) object(n *node, keys []string, set func(f *field)) bool {
	if n.kind != nodeObject {
		if n.line >= 0 { // else the reader has complained already
			d.fault(n.line, "want an object with the keys %s, not %s", strings.Join(keys, ", "), n.kind)
		}
		return false
	}
	var seen [maxKeys]int // lines
	for i := range n.fields {
		f := &n.fields[i]
		k := slices.Index(keys, f.key)
		switch {
		case k < 0:
			d.fault(f.line, "%s", unknownKey(f.key, keys))
			continue
		case seen[k] > 0:
			d.fault(f.line, "the key %q is repeated: it is at line %d too", f.key, seen[k])
			continue
		}
		seen[k] = f.line
		if f.value.kind != nodeNull {
			d.sub = append(d.sub, f.key)
			set(f)
			d.sub = d.sub[:len(d.sub)-1]
		}
	}
	return true
}

// want records that a key is missing.
func (d *decoder) want(n *node, key, value string) {
	if value != "" || n.kind != nodeObject {
		return
	}
	for i := range n.fields {
		if n.fields[i].key == key && n.fields[i].value.kind != nodeNull {
			return // there, and a fault already
		}
	}
	d.fault(n.line, "%s is missing", key)
}

// maxElements bounds a list within an entity.
const maxElements = 10_000

// elements hands every element of a list to each.
func (d *decoder) elements(f *field, each func(n *node)) {
	switch items := f.value.items; {
	case f.value.kind != nodeList:
		d.fault(f.line, "want a list, not %s", f.value.kind)
	case len(items) > maxElements:
		d.fault(f.line, "%d are more than the %d that there may be", len(items), maxElements)
	default:
		for i := range items {
			d.sub = append(d.sub, "["+strconv.Itoa(i)+"]")
			each(&items[i])
			d.sub = d.sub[:len(d.sub)-1]
		}
	}
}

// refer returns the id in f, and remembers to look it up in the list.
func (d *decoder) refer(to Kind, f *field) string {
	id := d.id(f)
	d.remember(to, id, f.line)
	return id
}

func (d *decoder) remember(to Kind, id string, line int) {
	if id == "" {
		return // a fault already
	}
	d.refs = append(d.refs, ref{
		from: d.at, to: to, index: int32(d.index), line: int32(line), path: d.path(), id: id,
	})
}

// unknownKey says that a key is unknown, and which one may have been meant.
func unknownKey(key string, known []string) string {
	if near := nearest(key, known); near != "" {
		return fmt.Sprintf("unknown key %q: did you mean %q?", clip(key), near)
	}
	return fmt.Sprintf("unknown key %q: known are %s", clip(key), strings.Join(known, ", "))
}

// nearest returns the word that is at most a third of its letters away from s, or "".
func nearest(s string, words []string) string {
	best, distance := "", 1+len(s)/3
	for _, w := range words {
		if len(s) > 2*len(w) {
			continue // a long key costs nothing
		}
		if n := editDistance(s, w); n < distance || n == distance && best == "" {
			best, distance = w, n
		}
	}
	return best
}

// editDistance is Levenshtein's, over bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
