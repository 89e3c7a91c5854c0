// Package brokertest starts embedded brokers for tests.
package brokertest

import (
	"testing"

	"reckoner/internal/embedded/broker"
)

// Start starts an empty broker on a free port, in a directory of the test's own. It is closed when the test ends.
func Start(t testing.TB) *broker.Broker {
	t.Helper()
	return Open(t, broker.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
}

// Open starts a broker with these options. It is closed when the test ends, if the test did not close it.
func Open(t testing.TB, o broker.Options) *broker.Broker {
	t.Helper()
	b, err := broker.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("start the embedded broker: %v", err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close the embedded broker: %v", err)
		}
	})
	return b
}
