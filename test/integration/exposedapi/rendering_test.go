package exposedapi_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// samples of ExposedAPIs as they were published.
const samples = repository + "/../shared/samples/exposedapi"

// quiet is how long nothing may be asked of the API server.
const quiet = 3 * time.Second

// publishedTest applies every published resource.
func publishedTest(w *world, _ string) {
	files, err := filepath.Glob(filepath.Join(samples, "*.yaml"))
	require.NoError(w, err)
	if len(files) == 0 {
		w.Skipf("needs the samples in %s", samples)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(w, err)
		namespace := "s" + strings.SplitN(filepath.Base(file), "-", 2)[0]
		w.namespace(namespace)
		api := w.apply(namespace, string(text))
		w.checkRoute(api)
	}
	// The metrics API of the upstream test.
	monitor := w.there(monitorGVK, "s12", "prdcat3-productcatalogmanagement-metrics")
	assert.Equal(w, map[string]any{
		"selector": map[string]any{"matchLabels": map[string]any{"name": "prdcat3-productcatalogmanagement-sm"}},
		"endpoints": []any{map[string]any{
			"path": "/prdcat3-productcatalogmanagement/metrics", "interval": "15s", "scheme": "http", "targetPort": int64(4000),
		}},
	}, monitor.Object["spec"])
}

// checkRoute compares the VirtualService of an API with section 3.1 of upstream's behaviour.
func (w *world) checkRoute(api *unstructured.Unstructured) {
	w.Helper()
	vs := w.there(virtualServiceGVK, api.GetNamespace(), api.GetName())
	assert.Equal(w, map[string]any{
		"hosts": []any{"*"}, "gateways": []any{"component-gateway"},
		"http": []any{map[string]any{
			"match": []any{map[string]any{"uri": map[string]any{"prefix": field(api, "spec", "path")}}},
			"route": []any{map[string]any{"destination": map[string]any{
				"host": field(api, "spec", "implementation"), "port": map[string]any{"number": field(api, "spec", "port")},
			}}},
		}},
	}, vs.Object["spec"], api.GetName())
	yes := true
	assert.Equal(w, []metav1.OwnerReference{{
		APIVersion: storedVersion(api), Kind: api.GetKind(), Name: api.GetName(), UID: api.GetUID(), Controller: &yes, BlockOwnerDeletion: &yes,
	}}, vs.GetOwnerReferences())
	labels := vs.GetLabels()
	delete(labels, "helm.sdk.operatorframework.io/owner-uid")
	if want := api.GetLabels(); len(want) > 0 {
		assert.Equal(w, want, labels)
	} else {
		assert.Empty(w, labels)
	}
	assert.Empty(w, vs.GetAnnotations())
	written := vs.GetManagedFields()[0].APIVersion
	assert.Equal(w, "networking.istio.io/v1alpha3", written, "the version that upstream writes")
}

// storedVersion is the version in which the operator reads a kind of API.
func storedVersion(api *unstructured.Unstructured) string {
	if api.GetKind() == "ExposedAPI" {
		return "oda.tmforum.org/v1"
	}
	return "oda.tmforum.org/v1beta2"
}

func TestAnAPI(t *testing.T) {
	crds := append(allCRDs(t), readCRDs(t, filepath.Join(repository, "config/crd/oda/legacy/apis.yaml"))...)
	w := newWorld(t, append(crds, readCRDs(t, filepath.Join(repository, "config/crd/oda/legacy/lowercaseapis.yaml"))...))
	// In this order: the last one starts an operator that ends with its subtest.
	for _, test := range []struct {
		namespace, name string
		run             func(*world, string)
	}{
		{"samples", "that was published is routed as upstream routes it", publishedTest},
		{"foreign", "leaves a path to the route that somebody else made first", foreignTest},
		{"old", "of the old kind keeps off the release of its successor", oldKindTest},
		{"drift", "that was routed is left alone, and what is changed by hand comes back", driftTest},
		{"long", "has a route of its own name however long that is", longNameTest},
		{"external", "outside of the cluster has no route (fault 8)", externalTest},
		{"nolabel", "without a component's label is routed (fault 7)", noLabelTest},
		{"type", "that changes its type keeps its route and loses its ServiceMonitor (fault 5)", typeTest},
		{"refused", "that can't be rendered says why", refusedTest},
		{"adopt", "takes over the route that upstream's operator made (fault 2)", adoptTest},
	} {
		t.Run(test.name, func(t *testing.T) {
			of := *w
			of.T = t
			test.run(&of, test.namespace)
			w.operator = of.operator
		})
	}
}

