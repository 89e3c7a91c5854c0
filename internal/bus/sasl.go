package bus

import (
	"context"
	"fmt"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// SASL is a user of the brokers.
type SASL struct {
	Mechanism string // plain, scram-sha-256 or scram-sha-512
	Username  string
	// Password is asked for every connection, so that it may change while the process runs.
	Password func() (string, error)
}

// mechanism returns what kafka-go takes; nil for nil.
func (s *SASL) mechanism() (sasl.Mechanism, error) {
	if s == nil {
		return nil, nil
	}
	m := user{sasl: s}
	switch s.Mechanism {
	case "plain":
		m.name = plain.Mechanism{}.Name()
		m.with = func(password string) (sasl.Mechanism, error) {
			return plain.Mechanism{Username: s.Username, Password: password}, nil
		}
	case "scram-sha-256":
		m.name = scram.SHA256.Name()
		m.with = func(password string) (sasl.Mechanism, error) {
			return scram.Mechanism(scram.SHA256, s.Username, password)
		}
	case "scram-sha-512":
		m.name = scram.SHA512.Name()
		m.with = func(password string) (sasl.Mechanism, error) {
			return scram.Mechanism(scram.SHA512, s.Username, password)
		}
	default:
		return nil, fmt.Errorf("kafka SASL mechanism %q is unknown: want plain, scram-sha-256 or scram-sha-512", s.Mechanism)
	}
	return m, nil
}

// user is a mechanism whose password is that of the moment.
type user struct {
	sasl *SASL
	name string
	with func(password string) (sasl.Mechanism, error)
}

// Name implements sasl.Mechanism.
func (u user) Name() string { return u.name }

// Start implements sasl.Mechanism.
func (u user) Start(ctx context.Context) (sasl.StateMachine, []byte, error) {
	password, err := u.sasl.Password()
	if err != nil {
		return nil, nil, err
	}
	m, err := u.with(password)
	if err != nil {
		// The library's own error quotes the password.
		return nil, nil, fmt.Errorf("kafka user %q: the name or the password holds a character that authentication (SASLprep) forbids", u.sasl.Username)
	}
	return m.Start(ctx)
}
