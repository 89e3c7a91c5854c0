package chdb

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// request is what a client asks, apart from the text and data of its query.
type request struct {
	query     string // the part of the query that the URL carries
	queryID   string
	database  string
	format    string // used when the query names none
	settings  []setting
	params    []param
	readOnly  bool // GET and HEAD read only
	buffered  bool // answer only when the result is complete
	packed    bool // compress=1: the answer in ClickHouse's own compressed blocks
	unpack    bool // decompress=1: the body is in such blocks
	method    string
	revision  string // client_protocol_version, of the hello query
	encodings string // Accept-Encoding
	body      string // Content-Encoding
}

// notSettings are the URL parameters that the HTTP interface keeps for itself
// (src/Server/HTTPHandler.cpp); every other one is a setting.
var notSettings = map[string]bool{
	"query": true, "user": true, "password": true, "quota_key": true, "query_id": true, "database": true,
	"default_format": true, "compress": true, "decompress": true, "buffer_size": true, "wait_end_of_query": true,
	"stacktrace": true, "role": true, "session_id": true, "session_timeout": true, "session_check": true,
	"close_session": true, "client_protocol_version": true,
}

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// readRequest takes the parameters of a request from its URL and headers.
func readRequest(r *http.Request) (*request, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, exceptionf(codeBadArguments, "Malformed URL query: %s", err)
	}
	if err := authenticate(r, values); err != nil {
		return nil, err
	}
	if values.Get("session_id") != "" || values.Get("role") != "" {
		return nil, exceptionf(codeNotImplemented, "The embedded engine has no sessions and no roles; leave session_id and role out")
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		return nil, exceptionf(codeNotImplemented, "The embedded engine takes no external tables (multipart/form-data)")
	}
	q := &request{
		query: values.Get("query"), queryID: values.Get("query_id"),
		database:  firstOf(values.Get("database"), r.Header.Get("X-ClickHouse-Database")),
		format:    firstOf(values.Get("default_format"), r.Header.Get("X-ClickHouse-Format"), "TabSeparated"),
		readOnly:  r.Method == http.MethodGet || r.Method == http.MethodHead,
		buffered:  isTrue(values.Get("wait_end_of_query")),
		packed:    isTrue(values.Get("compress")),
		unpack:    isTrue(values.Get("decompress")),
		method:    firstOf(values.Get("network_compression_method"), "LZ4"),
		revision:  values.Get("client_protocol_version"),
		encodings: r.Header.Get("Accept-Encoding"),
		body:      r.Header.Get("Content-Encoding"),
	}
	if err := q.readSettings(values); err != nil {
		return nil, err
	}
	if v, given := values["enable_http_compression"]; given && !isTrue(v[len(v)-1]) {
		q.encodings = ""
	}
	return q, nil
}

func (q *request) readSettings(values url.Values) error {
	readonlyGiven := false
	for name, all := range values {
		value := all[len(all)-1]
		switch {
		case notSettings[name]:
		case strings.HasPrefix(name, "param_"):
			q.params = append(q.params, param{name: name[len("param_"):], value: value})
		case !settingName.MatchString(name):
			return exceptionf(codeUnknownSetting, "Unknown setting '%s'", name)
		default:
			readonlyGiven = readonlyGiven || name == "readonly" && value != "0"
			q.settings = append(q.settings, setting{name: name, value: value})
		}
	}
	if q.readOnly && !readonlyGiven {
		q.settings = slices.DeleteFunc(q.settings, func(s setting) bool { return s.name == "readonly" })
		q.settings = append(q.settings, setting{name: "readonly", value: "2"})
	}
	slices.SortFunc(q.settings, func(a, b setting) int { return cmp.Compare(a.name, b.name) })
	return nil
}

// authenticate lets in the one user there is: default, without a password.
func authenticate(r *http.Request, values url.Values) error {
	user, password := firstOf(values.Get("user"), r.Header.Get("X-ClickHouse-User")), firstOf(values.Get("password"), r.Header.Get("X-ClickHouse-Key"))
	if name, secret, ok := r.BasicAuth(); ok {
		user, password = firstOf(user, name), firstOf(password, secret)
	} else if r.Header.Get("Authorization") != "" {
		return exceptionf(codeAuthentication, "The embedded engine knows Basic authentication only")
	}
	if (user != "" && user != "default") || password != "" {
		return exceptionf(codeAuthentication, "%s: Authentication failed: password is incorrect, or there is no user with such name. The embedded engine has one user, default, without a password", firstOf(user, "default"))
	}
	return nil
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func isTrue(v string) bool { return v == "1" || strings.EqualFold(v, "true") }
