package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"reckoner"
)

// Encode returns the key and the value of the change's record.
func (ch *Change) Encode() (key, value []byte, err error) {
	o := object{b: append(make([]byte, 0, 512), '{')}
	o.raw("rules", strconv.Itoa(rulesOf(ch.Entity)))
	o.text("change", ch.ID)
	o.text("kind", ch.Kind.String())
	o.text("id", ch.Key)
	o.raw("expect", ch.Expect.String())
	o.text("by", ch.By)
	if ch.Entity != nil {
		o.key("entity")
		o.b = appendEntity(o.b, ch.Entity, true)
	}
	key, value = []byte(ch.Ref().String()), append(o.b, '}')
	if len(value) > MaxChangeBytes {
		return nil, nil, fmt.Errorf("%s has %d bytes, and a change may have %d: make it smaller", ch.Ref(), len(value), MaxChangeBytes)
	}
	return key, value, nil
}

// RulesError says that a record is to be decided by rules that this program does not know. Its reader must stop: those
// who know them may decide otherwise than it would.
type RulesError struct {
	Offset       int64
	Rules, Known int
}

// Error names the remedy.
func (e *RulesError) Error() string {
	return fmt.Sprintf("the change at offset %d of the catalog is to be decided by rules %d, and this program knows those up to %d: upgrade it",
		e.Offset, e.Rules, e.Known)
}

// errNotChange says why a record is none.
type errNotChange string

func (e errNotChange) Error() string { return string(e) }

// decodeChange reads a change's record. The faults are those of the entity in itself; an error says that the record is
// no change at all, and a *RulesError that nobody here can tell.
func decodeChange(key, value []byte) (ch Change, faults []Fault, err error) {
	n, err := readValue(value)
	if err != nil {
		return ch, nil, err
	}
	if n.kind != nodeObject {
		return ch, nil, errNotChange("is " + n.kind.String() + ", not an object")
	}
	rules, err := strconv.Atoi(child(&n, "rules").text)
	switch {
	case err != nil || rules < 1 || child(&n, "rules").kind != nodeNumber:
		return ch, nil, errNotChange("names no rules")
	case rules > Rules: // whatever else it holds may mean something there
		return ch, nil, &RulesError{Rules: rules, Known: Rules}
	}
	entity, err := ch.decodeEnvelope(&n)
	if err != nil {
		return ch, nil, err
	}
	if ref := ch.Ref().String(); ref != string(key) {
		return ch, nil, errNotChange(fmt.Sprintf("has the key %q, and it is a change of %q", clip(string(key)), clip(ref)))
	}
	if entity == nil {
		if ch.Expect == 0 {
			return ch, nil, errNotChange("deletes what it expects not to be there")
		}
		return ch, nil, nil
	}
	if faults = beyond(rules, ch.Kind, entity); faults != nil {
		return ch, faults, nil
	}
	ch.Entity, faults = decodeEntity(ch.Kind, ch.Key, *entity, nil)
	return ch, faults, nil
}

// decodeEnvelope reads what a change holds beside its entity, and returns the entity's node; nil: it has none.
func (ch *Change) decodeEnvelope(n *node) (entity *node, err error) {
	ok := true
	for i := range n.fields {
		f := &n.fields[i]
		isText := f.value.kind == nodeText
		switch f.key {
		case "rules":
		case "change":
			ok = ok && isText && reckoner.IsUUID(f.value.text)
			ch.ID = f.value.text
		case "kind":
			at := slices.Index(singulars[:], f.value.text)
			ok = ok && isText && at >= 0
			ch.Kind = Kind(max(at, 0))
		case "id":
			ok = ok && isText
			ch.Key = f.value.text
		case "expect":
			v, err := strconv.ParseUint(f.value.text, 10, 63)
			ok = ok && f.value.kind == nodeNumber && err == nil
			ch.Expect = Version(v)
		case "by":
			ok = ok && isText && len(f.value.text) <= reckoner.MaxIDBytes
			ch.By = f.value.text
		case "entity":
			entity = &f.value
		default:
			return nil, errNotChange(fmt.Sprintf("has the unknown key %q", clip(f.key)))
		}
		if !ok {
			return nil, errNotChange(fmt.Sprintf("has a bad value for %q", f.key))
		}
	}
	for _, key := range []string{"change", "kind", "id", "expect"} {
		if child(n, key).kind == nodeNull {
			return nil, errNotChange(fmt.Sprintf("has no %q", key))
		}
	}
	if ch.Key != ch.Kind.CanonicalKey(ch.Key) {
		return nil, errNotChange("has an id that is not in lower case")
	}
	return entity, nil
}

