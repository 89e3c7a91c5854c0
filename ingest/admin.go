package ingest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"reckoner"
	"reckoner/internal/catalog"
)

// CatalogWriter changes the catalog.
type CatalogWriter interface {
	// Do writes one change and returns how it was decided. With an error it is not known whether it will be decided, or,
	// where the error says so, nothing was written. After a decision Catalogs has its effect.
	Do(ctx context.Context, change catalog.Change) (catalog.Decision, error)
	// Sync waits until Catalogs has every change that was acknowledged before, by any process.
	Sync(ctx context.Context) error
}

// admin is the dialect of the catalog: GET, PUT and DELETE of one entity, and lists. Its JSON is that of a catalog file,
// its errors are problems. An entity's ETag is its version.
type admin struct {
	*Server
	dialect dialect
	writer  CatalogWriter
}

func newAdmin(s *Server, w CatalogWriter) *admin {
	return &admin{Server: s, writer: w, dialect: dialect{name: "admin", roots: []string{"/admin"}, fail: problemFail}}
}

// routes are none without a writer.
func (a *admin) routes() []*route {
	if a.writer == nil {
		return nil
	}
	const (
		kind   = "/admin/v1/{kind}"
		entity = kind + "/{id}"
	)
	table := []route{
		{name: "list", method: http.MethodGet, pattern: kind, handle: a.list},
		{name: "get", method: http.MethodGet, pattern: entity, handle: a.get},
		{name: "put", method: http.MethodPut, pattern: entity, handle: a.put},
		{name: "delete", method: http.MethodDelete, pattern: entity, handle: a.delete},
	}
	routes := make([]*route, len(table))
	for i := range table {
		table[i].dialect, table[i].scope = &a.dialect, catalog.CatalogWrite
		routes[i] = &table[i]
	}
	return routes
}

var errNotEverywhere = &reckoner.Error{
	Code: reckoner.Forbidden, Message: `not authorized: the catalog is for credentials of all organizations ("*")`,
}

// named returns the kind and, where the route has one, the id that the path names. A credential that is bound to
// organizations is refused whatever it asks for: it could give itself the rest.
func (a *admin) named(c *call) (kind catalog.Kind, id string, err error) {
	if !slices.Contains(c.credential.Organizations, "*") {
		return 0, "", errNotEverywhere
	}
	kind, ok := catalog.ParseKind(c.params["kind"])
	if !ok || kind.Plural() != c.params["kind"] {
		return 0, "", errNoRoute
	}
	return kind, kind.CanonicalKey(c.params["id"]), nil
}

// get answers with one entity.
func (a *admin) get(c *call) error {
	kind, id, err := a.named(c)
	if err != nil {
		return err
	}
	e, version, ok := c.catalog.Entity(kind, id)
	if !ok {
		return noEntity(kind, id)
	}
	c.w.Header().Set("ETag", etag(version))
	if known, err := parseTags(c.r.Header["If-None-Match"]); err == nil && known.match(version) {
		a.empty(c, http.StatusNotModified)
		return nil
	}
	a.answer(c, http.StatusOK, catalog.JSON(e))
	return nil
}

// empty answers without a body.
func (a *admin) empty(c *call, status int) {
	a.writeDeadline(c)
	c.w.WriteHeader(status)
}

func noEntity(kind catalog.Kind, id string) error {
	return reckoner.Errorf(reckoner.NotFound, "the catalog has no %s %s", kind, strconv.Quote(clip(id)))
}

// The bounds of a page of a list. An entity may have most of a megabyte.
const (
	entitiesDefault = 100
	entitiesMax     = 1000
	pageBytesMax    = 4 << 20 // the entity that comes over it is the page's last
)

type (
	entitiesJSON struct {
		Items         []entityJSON `json:"items"`
		NextPageToken string       `json:"next_page_token,omitempty"`
	}
	entityJSON struct {
		ETag   string          `json:"etag"`
		Entity json.RawMessage `json:"entity"`
	}
)

// list answers with the entities of a kind, by id. Pages go on behind an id, so that what is added or removed meanwhile
// moves nothing.
func (a *admin) list(c *call) error {
	kind, _, err := a.named(c)
	if err != nil {
		return err
	}
	limit, after, err := pageOf(c.r.URL.RawQuery)
	if err != nil {
		return err
	}
	page := entitiesJSON{Items: []entityJSON{}}
	last, size := "", 0
	for e, version := range c.catalog.Entities(kind, after) {
		if len(page.Items) == limit || size > pageBytesMax {
			page.NextPageToken = base64.RawURLEncoding.EncodeToString([]byte(last))
			break
		}
		text := catalog.JSON(e)
		page.Items = append(page.Items, entityJSON{ETag: etag(version), Entity: text})
		last, size = e.Key(), size+len(text)
	}
	return a.answerJSON(c, http.StatusOK, page)
}

// pageOf reads the parameters of a list, and says of all what is wrong.
func pageOf(rawQuery string) (limit int, after string, err error) {
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return 0, "", invalid("invalid query: %s", clip(err.Error()))
	}
	var wrong fieldsError
	limit = entitiesDefault
	for name, values := range query {
		value := values[0]
		switch {
		case name != "limit" && name != "page_token":
			wrong.add(clip(name), "unknown: known are limit and page_token")
		case len(values) > 1:
			wrong.add(name, "given more than once")
		case name == "limit":
			if limit, err = strconv.Atoi(value); err != nil || limit < 1 || limit > entitiesMax {
				wrong.add(name, "want a whole number from 1 to "+strconv.Itoa(entitiesMax))
			}
		default:
			b, err := base64.RawURLEncoding.DecodeString(value)
			if after = string(b); err != nil || after == "" || !utf8.ValidString(after) {
				wrong.add(name, "it is not one that an answer gave")
			}
		}
	}
	slices.SortFunc(wrong.fields, func(x, y invalidField) int { return strings.Compare(x.field, y.field) })
	return limit, after, wrong.err()
}
