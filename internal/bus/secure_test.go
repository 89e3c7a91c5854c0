package bus_test

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"reckoner/internal/bus"
	"reckoner/internal/embedded/broker"
	"reckoner/internal/embedded/broker/brokertest"
	"reckoner/internal/tlsfile"
	"reckoner/internal/tlsfile/tlstest"
)

// guarded starts a broker that encrypts, asks clients for a certificate, and for one of these users.
func guarded(t *testing.T, users ...broker.User) (*broker.Broker, *tls.Config) {
	t.Helper()
	a := tlstest.NewAuthority(t, "authority")
	cert, key := a.Files(t, "broker")
	server, err := tlsfile.Server{Cert: cert, Key: key, ClientCA: a.File}.Config()
	if err != nil {
		t.Fatal(err)
	}
	own := tlsfile.Client{CA: a.File}
	own.Cert, own.Key = a.Files(t, "client")
	client, err := own.Config()
	if err != nil {
		t.Fatal(err)
	}
	return brokertest.Open(t, broker.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", TLS: server, Users: users}), client
}

func connect(t *testing.T, b *broker.Broker, d bus.Dialer) *bus.Client {
	t.Helper()
	c, err := bus.Open(bus.Options{Brokers: b.Addrs(), IOTimeout: 2 * time.Second, MetadataTTL: 500 * time.Millisecond, Dialer: d})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func sasl(mechanism, name, password string) *bus.SASL {
	return &bus.SASL{Mechanism: mechanism, Username: name, Password: func() (string, error) { return password, nil }}
}

// Everything that the client has goes through the guards: producing, reading, following and membership of a group.
func TestGuardedBroker(t *testing.T) {
	for mechanism, name := range map[string]string{"plain": "PLAIN", "scram-sha-256": "SCRAM-SHA-256", "scram-sha-512": "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			b, encrypted := guarded(t, broker.User{Mechanism: name, Name: "reckoner", Password: "open sesame"})
			c := connect(t, b, bus.Dialer{TLS: encrypted, SASL: sasl(mechanism, "reckoner", "open sesame")})
			makeTopic(t, c, "t", 1)
			if err := producer(t, c, bus.ProducerOptions{}).Produce(within(t), "t", []bus.Record{record("k", "v")}); err != nil {
				t.Fatal(err)
			}
			if got := values(readAll(t, c, "t", 0, 0)); len(got) != 1 || got[0] != "v" {
				t.Fatalf("read %q", got)
			}
			ctx, leave := context.WithCancel(within(t))
			defer leave()
			var joined atomic.Bool
			err := c.RunGroup(ctx, bus.GroupOptions{Group: "g", Topic: "t"}, func(_ context.Context, g *bus.Generation) error {
				joined.Store(true)
				leave()
				return nil
			})
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			if !joined.Load() {
				t.Fatal("never a member of the group")
			}
		})
	}
}

func TestGuardedBrokerRefuses(t *testing.T) {
	b, encrypted := guarded(t, broker.User{Mechanism: "SCRAM-SHA-512", Name: "reckoner", Password: "open sesame"})
	makeTopic(t, connect(t, b, bus.Dialer{TLS: encrypted, SASL: sasl("scram-sha-512", "reckoner", "open sesame")}), "t", 1)
	bare := &tls.Config{RootCAs: encrypted.RootCAs, MinVersion: tls.VersionTLS12}
	for name, d := range map[string]bus.Dialer{
		"a wrong password":        {TLS: encrypted, SASL: sasl("scram-sha-512", "reckoner", "open barley")},
		"a password of two lines": {TLS: encrypted, SASL: sasl("scram-sha-512", "reckoner", "open \n sesame")},
		"an unknown user":         {TLS: encrypted, SASL: sasl("scram-sha-512", "cassim", "open sesame")},
		"another mechanism":       {TLS: encrypted, SASL: sasl("plain", "reckoner", "open sesame")},
		"no user":                 {TLS: encrypted},
		"no certificate":          {TLS: bare, SASL: sasl("scram-sha-512", "reckoner", "open sesame")},
		"an unknown authority":    {TLS: &tls.Config{MinVersion: tls.VersionTLS12}, SASL: sasl("scram-sha-512", "reckoner", "open sesame")},
		"no encryption":           {SASL: sasl("scram-sha-512", "reckoner", "open sesame")},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			c := connect(t, b, d)
			err := c.Ping(ctx)
			if err == nil { // versions are told to everybody
				_, err = c.Partitions(ctx, "t")
			}
			if err == nil {
				t.Fatal("let in")
			}
			if strings.Contains(err.Error(), "open ") {
				t.Errorf("the error repeats a password: %v", err)
			}
		})
	}
}

// A password that changes while the process runs is used from the next connection on.
func TestPasswordIsAskedForEachConnection(t *testing.T) {
	b, encrypted := guarded(t, broker.User{Mechanism: "SCRAM-SHA-512", Name: "reckoner", Password: "new"})
	var password atomic.Value // connections are made behind the test's back, too
	password.Store("old")
	user := &bus.SASL{Mechanism: "scram-sha-512", Username: "reckoner", Password: func() (string, error) { return password.Load().(string), nil }}
	c := connect(t, b, bus.Dialer{TLS: encrypted, SASL: user})
	if err := c.Ping(within(t)); err == nil {
		t.Fatal("the old password is taken")
	}
	password.Store("new")
	eventually(t, "the new password is used", func() bool { return c.Ping(within(t)) == nil })
}

func TestUnknownMechanism(t *testing.T) {
	_, err := bus.Open(bus.Options{Brokers: []string{"127.0.0.1:1"}, Dialer: bus.Dialer{SASL: sasl("gssapi", "u", "p")}})
	if err == nil || !strings.Contains(err.Error(), "gssapi") {
		t.Fatal(err)
	}
}
