package receiver

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// What a zero option comes to.
const (
	defaultKeep      = 1000
	defaultKeepBytes = 64 << 20
	defaultMaxBody   = 4 << 20
)

// Options are what a receiver can be told. All may be zero.
type Options struct {
	Now       func() time.Time // nil: the clock
	Keep      int              // reports that are kept of an installation; 0: 1000
	KeepBytes int64            // of the bodies of all reports that are kept; 0: 64 MiB
	MaxBody   int64            // bytes of a body; 0: 4 MiB
	// Token gives an installation's access token, and whether there is such an installation. Nil: every installation is known,
	// and any token will do.
	Token func(installationID string) (token string, known bool)
}

// Receiver takes reports as the partner does. It is an http.Handler and safe for concurrent use.
//
//	POST /v1/installations/{id}/billing  a report: 201, or why not
//	GET  /                               the installations that reported
//	GET  /v1/installations/{id}          an installation's reports
//
// It may be served below a path, by http.StripPrefix.
type Receiver struct {
	o     Options
	shelf *shelf
}

// New makes a receiver that holds nothing yet.
func New(o Options) *Receiver {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Keep = cmp.Or(max(o.Keep, 0), defaultKeep)
	o.KeepBytes = cmp.Or(max(o.KeepBytes, 0), int64(defaultKeepBytes))
	o.MaxBody = cmp.Or(max(o.MaxBody, 0), int64(defaultMaxBody))
	return &Receiver{o: o, shelf: newShelf(o.Keep, o.KeepBytes)}
}

// Reports returns what was accepted of an installation and is still kept, in order of arrival.
func (r *Receiver) Reports(installationID string) []Taken {
	return taken(r.shelf.of(installationID))
}

// Latest returns, of each part of a day, the report with the newest timestamp, by period and eod.
func (r *Receiver) Latest(installationID string) []Taken {
	all := r.shelf.of(installationID)
	stands := latest(all)
	all = slices.DeleteFunc(all, func(h *held) bool { return stands[h.part] != h })
	slices.SortFunc(all, func(a, b *held) int {
		return cmp.Or(a.part.start.Compare(b.part.start), a.part.end.Compare(b.part.end), a.part.eod.Compare(b.part.eod))
	})
	return taken(all)
}

func taken(all []*held) []Taken {
	out := make([]Taken, 0, len(all))
	for _, h := range all {
		t, _ := read(h.body, h.at) // it was taken
		t.At = h.at
		out = append(out, *t)
	}
	return out
}

// ServeHTTP answers one request.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	id, billing, ok := route(req.URL.EscapedPath())
	switch {
	case !ok:
		refuse(w, http.StatusNotFound, "there is nothing at this path: reports go to /v1/installations/{id}/billing")
	case billing && req.Method == http.MethodPost:
		r.take(w, req, id)
	case billing:
		h.Set("Allow", http.MethodPost)
		refuse(w, http.StatusMethodNotAllowed, "a report is sent with POST")
	case req.Method == http.MethodGet || req.Method == http.MethodHead:
		r.show(w, req, id)
	default:
		h.Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "what was taken is read with GET; reports go to /v1/installations/{id}/billing")
	}
}

// route reads an escaped path. The id is empty on the first page.
func route(path string) (id string, billing, ok bool) {
	if path == "" || path == "/" {
		return "", false, true
	}
	rest, found := strings.CutPrefix(path, "/v1/installations/")
	if !found {
		return "", false, false
	}
	escaped, tail, deeper := strings.Cut(rest, "/")
	id, err := url.PathUnescape(escaped)
	if err != nil || id == "" || deeper && tail != "billing" {
		return "", false, false
	}
	return id, deeper, true
}

func (r *Receiver) take(w http.ResponseWriter, req *http.Request, id string) {
	scheme, token, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
		w.Header().Set("WWW-Authenticate", "Bearer")
		refuse(w, http.StatusUnauthorized, "want the installation's access token as Authorization: Bearer TOKEN")
		return
	}
	if r.o.Token != nil {
		want, known := r.o.Token(id)
		if !known {
			refuse(w, http.StatusNotFound, fmt.Sprintf("there is no installation %q", clip(id)))
			return
		}
		if !same(token, want) {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			refuse(w, http.StatusUnauthorized, "that is not the installation's access token")
			return
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, r.o.MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is over %d bytes", large.Limit))
		return
	case err != nil:
		refuse(w, http.StatusBadRequest, "the body did not arrive whole")
		return
	}
	at := r.o.Now().UTC()
	t, broken := read(body, at)
	if kind := req.Header.Get("Content-Type"); !isJSON(kind) {
		broken = append(broken, fmt.Sprintf("Content-Type: is %q: want application/json", clip(kind)))
	}
	if len(broken) > 0 {
		refuse(w, http.StatusBadRequest, strings.Join(broken, "; "))
		return
	}
	r.shelf.put(&held{installation: id, at: at, timestamp: t.Timestamp, part: t.part(), body: body})
	w.WriteHeader(http.StatusCreated)
}

// same compares two secrets in a time that says nothing of them.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}

// refuse answers with the partner's form of an error.
func refuse(w http.ResponseWriter, status int, message string) {
	code := strings.ReplaceAll(strings.ToLower(http.StatusText(status)), " ", "_")
	answer(w, status, map[string]any{"error": map[string]string{"code": code, "message": message}})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // the other side is gone
}
