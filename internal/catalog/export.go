package catalog

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"iter"
	"regexp"

	"go.yaml.in/yaml/v3"

	"reckoner"
)

// ExportOptions say what is exported.
type ExportOptions struct {
	// Kinds are those that are exported; nil: all.
	Kinds []Kind
	// Key is that of the one entity of each kind that is exported; empty: all.
	Key string
	// Secrets exports the hashes of credentials too. Without them the document can be applied where the credentials are
	// known already.
	Secrets bool
}

// ExportYAML writes a catalog as a document that Parse (ParseOver, without secrets) reads. What it writes of one kind or
// one entity is a document as well, and what that refers to may be missing in it. A document of many accounts is beyond
// what Parse takes as YAML: ExportJSON writes those.
func ExportYAML(w io.Writer, c *Catalog, o ExportOptions) error {
	out := bufio.NewWriter(w)
	lists := 0
	for kind, entities := range o.lists(c) {
		fmt.Fprintf(out, "%s:\n", kind.Plural())
		lists++
		for e := range entities {
			text, err := flow(appendEntity(nil, e, o.Secrets))
			if err != nil {
				return fmt.Errorf("write %s %q: %w", kind, e.Key(), err)
			}
			fmt.Fprintf(out, "  - %s\n", text)
		}
	}
	if lists == 0 {
		fmt.Fprintln(out, "{}")
	}
	return out.Flush()
}

// ExportJSON writes a catalog as a JSON document, an entity a line.
func ExportJSON(w io.Writer, c *Catalog, o ExportOptions) error {
	out := bufio.NewWriter(w)
	fmt.Fprint(out, "{")
	lists := 0
	for kind, entities := range o.lists(c) {
		if lists++; lists > 1 {
			fmt.Fprint(out, ",")
		}
		fmt.Fprintf(out, "\n%q: [", kind.Plural())
		n := 0
		var text []byte
		for e := range entities {
			if n++; n > 1 {
				fmt.Fprint(out, ",")
			}
			text = appendEntity(append(text[:0], "\n  "...), e, o.Secrets)
			_, _ = out.Write(text) // Flush returns its error
		}
		fmt.Fprint(out, "\n]")
	}
	fmt.Fprint(out, "\n}\n")
	return out.Flush()
}

// lists returns the kinds of which there is anything to export.
func (o ExportOptions) lists(c *Catalog) iter.Seq2[Kind, iter.Seq[Entity]] {
	chosen := o.Kinds
	if chosen == nil {
		chosen = Kinds()
	}
	return func(yield func(Kind, iter.Seq[Entity]) bool) {
		for _, kind := range chosen {
			entities := func(yield func(Entity) bool) {
				for e := range c.Entities(kind, "") {
					if !yield(e) {
						return
					}
				}
			}
			if o.Key != "" {
				e, _, there := c.Entity(kind, o.Key)
				if !there {
					continue
				}
				entities = func(yield func(Entity) bool) { yield(e) }
			} else if c.Count(kind) == 0 {
				continue
			}
			if !yield(kind, entities) {
				return
			}
		}
	}
}

// flow returns a JSON object as YAML that people like to read: on one line, with no more quotes than needed.
func flow(object []byte) ([]byte, error) {
	n, err := readValue(object)
	if err != nil {
		return nil, err
	}
	b, err := yaml.Marshal(toYAML(&n))
	return bytes.TrimRight(b, "\n"), err
}

// toYAML is the inverse of yamlNode.
func toYAML(n *node) *yaml.Node {
	switch n.kind {
	case nodeList:
		list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for i := range n.items {
			list.Content = append(list.Content, toYAML(&n.items[i]))
		}
		return list
	case nodeObject:
		object := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		for i := range n.fields {
			object.Content = append(object.Content, yamlText(n.fields[i].key), toYAML(&n.fields[i].value))
		}
		return object
	case nodeText:
		return yamlText(n.text)
	default: // the same in both languages
		return &yaml.Node{Kind: yaml.ScalarNode, Value: n.text}
	}
}

// plain finds texts that mean themselves without quotes; the encoder knows the words among them that do not.
var plain = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)

func yamlText(s string) *yaml.Node {
	text := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: yaml.DoubleQuotedStyle}
	if plain.MatchString(s) || reckoner.IsUUID(s) {
		text.Style = 0
	}
	return text
}
