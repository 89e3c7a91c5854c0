// Package tlsfile makes TLS configurations of PEM files. It follows the files: a certificate that was renewed, and a
// server's list of client authorities, hold from the next handshake on, without a restart.
package tlsfile

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
)

// Client says how a client connects.
type Client struct {
	CA        string // authorities that servers are held against, PEM; empty: the system's
	Cert, Key string // what the client shows of itself, PEM; empty: nothing
	Log       *slog.Logger
}

// Config returns the configuration, or why a file cannot be used. Authorities are read once; the certificate is followed.
func (c Client) Config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pool, err := authorities(c.CA)
		if err != nil {
			return nil, err
		}
		config.RootCAs = pool
	}
	if c.Cert == "" && c.Key == "" {
		return config, nil
	}
	own, err := followPair(c.Cert, c.Key, c.Log)
	if err != nil {
		return nil, err
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own.current(), nil }
	return config, nil
}

// Server says how a server is connected to.
type Server struct {
	Cert, Key string // PEM; required
	ClientCA  string // authorities of the certificates that clients must show, PEM; empty: clients show none
	Log       *slog.Logger
}

// Config returns the configuration, or why a file cannot be used.
func (s Server) Config() (*tls.Config, error) {
	own, err := followPair(s.Cert, s.Key, s.Log)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return own.current(), nil },
	}
	if s.ClientCA == "" {
		return config, nil
	}
	clients, err := follow([]string{s.ClientCA}, func() (*x509.CertPool, error) { return authorities(s.ClientCA) }, s.Log)
	if err != nil {
		return nil, err
	}
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, clients.current()
	// A session that is resumed is not held against the authorities again: one that was taken from the list would go on.
	config.SessionTicketsDisabled = true
	base := config.Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := base.Clone()
		now.ClientCAs = clients.current()
		return now, nil
	}
	return config, nil
}

var errNoCertificate = errors.New("no certificate in it: want PEM blocks of type CERTIFICATE")

func authorities(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: %w", file, errNoCertificate)
	}
	return pool, nil
}

func followPair(cert, key string, log *slog.Logger) (*followed[*tls.Certificate], error) {
	if cert == "" || key == "" {
		return nil, errors.New("a certificate and its key belong together: give both files")
	}
	return follow([]string{cert, key}, func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("certificate %s with key %s: %w", cert, key, err)
		}
		return &pair, nil
	}, log)
}
