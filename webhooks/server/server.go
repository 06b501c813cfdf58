// Package server serves HTTPS to the API server and stops without losing a request.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
)

// Time limits of one connection. The API server waits at most 30 s for a webhook.
const (
	readHeaderTimeout = 10 * time.Second
	requestTimeout    = 30 * time.Second
	idleTimeout       = 5 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// Options are what a [Server] needs.
type Options struct {
	// Address is where to listen, host:port with the host optional. Port 0 takes a free one.
	Address string
	// Handler answers.
	Handler http.Handler
	// Certificate gives the certificate for each new connection.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Drain is how long new connections are still accepted after the order to stop. A cluster needs a while to notice
	// that a pod ends, and sends requests until it has.
	Drain time.Duration
	// Finish bounds how long requests that were begun may take after that.
	Finish time.Duration
	// Logger tells of stopping.
	Logger logr.Logger
}

// Server is an HTTPS server.
type Server struct {
	options  Options
	listener net.Listener
	http     *http.Server
	ending   atomic.Bool
}

// Listen takes the port. Serve answers; without it, call Close.
func Listen(ctx context.Context, options Options) (*Server, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", options.Address)
	if err != nil {
		return nil, fmt.Errorf("listening for webhooks: %w", err)
	}
	s := &Server{options: options, listener: listener}
	s.http = &http.Server{
		Handler: http.HandlerFunc(s.answer),
		TLSConfig: &tls.Config{
			GetCertificate: options.Certificate, MinVersion: tls.VersionTLS12,
			// HTTP/2 because only it lets a server that stops tell which requests it has not begun, so that the API
			// server sends them to another replica. It speaks HTTP/2 to URLs of its own machine only, and HTTP/1.1 to Services.
			NextProtos: []string{"h2", "http/1.1"},
		},
		ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: requestTimeout, WriteTimeout: requestTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: log.New(debug{options.Logger}, "", 0),
	}
	return s, nil
}

// answer asks for a new connection for the next request once this replica ends: over HTTP/1.1 a request that meets the end of an idle
// connection is lost, and the API server does not repeat it.
func (s *Server) answer(response http.ResponseWriter, request *http.Request) {
	if s.ending.Load() && request.ProtoMajor == 1 {
		response.Header().Set("Connection", "close")
	}
	s.options.Handler.ServeHTTP(response, request)
}

// Port is the port that is listened on.
func (s *Server) Port() int {
	if address, ok := s.listener.Addr().(*net.TCPAddr); ok {
		return address.Port
	}
	return 0
}

// LocalAddress is where this process itself reaches the server: loopback when it listens on every address.
func (s *Server) LocalAddress() string {
	address, ok := s.listener.Addr().(*net.TCPAddr)
	if !ok || !address.IP.IsUnspecified() {
		return s.listener.Addr().String()
	}
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(address.Port))
}

// Close gives the port back without serving.
func (s *Server) Close() error { return s.listener.Close() }

// Serve answers until ctx ends, then goes on for Options.Drain, then accepts no more and finishes what was begun. It
// fails when the port is lost or requests do not end within Options.Finish.
func (s *Server) Serve(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.http.ServeTLS(s.listener, "", "") }()
	select {
	case err := <-served:
		return fmt.Errorf("serving webhooks: %w", err)
	case <-ctx.Done():
	}
	s.ending.Store(true)
	if s.options.Drain > 0 {
		s.options.Logger.V(1).Info("webhooks go on until the cluster has noticed that this replica ends", "for", s.options.Drain.String())
		drained := time.NewTimer(s.options.Drain)
		defer drained.Stop()
		select {
		case err := <-served:
			return fmt.Errorf("serving webhooks: %w", err)
		case <-drained.C:
		}
	}
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.options.Finish)
	defer cancel()
	err := s.http.Shutdown(finish)
	if end := <-served; err == nil && !errors.Is(end, http.ErrServerClosed) {
		err = end
	}
	if err != nil {
		return fmt.Errorf("stopping the webhooks: %w", err)
	}
	return nil
}

// debug is where net/http tells of connections that broke, which callers do all the time.
type debug struct{ logger logr.Logger }

// Write implements io.Writer.
func (d debug) Write(line []byte) (int, error) {
	d.logger.V(1).Info("connection of a webhook", "message", strings.TrimSpace(string(line)))
	return len(line), nil
}
