// Package cut is a client's connection to the API server that dies at a chosen request, as a process does that is
// killed: what was sent before took effect, and nothing is sent afterwards.
package cut

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Mode says what becomes of the request at which the connection dies.
type Mode int

// The modes.
const (
	// AnswerLost: the API server executes the request, its answer does not arrive.
	AnswerLost Mode = iota
	// NeverSent: the API server does not see the request.
	NeverSent
)

// String names the mode for reports.
func (m Mode) String() string {
	if m == NeverSent {
		return "never sent"
	}
	return "answer lost"
}

// ErrDead is what every request gets once the connection is dead.
var ErrDead = errors.New("the process is dead")

// Request is one mutating request: no event, no lease, no dry run.
type Request struct {
	Method, Path string
	// Status of the answer; 0 when the request was never sent.
	Status int
}

// String gives method and path.
func (r Request) String() string { return r.Method + " " + r.Path }

// Line is one client's connection. Use one for each process that is simulated.
type Line struct {
	mu     sync.Mutex
	log    []*Request
	all    int
	doom   int
	mode   Mode
	isDead bool
	dead   chan struct{}
}

// New returns a connection that does not die until Arm is called.
func New() *Line { return &Line{dead: make(chan struct{})} }

// Arm forgets the log and makes the connection die at the k-th mutating request from now; 0 means never.
func (l *Line) Arm(k int, mode Mode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.log, l.doom, l.mode = nil, k, mode
}

// Dead is closed when the connection is dead and the API server has ended the last request.
func (l *Line) Dead() <-chan struct{} { return l.dead }

// Log lists the mutating requests since Arm.
func (l *Line) Log() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Request, 0, len(l.log))
	for _, r := range l.log {
		out = append(out, *r)
	}
	return out
}

// Count is the number of requests of every kind but watches, since New.
func (l *Line) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}

// Wrap is for rest.Config.Wrap.
func (l *Line) Wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) { return l.roundTrip(next, r) })
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (l *Line) roundTrip(next http.RoundTripper, r *http.Request) (*http.Response, error) {
	entry, last, err := l.admit(r)
	if err != nil {
		return nil, err
	}
	if last && l.mode == NeverSent {
		close(l.dead)
		return nil, ErrDead
	}
	resp, err := next.RoundTrip(r)
	if entry != nil && err == nil {
		l.mu.Lock()
		entry.Status = resp.StatusCode
		l.mu.Unlock()
	}
	if !last {
		return resp, err
	}
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	close(l.dead)
	return nil, ErrDead
}

// admit counts a request and tells whether it is the last one.
func (l *Line) admit(r *http.Request) (entry *Request, last bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isDead {
		return nil, false, ErrDead
	}
	if r.URL.Query().Get("watch") == "" {
		l.all++
	}
	if !mutates(r) {
		return nil, false, nil
	}
	entry = &Request{Method: r.Method, Path: r.URL.Path}
	l.log = append(l.log, entry)
	l.isDead = l.doom > 0 && len(l.log) == l.doom
	return entry, l.isDead, nil
}

func mutates(r *http.Request) bool {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return false
	}
	parts := strings.Split(r.URL.Path, "/")
	for _, p := range parts {
		if p == "events" || p == "leases" {
			return false
		}
	}
	return r.URL.Query().Get("dryRun") == ""
}
