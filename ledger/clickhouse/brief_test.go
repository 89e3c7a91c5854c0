package clickhouse

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
)

// Parameters of a query stand in the URL, and an error of the transport quotes it.
func TestErrorsDoNotRepeatParameters(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, err := http.Get(server.URL + "/?param_installation_ids=%5B%27" + strings.Repeat("x", 100_000) + "%27%5D") //nolint:noctx // there is no answer
	if err == nil || len(err.Error()) < 100_000 {
		t.Fatalf("the transport does not quote the URL any more: %v", err)
	}
	said := explain(errors.Join(err)) // as the driver wraps it
	if len(said.Error()) > 300 || strings.Contains(said.Error(), "param_") || !strings.Contains(said.Error(), server.URL) ||
		!strings.Contains(said.Error(), "refused") || !errors.Is(said, syscall.ECONNREFUSED) {
		t.Errorf("%.300s", said)
	}
	if plain := errors.New("plain"); !errors.Is(explain(plain), plain) || explain(plain).Error() != "plain" {
		t.Errorf("%v", explain(plain))
	}
}
