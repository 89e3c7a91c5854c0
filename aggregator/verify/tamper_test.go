package verify

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reckoner"
)

// Whatever is done to whichever row, verify finds something, and nothing that it lists is about another row.
func TestAnyDamageIsFound(t *testing.T) {
	w := newWorld(t, 9, 150)
	w.settleAll()
	rapid.Check(t, func(rt *rapid.T) {
		l := w.ledger.clone()
		done := w.damage(rt, l)
		r := w.verify(l)
		if r.Found == 0 {
			rt.Fatalf("not found: %s", done)
		}
		for _, line := range texts(r) {
			if !slices.ContainsFunc(done.names, func(name string) bool { return strings.Contains(line, name) }) {
				rt.Fatalf("%s: the difference is about another row: %s", done, line)
			}
		}
	})
}

// damage is what was done to a row, and the names of the row: one of them is in every difference.
type damage struct {
	what  string
	names []string
}

func (d damage) String() string { return d.what + " of " + strings.Join(d.names, ", ") }

// rowDamage names a row by its position, by where a position that was changed leads to, and by its id or account.
func rowDamage(what string, p reckoner.Position, names ...string) damage {
	next := p
	next.Offset++
	for _, p := range []reckoner.Position{p, next} {
		names = append(names, strings.TrimSuffix(p.String(), "0")) // whatever the index is
	}
	return damage{what, names}
}

func (w *world) damage(t *rapid.T, l *memLedger) damage {
	pick := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "row"), 0))
	deletes := rapid.IntRange(0, 4).Draw(t, "delete") == 0
	switch rapid.IntRange(0, 3).Draw(t, "table") {
	case 0:
		i := pick.IntN(len(l.entries))
		e := l.entries[i]
		d := rowDamage("entry deleted", e.Position, strconv.Quote(e.EventID))
		if deletes {
			l.entries = slices.Delete(l.entries, i, i+1)
			return d
		}
		d.what = change(pick, &l.entries[i])
		return d
	case 1:
		i := pick.IntN(len(l.refusals))
		r := l.refusals[i]
		d := rowDamage("refusal deleted", r.Position, strconv.Quote(r.EventID))
		if deletes {
			l.refusals = slices.Delete(l.refusals, i, i+1)
			return d
		}
		d.what = change(pick, &l.refusals[i])
		return d
	case 2:
		i := pick.IntN(len(l.totals))
		x := l.totals[i]
		d := rowDamage("total deleted", x.Position, x.AccountID)
		if deletes {
			l.totals = slices.Delete(l.totals, i, i+1)
			return d
		}
		d.what = change(pick, &l.totals[i])
		return d
	default:
		i := pick.IntN(len(l.checkpoints))
		c := &l.checkpoints[i]
		return damage{change(pick, c), []string{"checkpoints"}}
	}
}

// change gives one field of a row, at any depth, another value, and returns its name.
func change(pick *rand.Rand, row any) string {
	v := reflect.ValueOf(row).Elem()
	var name []string
	for v.Kind() == reflect.Struct {
		if set := another(pick, v); set {
			return strings.Join(name, ".")
		}
		i := pick.IntN(v.NumField())
		name = append(name, v.Type().Field(i).Name)
		v = v.Field(i)
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "!")
	case reflect.Int32, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8:
		v.SetUint([]uint64{1, 2, 1}[min(v.Uint(), 2)]) // another number that has a name
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case reflect.Pointer: // an optional quantity
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		} else {
			v.SetZero()
		}
	case reflect.Slice: // labels
		v.Set(reflect.Append(v, reflect.ValueOf(reckoner.Label{Key: "zone", Value: "1"})))
	case reflect.Array: // a fingerprint
		b := v.Index(pick.IntN(v.Len()))
		b.SetUint(b.Uint() ^ 1)
	default:
		panic("a field of kind " + v.Kind().String())
	}
	return strings.Join(name, ".")
}

// another changes a struct that is one value.
func another(pick *rand.Rand, v reflect.Value) bool {
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = x.Add(time.Duration(1 + pick.IntN(1000)))
	case *reckoner.Quantity:
		q, err := x.Add(reckoner.Thousandths(1))
		if err != nil {
			panic(err)
		}
		*x = q
	default:
		return false
	}
	return true
}
