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
	"sync/atomic"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/datapower-operator/datapower-operator/helm-operator/action"
	"github.com/datapower-operator/datapower-operator/helm-operator/chart"
	"github.com/datapower-operator/datapower-operator/helm-operator/controller"
	"github.com/datapower-operator/datapower-operator/helm-operator/dependents"
	"github.com/datapower-operator/datapower-operator/helm-operator/watches"
	"github.com/datapower-operator/datapower-operator/test/bench/stock"
)

const assets = "KUBEBUILDER_ASSETS"

// charts are the kinds of custom resources, each rendered by the chart of the same name.
var charts = map[string]string{"Demo": "demo", "Other": "other", "Nested": "nested"}

// variant is one of the two reconcilers; each has kinds of its own.
type variant struct {
	name string
	// requests that it has made, without watches.
	requests atomic.Int64
}

func (v *variant) kind(kind string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: v.name + ".example", Version: "v1", Kind: kind}
}

var (
	ours       = &variant{name: "ours"}
	theirs     = &variant{name: "stock"}
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
	for kind := range charts {
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
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Query().Get("watch") == "" {
				v.requests.Add(1)
			}
			return next.RoundTrip(r)
		})
	})
	return ctrl.NewManager(cfg, ctrl.Options{
		Scheme:     scheme.Scheme,
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: ptr.To(true)},
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func addStock(mgr manager.Manager) error {
	for kind, name := range charts {
		if err := stock.Add(mgr, theirs.kind(kind), "testdata/"+name); err != nil {
			return err
		}
	}
	return nil
}

func addOurs(mgr manager.Manager) error {
	rendered, err := dependents.NewCache(mgr.GetConfig(), cache.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return err
	}
	if err := mgr.Add(rendered); err != nil {
		return err
	}
	dc, err := discovery.NewDiscoveryClientForConfig(mgr.GetConfig())
	if err != nil {
		return err
	}
	actions, err := action.NewFactory(mgr.GetConfig(), mgr.GetRESTMapper(), action.NewCapabilities(dc, clock.RealClock{}))
	if err != nil {
		return err
	}
	for kind, name := range charts {
		ws, err := watches.Parse(fmt.Appendf(nil, "- {group: ours.example, version: v1, kind: %s, chart: testdata/%s}", kind, name), ".")
		if err != nil {
			return err
		}
		src, err := chart.Load(ws[0].ChartPath)
		if err != nil {
			return err
		}
		if err := controller.Add(mgr, controller.Options{Watch: ws[0], Chart: src, Actions: actions, Dependents: rendered}); err != nil {
			return err
		}
	}
	return nil
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
