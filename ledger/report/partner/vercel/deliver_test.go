package vercel

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"reckoner/internal/catalog"
	"reckoner/ledger/report/partner"
)

const token = `s3cr/t+"t<o>ken"=é`

// partnerAt serves a handler over a real socket, and gives a target that ends with the test.
func partnerAt(t *testing.T, o Options, h http.HandlerFunc) (*Target, string) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	target := New(o)
	t.Cleanup(target.Close)
	return target, srv.URL
}

func delivery(base string) *partner.Delivery {
	return &partner.Delivery{Installation: &catalog.Installation{ID: "icfg_1"}, BaseURL: base, Token: token, Payload: []byte(`{"a":1}`)}
}

// clean fails the test where anything that is kept of an answer says the token.
func clean(t *testing.T, a *partner.Answer) {
	t.Helper()
	kept := a.Body
	if a.Err != nil {
		kept += a.Err.Error()
	}
	for _, form := range newSecret(token).forms {
		if strings.Contains(kept, form) {
			t.Errorf("%q says the token as %q", kept, form)
		}
	}
	if len(a.Body) > partner.ResponseBytesMax || !utf8.ValidString(a.Body) {
		t.Errorf("the body has %d bytes, valid UTF-8: %t", len(a.Body), utf8.ValidString(a.Body))
	}
}

func TestRequestAsThePartnerSeesIt(t *testing.T) {
	type seen struct{ Method, URI, Auth, Kind, Agent, Body string }
	var got seen
	target, base := partnerAt(t, Options{Version: "1.2.3"}, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = seen{r.Method, r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), r.UserAgent(), string(b)}
		if r.ContentLength != int64(len(b)) {
			t.Errorf("Content-Length %d", r.ContentLength)
		}
		w.WriteHeader(http.StatusCreated)
	})
	for _, tt := range []struct{ base, id, uri string }{
		{"", "icfg_1", "/v1/installations/icfg_1/billing"},
		{"/", "icfg_1", "/v1/installations/icfg_1/billing"},
		{"/partner/v%2F9", "icfg_1", "/partner/v%2F9/v1/installations/icfg_1/billing"},
		{"/partner/", "icfg_1", "/partner/v1/installations/icfg_1/billing"},
		{"", "a/b%2F?c#d e", "/v1/installations/a%2Fb%252F%3Fc%23d%20e/billing"},
		{"", ".", "/v1/installations/%2E/billing"},
		{"", "..", "/v1/installations/%2E%2E/billing"},
		{"/p", "../../x", "/p/v1/installations/..%2F..%2Fx/billing"},
		{"", "наш-☃", "/v1/installations/%D0%BD%D0%B0%D1%88-%E2%98%83/billing"},
		{"", "a:b@c&d=e+f;g,h$", "/v1/installations/a:b@c&d=e+f%3Bg%2Ch$/billing"},
	} {
		d := delivery(base + tt.base)
		d.Installation.ID = tt.id
		if a := target.Deliver(t.Context(), d); a.Verdict != partner.Accepted || a.Code != 201 || a.Err != nil || a.Body != "" {
			t.Errorf("%q: %+v", tt.id, a)
		}
		want := seen{http.MethodPost, tt.uri, "Bearer " + token, "application/json", "reckoner/1.2.3", `{"a":1}`}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q at %q: %s", tt.id, tt.base, diff)
		}
	}
}

func TestVerdicts(t *testing.T) {
	status := 0
	target, base := partnerAt(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.Header().Set("Location", "/elsewhere?token="+token)
		w.WriteHeader(status)
		if status != http.StatusNoContent && status != http.StatusNotModified {
			_, _ = io.WriteString(w, "why")
		}
	})
	want := map[int]partner.Verdict{201: partner.Accepted}
	for _, again := range []int{200, 202, 203, 204, 206, 226, 300, 301, 302, 303, 304, 307, 308, 408, 409, 425, 429, 500, 501, 502, 503, 504, 520, 599} {
		want[again] = partner.Again
	}
	for _, final := range []int{400, 401, 402, 403, 404, 405, 406, 410, 411, 413, 415, 421, 422, 426, 431, 451, 499} {
		want[final] = partner.Final
	}
	for status = range want {
		a := target.Deliver(t.Context(), delivery(base))
		clean(t, &a)
		if a.Verdict != want[status] || a.Code != status {
			t.Errorf("%d: %+v, want verdict %d", status, a, want[status])
		}
		if status == 201 {
			if a.Err != nil || a.RetryAfter != 0 || a.Body != "why" {
				t.Errorf("201: %+v", a)
			}
		} else if a.Err == nil || !strings.Contains(a.Err.Error(), fmt.Sprint(status)) || a.RetryAfter != 7*time.Second {
			t.Errorf("%d: %+v, want an error that names it, and seven seconds", status, a)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var paths []string
	target, base := partnerAt(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		http.Redirect(w, r, "/stolen", http.StatusTemporaryRedirect)
	})
	a := target.Deliver(t.Context(), delivery(base))
	if a.Verdict != partner.Again || a.Code != 307 || len(paths) != 1 || !strings.Contains(a.Err.Error(), "redirects are never followed") {
		t.Errorf("%+v after %q", a, paths)
	}
}

