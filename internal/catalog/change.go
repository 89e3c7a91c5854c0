package catalog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// Rules is the version of the rules by which changes are decided. Every reader decides a change by the rules that it
// names, so a new check is a new number; a reader that does not know the number stops. A change names the first rules that
// know all it holds: so older readers stop only at what they could not read.
//
//   - 1: all but what follows
//   - 2: installations of target aws-marketplace
const Rules = 2

func rulesOf(e Entity) int {
	if in, ok := e.(*Installation); ok && in.Target == TargetAWSMarketplace {
		return 2
	}
	return 1
}

// beyond returns a fault for what the first rules did not know: who decided by them refused it.
func beyond(rules int, kind Kind, n *node) []Fault {
	if rules > 1 || kind != InstallationKind || !slices.ContainsFunc(n.fields, func(f field) bool {
		return f.key == "aws" || f.key == "target" && f.value.text == TargetAWSMarketplace
	}) {
		return nil
	}
	return []Fault{{Result: Unfit, Path: "target", Message: fmt.Sprintf("rules %d do not know target %s: it needs rules 2", rules, TargetAWSMarketplace)}}
}

// MaxChangeBytes bounds a change's record.
const MaxChangeBytes = 900_000

// Version is the version of an entity: the offset, plus one, of the record that made it. 0 is that of no entity. No
// version ever comes again, so an entity that was deleted and made anew is not mistaken for the old one.
type Version uint64

// String returns the version in decimal.
func (v Version) String() string { return strconv.FormatUint(uint64(v), 10) }

// Ref names an entity.
type Ref struct {
	Kind Kind
	Key  string
}

// String returns the key of the entity's records: "account/9c1e…".
func (r Ref) String() string { return r.Kind.String() + "/" + r.Key }

// parseRef is the inverse of Ref.String.
func parseRef(s string) (Ref, bool) {
	name, key, found := strings.Cut(s, "/")
	for k, known := range singulars {
		if found && known == name {
			return Ref{Kind(k), key}, true
		}
	}
	return Ref{}, false
}

// Change asks that an entity be made, changed or deleted. It takes place only if the entity is of the version that it
// expects when its turn comes in the log.
type Change struct {
	ID     string // a UUID of its own, by which the writer finds the decision and readers find copies
	Kind   Kind
	Key    string  // of the entity
	Expect Version // 0: there is no such entity
	By     string  // who asks: a credential's id, or a command
	Entity Entity  // nil: delete it
}

// Put returns a change that makes e the entity of its kind and key.
func Put(e Entity, expect Version, by string) Change {
	return Change{ID: uuid.NewString(), Kind: e.Kind(), Key: e.Key(), Expect: expect, By: by, Entity: e}
}

// Delete returns a change that deletes an entity.
func Delete(kind Kind, key string, expect Version, by string) Change {
	return Change{ID: uuid.NewString(), Kind: kind, Key: kind.CanonicalKey(key), Expect: expect, By: by}
}

// Ref names the change's entity.
func (ch *Change) Ref() Ref { return Ref{ch.Kind, ch.Key} }

// Result is what became of a change.
type Result uint8

// The results. All but Applied change nothing.
const (
	Applied          Result = iota // it took place
	Copy                           // the same change stands in the log before: its writer lost the acknowledgement
	Undecodable                    // the record is not a change
	Unfit                          // the entity is not one in itself: a key is unknown, a value is wrong
	Stale                          // the entity is of another version than the change expects
	MissingReference               // it refers to an entity that is not there
	InUse                          // it would take away what another entity refers to
	NameTaken                      // its name or id is another's
	CheckFailed                    // it does not go together with other entities
	results                        // how many
)

var resultNames = [results]string{
	"applied", "copy", "undecodable", "unfit", "stale", "missing_reference", "in_use", "name_taken", "check_failed",
}

// Results returns every result.
func Results() []Result {
	all := make([]Result, results)
	for i := range all {
		all[i] = Result(i)
	}
	return all
}

// String returns the result's name, as in metrics.
func (r Result) String() string {
	if r >= results {
		return "unknown"
	}
	return resultNames[r]
}

// Fault is one reason why a change is ignored.
type Fault struct {
	Result  Result
	Path    string // within the entity, as in period.anchor; empty: all of it
	Message string // what is wrong and what would be right
	By      Ref    // which entity is in the way; zero: none
}

// Error returns the path and the message.
func (f Fault) Error() string {
	if f.Path == "" {
		return f.Message
	}
	return f.Path + ": " + f.Message
}

// Decision is what became of one change.
type Decision struct {
	Change  string // its ID; empty: it could not be read
	Ref     Ref
	Result  Result
	Version Version // of the entity now, if the change was applied; a deletion's is its own
	Faults  []Fault // why it was not
}

// Err returns nil for a change that was applied, else an error that joins the faults.
func (d Decision) Err() error {
	if d.Result == Applied {
		return nil
	}
	texts := make([]string, len(d.Faults))
	for i, f := range d.Faults {
		texts[i] = f.Error()
	}
	return fmt.Errorf("%s is not changed (%s): %s", d.Ref, d.Result, strings.Join(texts, "; "))
}
