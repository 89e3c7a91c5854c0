package ingest

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"reckoner/internal/catalog"
)

var (
	errNoRoute  = errors.New("no such path")
	errNoMethod = errors.New("no such method for the path")
)

// noMethodError is errNoMethod of a path, with the methods that it has.
type noMethodError struct{ allow []string }

func (e *noMethodError) Error() string {
	return errNoMethod.Error() + ": it has " + strings.Join(e.allow, ", ")
}

func (e *noMethodError) Unwrap() error { return errNoMethod }

// route is one operation of a dialect.
type route struct {
	dialect *dialect
	name    string // the metric label
	method  string
	pattern string // segments; one in braces matches anything but nothing, and is named
	scope   catalog.Scope
	open    bool // for callers without a credential, too; there is no scope then
	handle  func(*call) error

	segments []string // of the pattern
}

// dialect is a set of routes with one shape of errors.
type dialect struct {
	name string
	// roots are what the dialect's paths begin with; a path that is no route is answered in its shape.
	roots []string
	// authenticate returns the credential that a request proves; nil: the Authorization header proves it.
	authenticate func(*catalog.Catalog, http.Header) (*catalog.Credential, error)
	// fail answers with an error. It never shows a cause, only what an Error says.
	fail func(c *call, err error)
}

type params map[string]string

type router struct{ routes []*route }

func newRouter(routes []*route) router {
	for _, r := range routes {
		r.segments = strings.Split(r.pattern, "/")
	}
	return router{routes}
}

// find matches the escaped path, so that an escaped slash stays inside its segment. It never redirects and never
// cleans: a request is for the path that it names. Without a route it returns the dialect that the path is of, or nil.
func (rt router) find(method, escapedPath string) (*route, params, *dialect, error) {
	path := strings.Split(escapedPath, "/")
	var known *dialect
	var allow []string
	for _, r := range rt.routes {
		p, ok := match(r.segments, path)
		if !ok {
			continue
		}
		if r.method == method {
			return r, p, r.dialect, nil
		}
		if known == nil {
			known = r.dialect
		}
		allow = append(allow, r.method)
	}
	if known != nil {
		return nil, nil, known, &noMethodError{allow}
	}
	return nil, nil, rt.dialectOf(escapedPath), errNoRoute
}

func (rt router) dialectOf(escapedPath string) *dialect {
	for _, r := range rt.routes {
		for _, root := range r.dialect.roots {
			if escapedPath == root || strings.HasPrefix(escapedPath, root+"/") {
				return r.dialect
			}
		}
	}
	return nil
}

func match(pattern, path []string) (params, bool) {
	if len(pattern) != len(path) {
		return nil, false
	}
	var p params
	for i, want := range pattern {
		if !strings.HasPrefix(want, "{") {
			if want != path[i] {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(path[i])
		if err != nil || value == "" {
			return nil, false
		}
		if p == nil {
			p = make(params, 2)
		}
		p[want[1:len(want)-1]] = value
	}
	return p, true
}