// A partner that gives the token back, in whatever form and wherever in its answer, does not get it into what is kept.
func TestTokenIsNeverKept(t *testing.T) {
	var body string
	target, base := partnerAt(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, body)
	})
	for _, form := range newSecret(token).forms {
		for _, before := range []int{0, 10, partner.ResponseBytesMax - len(form) - 1, partner.ResponseBytesMax - len(form), partner.ResponseBytesMax - 2, partner.ResponseBytesMax - 1} {
			body = strings.Repeat("x", before) + form + form + "end"
			a := target.Deliver(t.Context(), delivery(base))
			clean(t, &a)
			rest := strings.TrimLeft(a.Body, "x")
			if !strings.HasPrefix(mask+mask+"end", rest) && !strings.HasPrefix(rest, mask) {
				t.Errorf("%q after %d bytes: %q", form, before, rest)
			}
		}
	}
	// As much of it as stands before the mask must not show either where masks made room for what follows.
	body = strings.Repeat(token, 400)
	a := target.Deliver(t.Context(), delivery(base))
	clean(t, &a)
	if strings.Trim(a.Body, mask) != "" {
		t.Errorf("%q", a.Body)
	}
}

func TestAnswerIsBounded(t *testing.T) {
	for name, body := range map[string]string{
		"a megabyte": strings.Repeat("0123456789abcdef", 1<<16), "no text": strings.Repeat("\xff\x00", 9000), "cut in a rune": strings.Repeat("€", 9000), "short": "why",
	} {
		target, base := partnerAt(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, body)
		})
		a := target.Deliver(t.Context(), delivery(base))
		clean(t, &a)
		if want := min(len(body), partner.ResponseBytesMax); a.Verdict != partner.Final || len(a.Body) > want || len(a.Body) < want-3 {
			t.Errorf("%s: %d bytes are kept, verdict %d", name, len(a.Body), a.Verdict)
		}
	}
}

// Whatever a partner is slow with, a delivery ends with its context, and nobody knows whether the report is there.
func TestSlowPartner(t *testing.T) {
	release := make(chan struct{})
	for name, h := range map[string]http.HandlerFunc{
		"headers": func(http.ResponseWriter, *http.Request) { <-release },
		"body": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			<-release
		},
		"body of a 201": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_ = http.NewResponseController(w).Flush()
			<-release
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(h)
			defer srv.Close()
			defer func() { release <- struct{}{} }()
			target := New(Options{})
			defer target.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			a := target.Deliver(ctx, delivery(srv.URL))
			clean(t, &a)
			switch name {
			case "headers":
				if a.Verdict != partner.Again || a.Code != 0 || !errors.Is(a.Err, context.DeadlineExceeded) {
					t.Errorf("%+v", a)
				}
			case "body":
				if a.Verdict != partner.Again || a.Code != 502 || a.Body != "half" || a.Err == nil {
					t.Errorf("%+v", a)
				}
			default: // the partner has said that it has the report
				if a.Verdict != partner.Accepted || a.Code != 201 || a.Err != nil {
					t.Errorf("%+v", a)
				}
			}
		})
	}
}

