package ingest

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"reckoner"
)

// metadata reads an object of anything. Strings are kept as they are, everything else as its JSON text without spaces,
// numbers digit for digit. The labels are sorted by key.
func (p *parser) metadata() ([]reckoner.Label, error) {
	if err := p.begin('{', "an object"); err != nil {
		return nil, err
	}
	first, size, sorted := len(p.labels), 0, true
	for p.d.PeekKind() != '}' {
		name, err := p.value()
		if err != nil {
			return nil, err
		}
		key := p.unquoted(name)
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		count := len(p.labels) - first
		size += len(key) + len(v)
		switch {
		case count == p.limits.MetadataKeysMax:
			return nil, p.wrong(tooMuch("keys", p.limits.MetadataKeysMax))
		case size > p.limits.MetadataBytesMax:
			return nil, p.wrong(tooMuch("bytes", p.limits.MetadataBytesMax))
		case depth(v) > metadataDepthMax:
			return nil, p.wrong(tooMuch("levels", metadataDepthMax))
		}
		sorted = sorted && (count == 0 || p.labels[len(p.labels)-1].Key < key)
		p.labels = append(p.labels, p.label(key, v))
	}
	if len(p.labels) == first {
		return nil, p.end()
	}
	labels := slices.Clip(p.labels[first:])
	if !sorted { // most producers write them in order
		slices.SortFunc(labels, func(a, b reckoner.Label) int { return cmp.Compare(a.Key, b.Key) })
	}
	return labels, p.end()
}

// label makes a label of the value that was read last.
func (p *parser) label(key string, v jsontext.Value) reckoner.Label {
	switch v.Kind() {
	case '"':
		return reckoner.Label{Key: key, Value: p.unquoted(v)}
	case '{', '[':
		compact, err := jsontext.AppendFormat(nil, v)
		if err != nil {
			compact = v // never: the decoder has validated it
		}
		return reckoner.Label{Key: key, Value: string(compact), JSON: true}
	default:
		return reckoner.Label{Key: key, Value: p.cut(v), JSON: true}
	}
}

func tooMuch(what string, most int) string { return fmt.Sprintf("more than %d %s", most, what) }

// depth is how deep a valid value nests: 0 for a scalar.
func depth(v jsontext.Value) int {
	if k := v.Kind(); k != '{' && k != '[' {
		return 0
	}
	deepest, now, quoted := 0, 0, false
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}', c == ']':
			now--
		}
	}
	return deepest
}
