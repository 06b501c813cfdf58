// Package proxy is an HTTP proxy on loopback that knows the method CONNECT only. It does not pass connections on: it
// hands each accepted one to whoever answers for the address that the client asked for, so a tunnel costs one socket.
package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Reasons why nobody answers for an address.
var (
	// ErrRefused is for an address where nothing listens. The client gets an answer at once.
	ErrRefused = errors.New("connection refused")
	// ErrSilence is for an address that does not answer at all, as when its host is gone. The client waits until it gives
	// up.
	ErrSilence = errors.New("no answer")
	// ErrTunnel says that the proxy did not open a tunnel for [Dial].
	ErrTunnel = errors.New("the proxy opened no tunnel")
)

const (
	// greetTimeout bounds how long a client may take for its request.
	greetTimeout = 10 * time.Second
	// maxRequest bounds the size of a request or an answer of the proxy.
	maxRequest = 4 << 10
)

// Route finds who answers for "host:port". The function that it returns gets the connection and must close it; it may
// keep the goroutine as long as it likes. Errors are ErrRefused or ErrSilence.
type Route func(address string) (func(net.Conn), error)

// Server is a running proxy.
type Server struct {
	listener net.Listener
	route    Route
	running  sync.WaitGroup

	mutex   sync.Mutex
	waiting map[net.Conn]struct{} // those that nobody answers for yet
	closed  bool
}

// Listen starts a proxy on an address such as "127.0.0.1:0".
func Listen(address string, route Route) (*Server, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("starting the proxy: %w", err)
	}
	s := &Server{listener: listener, route: route, waiting: map[net.Conn]struct{}{}}
	s.running.Go(s.accept)
	return s, nil
}

// Address is where the proxy listens.
func (s *Server) Address() string { return s.listener.Addr().String() }

// URL is the proxy's address as HTTPS_PROXY wants it.
func (s *Server) URL() *url.URL { return &url.URL{Scheme: "http", Host: s.Address()} }

// Close ends the proxy. It waits for the functions that answer, so whoever they belong to must be closed before.
func (s *Server) Close() error {
	err := s.listener.Close()
	s.mutex.Lock()
	s.closed = true
	for conn := range s.waiting {
		_ = conn.Close()
	}
	s.mutex.Unlock()
	s.running.Wait()
	if err != nil {
		return fmt.Errorf("closing the proxy: %w", err)
	}
	return nil
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of file descriptors, most likely
			time.Sleep(10 * time.Millisecond)
			continue
		}
		s.running.Go(func() { s.serve(conn) })
	}
}

// serve reads a client's request and finds who answers.
func (s *Server) serve(conn net.Conn) {
	if !s.hold(conn) {
		_ = conn.Close()
		return
	}
	answer, conn, err := s.open(conn)
	if errors.Is(err, ErrSilence) {
		_ = conn.SetReadDeadline(time.Time{})
		_, _ = conn.Read(make([]byte, 1)) // until the client goes, or the proxy ends
	}
	s.release(conn)
	if err != nil {
		_ = conn.Close()
		return
	}
	answer(conn)
}

// open reads the request, asks the route, and tells the client. It returns the connection to use from now on.
func (s *Server) open(conn net.Conn) (func(net.Conn), net.Conn, error) {
	_ = conn.SetDeadline(time.Now().Add(greetTimeout))
	reader := bufio.NewReaderSize(conn, maxRequest)
	request, err := http.ReadRequest(reader)
	if err != nil {
		return nil, conn, fmt.Errorf("%w: %w", ErrTunnel, err)
	}
	if request.Method != http.MethodConnect {
		reply(conn, http.StatusMethodNotAllowed, "this proxy only opens tunnels")
		return nil, conn, ErrTunnel
	}
	answer, err := s.route(request.Host)
	switch {
	case errors.Is(err, ErrSilence):
		return nil, conn, err
	case err != nil:
		reply(conn, http.StatusBadGateway, err.Error())
		return nil, conn, err
	}
	if _, err := conn.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		return nil, conn, fmt.Errorf("%w: %w", ErrTunnel, err)
	}
	_ = conn.SetDeadline(time.Time{})
	if reader.Buffered() > 0 { // the client did not wait for the answer
		return answer, &buffered{Conn: conn, reader: reader}, nil
	}
	return answer, conn, nil
}

func reply(conn net.Conn, status int, text string) {
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		status, http.StatusText(status), len(text), text)
}

// hold notes a connection so that Close can end it.
func (s *Server) hold(conn net.Conn) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.closed {
		return false
	}
	s.waiting[conn] = struct{}{}
	return true
}

func (s *Server) release(conn net.Conn) {
	if wrapped, is := conn.(*buffered); is {
		conn = wrapped.Conn
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.waiting, conn)
}

// buffered is a connection of which something was read already.
type buffered struct {
	net.Conn
	reader *bufio.Reader
}

// Read implements [net.Conn].
func (b *buffered) Read(p []byte) (int, error) { return b.reader.Read(p) }

// Dial opens a tunnel through a proxy. The context bounds it.
func Dial(ctx context.Context, proxy, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", proxy)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTunnel, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	_, err = fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", address, address)
	head := ""
	if err == nil {
		head, err = readHead(conn)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err == nil && !strings.HasPrefix(head, "HTTP/1.1 200 ") {
		status, _, _ := strings.Cut(head, "\r\n")
		err = fmt.Errorf("%w to %s: %s", ErrTunnel, address, status)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// readHead reads an answer up to the empty line and not a byte more.
func readHead(conn net.Conn) (string, error) {
	var head strings.Builder
	one := make([]byte, 1)
	for !strings.HasSuffix(head.String(), "\r\n\r\n") {
		if head.Len() > maxRequest {
			return "", fmt.Errorf("%w: its answer has no end", ErrTunnel)
		}
		if _, err := conn.Read(one); err != nil {
			return "", fmt.Errorf("%w: %w", ErrTunnel, err)
		}
		head.WriteByte(one[0])
	}
	return head.String(), nil
}
