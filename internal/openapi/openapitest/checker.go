package openapitest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"reckoner/internal/openapi"
)

// Checker judges exchanges. It is safe for concurrent use.
type Checker struct {
	doc    *openapi3.T
	router routers.Router
}

// New returns a checker of the document that the program carries.
func New() (*Checker, error) { return newChecker(openapi.Document) }

func newChecker(document []byte) (*Checker, error) {
	var tree any
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	closeObjects(tree)
	openServers(tree)
	text, err := json.Marshal(tree)
	if err != nil {
		return nil, fmt.Errorf("write the document: %w", err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, fmt.Errorf("load the document: %w", err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		return nil, fmt.Errorf("make a router of the document: %w", err)
	}
	return &Checker{doc, router}, nil
}

// closeObjects refuses fields that an object's schema does not name, unless it says something of them. The document leaves
// answers open, so that they may gain fields; those of this build are all in it.
func closeObjects(v any) {
	switch v := v.(type) {
	case map[string]any:
		_, named := v["properties"].(map[string]any)
		if _, said := v["additionalProperties"]; named && !said && v["type"] == "object" {
			v["additionalProperties"] = false
		}
		for _, inner := range v {
			closeObjects(inner)
		}
	case []any:
		for _, inner := range v {
			closeObjects(inner)
		}
	}
}

// openServers lets every path be asked of every server: tests listen anywhere.
func openServers(tree any) {
	top, _ := tree.(map[string]any)
	delete(top, "servers")
	paths, _ := top["paths"].(map[string]any)
	for _, item := range paths {
		if item, ok := item.(map[string]any); ok {
			delete(item, "servers")
		}
	}
}

// Exchange is a request and its answer. The bodies of both are apart, so that whoever has them can still read them.
type Exchange struct {
	Request     *http.Request
	RequestBody []byte

	Status int
	Header http.Header
	Body   []byte
}

// Check returns what of an exchange is not as the document says.
func (c *Checker) Check(e *Exchange) error {
	r := asDescribed(e.Request, e.RequestBody)
	route, params, err := c.router.FindRoute(r)
	if err != nil {
		return c.checkNowhere(e, err)
	}
	options := &openapi3filter.Options{
		IncludeResponseStatus: true, MultiError: true, AuthenticationFunc: authenticated,
		ExcludeReadOnlyValidations: true,
	}
	request := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: options}
	var wrong []error
	if e.Status < http.StatusBadRequest {
		if err := openapi3filter.ValidateRequest(context.Background(), request); err != nil {
			wrong = append(wrong, fmt.Errorf("it was answered %d, and the document does not allow the request: %w", e.Status, err))
		}
	}
	answer := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: request, Status: e.Status, Header: e.Header, Options: options, Body: io.NopCloser(bytes.NewReader(e.Body)),
	}
	if err := openapi3filter.ValidateResponse(context.Background(), answer); err != nil {
		wrong = append(wrong, err)
	}
	if described := route.Operation.Responses.Status(e.Status); described != nil && len(described.Value.Content) == 0 && len(e.Body) > 0 {
		wrong = append(wrong, fmt.Errorf("the answer has a body of %d bytes, and the document has none", len(e.Body)))
	}
	return c.tell(e, wrong)
}

// kind names exchanges that are alike: of one operation, or of none, with one status.
func (c *Checker) kind(e *Exchange) string {
	name := "nowhere"
	if route, _, err := c.router.FindRoute(e.Request); err == nil {
		name = route.Operation.OperationID
	}
	return name + " " + strconv.Itoa(e.Status)
}

// checkNowhere holds the answer to a request for a path, or of a method, that there is not.
func (c *Checker) checkNowhere(e *Exchange, cause error) error {
	var wrong []error
	if !slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented}, e.Status) {
		wrong = append(wrong, fmt.Errorf("the document has no such operation (%w), and the answer is %d", cause, e.Status))
	}
	if id := e.Header.Get("X-Request-Id"); id == "" {
		wrong = append(wrong, errors.New("the answer has no X-Request-Id"))
	}
	if mime := e.Header.Get("Content-Type"); mime != "application/json" {
		wrong = append(wrong, fmt.Errorf("the answer is %q", mime))
	}
	name := "Problem"
	if strings.HasPrefix(e.Request.URL.EscapedPath(), "/v1beta1/") || bytes.Contains(e.Body, []byte(`"details":`)) {
		name = "FrontierError"
	}
	if err := c.fits(name, e.Body); err != nil {
		wrong = append(wrong, fmt.Errorf("the answer is no %s: %w", name, err))
	}
	return c.tell(e, wrong)
}

// fits holds JSON against a schema of the document.
func (c *Checker) fits(name string, body []byte) error {
	var v any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return fmt.Errorf("it is no JSON: %w", err)
	}
	return c.doc.Components.Schemas[name].Value.VisitJSON(v, openapi3.EnableJSONSchema2020())
}

func (c *Checker) tell(e *Exchange, wrong []error) error {
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%s %s: answered %d %s, which the API's description does not allow: %w",
		e.Request.Method, e.Request.URL.RequestURI(), e.Status, tail(e.Body), errors.Join(wrong...))
}

// tail bounds what an error repeats of a body.
func tail(b []byte) string {
	const most = 500
	if len(b) > most {
		return string(b[:most]) + "…"
	}
	return string(b)
}

// asDescribed returns a request as the document speaks of it: it takes any Content-Type for JSON, as the server does, and a
// semicolon in a query for itself. Its body can be read.
func asDescribed(r *http.Request, body []byte) *http.Request {
	out := r.Clone(context.Background())
	out.Header.Set("Content-Type", "application/json")
	out.URL.RawQuery = strings.ReplaceAll(out.URL.RawQuery, ";", "%3B")
	out.Body, out.ContentLength = http.NoBody, 0
	if len(bytes.TrimSpace(body)) > 0 { // an empty body is as none
		out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	return out
}

// authenticated reports whether a request carries the credential of a scheme, right or wrong.
func authenticated(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	h := in.RequestValidationInput.Request.Header
	scheme := in.SecurityScheme
	if scheme.Type == "apiKey" {
		if h.Get(scheme.Name) == "" {
			return fmt.Errorf("no %s", scheme.Name)
		}
		return nil
	}
	if given, _, _ := strings.Cut(h.Get("Authorization"), " "); !strings.EqualFold(given, scheme.Scheme) {
		return fmt.Errorf("no Authorization of the scheme %s", scheme.Scheme)
	}
	return nil
}
