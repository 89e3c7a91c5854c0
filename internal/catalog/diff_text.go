package catalog

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// maxLineValue bounds what a line of a diff shows of one value.
const maxLineValue = 200

// String returns the edit on one line: "+ account 9c1e…: …", "~ subscription sub_1: limit: "5" -> "6"", "- plan pro".
func (e edit) String() string {
	ref := e.ref()
	line := func(sign string) string { return sign + " " + ref.Kind.String() + " " + ref.Key }
	if e.after == nil {
		return line("-")
	}
	after := members(e.after)
	if e.before == nil {
		var b strings.Builder
		b.WriteString(line("+"))
		for i, m := range after[1:] { // the first one is the id
			b.WriteString([]string{": ", ", "}[min(i, 1)] + m.key + ": " + m.value)
		}
		return b.String()
	}
	return line("~") + ": " + strings.Join(differences(members(e.before), after, e), "; ")
}

func differences(before, after []member, e edit) []string {
	var all []string
	was := map[string]string{}
	for _, m := range before {
		was[m.key] = m.value
	}
	for _, m := range after {
		switch old, there := was[m.key]; {
		case !there:
			all = append(all, m.key+": "+m.value+" (new)")
		case old != m.value:
			all = append(all, m.key+": "+old+" -> "+m.value)
		}
		delete(was, m.key)
	}
	for _, m := range before {
		if old, there := was[m.key]; there {
			all = append(all, m.key+": "+old+" (taken away)")
		}
	}
	if cr, ok := e.after.(*Credential); ok && cr.SecretHash != e.before.(*Credential).SecretHash {
		all = append(all, "another secret")
	}
	return all
}

// member is a key of an entity with its value in JSON.
type member struct{ key, value string }

func members(e Entity) []member {
	var all []member
	dec := jsontext.NewDecoder(bytes.NewReader(JSON(e)))
	_, err := dec.ReadToken()
	for err == nil && dec.PeekKind() != '}' {
		var key, value jsontext.Value
		if key, err = dec.ReadValue(); err != nil {
			break
		}
		name := strings.Trim(string(key), `"`)
		if value, err = dec.ReadValue(); err == nil {
			text := string(value)
			if len(text) > maxLineValue {
				text = text[:maxLineValue] + "…"
			}
			all = append(all, member{name, text})
		}
	}
	return all
}
