package exposure_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestKindsMayComeAndGo(t *testing.T) {
	newNamespace(t)
	w := newWorld(t)
	s := startSidecar(t, w.namespace, nil)
	w.service("prodcatapi")
	assert.Empty(t, w.quiet(s), "there is nothing to do")

	// The kind of APIs comes; Istio and prometheus-operator are missing.
	w.define(exposedAPICRD(t))
	api := w.api("metrics", "openmetrics", "/metrics")
	got := w.untilSays(apiGVK, "metrics", "Routed", "False IstioNotInstalled")
	assert.Equal(t, "False PrometheusOperatorNotInstalled", says(got, "Monitored"))
	w.untilEvent("metrics", "Warning", "IstioNotInstalled", "Install Istio")

	// Istio comes: routing goes on, though ServiceMonitors are still missing.
	w.define(append(istioCRDs(t), exposedAPICRD(t))...)
	w.gateway("component-gateway")
	w.rendered(api)
	got = w.until(apiGVK, "metrics", "https://203.0.113.10/metrics", "status", "apiStatus", "url")
	assert.Equal(t, "True Routed", says(got, "Routed"))
	assert.Equal(t, "False PrometheusOperatorNotInstalled", says(got, "Monitored"))

	// prometheus-operator comes.
	w.define(append(istioCRDs(t), exposedAPICRD(t), monitorCRD(t))...)
	w.untilSays(apiGVK, "metrics", "Monitored", "False ServiceMonitorNotFound")
	monitor := w.get(apiGVK, "metrics").DeepCopy()
	monitor.Object = map[string]any{"spec": map[string]any{"selector": map[string]any{}, "endpoints": []any{}}}
	monitor.SetGroupVersionKind(monitorGVK)
	w.owned(monitor, api)
	w.create(monitor)
	w.untilSays(apiGVK, "metrics", "Monitored", "True ServiceMonitorInPlace")

	// Another type of API is not monitored.
	merge(t, w.get(apiGVK, "metrics"), `{"spec":{"apiType":"openapi"}}`)
	w.untilSays(apiGVK, "metrics", "Monitored", "(absent)")

	// All goes, and comes again.
	w.define()
	w.define(exposedAPICRD(t))
	w.api("catalog", "openapi", path)
	w.untilSays(apiGVK, "catalog", "Routed", "False IstioNotInstalled")
}

// A role that leaves out what a cluster does not use, or a conversion webhook that does not answer, blocks no URL (issue #92).
func TestWhatCannotBeListedBlocksNoRoute(t *testing.T) {
	newNamespace(t)
	w := newWorld(t, complete(t)...)
	s := startSidecar(t, w.namespace, nil, "servicemonitors", "components")
	component := w.apply(`{apiVersion: oda.tmforum.org/v1, kind: Component, metadata: {name: ctk}, spec: {}}`)
	api := w.apply(fmt.Sprintf(`
apiVersion: oda.tmforum.org/v1
kind: ExposedAPI
metadata:
  name: metrics
  ownerReferences: [{apiVersion: oda.tmforum.org/v1, kind: Component, name: ctk, uid: %s}]
spec: {name: metrics, apiType: openmetrics, implementation: prodcatapi, path: /metrics, port: 8080}`, component.GetUID()))
	w.rendered(api)
	merge(t, component, fmt.Sprintf(`{"status":{"managementAPIs":[{"name":"metrics","uid":%q}]}}`, api.GetUID()))
	got := w.until(apiGVK, "metrics", "https://203.0.113.10/metrics", "status", "apiStatus", "url")
	assert.Equal(t, "True Routed", says(got, "Routed"))
	assert.Equal(t, "Unknown ServiceMonitorsNotListed", says(got, "Monitored"))
	assert.Contains(t, s.log.String(), `"resource":"servicemonitors.monitoring.coreos.com","routesWait":false`)

	s.wire.refuse()
	w.untilSays(apiGVK, "metrics", "Monitored", "False ServiceMonitorNotFound")
	w.until(componentGVK, "ctk", fmt.Sprintf("[map[name:metrics uid:%s url:https://203.0.113.10/metrics]]", api.GetUID()), "status", "managementAPIs")
}