func driftTest(w *world, namespace string) {
	w.namespace(namespace)
	api := w.apply(namespace, minimal("catalog", "/drift/v4"))
	w.condition(apiGVK, namespace, "catalog", "Deployed", "True")
	time.Sleep(quiet) // until what the caches may lag behind is over
	since := w.auditLength()
	time.Sleep(quiet)
	assert.Empty(w, w.requests(since), "nothing is asked while nothing changes")

	vs := w.there(virtualServiceGVK, namespace, "catalog")
	uid := vs.GetUID()
	require.NoError(w, unstructured.SetNestedStringSlice(vs.Object, []string{"else.example.com"}, "spec", "hosts"))
	start := time.Now()
	require.NoError(w, w.client.Update(w.Context(), vs))
	require.Eventually(w, func() bool {
		hosts, _, _ := unstructured.NestedStringSlice(w.get(virtualServiceGVK, namespace, "catalog").Object, "spec", "hosts")
		return len(hosts) == 1 && hosts[0] == "*"
	}, patience, 10*time.Millisecond)
	w.Logf("edited route back after %s", time.Since(start).Round(time.Millisecond))
	start = time.Now()
	require.NoError(w, w.client.Delete(w.Context(), vs))
	require.Eventually(w, func() bool {
		now := w.get(virtualServiceGVK, namespace, "catalog")
		return now != nil && now.GetUID() != uid
	}, patience, 10*time.Millisecond)
	w.Logf("deleted route back after %s", time.Since(start).Round(time.Millisecond))
	w.checkRoute(api)
}

func longNameTest(w *world, namespace string) {
	w.namespace(namespace)
	api := w.apply(namespace, minimal("ctk-productcatalogmanagement-productcatalogmanagement-v4", "/long/v4"))
	w.checkRoute(api)
	require.NoError(w, w.client.Delete(w.Context(), api))
	w.gone(virtualServiceGVK, namespace, api.GetName())
	w.gone(apiGVK, namespace, api.GetName())
}

func externalTest(w *world, namespace string) {
	w.namespace(namespace)
	w.apply(namespace, strings.Replace(minimal("catalog", "/external/v4"), "prodcatapi", `"<external>"`, 1))
	w.condition(apiGVK, namespace, "catalog", "Deployed", "True")
	assert.Nil(w, w.get(virtualServiceGVK, namespace, "catalog"))
}

func noLabelTest(w *world, namespace string) {
	w.namespace(namespace)
	w.checkRoute(w.apply(namespace, minimal("catalog", "/nolabel/v4")))
}

