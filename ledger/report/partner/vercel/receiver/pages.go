package receiver

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

//go:embed pages.html
var pagesHTML string

// pageMax is how many installations, or reports, a page shows at most.
const pageMax = 200

// installationsPage is the first page: the installations, the one that reported last first.
type installationsPage struct {
	Installations []installationLine `json:"installations"`
	More          int                `json:"more"` // that are not shown
}

type installationLine struct {
	ID        string    `json:"id"`
	Reports   int       `json:"reports"` // that are kept
	At        time.Time `json:"at"`
	Timestamp time.Time `json:"timestamp"`
}

// Path is relative to the first page.
func (l installationLine) Path() string { return "v1/installations/" + url.PathEscape(l.ID) }

// reportsPage is an installation's: its reports, the last to arrive first.
type reportsPage struct {
	ID      string       `json:"installation"`
	Reports []reportLine `json:"reports"`
	More    int          `json:"more"` // that are not shown
}

type reportLine struct {
	At          time.Time `json:"at"`
	Timestamp   time.Time `json:"timestamp"`
	EOD         time.Time `json:"eod"`
	PeriodStart time.Time `json:"periodStart"`
	PeriodEnd   time.Time `json:"periodEnd"`
	Latest      bool      `json:"latest"` // it has the newest timestamp of its day part, so it stands
	Body        string    `json:"body"`   // the exact bytes
	Taken       *Taken    `json:"-"`      // its rows, of a report that stands
}

func (r *Receiver) show(w http.ResponseWriter, req *http.Request, id string) {
	page, name := any(r.installations()), "installations"
	if id != "" {
		all := r.shelf.of(id)
		if len(all) == 0 {
			refuse(w, http.StatusNotFound, fmt.Sprintf("installation %q has reported nothing that is kept", clip(id)))
			return
		}
		page, name = reportsOf(id, all), "reports"
	}
	w.Header().Add("Vary", "Accept")
	if !wantsHTML(req) {
		answer(w, http.StatusOK, page)
		return
	}
	var b bytes.Buffer
	t, err := template.New("").Funcs(template.FuncMap{"time": func(at time.Time) string { return at.Format(wireLayout) }}).Parse(pagesHTML)
	if err == nil {
		err = t.ExecuteTemplate(&b, name, page)
	}
	if err != nil {
		refuse(w, http.StatusInternalServerError, "the page cannot be made")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = b.WriteTo(w) // the other side is gone
}

// wantsHTML reports whether a browser asks. A program says nothing, or that it wants JSON.
func wantsHTML(req *http.Request) bool {
	return strings.Contains(req.Header.Get("Accept"), "text/html")
}

func (r *Receiver) installations() *installationsPage {
	all := r.shelf.all()
	p := &installationsPage{Installations: []installationLine{}, More: max(0, len(all)-pageMax)}
	for _, s := range all[:len(all)-p.More] {
		p.Installations = append(p.Installations, installationLine{ID: s.id, Reports: s.reports, At: s.newest.at, Timestamp: s.newest.timestamp})
	}
	return p
}

func reportsOf(id string, all []*held) *reportsPage {
	stands := latest(all)
	p := &reportsPage{ID: id, More: max(0, len(all)-pageMax)}
	for _, h := range slices.Backward(all[p.More:]) {
		line := reportLine{
			At: h.at, Timestamp: h.timestamp, EOD: h.part.eod, PeriodStart: h.part.start, PeriodEnd: h.part.end,
			Latest: stands[h.part] == h, Body: string(h.body),
		}
		if line.Latest {
			line.Taken, _ = read(h.body, h.at)
		}
		p.Reports = append(p.Reports, line)
	}
	return p
}
