package catalog

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// One fault too many entities, however many faults there are, and whatever the language.
func TestTooManyEntities(t *testing.T) {
	for name, read := range map[string]func([]byte, visitor){"yaml": readYAML, "json": readJSON} {
		d := newDecoder("catalog")
		d.left = 2
		for range maxProblems {
			d.add(1, "", "other")
		}
		read([]byte("{\"organizations\": [{\"id\": \"a\"},\n{\"id\": \"b\"},\n{\"id\": \"c\"},\n{\"id\": \"d\"}]}"), d)
		if err := d.err(); len(d.organizations) != 2 || len(d.all) != maxProblems+1 ||
			!strings.Contains(err.Error(), "catalog:3: organizations: more than the 4000000 entities") {
			t.Errorf("%s: %d organizations, %d problems", name, len(d.organizations), len(d.all))
		}
	}
}

// The bound on marks bounds the nodes that the YAML reader makes.
func TestMarksBoundNodes(t *testing.T) {
	for _, text := range []string{
		"a", "", "[a, b, c]", "[[[[]]]]", "{a: b, c: d}", "- a\n- b\n", "- - - a", "-\t- a", "? a\n? b\n", "a: b\nc:\n  - d\n",
		"[a,,]", "{a,b,c}", "{\"a\":b,\"c\":d}", "- ? a\n", "[? a : b, ? c]", "-\r-\r-", "- - -", "? ? ?",
	} {
		doc, err := parseYAML([]byte(text))
		if err != nil || doc == nil {
			continue
		}
		if n := nodes(doc); n > 2*marks([]byte(text))+2 {
			t.Errorf("%q: %d nodes, %d marks", text, n, marks([]byte(text)))
		}
	}
}

func FuzzMarks(f *testing.F) {
	for _, text := range []string{"[a, b]", "- - a", "? a", "{a: [b]}", "a:\n- b\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := parseYAML(data)
		if err != nil || doc == nil {
			return
		}
		if n := nodes(doc); n > 2*marks(data)+2 {
			t.Fatalf("%d nodes, %d marks", n, marks(data))
		}
	})
}

// nodes counts the nodes of a document, without the document itself.
func nodes(y *yaml.Node) int {
	n := 0
	for _, c := range y.Content {
		n += 1 + nodes(c)
	}
	return n
}
