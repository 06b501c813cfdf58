package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"

	"github.com/datapower-operator/datapower-operator/webhooks/pki"
	"github.com/datapower-operator/datapower-operator/webhooks/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is a server, a client that trusts it, and the order to stop.
type running struct {
	*server.Server
	client *http.Client
	stop   context.CancelFunc
	ended  chan error
}

func start(t *testing.T, drain time.Duration, handler http.HandlerFunc) *running {
	t.Helper()
	ca, err := pki.NewCA("ca", time.Now(), pki.DefaultPolicy())
	require.NoError(t, err)
	leaf, err := pki.Issue(ca, pki.Names{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}, time.Now(), pki.DefaultPolicy())
	require.NoError(t, err)
	serving := &pki.Serving{}
	require.NoError(t, serving.Load(&corev1.Secret{Data: map[string][]byte{"tls.crt": leaf.Cert, "tls.key": leaf.Key, "ca.crt": ca.Cert}}))
	s, err := server.Listen(t.Context(), server.Options{
		Address: ":0", Handler: handler, Certificate: serving.GetCertificate, Drain: drain, Finish: 10 * time.Second, Logger: logr.Discard(),
	})
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(ca.Cert))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Server: s, client: &http.Client{Transport: transport}, stop: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- s.Serve(ctx) }()
	t.Cleanup(func() { cancel(); transport.CloseIdleConnections() })
	return r
}

func (r *running) get() (string, error) {
	response, err := r.client.Get("https://" + r.LocalAddress() + "/")
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return response.Proto + " " + string(text), err
}

func TestItAnswersOverHTTP2WithTheCertificateOfTheSecret(t *testing.T) {
	r := start(t, 0, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	assert.Positive(t, r.Port())
	text, err := r.get()
	require.NoError(t, err)
	assert.Equal(t, "HTTP/2.0 hello", text)
	r.stop()
	require.NoError(t, <-r.ended)
	_, err = r.get()
	require.Error(t, err)
}

func TestWhatWasBegunIsFinished(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	r := start(t, 0, func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-goOn
		_, _ = io.WriteString(w, "done")
	})
	answer := make(chan string, 1)
	go func() {
		text, err := r.get()
		if err != nil {
			text = err.Error()
		}
		answer <- text
	}()
	<-begun
	r.stop()
	select {
	case err := <-r.ended:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	close(goOn)
	assert.Equal(t, "HTTP/2.0 done", <-answer)
	require.NoError(t, <-r.ended)
}

func TestNewConnectionsAreAcceptedWhileItDrains(t *testing.T) {
	r := start(t, 2*time.Second, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	r.stop()
	text, err := r.get()
	require.NoError(t, err)
	assert.Equal(t, "HTTP/2.0 hello", text)
	require.NoError(t, <-r.ended)
}

// The API server speaks HTTP/1.1 to webhooks behind a Service.
func TestWhileItDrainsNoConnectionIsUsedTwice(t *testing.T) {
	r := start(t, 5*time.Second, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: r.client.Transport.(*http.Transport).TLSClientConfig.RootCAs, NextProtos: []string{"http/1.1"},
	}}
	client := &http.Client{Transport: transport}
	t.Cleanup(transport.CloseIdleConnections)
	closes := func() bool {
		response, err := client.Get("https://" + r.LocalAddress() + "/")
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, errors.Join(err, response.Body.Close()))
		require.Equal(t, "HTTP/1.1", response.Proto)
		return response.Close
	}
	assert.False(t, closes())
	assert.False(t, closes())
	r.stop()
	for !closes() { // until it has noticed
		time.Sleep(10 * time.Millisecond)
	}
	assert.True(t, closes())
	require.NoError(t, <-r.ended)
}

func TestAPortThatIsTakenIsAnError(t *testing.T) {
	r := start(t, 0, func(http.ResponseWriter, *http.Request) {})
	_, err := server.Listen(t.Context(), server.Options{Address: r.LocalAddress()})
	require.ErrorContains(t, err, "listening for webhooks")
	assert.True(t, strings.HasPrefix(r.LocalAddress(), "127.0.0.1:"))
	r.stop()
	require.NoError(t, <-r.ended)
}
