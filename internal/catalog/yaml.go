package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// maxYAMLBytes and maxYAMLMarks bound a YAML document, because its reader holds the whole tree: a document of commas
// takes 300 times its size in memory. A million marks are some 45,000 accounts with a subscription each.
const (
	maxYAMLBytes = 16 << 20
	maxYAMLMarks = 1_000_000
)

// marks counts what can begin a node. No document has more than two nodes for each, and one.
func marks(data []byte) int {
	n := 0
	for i, c := range data {
		switch c {
		case ',', ':', '[', '{', '\n', '\r':
			n++
		case '-', '?': // not those inside of words, as in UUIDs
			if i+1 == len(data) || data[i+1] <= ' ' || data[i+1] >= 0x80 {
				n++
			}
		}
	}
	return n
}

const useJSON = "write it as JSON, in a file named .json"

// readYAML hands the document's entities to v. Anchors and aliases are refused: a document of a few bytes could stand
// for gigabytes, and a catalog that is read by people should say what it says.
func readYAML(data []byte, v visitor) {
	if len(data) > maxYAMLBytes {
		v.wrong(0, "", fmt.Sprintf("more than the %d bytes that a YAML catalog may have: %s", maxYAMLBytes, useJSON))
		return
	}
	if n := marks(data); n > maxYAMLMarks {
		v.wrong(0, "", fmt.Sprintf("%d commas, colons, brackets and lines are more than the %d that a YAML catalog may have: %s",
			n, maxYAMLMarks, useJSON))
		return
	}
	doc, err := parseYAML(data)
	if err != nil {
		v.wrong(0, "", err.Error())
		return
	}
	if doc == nil || doc.Content[0].Tag == "!!null" {
		v.wrong(0, "", errEmpty)
		return
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		v.wrong(root.Line, "", "want an object of lists: organizations, projects, accounts, …")
		return
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if v.list(key.Value, key.Line) {
			yamlItems(key.Value, value, v)
		}
		root.Content[i+1] = nil // let go of what was read
	}
}

// parseYAML returns the one document of data, or nil if there is none.
func parseYAML(data []byte) (doc *yaml.Node, err error) {
	// The library reports its own errors by panics that it recovers. Should one escape, a bad file must still not end
	// a process that serves from the good one before it.
	defer func() {
		if r := recover(); r != nil {
			doc, err = nil, fmt.Errorf("not YAML: %v", r)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	doc = new(yaml.Node)
	switch err := dec.Decode(doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("not YAML: %w", err)
	}
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, fmt.Errorf("not YAML: %w", err)
	default:
		return nil, fmt.Errorf("a second document begins at line %d: a catalog is one document", second.Line)
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	return doc, nil
}

func yamlItems(list string, y *yaml.Node, v visitor) {
	switch {
	case y.Kind == yaml.ScalarNode && y.Tag == "!!null":
		return
	case y.Kind != yaml.SequenceNode:
		v.wrong(y.Line, list, "want a list")
		return
	case y.Anchor != "":
		v.wrong(y.Line, list, errAlias.Error())
	}
	for i, item := range y.Content {
		n, err := yamlNode(item, 0)
		if err != nil {
			v.wrong(item.Line, fmt.Sprintf("%s[%d]", list, i), err.Error())
			n = node{kind: nodeNull, line: -1} // counted, and not complained of again
		}
		v.item(n)
		y.Content[i] = nil
	}
}

var errAlias = errors.New("anchors and aliases (& and *) are not for catalogs: write the value out")

func yamlNode(y *yaml.Node, depth int) (node, error) {
	n := node{line: y.Line}
	if y.Kind == yaml.AliasNode || y.Anchor != "" {
		return n, errAlias
	}
	if depth > maxDepth {
		return n, errTooDeep
	}
	switch y.Kind {
	case yaml.SequenceNode:
		n.kind = nodeList
		n.items = make([]node, 0, len(y.Content))
		for _, c := range y.Content {
			item, err := yamlNode(c, depth+1)
			if err != nil {
				return n, err
			}
			n.items = append(n.items, item)
		}
		return n, nil
	case yaml.MappingNode:
		return yamlObject(y, depth)
	default:
		return yamlScalar(y)
	}
}

func yamlObject(y *yaml.Node, depth int) (node, error) {
	n := node{kind: nodeObject, line: y.Line, fields: make([]field, 0, len(y.Content)/2)}
	for i := 0; i+1 < len(y.Content); i += 2 {
		key := y.Content[i]
		if key.Kind != yaml.ScalarNode || key.Anchor != "" || key.Tag == "!!merge" {
			return n, fmt.Errorf("line %d: a key must be plain text", key.Line)
		}
		value, err := yamlNode(y.Content[i+1], depth+1)
		if err != nil {
			return n, fmt.Errorf("%s: %w", clip(key.Value), err)
		}
		n.fields = append(n.fields, field{key: key.Value, line: key.Line, value: value})
	}
	return n, nil
}

func yamlScalar(y *yaml.Node) (node, error) {
	n := node{line: y.Line, text: y.Value}
	switch y.ShortTag() {
	case "!!null":
		n.kind = nodeNull
	case "!!str", "!!timestamp":
		n.kind = nodeText
	case "!!int", "!!float":
		n.kind = nodeNumber
	case "!!bool":
		n.kind = nodeBool
	default:
		return n, fmt.Errorf("line %d: the tag %s is not for catalogs", y.Line, clip(y.ShortTag()))
	}
	return n, nil
}

// clip bounds what an error repeats of its input.
func clip(s string) string {
	const longest = 64
	if len(s) <= longest {
		return s
	}
	return s[:longest] + "…"
}
