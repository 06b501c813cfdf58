package apply

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/rest"
)

// Clients are REST clients for unstructured objects, one for each API group and version, shared by all reconciles. Helm
// makes one for every object that it reads from a manifest.
type Clients struct {
	config *rest.Config
	http   *http.Client

	mu  sync.Mutex
	all map[schema.GroupVersion]*groupClient
}

// NewClients returns clients of the API server of cfg.
func NewClients(cfg *rest.Config) (*Clients, error) {
	c, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("create HTTP client: %w", err)
	}
	return &Clients{config: cfg, http: c, all: map[schema.GroupVersion]*groupClient{}}, nil
}

// groupClient is a REST client, and what a request of its kind is made of.
type groupClient struct {
	*rest.RESTClient
	base    *url.URL
	path    string
	content rest.ClientContentConfig
}

func (c *Clients) of(gv schema.GroupVersion) (*groupClient, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if found, ok := c.all[gv]; ok {
		return found, nil
	}
	cfg := rest.CopyConfig(c.config)
	cfg.ContentConfig = resource.UnstructuredPlusDefaultContentConfig()
	cfg.GroupVersion, cfg.APIPath = &gv, "/apis"
	if gv.Group == "" {
		cfg.APIPath = "/api"
	}
	client, err := rest.RESTClientForConfigAndClient(cfg, c.http)
	if err != nil {
		return nil, fmt.Errorf("create client of %s: %w", gv, err)
	}
	base, path, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("create client of %s: %w", gv, err)
	}
	made := &groupClient{RESTClient: client, base: base, path: path, content: rest.ClientContentConfig{
		AcceptContentTypes: cfg.AcceptContentTypes, ContentType: cfg.ContentType, GroupVersion: gv,
		Negotiator: runtime.NewClientNegotiator(cfg.NegotiatedSerializer, gv),
	}}
	c.all[gv] = made
	return made, nil
}

// foreseen tells by the path of an object whether it exists, as was found out just before.
type foreseen map[string]bool

// knowing is the client that Helm's actions get: it answers what the preflight has asked already without asking again.
type knowing struct {
	*groupClient
	answers foreseen
}

// Get implements resource.RESTClient.
func (k knowing) Get() *rest.Request {
	if len(k.answers) == 0 {
		return k.groupClient.Get()
	}
	transport := answering{answers: k.answers, next: k.Client.Transport}
	return rest.NewRequestWithClient(k.base, k.path, k.content, &http.Client{Transport: transport, Timeout: k.Client.Timeout})
}

// actual is the client that really asks.
func actual(c resource.RESTClient) resource.RESTClient {
	if k, ok := c.(knowing); ok {
		return k.groupClient
	}
	return c
}

// answering is a transport that knows whether some objects exist.
type answering struct {
	answers foreseen
	next    http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	exists, known := a.answers[r.URL.Path]
	if !known || r.URL.RawQuery != "" {
		next := a.next
		if next == nil {
			next = http.DefaultTransport
		}
		return next.RoundTrip(r)
	}
	code, status := http.StatusOK, metav1.Status{Status: metav1.StatusSuccess}
	if !exists {
		code, status = http.StatusNotFound, metav1.Status{Status: metav1.StatusFailure, Reason: metav1.StatusReasonNotFound, Code: http.StatusNotFound}
	}
	status.APIVersion, status.Kind = "v1", "Status"
	body, err := json.Marshal(status)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		Status: http.StatusText(code), StatusCode: code, Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
		Header: http.Header{"Content-Type": {"application/json"}}, ContentLength: int64(len(body)), Request: r,
		Body: io.NopCloser(bytes.NewReader(body)),
	}, nil
}

// pathOf is where the object of info is found.
func pathOf(info *resource.Info) string {
	return actual(info.Client).Get().NamespaceIfScoped(info.Namespace, info.Namespaced()).
		Resource(info.Mapping.Resource.Resource).Name(info.Name).URL().Path
}
