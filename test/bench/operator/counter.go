package operator

import (
	"maps"
	"net/http"
	"sync"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// counter counts what passes through the transport it wraps.
type counter struct {
	mu     sync.Mutex
	counts map[string]int
}

var requestInfo = &request.RequestInfoFactory{
	APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api"),
}

func (c *counter) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		verb := verbOf(r)
		c.mu.Lock()
		c.counts[verb]++
		c.mu.Unlock()
		return next.RoundTrip(r)
	})
}

func (c *counter) snapshot() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.counts)
}

// verbOf is the API server's verb of a request and the resource it is about, "patch
// statefulsets"; "discovery" for what concerns no object. Requests that are to change nothing
// have the verb "dry-run".
func verbOf(r *http.Request) string {
	info, err := requestInfo.NewRequestInfo(r)
	if err != nil || !info.IsResourceRequest {
		return "discovery"
	}
	verb := info.Verb
	if r.URL.Query().Get("dryRun") != "" {
		verb = "dry-run"
	}
	resource := info.Resource
	if info.Subresource != "" {
		resource += "/" + info.Subresource
	}
	return verb + " " + resource
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
