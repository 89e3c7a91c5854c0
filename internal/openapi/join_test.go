package openapi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"reckoner/internal/catalog"
)

// join reads the parts, in the order of their names, and returns the document as JSON. Objects of the same name in several
// parts become one; anything else may be said once.
func join(dir string) ([]byte, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no parts in %s (%w)", dir, err)
	}
	slices.Sort(paths)
	all := &object{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for _, text := range written(string(text)) {
			var n yaml.Node
			if err := yaml.Unmarshal([]byte(text), &n); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			part, err := objectOf(n.Content[0])
			if err == nil {
				err = all.merge(part)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	var flat, b bytes.Buffer
	if err := all.write(&flat); err != nil {
		return nil, err
	}
	if err := json.Indent(&b, flat.Bytes(), "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// written returns a part; of one that is about any kind of entity, one for each kind.
func written(text string) []string {
	if !strings.Contains(text, "‹kind") {
		return []string{text}
	}
	var all []string
	capital := func(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
	for _, k := range catalog.Kinds() {
		all = append(all, strings.NewReplacer(
			"‹kind›", k.String(), "‹kinds›", k.Plural(), "‹Kind›", capital(k.String()), "‹Kinds›", capital(k.Plural()),
		).Replace(text))
	}
	return all
}

// object is a JSON object whose keys stay in their order. A value is an object or a node of another kind.
type object struct {
	keys   []string
	values map[string]any
}

func (o *object) set(key string, value any) {
	if o.values == nil {
		o.values = map[string]any{}
	}
	if _, has := o.values[key]; !has {
		o.keys = append(o.keys, key)
	}
	o.values[key] = value
}

func (o *object) merge(part *object) error {
	for _, key := range part.keys {
		was, has := o.values[key]
		if !has {
			o.set(key, part.values[key])
			continue
		}
		into, ok := was.(*object)
		more, also := part.values[key].(*object)
		if !ok || !also {
			return fmt.Errorf("%q is said twice", key)
		}
		if err := into.merge(more); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

// objectOf reads a mapping. Of a merge key (<<) it takes what the mapping does not say itself.
func objectOf(n *yaml.Node) (*object, error) {
	if n.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: want a mapping", n.Line)
	}
	o, own := &object{}, map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		for value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		if key.Tag == "!!merge" {
			base, err := objectOf(value)
			if err != nil {
				return nil, err
			}
			for _, k := range base.keys {
				if !own[k] {
					o.set(k, base.values[k])
				}
			}
			continue
		}
		if own[key.Value] {
			return nil, fmt.Errorf("line %d: %q is said twice", key.Line, key.Value)
		}
		own[key.Value] = true
		if value.Kind != yaml.MappingNode {
			o.set(key.Value, value)
			continue
		}
		inner, err := objectOf(value)
		if err != nil {
			return nil, err
		}
		o.set(key.Value, inner)
	}
	return o, nil
}

func (o *object) write(b *bytes.Buffer) error {
	b.WriteByte('{')
	for i, key := range o.keys {
		if i > 0 {
			b.WriteByte(',')
		}
		quote(b, key)
		b.WriteByte(':')
		if err := write(b, o.values[key]); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	b.WriteByte('}')
	return nil
}

// write writes a value. A number is written as it stands in its part: no float ever holds it.
func write(b *bytes.Buffer, v any) error {
	if o, ok := v.(*object); ok {
		return o.write(b)
	}
	n, ok := v.(*yaml.Node)
	if !ok {
		return fmt.Errorf("a %T", v)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return write(b, n.Alias)
	case yaml.MappingNode:
		o, err := objectOf(n)
		if err != nil {
			return err
		}
		return o.write(b)
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := write(b, item); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	case yaml.ScalarNode:
		return scalar(b, n)
	default:
		return fmt.Errorf("line %d: what is this?", n.Line)
	}
}

func scalar(b *bytes.Buffer, n *yaml.Node) error {
	switch n.ShortTag() {
	case "!!str", "!!timestamp":
		quote(b, strings.TrimSuffix(n.Value, "\n\n"))
		return nil
	case "!!int", "!!float", "!!bool", "!!null":
		if !json.Valid([]byte(n.Value)) {
			return fmt.Errorf("line %d: %s is not as JSON has it", n.Line, n.Value)
		}
		b.WriteString(n.Value)
		return nil
	default:
		return errors.New(n.ShortTag())
	}
}

func quote(b *bytes.Buffer, s string) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // text always can be
	b.Truncate(b.Len() - 1)
}
