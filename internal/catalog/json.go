package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// maxJSONBytes bounds a JSON document, and maxEntityNodes the values of one entity of it: the reader holds one entity at
// a time. A million accounts with a subscription each are some 260 MB.
const (
	maxJSONBytes   = 512 << 20
	maxEntityNodes = 500_000
)

var errTooMany = fmt.Errorf("an entity of more than %d values: nothing in a catalog is", maxEntityNodes)

// jsonReader walks a JSON document token by token.
type jsonReader struct {
	dec  *jsontext.Decoder
	data []byte
	line int // the line of data[:seen]
	seen int
	left int // values that the entity being read may still have
}

// readJSON hands the document's entities to v.
func readJSON(data []byte, v visitor) {
	if len(data) > maxJSONBytes {
		v.wrong(0, "", fmt.Sprintf("%d bytes are more than the %d that a catalog may have", len(data), maxJSONBytes))
		return
	}
	r := &jsonReader{dec: jsontext.NewDecoder(bytes.NewReader(data)), data: data, line: 1}
	if err := r.document(v); err != nil {
		v.wrong(r.here(), "", "not JSON: "+err.Error())
	}
}

// here returns the line of what was read last. Offsets only rise, so every byte is looked at once.
func (r *jsonReader) here() int {
	if at := int(r.dec.InputOffset()); at > r.seen {
		r.line += bytes.Count(r.data[r.seen:at], []byte{'\n'})
		r.seen = at
	}
	return r.line
}

func (r *jsonReader) document(v visitor) error {
	switch tok, err := r.dec.ReadToken(); {
	case errors.Is(err, io.EOF):
		v.wrong(0, "", errEmpty)
		return nil
	case err != nil:
		return err
	case tok.Kind() != '{':
		v.wrong(r.here(), "", "want an object of lists: organizations, projects, accounts, …")
		return nil
	}
	for r.dec.PeekKind() != '}' {
		tok, err := r.dec.ReadToken()
		if err != nil {
			return err
		}
		name := tok.String()
		if err := r.list(name, r.here(), v); err != nil {
			return err
		}
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the document")
	}
	return nil
}

func (r *jsonReader) list(name string, line int, v visitor) error {
	known := v.list(name, line)
	kind := r.dec.PeekKind()
	if !known || kind != '[' {
		if known && kind != 'n' && kind != 0 {
			v.wrong(line, name, "want a list")
		}
		return r.dec.SkipValue()
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	for i := 0; r.dec.PeekKind() != ']'; i++ {
		r.left = maxEntityNodes
		n, err := r.value(0)
		if err != nil {
			return fmt.Errorf("%s[%d]: %w", name, i, err)
		}
		v.item(n)
	}
	_, err := r.dec.ReadToken()
	return err
}

func (r *jsonReader) value(depth int) (node, error) {
	tok, err := r.dec.ReadToken()
	if err != nil {
		return node{}, err
	}
	n := node{line: r.here()}
	if depth > maxDepth {
		return n, errTooDeep
	}
	if r.left--; r.left < 0 {
		return n, errTooMany
	}
	switch tok.Kind() {
	case '"':
		n.kind, n.text = nodeText, tok.String()
	case '0':
		n.kind, n.text = nodeNumber, tok.String()
	case 't', 'f':
		n.kind, n.text = nodeBool, tok.String()
	case '[':
		n.kind = nodeList
		for r.dec.PeekKind() != ']' {
			item, err := r.value(depth + 1)
			if err != nil {
				return n, err
			}
			n.items = append(n.items, item)
		}
		_, err = r.dec.ReadToken()
	case '{':
		n.kind, n.fields = nodeObject, make([]field, 0, maxKeys)
		for r.dec.PeekKind() != '}' {
			f, err := r.field(depth)
			if err != nil {
				return n, err
			}
			n.fields = append(n.fields, f)
		}
		_, err = r.dec.ReadToken()
	}
	return n, err
}

func (r *jsonReader) field(depth int) (field, error) {
	tok, err := r.dec.ReadToken()
	if err != nil {
		return field{}, err
	}
	f := field{key: tok.String(), line: r.here()}
	if f.value, err = r.value(depth + 1); err != nil {
		return f, fmt.Errorf("%s: %w", clip(f.key), err)
	}
	return f, nil
}
