package openapi_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"reckoner/internal/openapi"
)

var update = flag.Bool("update", false, "join the parts into openapi.json")

func TestTheDocumentIsItsParts(t *testing.T) {
	joined, err := join("parts")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("openapi.json", joined, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(joined), string(openapi.Document)); diff != "" {
		t.Errorf("openapi.json is not what the parts say (run the test with -update):\n%s", diff)
	}
}

// TestTheDocumentIsOpenAPI holds the document against the schema that the OpenAPI Initiative publishes for 3.1, and every
// schema in it against that of JSON Schema 2020-12.
func TestTheDocumentIsOpenAPI(t *testing.T) {
	official := readJSON(t, "testdata/oas-3.1-schema-2022-10-07.json")
	const base = "https://spec.openapis.org/oas/3.1/schema/2022-10-07"
	c := jsonschema.NewCompiler()
	if err := c.AddResource(base, official); err != nil {
		t.Fatal(err)
	}
	// The official schema leaves open of what dialect schemas are; this says it.
	const url = "https://reckoner.example/openapi"
	with := map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": url, "$ref": base,
		"$defs": map[string]any{"schema": map[string]any{"$dynamicAnchor": "meta", "$ref": "https://json-schema.org/draft/2020-12/schema"}},
	}
	if err := c.AddResource(url, with); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile(url)
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(parseJSON(t, onDisk(t))); err != nil {
		t.Errorf("%#v", err)
	}
	for name, wrong := range map[string]string{
		"no operation":         `"paths":{"/x":{"get":{"responses":{"200":{}}}}}`,
		"a schema that is not": `"components":{"schemas":{"X":{"type":"text"}}}`,
	} {
		if err := schema.Validate(parseJSON(t, []byte(`{"openapi":"3.1.1","info":{"title":"x","version":"1"},`+wrong+`}`))); err == nil {
			t.Errorf("%s: the check takes it", name)
		}
	}
}

// TestExamplesAreOfTheirSchemas also holds the document against what another reader of OpenAPI wants of one: references that
// lead somewhere, path parameters that are declared, ids of operations that are unique.
func TestExamplesAreOfTheirSchemas(t *testing.T) {
	document := onDisk(t)
	check := func(text []byte) error {
		doc, err := openapi3.NewLoader().LoadFromData(text)
		if err != nil {
			return err
		}
		return doc.Validate(context.Background(), openapi3.EnableExamplesValidation(), openapi3.EnableSchemaPatternValidation(), openapi3.EnableMultiError())
	}
	if err := check(document); err != nil {
		t.Error(err)
	}
	const example = `"quantity": 12.5`
	wrong := bytes.Replace(document, []byte(example), []byte(`"quantity": "12.5"`), 1)
	if bytes.Equal(wrong, document) {
		t.Fatalf("no example has %s", example)
	}
	if check(wrong) == nil {
		t.Error("an example that breaks its schema is taken")
	}
}

func readJSON(t *testing.T, path string) any {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return parseJSON(t, text)
}

func parseJSON(t *testing.T, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// onDisk is the document as a run with -update has just written it; TestTheDocumentIsItsParts says that it is built in.
func onDisk(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	return text
}
