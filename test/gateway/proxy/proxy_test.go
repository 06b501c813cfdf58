package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers with the address that was asked for, then with what it gets.
func echo(address string) func(net.Conn) {
	return func(conn net.Conn) {
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, address+"\n")
		_, _ = io.Copy(conn, conn)
	}
}

func start(t *testing.T) *Server {
	server, err := Listen("127.0.0.1:0", func(address string) (func(net.Conn), error) {
		switch address {
		case "10.0.0.1:5554":
			return echo(address), nil
		case "10.0.0.9:5554":
			return nil, ErrSilence
		}
		return nil, ErrRefused
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	return server
}

func TestTunnelReachesWhoAnswersForTheAddress(t *testing.T) {
	conn, err := Dial(t.Context(), start(t).Address(), "10.0.0.1:5554")
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "hello\n")
	require.NoError(t, err)
	reader := bufio.NewReader(conn)
	for _, want := range []string{"10.0.0.1:5554\n", "hello\n"} {
		line, err := reader.ReadString('\n')
		require.NoError(t, err)
		assert.Equal(t, want, line)
	}
}

func TestClientNeedNotWaitForTheAnswer(t *testing.T) {
	conn, err := net.Dial("tcp", start(t).Address())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "CONNECT 10.0.0.1:5554 HTTP/1.1\r\nHost: x\r\n\r\nearly\n")
	require.NoError(t, err)
	_, err = readHead(conn)
	require.NoError(t, err)
	reader := bufio.NewReader(conn)
	_, err = reader.ReadString('\n')
	require.NoError(t, err)
	line, err := reader.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "early\n", line)
}

func TestAddressWithoutListenerIsRefused(t *testing.T) {
	_, err := Dial(t.Context(), start(t).Address(), "10.0.0.2:5554")
	require.ErrorIs(t, err, ErrTunnel)
	assert.ErrorContains(t, err, "502")
}

func TestAddressOfALostHostDoesNotAnswer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := Dial(ctx, start(t).Address(), "10.0.0.9:5554")
	require.Error(t, err)
	assert.GreaterOrEqual(t, time.Since(begin), 50*time.Millisecond)
}

func TestCloseEndsThoseWhoWait(t *testing.T) {
	server := start(t)
	result := make(chan error, 1)
	go func() {
		_, err := Dial(context.Background(), server.Address(), "10.0.0.9:5554")
		result <- err
	}()
	require.Eventually(t, func() bool {
		server.mutex.Lock()
		defer server.mutex.Unlock()
		return len(server.waiting) == 1
	}, 5*time.Second, time.Millisecond)
	require.NoError(t, server.Close())
	require.ErrorIs(t, <-result, ErrTunnel)
}

func TestGoClientsUseItWithTLSEndToEnd(t *testing.T) {
	backend := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Host)
	}))
	defer backend.Close()
	server, err := Listen("127.0.0.1:0", func(string) (func(net.Conn), error) {
		return func(conn net.Conn) {
			defer func() { _ = conn.Close() }()
			onward, err := net.Dial("tcp", backend.Listener.Addr().String())
			if err != nil {
				return
			}
			defer func() { _ = onward.Close() }()
			go func() { _, _ = io.Copy(onward, conn); _ = onward.Close() }()
			_, _ = io.Copy(conn, onward)
		}, nil
	})
	require.NoError(t, err)
	transport := backend.Client().Transport.(*http.Transport).Clone()
	transport.Proxy = http.ProxyURL(server.URL())
	transport.TLSClientConfig.ServerName = "example.com" // a name in the certificate of httptest
	client := &http.Client{Transport: transport}
	response, err := client.Get("https://10.244.0.7:5554/")
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, "10.244.0.7:5554", string(body))
	transport.CloseIdleConnections()
	backend.Close()
	require.NoError(t, server.Close())
}

func TestOtherMethodsAreRefused(t *testing.T) {
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(start(t).URL()), DisableKeepAlives: true}}
	response, err := client.Get("http://10.0.0.1:7879/")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusMethodNotAllowed, response.StatusCode)
}

func TestNonsenseEndsTheConnection(t *testing.T) {
	conn, err := net.Dial("tcp", start(t).Address())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "\x16\x03\x01 this is no HTTP\r\n\r\n")
	require.NoError(t, err)
	_, err = io.ReadAll(conn)
	require.NoError(t, err)
}