func typeTest(w *world, namespace string) {
	w.namespace(namespace)
	text := strings.Replace(minimal("catalog", "/type/metrics"), "openapi", "openmetrics", 1)
	text = strings.Replace(text, "port: 8080", "port: 4000, hostname: api.example.com, basicAuth: {username: {name: login, key: user}, password: {name: login, key: pass}}", 1)
	api := w.apply(namespace, text)
	monitor := w.there(monitorGVK, namespace, "catalog")
	endpoints, _, _ := unstructured.NestedSlice(monitor.Object, "spec", "endpoints")
	assert.Equal(w, map[string]any{
		"username": map[string]any{"name": "login", "key": "user"}, "password": map[string]any{"name": "login", "key": "pass"},
	}, endpoints[0].(map[string]any)["basicAuth"])
	w.checkRoute(api)
	require.NoError(w, w.client.Patch(w.Context(), api, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"apiType":"openapi"}}`))))
	w.gone(monitorGVK, namespace, "catalog")
	w.checkRoute(api)
}

func adoptTest(w *world, namespace string) {
	w.namespace(namespace)
	w.stopOperator()
	api := w.apply(namespace, minimal("catalog", "/adopt/v4"))
	yes := true
	upstream := &unstructured.Unstructured{}
	require.NoError(w, yaml.Unmarshal([]byte(`
spec:
  hosts: ["*"]
  gateways: [component-gateway]
  http: [{match: [{uri: {prefix: /before/v4}}], route: [{destination: {host: old, port: {number: 1}}}]}]`), &upstream.Object))
	upstream.SetGroupVersionKind(schema.GroupVersionKind{Group: "networking.istio.io", Version: "v1alpha3", Kind: "VirtualService"})
	upstream.SetNamespace(namespace)
	upstream.SetName("catalog")
	upstream.SetOwnerReferences([]metav1.OwnerReference{{
		APIVersion: "oda.tmforum.org/v1", Kind: "ExposedAPI", Name: "catalog", UID: api.GetUID(), Controller: &yes, BlockOwnerDeletion: &yes,
	}})
	w.create(upstream)
	w.startOperator()
	w.condition(apiGVK, namespace, "catalog", "Deployed", "True")
	vs := w.there(virtualServiceGVK, namespace, "catalog")
	assert.Equal(w, upstream.GetUID(), vs.GetUID(), "it is the same object")
	rules, _, _ := unstructured.NestedSlice(vs.Object, "spec", "http")
	require.Len(w, rules, 1)
	assert.Equal(w, []any{map[string]any{"uri": map[string]any{"prefix": "/adopt/v4"}}}, rules[0].(map[string]any)["match"])
}

func refusedTest(w *world, namespace string) {
	w.namespace(namespace)
	w.apply(namespace, strings.Replace(minimal("catalog", "/refused/v4"), "8080", "80800", 1))
	c := w.condition(apiGVK, namespace, "catalog", "Irreconcilable", "True")
	assert.Contains(w, c.Message, "spec.port: 80800 is no port; use 1 to 65535")
}

func TestWhereADefinitionIsMissing(t *testing.T) {
	w := newWorld(t, nil) // not even ExposedAPI
	w.namespace("components")
	time.Sleep(time.Second)
	w.define(ourCRD(t))
	text := strings.Replace(minimal("metrics", "/metrics"), "openapi", "prometheus", 1)
	w.apply("components", text)
	c := w.condition(apiGVK, "components", "metrics", "Deployed", "False")
	assert.Equal(t, "KindNotServed", c.Reason)
	assert.Contains(t, c.Message, "CustomResourceDefinition virtualservices.networking.istio.io")
	assert.Contains(t, c.Message, "CustomResourceDefinition servicemonitors.monitoring.coreos.com")
	require.Eventually(t, func() bool { return w.hasEvent("components", "KindNotServed") }, patience, 50*time.Millisecond)

	w.define(istioCRD(t))
	w.there(virtualServiceGVK, "components", "metrics") // issue #92: a missing ServiceMonitor blocks no route
	require.Eventually(t, func() bool {
		c := conditionOf(w.get(apiGVK, "components", "metrics"), "Deployed")
		return !strings.Contains(c.Message, "istio") && strings.Contains(c.Message, "servicemonitors")
	}, patience, 50*time.Millisecond)

	w.define(monitorCRD(t))
	w.there(monitorGVK, "components", "metrics")
	w.condition(apiGVK, "components", "metrics", "Deployed", "True")

	// It may go again, too.
	require.NoError(t, w.client.Delete(t.Context(), monitorCRD(t)))
	w.condition(apiGVK, "components", "metrics", "Deployed", "False")
	vs := w.there(virtualServiceGVK, "components", "metrics")
	require.NoError(t, w.client.Delete(t.Context(), vs))
	require.Eventually(t, func() bool {
		now := w.get(virtualServiceGVK, "components", "metrics")
		return now != nil && now.GetUID() != vs.GetUID()
	}, patience, 50*time.Millisecond)
}

func (w *world) hasEvent(namespace, reason string) bool {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: "events.k8s.io", Version: "v1", Kind: "EventList"})
	if w.client.List(w.Context(), list, client.InNamespace(namespace)) != nil {
		return false
	}
	for _, e := range list.Items {
		if e.Object["reason"] == reason {
			return true
		}
	}
	return false
}

func TestADefinitionOfSomebodyElseWillDo(t *testing.T) {
	for name, versions := range map[string][]string{
		"without the status subresource": {"v1", "v1beta4", "v1beta3"},
		"from before v1":                 {"v1beta4", "v1beta3"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, []*apiextensionsv1.CustomResourceDefinition{upstreamCRD(t, versions...), istioCRD(t), monitorCRD(t)})
			gvk := apiGVK
			gvk.Version = versions[0]
			w.namespace("components")
			api := w.apply("components", strings.Replace(minimal("catalog", "/v4"), "/v1", "/"+versions[0], 1))
			w.condition(gvk, "components", "catalog", "Deployed", "True")
			vs := w.there(virtualServiceGVK, "components", "catalog")
			assert.Equal(t, "oda.tmforum.org/"+versions[0], vs.GetOwnerReferences()[0].APIVersion)

			// Another writer's conditions stay, ours come back, and nobody writes in a circle.
			other := `{"status":{"apiStatus":{"url":"https://x"},"conditions":[{"type":"Routed","status":"True","extra":"kept"}]}}`
			require.NoError(t, w.client.Patch(t.Context(), api, client.RawPatch("application/merge-patch+json", []byte(other))))
			w.condition(gvk, "components", "catalog", "Deployed", "True")
			if versions[0] != "v1" {
				return // the rest does not depend on the version
			}
			time.Sleep(quiet)
			before, since := w.get(gvk, "components", "catalog"), w.auditLength()
			time.Sleep(quiet)
			assert.Empty(t, w.requests(since))
			after := w.get(gvk, "components", "catalog")
			assert.Equal(t, before.GetResourceVersion(), after.GetResourceVersion())
			assert.EqualValues(t, "True", conditionOf(after, "Routed").Status)
			assert.Equal(t, "https://x", field(after, "status", "apiStatus", "url"))
			assert.EqualValues(t, "True", conditionOf(after, "Deployed").Status)
		})
	}
}

func TestAnUnknownMetricsImplementationStopsTheProgram(t *testing.T) {
	w := newServer(t, allCRDs(t))
	cmd := exec.CommandContext(t.Context(), filepath.Join(os.Getenv("DATAPOWER_BIN"), "helm-operator"),
		"--leader-elect=false", "--metrics-bind-address=0", "--health-probe-bind-address=0",
		"--watches-file="+filepath.Join(repository, "watches.yaml"))
	cmd.Env = append(os.Environ(), "KUBECONFIG="+w.kubeconfig, "OPENMETRICS_IMPLEMENTATION=Prometheus")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), `OPENMETRICS_IMPLEMENTATION is "Prometheus"; known are ServiceMonitor, PrometheusAnnotation(s) and DataDogAnnotation(s)`)
}
