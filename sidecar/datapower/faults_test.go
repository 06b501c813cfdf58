package datapower

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// selfSigned makes a certificate that nothing trusts.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

const noStatus = `{"result":"No status retrieved."}`

// hang leaves a request without an answer until its client goes.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // else the server does not notice that the client went
	<-r.Context().Done()
	panic(http.ErrAbortHandler) // returning would answer 200
}

// breakOff promises more than it sends, and drops the connection.
func breakOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = w.Write([]byte(`{"GatewayPeeringStatus":[`))
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func TestFaultsOfReading(t *testing.T) {
	ok := answer(http.StatusOK, noStatus)
	quick := func(o *Options) { o.Timeout = 500 * time.Millisecond }
	tests := []struct {
		name     string
		answers  []http.HandlerFunc // the last one for ever
		change   func(*Options)
		want     error // nil: success
		attempts int32
	}{
		{"well", []http.HandlerFunc{ok}, nil, nil, 1},
		{"500, then well", []http.HandlerFunc{answer(500, `{"error":["Internal."]}`), ok}, nil, nil, 2},
		{"503 without JSON twice, then well", []http.HandlerFunc{answer(503, `busy`), answer(503, `busy`), ok}, nil, nil, 3},
		{"500 for ever", []http.HandlerFunc{answer(500, `{"error":["Internal."]}`)}, nil, &APIError{}, 3},
		{"500 for ever without retries", []http.HandlerFunc{answer(500, `{}`)}, func(o *Options) { o.Retries = -1 }, &APIError{}, 1},
		{"401", []http.HandlerFunc{answer(401, `{"error":["Authentication failure."]}`)}, nil, ErrUnauthorized, 1},
		{"401 without JSON", []http.HandlerFunc{answer(401, `<html>`)}, nil, ErrUnauthorized, 1},
		{"404", []http.HandlerFunc{answer(404, `{"_links":{},"error":["Resource not found."]}`)}, nil, ErrNotFound, 1},
		{"405", []http.HandlerFunc{answer(405, ``)}, nil, ErrUnsupported, 1},
		{"501", []http.HandlerFunc{answer(501, ``)}, nil, ErrUnsupported, 1},
		{"broken off, then well", []http.HandlerFunc{breakOff, ok}, nil, nil, 2},
		{"broken off for ever", []http.HandlerFunc{breakOff}, nil, ErrUnreachable, 3},
		{"hanging, then well", []http.HandlerFunc{hang, ok}, quick, nil, 2},
		{"hanging for ever", []http.HandlerFunc{hang}, quick, ErrUnreachable, 3},
		{"slow", []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(50 * time.Millisecond)
			ok(w, r)
		}}, nil, nil, 1},
		{"dripping for ever", []http.HandlerFunc{drip}, quick, ErrUnreachable, 3},
		{"huge", []http.HandlerFunc{answer(200, `{"x":"`+strings.Repeat("x", 2000)+`"}`)}, func(o *Options) { o.MaxAnswerBytes = 1000 }, ErrAnswerTooLarge, 1},
		{"endless", []http.HandlerFunc{endless}, nil, ErrAnswerTooLarge, 1},
		{"a redirect", []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/mgmt/status/default/Other", http.StatusFound)
		}}, nil, &APIError{}, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var attempts atomic.Int32
			change := func(o *Options) {
				if test.change != nil {
					test.change(o)
				}
			}
			client := connect(t, func(w http.ResponseWriter, r *http.Request) {
				test.answers[min(int(attempts.Add(1)), len(test.answers))-1](w, r)
			}, change)
			_, err := client.PeeringStatus(t.Context(), "default")
			if wanted, is := test.want.(*APIError); is {
				require.ErrorAs(t, err, &wanted)
			} else {
				require.ErrorIs(t, err, test.want)
			}
			requireNoSecret(t, err)
			assert.Equal(t, test.attempts, attempts.Load())
		})
	}
}

// drip sends a byte now and then, so that no single read waits long.
func drip(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		_, _ = w.Write([]byte(" "))
		_ = http.NewResponseController(w).Flush()
		time.Sleep(20 * time.Millisecond)
	}
}

