package config

import (
	"errors"
	"fmt"
	"net/url"
)

// agreeTLS holds the settings of encryption and authentication against each other: what would be ignored is refused,
// because someone believes that it protects.
func (s *Settings) agreeTLS() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	pair := func(section, cert, key string) {
		check((cert == "") == (key == ""), "%s.cert_file and %s.key_file: a certificate and its key belong together: give both or neither", section, section)
	}
	k, c, t := &s.Kafka, &s.ClickHouse, &s.TLS
	pair("tls", t.CertFile, t.KeyFile)
	check(t.ClientCAFile == "" || t.CertFile != "", "tls.client_ca_file: clients show certificates only to a server that encrypts: give tls.cert_file, too")
	pair("kafka", k.CertFile, k.KeyFile)
	check(k.Encrypted() || k.CAFile == "" && k.CertFile == "",
		"kafka.ca_file, kafka.cert_file: of no use with kafka.security_protocol %s: want ssl or sasl_ssl", k.SecurityProtocol)
	if k.Authenticated() {
		check(k.SASLUsername != "", "kafka.sasl_username: missing, and kafka.security_protocol is %s", k.SecurityProtocol)
		check((k.SASLPassword == "") != (k.SASLPasswordFile == ""), "kafka.sasl_password, kafka.sasl_password_file: give one of them")
		check(k.Encrypted() || k.SASLMechanism != "plain", "kafka.sasl_mechanism: plain would send the password for everyone to read: want kafka.security_protocol sasl_ssl, or scram-sha-512")
	} else {
		check(k.SASLUsername == "" && k.SASLPassword == "" && k.SASLPasswordFile == "",
			"kafka.sasl_…: of no use with kafka.security_protocol %s: want sasl_ssl or sasl_plaintext", k.SecurityProtocol)
	}
	pair("clickhouse", c.CertFile, c.KeyFile)
	check(c.CAFile == "" && c.CertFile == "" || c.encrypted(),
		"clickhouse.ca_file, clickhouse.cert_file: of no use with this clickhouse.url: want https:// or clickhouse://…?secure=true")
	return errors.Join(errs...)
}

// encrypted reports whether the URL asks for TLS.
func (c *ClickHouse) encrypted() bool {
	u, err := url.Parse(c.URL)
	return err == nil && (u.Scheme == "https" || u.Query().Get("secure") == "true" || u.Query().Get("secure") == "1")
}
