package tlsfile_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reckoner/internal/tlsfile"
	"reckoner/internal/tlsfile/tlstest"
)

// serve serves the name of the client's certificate.
func serve(t *testing.T, s tlsfile.Server) string {
	t.Helper()
	config, err := s.Config()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if shown := r.TLS.PeerCertificates; len(shown) > 0 {
			_, _ = io.WriteString(w, shown[0].Subject.CommonName)
		}
	}))
	server.TLS = config
	server.Listener = tls.NewListener(server.Listener, config)
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// ask makes one request over a connection of its own, and returns the names of both sides' certificates.
func ask(t *testing.T, addr string, c tlsfile.Client) (server, client string, err error) {
	t.Helper()
	config, err := c.Config()
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get("https://" + addr)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return response.TLS.PeerCertificates[0].Subject.CommonName, string(body), err
}

func TestRenewedCertificateIsServed(t *testing.T) {
	a := tlstest.NewAuthority(t, "authority")
	cert, key := a.Files(t, "old")
	addr := serve(t, tlsfile.Server{Cert: cert, Key: key})
	client := tlsfile.Client{CA: a.File}
	if server, _, err := ask(t, addr, client); err != nil || server != "old" {
		t.Fatalf("%q, %v", server, err)
	}
	// Half of a renewal: the key does not fit, so the certificate before stays in force.
	other, _ := a.Files(t, "half")
	replace(t, cert, other)
	if server, _, err := ask(t, addr, client); err != nil || server != "old" {
		t.Fatalf("in mid-renewal: %q, %v", server, err)
	}
	newCert, newKey := a.Files(t, "new")
	replace(t, cert, newCert)
	replace(t, key, newKey)
	if server, _, err := ask(t, addr, client); err != nil || server != "new" {
		t.Fatalf("after it: %q, %v", server, err)
	}
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	if server, _, err := ask(t, addr, client); err != nil || server != "new" {
		t.Fatalf("without the file: %q, %v", server, err)
	}
}

// replace puts another file in the place of one, with a later time than it had.
func replace(t *testing.T, file, by string) {
	t.Helper()
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(by, file); err != nil {
		t.Fatal(err)
	}
	later := before.ModTime().Add(time.Second)
	if err := os.Chtimes(file, later, later); err != nil {
		t.Fatal(err)
	}
}

func TestClientsShowCertificates(t *testing.T) {
	a, clients, strangers := tlstest.NewAuthority(t, "authority"), tlstest.NewAuthority(t, "clients"), tlstest.NewAuthority(t, "strangers")
	cert, key := a.Files(t, "server")
	list := filepath.Join(t.TempDir(), "clients.pem")
	copyFile(t, clients.File, list)
	addr := serve(t, tlsfile.Server{Cert: cert, Key: key, ClientCA: list})
	known := tlsfile.Client{CA: a.File}
	known.Cert, known.Key = clients.Files(t, "known")
	stranger := tlsfile.Client{CA: a.File}
	stranger.Cert, stranger.Key = strangers.Files(t, "stranger")

	if _, name, err := ask(t, addr, known); err != nil || name != "known" {
		t.Fatalf("a client of the list: %q, %v", name, err)
	}
	for what, c := range map[string]tlsfile.Client{"a stranger": stranger, "no certificate": {CA: a.File}} {
		if _, _, err := ask(t, addr, c); err == nil {
			t.Errorf("%s is let in", what)
		}
	}
	other := filepath.Join(t.TempDir(), "other.pem")
	copyFile(t, strangers.File, other)
	replace(t, list, other)
	if _, name, err := ask(t, addr, stranger); err != nil || name != "stranger" {
		t.Fatalf("a client of the new list: %q, %v", name, err)
	}
	if _, _, err := ask(t, addr, known); err == nil {
		t.Error("who was taken off the list is let in")
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAServerOfAnotherAuthorityIsRefused(t *testing.T) {
	a, other := tlstest.NewAuthority(t, "authority"), tlstest.NewAuthority(t, "other")
	cert, key := a.Files(t, "server")
	addr := serve(t, tlsfile.Server{Cert: cert, Key: key})
	for what, c := range map[string]tlsfile.Client{"another authority": {CA: other.File}, "the system's authorities": {}} {
		if _, _, err := ask(t, addr, c); err == nil {
			t.Errorf("a server is believed by %s", what)
		}
	}
}

func TestOldProtocolsAreRefused(t *testing.T) {
	a := tlstest.NewAuthority(t, "authority")
	cert, key := a.Files(t, "server")
	addr := serve(t, tlsfile.Server{Cert: cert, Key: key})
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	config := &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, InsecureSkipVerify: true}
	if err := tls.Client(raw, config).HandshakeContext(t.Context()); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
}

func TestFilesThatCannotBeUsed(t *testing.T) {
	a := tlstest.NewAuthority(t, "authority")
	cert, key := a.Files(t, "server")
	empty := filepath.Join(t.TempDir(), "empty.pem")
	copyFile(t, os.DevNull, empty)
	for name, c := range map[string]struct {
		make func() (*tls.Config, error)
		want string
	}{
		"no such certificate":      {tlsfile.Server{Cert: "missing.pem", Key: key}.Config, "missing.pem"},
		"no key":                   {tlsfile.Server{Cert: cert}.Config, "belong together"},
		"a key as the certificate": {tlsfile.Server{Cert: key, Key: key}.Config, key},
		"no such client authority": {tlsfile.Server{Cert: cert, Key: key, ClientCA: "missing.pem"}.Config, "missing.pem"},
		"an empty authority":       {tlsfile.Client{CA: empty}.Config, "no certificate in it"},
		"a client without its key": {tlsfile.Client{Cert: cert}.Config, "belong together"},
	} {
		if _, err := c.make(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
}

// A client that comes back with a session is held against the list of the moment like any other: no session is taken up again.
func TestSessionsAreNotResumed(t *testing.T) {
	a := tlstest.NewAuthority(t, "authority")
	cert, key := a.Files(t, "server")
	addr := serve(t, tlsfile.Server{Cert: cert, Key: key, ClientCA: a.File})
	known := tlsfile.Client{CA: a.File, Cert: cert, Key: key}
	config, err := known.Config()
	if err != nil {
		t.Fatal(err)
	}
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	for range 3 {
		response, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get("https://" + addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(response.Body); err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if response.TLS.DidResume {
			t.Fatal("a session was resumed")
		}
	}
}
