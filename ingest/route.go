package ingest

import (
	"errors"
	"net/url"
	"strings"

	"reckoner/internal/catalog"
)

var (
	errNoRoute  = errors.New("no such path")
	errNoMethod = errors.New("no such method for the path")
)

// route is one operation of a dialect.
type route struct {
	dialect *dialect
	name    string // the metric label
	method  string
	pattern string // segments; one in braces matches anything but nothing, and is named
	scope   catalog.Scope
	handle  func(*call) error

	segments []string // of the pattern
}

// dialect is a set of routes with one shape of errors.
type dialect struct {
	name string
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
// cleans: a request is for the path that it names.
func (rt router) find(method, escapedPath string) (*route, params, error) {
	path := strings.Split(escapedPath, "/")
	known := false
	for _, r := range rt.routes {
		p, ok := match(r.segments, path)
		if !ok {
			continue
		}
		if r.method == method {
			return r, p, nil
		}
		known = true
	}
	if known {
		return nil, nil, errNoMethod
	}
	return nil, nil, errNoRoute
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
