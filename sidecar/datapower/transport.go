package datapower

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/hashicorp/go-retryablehttp"
)

// errProxy says that the proxy refused the tunnel, so the gateway has seen nothing of the request.
var errProxy = errors.New("the proxy did not open a tunnel")

// newHTTPClient makes the client for single attempts. Each request has a connection of its own, which is closed in order
// afterwards: gateways log an error when a client drops a kept connection without saying so.
func newHTTPClient(options Options, host string) (*http.Client, error) {
	tlsConfig, err := options.TLS.config(host)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:                  quietProxy(options.Proxy),
		OnProxyConnectResponse: checkTunnel,
		DialContext:            (&net.Dialer{Timeout: options.Timeout, KeepAlive: -1}).DialContext,
		TLSClientConfig:        tlsConfig,
		TLSHandshakeTimeout:    options.Timeout,
		ResponseHeaderTimeout:  options.Timeout,
		MaxResponseHeaderBytes: 64 << 10,
		DisableKeepAlives:      true,
		DisableCompression:     true, // a small compressed answer can be a large one
	}
	return &http.Client{
		Transport: &bufferingTransport{next: transport, limit: options.MaxAnswerBytes},
		Timeout:   options.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // credentials go to the gateway and nowhere else
		},
	}, nil
}

// quietProxy hides the text of an error, which repeats the proxy's address and with it perhaps its password.
func quietProxy(proxy func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	return func(request *http.Request) (*url.URL, error) {
		chosen, err := proxy(request)
		if err != nil {
			return nil, fmt.Errorf("%w: the proxy settings are invalid", errProxy)
		}
		return chosen, nil
	}
}

func checkTunnel(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
	switch answer.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusBadGateway, http.StatusServiceUnavailable: // what proxies say when the other side refuses
		return fmt.Errorf("%w: it answered %d: %w", errProxy, answer.StatusCode, ErrRefused)
	}
	return fmt.Errorf("%w: it answered %d", errProxy, answer.StatusCode)
}

// bufferingTransport reads the whole answer, up to a limit, so that an answer that breaks off is a failed attempt like
// any other.
type bufferingTransport struct {
	next  http.RoundTripper
	limit int64
}

// RoundTrip implements [http.RoundTripper].
func (t *bufferingTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, t.limit+1))
	closeErr := response.Body.Close()
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the answer: %w", err)
	case int64(len(body)) > t.limit:
		return nil, fmt.Errorf("%w: more than %d bytes", ErrAnswerTooLarge, t.limit)
	case closeErr != nil:
		return nil, fmt.Errorf("closing the answer: %w", closeErr)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// newRetryingClient repeats failed requests. Requests that change something each time they arrive are not idempotent.
func newRetryingClient(single *http.Client, options Options, idempotent bool) *retryablehttp.Client {
	return &retryablehttp.Client{
		HTTPClient:   single,
		Logger:       leveledLogger{options.Log},
		RetryMax:     options.Retries,
		RetryWaitMin: options.RetryWait,
		RetryWaitMax: 10 * options.RetryWait,
		CheckRetry:   retryPolicy(idempotent),
		Backoff:      backoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
}

// backoff doubles the pause with each attempt. It does not look at Retry-After, which no gateway sends.
func backoff(lowest, highest time.Duration, attempt int, _ *http.Response) time.Duration {
	return min(lowest<<min(attempt, 16), highest)
}

// retryPolicy says which attempts are worth repeating: those that ended in a connection error or a status of 500 and
// above. A request that is not idempotent is repeated only when it never reached the gateway.
func retryPolicy(idempotent bool) retryablehttp.CheckRetry {
	return func(ctx context.Context, response *http.Response, err error) (bool, error) {
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case err != nil:
			lasting := isCertificateError(err) || errors.Is(err, ErrAnswerTooLarge)
			return !lasting && (idempotent || neverSent(err)), nil
		}
		fault := response.StatusCode >= http.StatusInternalServerError && response.StatusCode != http.StatusNotImplemented
		return idempotent && fault, nil
	}
}

// isRefusal tells whether nothing listens at the gateway's address.
func isRefusal(err error) bool {
	var operation *net.OpError
	return errors.Is(err, ErrRefused) ||
		errors.Is(err, syscall.ECONNREFUSED) && errors.As(err, &operation) && operation.Op == "dial"
}

// neverSent tells whether a request failed before any of it was sent.
func neverSent(err error) bool {
	var operation *net.OpError
	if errors.As(err, &operation) && (operation.Op == "dial" || operation.Op == "proxyconnect") {
		return true
	}
	return errors.Is(err, errProxy)
}

// leveledLogger gives retryablehttp's lines to a logr.Logger: failed attempts at V(1), everything else at V(2). Failures of
// single attempts are no errors of the program. The lines carry method, URL and error, never headers or bodies.
type leveledLogger struct{ log logr.Logger }

var _ retryablehttp.LeveledLogger = leveledLogger{}

// Error implements [retryablehttp.LeveledLogger].
func (l leveledLogger) Error(message string, pairs ...any) { l.write(1, message, pairs) }

// Warn implements [retryablehttp.LeveledLogger].
func (l leveledLogger) Warn(message string, pairs ...any) { l.write(1, message, pairs) }

// Info implements [retryablehttp.LeveledLogger].
func (l leveledLogger) Info(message string, pairs ...any) { l.write(2, message, pairs) }

// Debug implements [retryablehttp.LeveledLogger].
func (l leveledLogger) Debug(message string, pairs ...any) { l.write(2, message, pairs) }

func (l leveledLogger) write(level int, message string, pairs []any) {
	l.log.V(level).Info("REST management: "+message, pairs...)
}