func endless(w http.ResponseWriter, r *http.Request) {
	block := bytes.Repeat([]byte(" "), 1<<16)
	for r.Context().Err() == nil {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// An action that may have reached the gateway is not sent again.
func TestActionsAreNotRepeated(t *testing.T) {
	for name, fault := range map[string]http.HandlerFunc{
		"500": answer(500, `{}`), "broken off": breakOff, "hanging": hang,
	} {
		t.Run(name, func(t *testing.T) {
			var attempts atomic.Int32
			client := connect(t, func(w http.ResponseWriter, r *http.Request) {
				attempts.Add(1)
				fault(w, r)
			}, func(o *Options) { o.Timeout = 500 * time.Millisecond })
			_, err := client.Action(t.Context(), "default", json.RawMessage(`{"SaveConfig":0}`))
			require.Error(t, err)
			assert.Equal(t, int32(1), attempts.Load())
		})
	}
}

func TestActionsThatNeverReachedTheGatewayAreRepeated(t *testing.T) {
	var asked atomic.Int32
	client := connect(t, answer(http.StatusOK, `{"SaveConfig":"Operation completed."}`), func(o *Options) {
		o.Proxy = func(*http.Request) (*url.URL, error) {
			if asked.Add(1) == 1 {
				return nil, errors.New("http://user:" + password + "@proxy is no good")
			}
			return nil, nil
		}
	})
	_, err := client.Action(t.Context(), "default", json.RawMessage(`{"SaveConfig":0}`))
	require.NoError(t, err)
	assert.Equal(t, int32(2), asked.Load())
}

func TestBrokenProxySettingsStaySecret(t *testing.T) {
	client := connect(t, answer(http.StatusOK, noStatus), func(o *Options) {
		o.Proxy = func(*http.Request) (*url.URL, error) {
			return nil, errors.New("http://user:" + password + "@proxy is no good")
		}
	})
	_, err := client.Domains(t.Context())
	require.ErrorIs(t, err, ErrUnreachable)
	requireNoSecret(t, err)
}

func TestNothingListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	client, err := New(Options{Address: listener.Addr().String(), Username: user, Password: password, RetryWait: time.Millisecond})
	require.NoError(t, err)
	_, err = client.Domains(t.Context())
	require.ErrorIs(t, err, ErrUnreachable)
	requireNoSecret(t, err)
}

func TestTrust(t *testing.T) {
	address, certificate := serve(t, answer(http.StatusOK, noStatus))
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	other := []*x509.Certificate{selfSigned(t).Leaf}
	foreign := x509.NewCertPool()
	foreign.AddCert(selfSigned(t).Leaf)
	tests := []struct {
		name string
		tls  TLSOptions
		want error
	}{
		{"the system's authorities do not know it", TLSOptions{}, ErrCertificate},
		{"its authority", TLSOptions{CAs: pool}, nil},
		{"its authority and another of its names", TLSOptions{CAs: pool, ServerName: "example.com"}, nil},
		{"its authority and a name that is not its", TLSOptions{CAs: pool, ServerName: "gw.invalid"}, ErrCertificate},
		{"another authority", TLSOptions{CAs: foreign}, ErrCertificate},
		{"pinned", TLSOptions{Pinned: []*x509.Certificate{certificate}}, nil},
		{"another one pinned", TLSOptions{Pinned: other}, ErrCertificate},
		{"its authority beside another one pinned", TLSOptions{CAs: pool, Pinned: other}, nil},
		{"its authority and a name that is not its, beside another one pinned",
			TLSOptions{CAs: pool, ServerName: "gw.invalid", Pinned: other}, ErrCertificate},
		{"no verification", TLSOptions{InsecureSkipVerify: true}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client, err := New(Options{Address: address, Username: user, Password: password, TLS: test.tls, RetryWait: time.Hour})
			require.NoError(t, err)
			_, err = client.PeeringStatus(t.Context(), "default") // a repetition would take an hour
			require.ErrorIs(t, err, test.want)
			requireNoSecret(t, err)
		})
	}
}

