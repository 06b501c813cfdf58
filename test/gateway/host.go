package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/datapower-operator/datapower-operator/test/gateway/crypt"
	"github.com/datapower-operator/datapower-operator/test/gateway/peering"
)

// Host has what the instances of one process share: a scheduler of their peerings, one HTTP server, one certificate, the
// request log, and the memory of passwords that were right, because hashing one takes milliseconds.
type Host struct {
	clock       clock.PassiveClock
	scheduler   *peering.Scheduler
	certificate tls.Certificate
	requests    RequestLog

	server   *http.Server
	incoming *handover
	serving  sync.WaitGroup

	mutex  sync.Mutex
	proven map[[sha256.Size]byte]bool
	hashes map[[sha256.Size]byte]string
	closed bool
}

// NewHost starts a host without instances.
func NewHost() (*Host, error) {
	certificate, err := selfSigned()
	if err != nil {
		return nil, err
	}
	h := &Host{
		clock: clock.RealClock{}, scheduler: peering.NewScheduler(clock.RealClock{}), certificate: certificate,
		incoming: newHandover(), proven: map[[sha256.Size]byte]bool{}, hashes: map[[sha256.Size]byte]string{},
	}
	h.server = &http.Server{
		Handler: h, ReadHeaderTimeout: 30 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: log.New(io.Discard, "", 0), // clients that break off are part of the tests
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, targetOf(conn))
		},
	}
	h.serving.Go(func() { _ = h.server.Serve(h.incoming) }) // ends with ErrServerClosed
	return h, nil
}

// Certificate is what instances show that have no certificate of their own: for clients that pin it.
func (h *Host) Certificate() *x509.Certificate { return h.certificate.Leaf }

// Requests is the log of all requests to all instances of the host.
func (h *Host) Requests() *RequestLog { return &h.requests }

// Close ends the host. Its instances must be closed before. It waits for everything that the host started.
func (h *Host) Close() error {
	h.scheduler.Stop()
	h.mutex.Lock()
	h.closed = true
	h.mutex.Unlock()
	err := h.server.Close()
	h.serving.Wait()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("closing the HTTP server: %w", err)
	}
	return nil
}

// connKey is the key of a connection's target in the context of its requests.
type connKey struct{}

// target is what a connection was made to.
type target struct {
	net.Conn
	instance *Instance
	health   bool
	forget   func()
}

// Close implements [net.Conn].
func (t *target) Close() error {
	t.forget()
	return t.Conn.Close()
}

// targetOf finds the target in what the HTTP server got: itself, or TLS over it.
func targetOf(conn net.Conn) *target {
	if secure, is := conn.(*tls.Conn); is {
		conn = secure.NetConn()
	}
	found, _ := conn.(*target)
	return found
}

// ServeHTTP implements [http.Handler].
func (h *Host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.enter() {
		panic(http.ErrAbortHandler)
	}
	defer h.serving.Done()
	t := r.Context().Value(connKey{}).(*target) // set for every connection by NewHost
	if t.health {
		t.instance.serveHealth(w)
		return
	}
	t.instance.serveREST(w, r)
}

// enter lets Close wait for a request. Once Close has begun, there are no more.
func (h *Host) enter() bool {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if !h.closed {
		h.serving.Add(1)
	}
	return !h.closed
}

// verify checks a password and remembers it when it is right.
func (h *Host) verify(hash, password string) bool {
	key := sha256.Sum256([]byte(hash + "\x00" + password))
	h.mutex.Lock()
	right := h.proven[key]
	h.mutex.Unlock()
	if right {
		return true
	}
	right, err := crypt.Verify(hash, password)
	if err != nil || !right {
		return false
	}
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.proven[key] = true
	return true
}

// hash makes the hash of a password, once for all gateways that have the same.
func (h *Host) hash(method, salt, password string) (string, error) {
	key := sha256.Sum256([]byte(method + "\x00" + salt + "\x00" + password))
	h.mutex.Lock()
	known := h.hashes[key]
	h.mutex.Unlock()
	if known != "" {
		return known, nil
	}
	made, err := crypt.Hash(method, salt, password)
	if err != nil {
		return "", err
	}
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.hashes[key] = made
	return made, nil
}

// handover is a listener whose connections come from elsewhere.
type handover struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newHandover() *handover { return &handover{conns: make(chan net.Conn), done: make(chan struct{})} }

// push hands over a connection. It closes it when the listener is closed.
func (l *handover) push(conn net.Conn) {
	select {
	case l.conns <- conn:
	case <-l.done:
		_ = conn.Close()
	}
}

// Accept implements [net.Listener].
func (l *handover) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (l *handover) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr implements [net.Listener].
func (l *handover) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