func TestEveryServedVersionAndTheKindOfOldGetsAStatus(t *testing.T) {
	newNamespace(t)
	for name, crd := range map[string]*apiextensionsv1.CustomResourceDefinition{
		"ExposedAPI v1 is stored":                    open(exposedAPICRD(t), "v1", "v1beta4", "v1beta3"),
		"ExposedAPI v1beta4 is stored, v1 not known": open(exposedAPICRD(t), "v1beta4", "v1beta3"),
		"ExposedAPI v1beta3 only":                    open(exposedAPICRD(t), "v1beta3"),
		"API":                                        legacyCRD(t),
		"API as ODA Canvas had it":                   open(legacyCRD(t), "v1beta2", "v1beta1", "v1alpha4"),
	} {
		t.Run(name, func(t *testing.T) {
			newWorld(t) // forgets the versions that were stored
			w := newWorld(t, append(istioCRDs(t), crd)...)
			startSidecar(t, w.namespace, nil)
			for i, v := range crd.Spec.Versions {
				gvk := schema.GroupVersionKind{Group: crd.Spec.Group, Version: v.Name, Kind: crd.Spec.Names.Kind}
				api := w.apply(fmt.Sprintf(`
apiVersion: oda.tmforum.org/%s
kind: %s
metadata: {name: catalog-%d}
spec: {name: catalog, apitype: openapi, apiType: openapi, implementation: prodcatapi, path: /v%d, port: 8080, specification: [https://example.com/x.json]}`,
					v.Name, gvk.Kind, i, i))
				w.rendered(api)
				w.until(gvk, api.GetName(), fmt.Sprintf("https://203.0.113.10/v%d", i), "status", "apiStatus", "url")
			}
		})
	}
}

func TestTheLoserOfAPathSaysWhoHasIt(t *testing.T) {
	newNamespace(t)
	w := newWorld(t, complete(t)...)
	startSidecar(t, w.namespace, nil)
	w.service("prodcatapi")
	winner := w.api("a-winner", "openapi", path)
	w.rendered(winner)
	w.untilSays(apiGVK, "a-winner", "Routed", "True Routed")
	w.api("b-loser", "openapi", path+"/overlapping")
	got := w.untilSays(apiGVK, "b-loser", "Routed", "False PathConflict")
	assert.Empty(t, text(got, "status", "apiStatus", "url"))
	w.untilEvent("b-loser", "Warning", "PathConflict", "ExposedAPI "+w.namespace+"/a-winner")
	require.NoError(t, cluster.client.Delete(t.Context(), winner))
	w.untilSays(apiGVK, "b-loser", "Routed", "False VirtualServiceNotFound")
	w.rendered(got)
	w.untilSays(apiGVK, "b-loser", "Routed", "True Routed")

	// What somebody else routes is a claim, too.
	w.apply(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: foreign}
spec:
  hosts: ["*"]
  gateways: [component-gateway]
  http: [{match: [{uri: {prefix: /foreign}}], route: [{destination: {host: other}}]}]`)
	w.api("z-late", "openapi", "/foreign")
	w.untilSays(apiGVK, "z-late", "Routed", "False PathConflict")
	w.untilEvent("z-late", "Warning", "PathConflict", "VirtualService "+w.namespace+"/foreign")
}

func TestAnExternalAPIKeepsTheStatusThatItWasGiven(t *testing.T) {
	newNamespace(t)
	for name, crd := range definitions(t) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, append(istioCRDs(t), crd)...)
			s := startSidecar(t, w.namespace, nil)
			api := w.apply(`
apiVersion: oda.tmforum.org/v1
kind: ExposedAPI
metadata: {name: external}
spec: {name: external, apiType: openapi, implementation: <external>, path: /x, port: 443}`)
			given := `{"status":{"apiStatus":{"url":"https://elsewhere.example.com/x","note":"kept"},"implementation":{"ready":true}}}`
			if crd.Spec.Versions[0].Subresources != nil {
				require.NoError(t, cluster.client.Status().Patch(t.Context(), api, rawMerge(given)))
			} else {
				merge(t, api, given)
			}
			got := w.untilSays(apiGVK, "external", "Routed", "False External")
			assert.Equal(t, "Unknown External", says(got, "Ready"))
			w.quiet(s)
			got = w.get(apiGVK, "external")
			assert.Equal(t, "map[note:kept url:https://elsewhere.example.com/x]", text(got, "status", "apiStatus"))
			assert.Equal(t, "map[ready:true]", text(got, "status", "implementation"))
		})
	}
}