// child returns the value of a key, or nothing.
func child(n *node, key string) *node {
	for i := range n.fields {
		if n.fields[i].key == key {
			return &n.fields[i].value
		}
	}
	return &node{}
}

// readValue reads a text that is one JSON value.
func readValue(data []byte) (node, error) {
	r := &jsonReader{dec: jsontext.NewDecoder(bytes.NewBuffer(data)), line: 1, seen: len(data), left: maxEntityNodes} // nobody asks for lines
	n, err := r.value(0)
	if err != nil {
		return n, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return n, errors.New("not JSON: something follows the value")
	}
	return n, nil
}

// DecodeEntity reads an entity of a kind from JSON, with the keys of a document. The id may be left out; given, it must
// be the one that is named. A credential without secret_sha256 has that of present, if that is one. The faults are all
// of the entity in itself; with any the entity is nil.
func DecodeEntity(kind Kind, id string, data []byte, present Entity) (Entity, []Fault) {
	n, err := readValue(data)
	if err != nil {
		return nil, []Fault{{Result: Unfit, Message: err.Error()}}
	}
	return decodeEntity(kind, kind.CanonicalKey(id), n, present)
}

// DecodeEntity is the function of that name for an entity that is to be put into the catalog: faults in itself do not hide
// references that lead nowhere, nor a move.
func (c *Catalog) DecodeEntity(kind Kind, id string, data []byte) (Entity, []Fault) {
	n, err := readValue(data)
	if err != nil {
		return nil, []Fault{{Result: Unfit, Message: err.Error()}}
	}
	present, _, _ := c.Entity(kind, id)
	d := decodeAlone(kind, kind.CanonicalKey(id), n, present)
	if len(d.all) == 0 {
		e := d.last()
		if f := Moved(present, e); f != nil {
			return nil, append(c.dangling(e), *f)
		}
		return e, nil
	}
	faults := d.faults()
	for i := range d.refs {
		if found, hint := c.find(d.refs[i].to, d.refs[i].id); !found {
			faults = append(faults, Fault{Result: MissingReference, Path: d.refs[i].path, Message: noSuch(d.refs[i].to, d.refs[i].id, hint)})
		}
	}
	return nil, faults
}

func decodeEntity(kind Kind, key string, n node, present Entity) (Entity, []Fault) {
	d := decodeAlone(kind, key, n, present)
	if len(d.all) == 0 {
		return d.last(), nil
	}
	return nil, d.faults()
}

func decodeAlone(kind Kind, key string, n node, present Entity) *decoder {
	d := newDecoder("")
	d.alone, d.keeps = true, present
	d.named(&n, kind, key)
	d.at = kind
	d.decode(&n)
	return d
}

func (d *decoder) faults() []Fault {
	faults := make([]Fault, len(d.all))
	for i, p := range d.all {
		faults[i] = Fault{Result: Unfit, Path: p.Path, Message: p.Message}
	}
	return faults
}

// named makes sure that an entity's id is key.
func (d *decoder) named(n *node, kind Kind, key string) {
	if n.kind != nodeObject {
		return // a fault in itself
	}
	name := kind.keyName()
	given := child(n, name)
	switch {
	case given.kind == nodeNull:
		n.fields = slices.DeleteFunc(n.fields, func(f field) bool { return f.key == name })
		n.fields = append(n.fields, field{key: name, value: node{kind: nodeText, text: key}})
	case kind.CanonicalKey(given.text) != key:
		d.add(0, name, fmt.Sprintf("%q is not the %s that is named outside of it, which is %q: leave it out, or make it that one",
			clip(given.text), name, clip(key)))
	}
}

// last returns the one entity that was decoded.
func (d *decoder) last() Entity {
	switch d.at {
	case OrganizationKind:
		return d.organizations[0]
	case ProjectKind:
		return d.projects[0]
	case AccountKind:
		return d.accounts[0]
	case MeterKind:
		return d.meters[0]
	case PlanKind:
		return d.plans[0]
	case SubscriptionKind:
		return d.subscriptions[0]
	case InstallationKind:
		return d.installations[0]
	default:
		return d.credentials[0]
	}
}