// A server that breaks the protocol, or the connection, is no partner that refused.
func TestBrokenAnswers(t *testing.T) {
	for name, answer := range map[string]string{
		"closed": "", "no HTTP": "SSH-2.0-OpenSSH_9.2 " + token + "\r\n", "half a head": "HTTP/1.1 201 Cre", "a head without end": "HTTP/1.1 201 Created\r\nX: " + strings.Repeat("x", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var served sync.WaitGroup
			served.Go(func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer func() { _ = c.Close() }()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
					t.Error(err)
				}
				_, _ = io.Copy(c, strings.NewReader(answer)) // the client may have enough before
				_ = c.(*net.TCPConn).SetLinger(0)            // a reset
			})
			target := New(Options{})
			defer target.Close()
			a := target.Deliver(t.Context(), delivery("http://"+l.Addr().String()))
			_ = l.Close()
			served.Wait()
			clean(t, &a)
			if a.Verdict != partner.Again || a.Code != 0 || a.Err == nil || a.Body != "" {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestNothingIsSentThatCannotBe(t *testing.T) {
	target, base := partnerAt(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("it was sent: %s %s", r.URL, r.Header)
	})
	for _, tt := range []struct{ base, id, token, want string }{
		{base, "icfg_1", "", "no access token"},
		{base, "icfg_1", "a\nb", "white space or a control character"},
		{base, "icfg_1", "a b", "white space or a control character"},
		{base, "", "a", "no id"},
		{"", "icfg_1", "a", "want https://HOST"},
		{"api.example.com", "icfg_1", "a", "want https://HOST"},
		{"ftp://api.example.com", "icfg_1", "a", "want https://HOST"},
		{"https://", "icfg_1", "a", "want https://HOST"},
		{"http://api.example.com", "icfg_1", "a", "plain http is for loopback"},
		{"https://u:p4ss@api.example.com", "icfg_1", "a", "want no user"},
		{"https://api.example.com?x=1", "icfg_1", "a", "no query"},
		{"https://api.example.com#x", "icfg_1", "a", "no fragment"},
		{"https://api.example.com:x", "icfg_1", "a", "not a URL"},
	} {
		a := target.Deliver(t.Context(), &partner.Delivery{Installation: &catalog.Installation{ID: tt.id}, BaseURL: tt.base, Token: tt.token})
		if a.Verdict != partner.Again || a.Code != 0 || a.Err == nil || !strings.Contains(a.Err.Error(), tt.want) || strings.Contains(a.Err.Error(), "p4ss") {
			t.Errorf("%q with token %q: %+v, want %q", tt.base, tt.token, a, tt.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a := target.Deliver(ctx, delivery(base)); a.Verdict != partner.Again || !errors.Is(a.Err, context.Canceled) {
		t.Errorf("%+v", a)
	}
	if a := target.Deliver(t.Context(), delivery("http://127.0.0.1:1")); a.Verdict != partner.Again || a.Err == nil {
		t.Errorf("nobody listens, and the answer is %+v", a)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 15, 8, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "0": 0, "1": time.Second, " 90 ": 90 * time.Second, "3600": time.Hour, "3601": time.Hour, "99999999999999999999999": time.Hour,
		"-5": 0, "+5": 0, "1.5": 0, "soon": 0, "Sun, 15 Mar 2026 08:00:30 GMT": 30 * time.Second, "Sun, 15 Mar 2026 07:00:00 GMT": 0,
		"Sunday, 15-Mar-26 08:01:00 GMT": time.Minute, "Fri, 15 Mar 2126 08:00:00 GMT": time.Hour,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("Retry-After: %s is %s, want %s", header, got, want)
		}
	}
}

// As many connections as deliveries are kept, and no more are made, whatever the answers are.
func TestConnectionsAreUsedAgain(t *testing.T) {
	const concurrency, rounds = 8, 5
	var mu sync.Mutex
	opened, answers := 0, 0
	var together sync.WaitGroup
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		together.Done()
		together.Wait() // so that a round needs all connections
		mu.Lock()
		defer mu.Unlock()
		answers++
		w.WriteHeader([]int{201, 500, 429}[answers%3])
		_, _ = w.Write(bytes.Repeat([]byte("x"), partner.ResponseBytesMax*answers%3))
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			mu.Lock()
			opened++
			mu.Unlock()
		}
	}
	srv.Start()
	defer srv.Close()
	target := New(Options{Concurrency: concurrency})
	defer target.Close()
	for range rounds {
		together.Add(concurrency)
		var round sync.WaitGroup
		for range concurrency {
			round.Go(func() { target.Deliver(t.Context(), delivery(srv.URL)) })
		}
		round.Wait()
	}
	if opened > concurrency+1 || answers != concurrency*rounds {
		t.Errorf("%d connections for %d deliveries at once, %d answers", opened, concurrency, answers)
	}
}

// One connection carries all deliveries where the partner speaks HTTP/2, and the path arrives as it was written.
func TestOverHTTP2(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 && r.URL.EscapedPath() == "/v1/installations/%2E%2E/billing" && r.Header.Get("Authorization") == "Bearer "+token {
			w.WriteHeader(http.StatusCreated)
		}
	}))
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // it reports the handshake below
	srv.StartTLS()
	defer srv.Close()
	trusting := transport(4)
	trusting.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	trusting.TLSClientConfig.RootCAs.AddCert(srv.Certificate())
	target := New(Options{Transport: trusting})
	defer target.Close()
	d := delivery(srv.URL)
	d.Installation.ID = ".."
	if a := target.Deliver(t.Context(), d); a.Verdict != partner.Accepted {
		t.Errorf("%+v", a)
	}
	// A certificate that nobody vouches for ends a delivery before the token is sent.
	wary := New(Options{})
	defer wary.Close()
	if a := wary.Deliver(t.Context(), d); a.Verdict != partner.Again || a.Err == nil || !strings.Contains(a.Err.Error(), "certificate") {
		t.Errorf("%+v", a)
	}
}

func FuzzKeep(f *testing.F) {
	f.Add("token", []byte("a token is here"), 12)
	f.Add(token, []byte(strings.Repeat(token, 3)), 20)
	f.Add("", []byte("€€"), 4)
	f.Fuzz(func(t *testing.T, token string, text []byte, most int) {
		s := newSecret(token)
		most = min(max(most, 0), 1<<12)
		text = text[:min(len(text), most+s.longest())]
		kept := s.keep(text, most)
		if len(kept) > most || !utf8.ValidString(kept) {
			t.Fatalf("%d bytes of %d, valid: %t", len(kept), most, utf8.ValidString(kept))
		}
		// The mask itself may hold a short token, and may make one with its neighbours.
		if len(token) > len(mask) && utf8.ValidString(token) && !strings.ContainsRune(token, utf8.RuneError) && !strings.Contains(token, mask[:1]) && !strings.Contains(token, mask[len(mask)-1:]) && strings.Contains(kept, token) {
			t.Fatalf("%q is in %q", token, kept)
		}
	})
}
