// Package oracle_test runs the stock reconciler of helm-operator-plugins and ours side by side
// against one API server: where the stock one is right, it tells what is right; where it is known to
// be wrong, its fault shows that the test of ours can fail.
package oracle_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/operator-framework/helm-operator-plugins/pkg/reconciler"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/datapower-operator/datapower-operator/helm-operator/watches"
	"github.com/datapower-operator/datapower-operator/helm-operator/wiring"
	"github.com/datapower-operator/datapower-operator/test/bench/stock"
)

const assets = "KUBEBUILDER_ASSETS"

// kind is a kind of custom resources in the group of each reconciler.
type kind struct {
	// chart is the folder below testdata.
	chart string
	// watch are further keys of our watches.yaml, options the same for the stock reconciler.
	watch   string
	options []reconciler.Option
}

var kindsOf = map[string]kind{
	"Demo":   {chart: "demo"},
	"Other":  {chart: "other"},
	"Nested": {chart: "nested"},
	"Selected": {
		chart: "demo", watch: "selector: {matchLabels: {ours: 'true'}}",
		options: []reconciler.Option{reconciler.WithSelector(metav1.LabelSelector{MatchLabels: map[string]string{"ours": "true"}})},
	},
	"Bounded": {chart: "demo", watch: "maxReleaseHistory: 3", options: []reconciler.Option{reconciler.WithMaxReleaseHistory(3)}},
	"Unwatched": {
		chart: "demo", watch: "watchDependentResources: false", options: []reconciler.Option{reconciler.SkipDependentWatches(true)},
	},
	"Seeing": {chart: "seeing", watch: "dryRunOption: server"},
	"Blind":  {chart: "seeing"},
	"Overridden": {
		chart: "overridden", watch: `overrideValues: {flag: true, text: "it's", number: 7, list: ["a,b", c]}`,
		// Its options are strings only. With a comma in a value it does not even start; see pains_test.go.
		options: []reconciler.Option{reconciler.WithOverrideValues(map[string]string{"flag": "true", "text": "it's", "number": "7", "list": "{a,c}"})},
	},
}

// variant is one of the two reconcilers; each has kinds of its own.
type variant struct {
	name string
	// requests that it has made, without watches.
	requests atomic.Int64
	// received counts the bytes of all answers and of the events of all watches.
	received atomic.Int64

	// gate is locked while no request gets through.
	gate sync.RWMutex
	mu   sync.Mutex
	// asked are the requests by verb and path.
	asked map[string]int
}

// count returns how often something was asked that contains a text: of verb, path and query.
func (v *variant) count(text string) (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for request, times := range v.asked {
		if strings.Contains(request, text) {
			n += times
		}
	}
	return n
}

// observe counts what passes through the transport.
func (v *variant) observe(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Query().Get("watch") == "" {
			v.requests.Add(1)
		}
		v.mu.Lock()
		v.asked[r.Method+" "+r.URL.RequestURI()]++
		v.mu.Unlock()
		v.gate.RLock()
		answer, err := next.RoundTrip(r)
		v.gate.RUnlock()
		if err == nil {
			answer.Body = &body{ReadCloser: answer.Body, received: &v.received}
		}
		return answer, err
	})
}

// body counts what is read of it.
type body struct {
	io.ReadCloser
	received *atomic.Int64
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.received.Add(int64(n))
	return n, err
}

func (v *variant) kind(kind string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: v.name + ".example", Version: "v1", Kind: kind}
}

var (
	ours       = &variant{name: "ours", asked: map[string]int{}}
	theirs     = &variant{name: "stock", asked: map[string]int{}}
	kube       client.Client
	apiServer  *rest.Config
	widgetKind = ours.kind("Widget")
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getenv(assets) == "" {
		return m.Run() // each test skips
	}
	ctrl.SetLogger(zap.New(zap.WriteTo(io.Discard)))
	if os.Getenv("TEST_LOGS") != "" {
		ctrl.SetLogger(zap.New(zap.UseDevMode(true)))
	}
	crds := []*apiextensionsv1.CustomResourceDefinition{definition(widgetKind)}
	for kind := range kindsOf {
		crds = append(crds, definition(ours.kind(kind)), definition(theirs.kind(kind)))
	}
	env := &envtest.Environment{CRDs: crds}
	cfg, err := env.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, "start API server:", err)
		return 1
	}
	defer func() { _ = env.Stop() }()
	apiServer = cfg
	if kube, err = client.New(cfg, client.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	for v, add := range map[*variant]func(manager.Manager) error{ours: addOurs, theirs: addStock} {
		mgr, err := v.manager(cfg)
		if err == nil {
			err = add(mgr)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "start operator:", v.name, err)
			cancel()
			return 1
		}
		go func() { ended <- mgr.Start(ctx) }()
	}
	code := m.Run()
	cancel()
	<-ended
	<-ended
	return code
}

func (v *variant) manager(cfg *rest.Config) (manager.Manager, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1
	cfg.DisableCompression = true // sizes are compared
	cfg.Wrap(v.observe)
	return ctrl.NewManager(cfg, ctrl.Options{
		Scheme:     scheme.Scheme,
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: ptr.To(true)},
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func addStock(mgr manager.Manager) error {
	for name, k := range kindsOf {
		if err := stock.Add(mgr, theirs.kind(name), "testdata/"+k.chart, k.options...); err != nil {
			return err
		}
	}
	return nil
}

func addOurs(mgr manager.Manager) error {
	var text strings.Builder
	for name, k := range kindsOf {
		fmt.Fprintf(&text, "- {group: ours.example, version: v1, kind: %s, chart: testdata/%s, %s}\n", name, k.chart, k.watch)
	}
	list, err := watches.Parse([]byte(text.String()), ".")
	if err != nil {
		return err
	}
	return wiring.Add(mgr, wiring.Options{Watches: list})
}

// definition is a kind whose schema takes everything: the stock reconciler writes conditions that a
// strict one refuses.
func definition(kind schema.GroupVersionKind) *apiextensionsv1.CustomResourceDefinition {
	resource := strings.ToLower(kind.Kind) + "s"
	anything := apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: ptr.To(true)}
	status := *anything.DeepCopy()
	status.Properties = map[string]apiextensionsv1.JSONSchemaProps{"conditions": {
		Type: "array", XListType: ptr.To("map"), XListMapKeys: []string{"type"},
		Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &apiextensionsv1.JSONSchemaProps{
			Type: "object", XPreserveUnknownFields: ptr.To(true), Required: []string{"type"},
			Properties: map[string]apiextensionsv1.JSONSchemaProps{"type": {Type: "string"}},
		}},
	}}
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: resource + "." + kind.Group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: kind.Group, Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: kind.Kind, ListKind: kind.Kind + "List", Plural: resource},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: kind.Version, Served: true, Storage: true,
				Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"spec": anything, "status": status},
				}},
			}},
		},
	}
}
