package gateway

import (
	"slices"
	"sync"
	"time"
)

// maxRequests bounds the log of a host. The oldest entries go first.
const maxRequests = 200_000

// maxLoggedBody bounds what the log keeps of a request's body.
const maxLoggedBody = 1024

// Request is one request to the REST management interface, as the log has it.
type Request struct {
	// Number counts all requests of the host, from 1.
	Number uint64 `json:"number"`
	// Begin is when it came; Duration is how long the answer took, zero while there is none.
	Begin    time.Time     `json:"begin"`
	Duration time.Duration `json:"duration"`
	// Instance is the name of the gateway; User who asked, also in vain.
	Instance string `json:"instance"`
	User     string `json:"user"`
	// Method, Path (with query) and Body are what was asked; the body is cut to 1 KiB.
	Method string `json:"method"`
	Path   string `json:"path"`
	Body   string `json:"body,omitempty"`
	// Status is that of the answer; zero while there is none, and for requests that get none.
	Status int `json:"status"`
}

// RequestLog keeps who asked what when. It keeps no passwords.
type RequestLog struct {
	mutex    sync.Mutex
	count    uint64
	requests []*Request
}

// begin adds a request. The log owns it; end changes it.
func (l *RequestLog) begin(request Request) *Request {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.count++
	request.Number = l.count
	if len(l.requests) >= maxRequests {
		l.requests = slices.Delete(l.requests, 0, maxRequests/4)
	}
	l.requests = append(l.requests, &request)
	return &request
}

func (l *RequestLog) end(request *Request, user string, body []byte, status int, duration time.Duration) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	request.User, request.Status, request.Duration = user, status, duration
	request.Body = string(body[:min(len(body), maxLoggedBody)])
}

// Last is the number of the latest request, to be given to Since later.
func (l *RequestLog) Last() uint64 {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.count
}

// Since returns copies of the requests with a higher number, in their order. Zero means all that the log still has.
func (l *RequestLog) Since(number uint64) []Request {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	var found []Request
	for _, request := range l.requests {
		if request.Number > number {
			found = append(found, *request)
		}
	}
	return found
}
