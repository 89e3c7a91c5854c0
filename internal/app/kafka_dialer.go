package app

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"reckoner/internal/bus"
	"reckoner/internal/config"
	"reckoner/internal/tlsfile"
)

// kafkaDialer says how the brokers are reached, by the settings.
func kafkaDialer(k *config.Kafka, log *slog.Logger) (bus.Dialer, error) {
	d := bus.Dialer{Timeout: k.DialTimeout}
	if k.Encrypted() {
		t, err := tlsfile.Client{CA: k.CAFile, Cert: k.CertFile, Key: k.KeyFile, Log: log}.Config()
		if err != nil {
			return d, fmt.Errorf("kafka TLS: %w", err)
		}
		d.TLS = t
	}
	if !k.Authenticated() {
		return d, nil
	}
	d.SASL = &bus.SASL{Mechanism: k.SASLMechanism, Username: k.SASLUsername, Password: func() (string, error) { return k.SASLPassword, nil }}
	if file := k.SASLPasswordFile; file != "" {
		d.SASL.Password = func() (string, error) { return passwordOf(file) }
		if _, err := passwordOf(file); err != nil {
			return d, err // at the start, where someone looks
		}
	}
	return d, nil
}

func passwordOf(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("kafka.sasl_password_file: %w", err)
	}
	password := strings.TrimRight(string(text), "\r\n")
	if password == "" {
		return "", fmt.Errorf("kafka.sasl_password_file: %s is empty", file)
	}
	return password, nil
}
