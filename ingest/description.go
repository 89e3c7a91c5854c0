package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"reckoner/internal/openapi"
)

// description is the dialect of one route, which describes all others. It is there for everybody, without a credential.
// Errors are problems.
type description struct {
	*Server
	dialect  dialect
	document []byte // on one line
}

const descriptionPath = "/openapi.json"

func newDescription(s *Server) (*description, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, openapi.Document); err != nil {
		return nil, fmt.Errorf("ingest: the description of the API: %w", err)
	}
	return &description{
		Server: s, document: b.Bytes(), dialect: dialect{name: "description", roots: []string{descriptionPath}, fail: problemFail},
	}, nil
}

func (d *description) routes() []*route {
	return []*route{{dialect: &d.dialect, name: "get", method: http.MethodGet, pattern: descriptionPath, open: true, handle: d.get}}
}

// get answers with the document.
func (d *description) get(c *call) error {
	d.answer(c, http.StatusOK, d.document)
	return nil
}
