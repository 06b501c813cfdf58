package exposedapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Creation times have whole seconds, so what is to be younger is made in a later one.
func nextSecond() {
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(1050 * time.Millisecond)))
}

// One gateway for all namespaces, spelled with its namespace: here two releases can have one path (issue #482).
const sharedGateway = "APIOPERATORISTIO_COMPONENTGATEWAY=canvas/component-gateway"

func TestOfTwoAPIsWithOnePathTheOlderIsRoutedWhoeverIsSeenFirst(t *testing.T) {
	w := newWorld(t, allCRDs(t), sharedGateway, "APIOPERATORISTIO_PUBLICHOSTNAME=components.example.com")
	for _, ns := range []string{"one", "two", "three"} {
		w.namespace(ns)
	}
	first := w.apply("one", minimal("catalog", "/catalog/v4"))
	vs := w.there(virtualServiceGVK, "one", "catalog")
	assert.Equal(t, []any{"components.example.com"}, field(vs, "spec", "hosts"))
	assert.Equal(t, []any{"canvas/component-gateway"}, field(vs, "spec", "gateways"))

	nextSecond()
	w.apply("two", minimal("catalog", "/catalog/v4"))       // equal
	w.apply("three", minimal("catalog", "/catalog/v4/hub")) // overlapping
	w.condition(apiGVK, "two", "catalog", "Deployed", "True")
	w.condition(apiGVK, "three", "catalog", "Deployed", "True")
	assert.Nil(t, w.get(virtualServiceGVK, "two", "catalog"))
	assert.Nil(t, w.get(virtualServiceGVK, "three", "catalog"))

	// The same after a restart, in whatever order resources come.
	w.stopOperator()
	require.NoError(t, w.client.Delete(t.Context(), vs))
	w.startOperator(sharedGateway, "APIOPERATORISTIO_PUBLICHOSTNAME=components.example.com")
	w.there(virtualServiceGVK, "one", "catalog")
	assert.Nil(t, w.get(virtualServiceGVK, "two", "catalog"))
	time.Sleep(quiet)
	since := w.auditLength()
	time.Sleep(quiet)
	assert.Empty(t, w.requests(since))

	// When the winner moves away, the next has the path by itself; the last overlaps with that one.
	require.NoError(t, w.client.Patch(t.Context(), first, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"path":"/elsewhere"}}`))))
	start := time.Now()
	winner, loser := "two", "three"
	require.Eventually(t, func() bool {
		if w.get(virtualServiceGVK, "three", "catalog") != nil { // made in the same second, and named before
			winner, loser = "three", "two"
		}
		return w.get(virtualServiceGVK, winner, "catalog") != nil
	}, patience, 10*time.Millisecond)
	t.Logf("routed %s after the winner went", time.Since(start).Round(time.Millisecond))
	assert.Nil(t, w.get(virtualServiceGVK, loser, "catalog"))
	api := w.get(apiGVK, winner, "catalog")
	require.NoError(t, w.client.Delete(t.Context(), api))
	w.there(virtualServiceGVK, loser, "catalog")
}

func foreignTest(w *world, namespace string) {
	w.namespace(namespace)
	foreign := w.foreign(namespace, "theirs", `
hosts: [other.example.com, "*"]
gateways: [mesh, foreign/component-gateway]
http:
  - match: [{uri: {prefix: /first}}]
    route: [{destination: {host: x}}]
  - match: [{uri: {regex: ".*"}}, {uri: {prefix: /catalog}, headers: {a: {exact: b}}}, {uri: {prefix: /catalog/v4}}]
    route: [{destination: {host: x}}]`)
	nextSecond()
	w.apply(namespace, minimal("catalog", "/catalog/v4"))
	w.apply(namespace, minimal("party", "/party/v4"))
	w.apply(namespace, minimal("other", "/catalog/v5"))
	w.there(virtualServiceGVK, namespace, "party")
	w.there(virtualServiceGVK, namespace, "other")
	w.condition(apiGVK, namespace, "catalog", "Deployed", "True")
	assert.Nil(w, w.get(virtualServiceGVK, namespace, "catalog"))

	nextSecond() // a younger one takes nothing away
	w.foreign(namespace, "late", `
hosts: ["*"]
gateways: [component-gateway]
http: [{match: [{uri: {prefix: /party}}], route: [{destination: {host: x}}]}]`)
	time.Sleep(quiet)
	w.there(virtualServiceGVK, namespace, "party")

	require.NoError(w, w.client.Delete(w.Context(), foreign))
	w.there(virtualServiceGVK, namespace, "catalog")
}

// foreign makes a VirtualService that no API asked for.
func (w *world) foreign(namespace, name, spec string) *unstructured.Unstructured {
	w.Helper()
	return w.apply(namespace, "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: "+name+"}\nspec:\n"+
		"  "+strings.ReplaceAll(strings.TrimSpace(spec), "\n", "\n  "))
}

func TestTheSettingsBeyondUpstream(t *testing.T) {
	w := newWorld(t, allCRDs(t), "APIOPERATORISTIO_HOSTFROMSPEC=true", "APIOPERATORISTIO_SEGMENTSAFEPREFIX=true",
		"APIOPERATORISTIO_INTERNALSEGMENTS=managementFunction,securityFunction", "APIOPERATORISTIO_CORS=true",
		"APIOPERATORISTIO_UNSUPPORTEDPOLICIES=refuse", "APIOPERATORISTIO_VIRTUALSERVICEVERSION=v1", "OPENMETRICS_IMPLEMENTATION=datadogannotations")
	w.namespace("components")
	text := strings.Replace(minimal("catalog", "/v4"), "port: 8080", `port: 8080, hostname: api.example.com,
      CORS: {enabled: true, allowOrigins: "https://a.example.com, https://b.example.com", allowCredentials: true}`, 1)
	w.apply("components", text)
	vs := w.there(virtualServiceGVK, "components", "catalog")
	assert.Equal(t, []any{"api.example.com"}, field(vs, "spec", "hosts"))
	assert.Equal(t, "networking.istio.io/v1", vs.GetManagedFields()[0].APIVersion)
	rule := field(vs, "spec", "http").([]any)[0].(map[string]any)
	assert.Equal(t, []any{
		map[string]any{"uri": map[string]any{"exact": "/v4"}}, map[string]any{"uri": map[string]any{"prefix": "/v4/"}},
	}, rule["match"])
	assert.Equal(t, []any{map[string]any{"exact": "https://a.example.com"}, map[string]any{"exact": "https://b.example.com"}},
		rule["corsPolicy"].(map[string]any)["allowOrigins"])

	nextSecond() // /v4x is no part of /v4 any more
	w.apply("components", strings.Replace(minimal("other", "/v4x"), "port: 8080", "port: 8080, hostname: api.example.com", 1))
	w.there(virtualServiceGVK, "components", "other")

	w.apply("components", strings.Replace(strings.Replace(minimal("internal", "/metrics"), "openapi", "prometheus", 1),
		"port: 8080", "port: 8080, segment: managementFunction", 1))
	w.condition(apiGVK, "components", "internal", "Deployed", "True")
	assert.Nil(t, w.get(virtualServiceGVK, "components", "internal"))
	assert.Nil(t, w.get(monitorGVK, "components", "internal"), "the sidecar annotates its pods instead")

	w.apply("components", strings.Replace(minimal("limited", "/limited"), "port: 8080",
		`port: 8080, rateLimit: {enabled: true, limit: "100"}, apiKeyVerification: {enabled: true}`, 1))
	c := w.condition(apiGVK, "components", "limited", "Irreconcilable", "True")
	assert.Contains(t, c.Message, "spec.rateLimit")
	assert.Contains(t, c.Message, "spec.apiKeyVerification")
	assert.Nil(t, w.get(virtualServiceGVK, "components", "limited"))
}

func oldKindTest(w *world, namespace string) {
	w.namespace(namespace)
	api := w.apply(namespace, minimal("catalog", "/v4"))
	w.checkRoute(api)
	nextSecond()
	old := strings.NewReplacer("ExposedAPI", "API", "apiType", "apitype", "tmforum.org/v1", "tmforum.org/v1beta3").Replace(minimal("catalog", "/v4"))
	w.apply(namespace, old)
	gvk := schema.GroupVersionKind{Group: "oda.tmforum.org", Version: "v1beta4", Kind: "API"}
	c := w.condition(gvk, namespace, "catalog", "Irreconcilable", "True")
	assert.Equal(w, "ReleaseNameTaken", c.Reason)
	require.NoError(w, w.client.Delete(w.Context(), w.get(gvk, namespace, "catalog")))
	w.gone(gvk, namespace, "catalog")
	w.checkRoute(api)
}