func TestContextEndsEverything(t *testing.T) {
	t.Run("a hanging request", func(t *testing.T) {
		client := connect(t, hang)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := client.PeeringStatus(ctx, "default")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotErrorIs(t, err, ErrUnreachable)
	})
	t.Run("the pause before a repetition", func(t *testing.T) {
		client := connect(t, answer(500, `{}`), func(o *Options) { o.RetryWait = time.Hour })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := client.PeeringStatus(ctx, "default")
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
	t.Run("the pause between two looks at an action", func(t *testing.T) {
		client := connect(t, queue(t, `{"status":"started"}`), func(o *Options) { o.PollInterval = time.Hour })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := client.Action(ctx, "snafu", json.RawMessage(resetDomain))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotErrorIs(t, err, ErrActionPending, "the caller ended it, not the bound on actions")
	})
}

// A gateway that repeats the credentials in its error does not get them into ours.
func TestErrorsOfTheGatewayAreCleaned(t *testing.T) {
	texts := []string{"You sent " + password + ".", "line\nbreak\x00", strings.Repeat("x", 1000)}
	for range 20 {
		texts = append(texts, "more")
	}
	body, err := json.Marshal(map[string]any{"error": texts})
	require.NoError(t, err)
	client := connect(t, func(w http.ResponseWriter, r *http.Request) {
		answer(http.StatusBadRequest, string(body))(w, r)
	})
	_, err = client.Domains(t.Context())
	var answered *APIError
	require.ErrorAs(t, err, &answered)
	requireNoSecret(t, err)
	assert.Len(t, answered.Messages, 8)
	assert.Equal(t, "You sent [redacted].", answered.Messages[0])
	assert.Equal(t, "line break", answered.Messages[1])
	assert.Equal(t, strings.Repeat("x", 255)+"…", answered.Messages[2])
}

// Real gateways log an error when a client drops a TLS connection without saying so.
func TestConnectionsAreClosedInOrder(t *testing.T) {
	certificate := selfSigned(t)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	end := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			end <- err
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 33\r\n\r\n"+noStatus)
		_, err = conn.Read(make([]byte, 1))
		end <- err
	}()
	client, err := New(Options{
		Address: listener.Addr().String(), Username: user, Password: password, TLS: TLSOptions{Pinned: []*x509.Certificate{certificate.Leaf}},
	})
	require.NoError(t, err)
	_, err = client.PeeringStatus(t.Context(), "default")
	require.NoError(t, err)
	require.ErrorIs(t, <-end, io.EOF, "a dropped connection would be an unexpected EOF")
}

func TestEachRequestHasItsOwnConnection(t *testing.T) {
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(answer(http.StatusOK, noStatus))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.StartTLS()
	defer server.Close()
	client, err := New(Options{
		Address: server.URL, Username: user, Password: password, TLS: TLSOptions{Pinned: []*x509.Certificate{server.Certificate()}},
	})
	require.NoError(t, err)
	for range 3 {
		_, err := client.PeeringStatus(t.Context(), "default")
		require.NoError(t, err)
	}
	assert.Equal(t, int32(3), connections.Load())
}

// Each attempt has a goroutine that watches its timeout. It must not outlive the call.
func TestNoGoroutineOutlivesACall(t *testing.T) {
	client := connect(t, answer(http.StatusOK, noStatus), func(o *Options) { o.Timeout = time.Hour })
	before := goleak.IgnoreCurrent()
	_, err := client.PeeringStatus(t.Context(), "default")
	require.NoError(t, err)
	goleak.VerifyNone(t, before)
}

func TestLogHasNoSecrets(t *testing.T) {
	var lines strings.Builder
	log := funcr.New(func(prefix, args string) { lines.WriteString(prefix + args + "\n") }, funcr.Options{Verbosity: 9})
	client := connect(t, answer(500, `{"error":["secret body"]}`), func(o *Options) { o.Log = log })
	_, err := client.PeeringStatus(t.Context(), "default")
	require.Error(t, err)
	assert.Contains(t, lines.String(), "retrying request")
	assert.NotContains(t, lines.String(), password)
	assert.NotContains(t, lines.String(), "secret body")
	assert.NotContains(t, lines.String(), "Basic ")
}

func TestObserveSeesEachCall(t *testing.T) {
	var calls []Call
	client := connect(t, answer(404, `{"error":["Resource not found."]}`), func(o *Options) {
		o.Observe = func(call Call) { calls = append(calls, call) }
	})
	_, _ = client.Domains(t.Context())
	_, _ = client.GatewayPeerings(t.Context(), "default")
	_, _ = client.PeeringStatus(t.Context(), "default")
	_ = client.SetAdminState(t.Context(), "default", "gwd", Enabled)
	_, _ = client.Operations(t.Context(), "default")
	_, _ = client.Action(t.Context(), "default", json.RawMessage(`{"SaveConfig":0}`))
	_, _ = client.FirmwareVersion(t.Context())
	var names []string
	for _, call := range calls {
		names = append(names, call.Operation)
		require.ErrorIs(t, call.Err, ErrNotFound)
	}
	assert.Equal(t, []string{
		"domains", "gateway-peerings", "peering-status", "set-admin-state", "operations", "action", "firmware-version",
	}, names)
}
