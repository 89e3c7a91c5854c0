package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
)

// absent is what a key is that a document does not have.
const absent = "(absent)"

// compareJSON returns which keys of two documents differ, in the order of the keys. Bytes that differ without a key that does
// are told as such.
func compareJSON(stored, again []byte) []reportDifference {
	if bytes.Equal(stored, again) {
		return nil
	}
	was, err := flat(stored)
	if err != nil {
		return []reportDifference{{key: "(bytes)", stored: "no JSON: " + err.Error(), remadeNow: string(again)}}
	}
	is, err := flat(again)
	if err != nil {
		return []reportDifference{{key: "(bytes)", stored: string(stored), remadeNow: "no JSON: " + err.Error()}}
	}
	keys := maps.Clone(was)
	maps.Copy(keys, is)
	var differences []reportDifference
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if was[key] != is[key] {
			differences = append(differences, reportDifference{key: key, stored: orAbsent(was, key), remadeNow: orAbsent(is, key)})
		}
	}
	if len(differences) == 0 {
		at := 0
		for at < min(len(stored), len(again)) && stored[at] == again[at] {
			at++
		}
		differences = append(differences, reportDifference{key: fmt.Sprintf("(bytes from %d on)", at), stored: string(stored[at:]), remadeNow: string(again[at:])})
	}
	return differences
}

func orAbsent(values map[string]string, key string) string {
	if v, ok := values[key]; ok {
		return v
	}
	return absent
}

// flat returns the values of a document by their keys, numbers as they are written. An element of an array goes by what
// names it, and where several have one name, or none has, by its place among them.
func flat(document []byte) (map[string]string, error) {
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("there is more after the document")
	}
	values := map[string]string{}
	flatten(values, "", v)
	return values, nil
}

func flatten(values map[string]string, at string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			if at != "" {
				key = at + "." + key
			}
			flatten(values, key, member)
		}
		if len(v) == 0 {
			values[at] = "{}"
		}
	case []any:
		seen := map[string]int{}
		for _, element := range v {
			name := nameOf(element)
			seen[name]++
			if n := seen[name]; n > 1 || name == "" {
				name += "#" + strconv.Itoa(n)
			}
			flatten(values, at+"["+name+"]", element)
		}
		if len(v) == 0 {
			values[at] = "[]"
		}
	default:
		text, _ := json.Marshal(v) // of a text, a number, a boolean or null
		values[at] = string(text)
	}
}

// nameOf returns what names an element, as partners' payloads name usage, items and discounts; empty: nothing does.
func nameOf(element any) string {
	members, ok := element.(map[string]any)
	if !ok {
		return ""
	}
	name, _ := members["name"].(string)
	if resource, ok := members["resourceId"].(string); ok && name != "" {
		name = resource + " " + name
	}
	return name
}
