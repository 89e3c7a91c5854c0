// Package openapi holds the description of the HTTP API: a document of OpenAPI 3.1.
//
// It is written by hand in parts, YAML files that say what one dialect does, and joined by a test of this package
// (`go test ./internal/openapi -update`). What it says is held against the router, and against the traffic of other tests
// (openapitest).
package openapi

import _ "embed"

// Document is the description, as JSON. Nobody changes it.
//
//go:embed openapi.json
var Document []byte
