package datapower

import (
	"crypto/x509"
	"encoding/base64"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

const (
	user     = "admin"
	password = "correct horse battery staple"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a gateway that answers with the handler, and returns its base URL and certificate.
func serve(t *testing.T, handler http.HandlerFunc) (string, *x509.Certificate) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are part of the tests
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL, server.Certificate()
}

// connect makes a client that trusts the handler's gateway and never waits long.
func connect(t *testing.T, handler http.HandlerFunc, change ...func(*Options)) *Client {
	t.Helper()
	address, certificate := serve(t, handler)
	options := Options{
		Address: address, Username: user, Password: password, TLS: TLSOptions{Pinned: []*x509.Certificate{certificate}},
		Timeout: 30 * time.Second, RetryWait: time.Millisecond, PollInterval: time.Millisecond,
	}
	for _, apply := range change {
		apply(&options)
	}
	client, err := New(options)
	require.NoError(t, err)
	return client
}

// answer makes a handler that gives every request the same answer.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// requireNoSecret fails when an error shows the password, as it is or as basic authentication sends it.
func requireNoSecret(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	assert.NotContains(t, err.Error(), password)
	assert.NotContains(t, err.Error(), base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
	assert.NotContains(t, strings.ToLower(err.Error()), "authorization")
}
