package ingest

import (
	"encoding/base64"
	"net/http"
	"strings"

	"reckoner"
	"reckoner/internal/catalog"
)

// challenge is the WWW-Authenticate header of every 401.
const challenge = `Basic realm="reckoner", charset="UTF-8", Bearer realm="reckoner"`

var (
	errUnauthenticated = &reckoner.Error{Code: reckoner.Unauthenticated, Message: "not authenticated"}
	errForbidden       = &reckoner.Error{Code: reckoner.Forbidden, Message: "not authorized"}
)

// authenticate returns the credential that the Authorization header proves. Nothing about a failure is told apart: not to
// the caller, and not by the time it takes.
func authenticate(c *catalog.Catalog, h http.Header) (*catalog.Credential, error) {
	header := h["Authorization"]
	if len(header) != 1 {
		return nil, errUnauthenticated
	}
	id, secret, ok := credentials(header[0])
	if !ok {
		return nil, errUnauthenticated
	}
	credential, ok := c.Authenticate(id, secret)
	if !ok {
		return nil, errUnauthenticated
	}
	return credential, nil
}

// apiKey is the header in which the clients of the usages dialect send `id:secret`, in the spelling of http.Header.
const apiKey = "Reb-Apikey"

// authenticateKey is authenticate with another door: an API key. Of several that are given any that proves counts, the
// key first.
func authenticateKey(c *catalog.Catalog, h http.Header) (*catalog.Credential, error) {
	if keys := h[apiKey]; len(keys) == 1 {
		if id, secret, ok := strings.Cut(keys[0], ":"); ok {
			if credential, ok := c.Authenticate(id, secret); ok {
				return credential, nil
			}
		}
	}
	return authenticate(c, h)
}

// credentials splits `Basic base64(id:secret)` and `Bearer id:secret`. Only the first colon divides.
func credentials(header string) (id, secret string, ok bool) {
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.Trim(token, " ")
	switch {
	case strings.EqualFold(scheme, "basic"):
		plain, err := base64.StdEncoding.DecodeString(token)
		if err != nil {
			return "", "", false
		}
		token = string(plain)
	case !strings.EqualFold(scheme, "bearer"):
		return "", "", false
	}
	return strings.Cut(token, ":")
}
