package exposure_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const path = "/ctk/tmf-api/productCatalogManagement/v4"

func merge(t *testing.T, o client.Object, patch string) {
	t.Helper()
	require.NoError(t, cluster.client.Patch(t.Context(), o, client.RawPatch("application/merge-patch+json", []byte(patch))))
}

// definitions are the two ways in which clusters define ExposedAPI.
func definitions(t *testing.T) map[string]*apiextensionsv1.CustomResourceDefinition {
	return map[string]*apiextensionsv1.CustomResourceDefinition{
		"with the status subresource":    exposedAPICRD(t),
		"without the status subresource": open(exposedAPICRD(t), "v1", "v1beta4", "v1beta3"),
	}
}

func TestTheLifeOfAnAPI(t *testing.T) {
	newNamespace(t)
	for name, crd := range definitions(t) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, append(istioCRDs(t), crd, monitorCRD(t), componentCRD())...)
			s := startSidecar(t, w.namespace, nil)
			w.service("prodcatapi")
			api := w.api("catalog", "openapi", path, "  developerUI: "+path+"/docs")
			vs := w.rendered(api)

			got := w.until(apiGVK, "catalog", "https://203.0.113.10"+path, "status", "apiStatus", "url")
			assert.Equal(t, map[string]any{
				"name": "catalog", "uid": string(vs.GetUID()), "path": path, "port": int64(8080), "implementation": "prodcatapi",
				"url": "https://203.0.113.10" + path, "developerUI": "https://203.0.113.10" + path + "/docs", "ip": "203.0.113.10",
			}, got.Object["status"].(map[string]any)["apiStatus"])
			assert.Equal(t, "True Routed", says(got, "Routed"))
			assert.Equal(t, "False NoReadyEndpoint", says(got, "Ready"))
			assert.Equal(t, "(absent)", says(got, "Monitored"))
			assert.Equal(t, "false", text(got, "status", "implementation", "ready"))
			assert.Len(t, w.quiet(s), 1, "one write")

			// Readiness, in both directions, from every slice.
			w.endpoints("prodcatapi", "v4", discoveryv1.AddressTypeIPv4, ptr.To(false))
			w.endpoints("prodcatapi", "v6", discoveryv1.AddressTypeIPv6, nil, ptr.To(false))
			w.until(apiGVK, "catalog", "true", "status", "implementation", "ready")
			w.endpoints("prodcatapi", "v6", discoveryv1.AddressTypeIPv6)
			w.until(apiGVK, "catalog", "false", "status", "implementation", "ready")
			assert.Len(t, w.quiet(s), 3, "one for each change")

			// A change of the spec is one write, when the helm-operator has followed.
			merge(t, got, `{"spec":{"path":"/new/v4"}}`)
			merge(t, vs, `{"spec":{"http":[{"match":[{"uri":{"prefix":"/new/v4"}}],"route":[{"destination":{"host":"prodcatapi","port":{"number":8080}}}]}]}}`)
			w.until(apiGVK, "catalog", "https://203.0.113.10/new/v4", "status", "apiStatus", "url")
			assert.Len(t, w.quiet(s), 4)

			// The VirtualService is deleted by hand and made anew: one write, of its UID.
			require.NoError(t, cluster.client.Delete(t.Context(), vs))
			vs = w.rendered(w.get(apiGVK, "catalog"))
			w.until(apiGVK, "catalog", string(vs.GetUID()), "status", "apiStatus", "uid")
			assert.Len(t, w.quiet(s), 5)

			// Nobody makes it anew.
			require.NoError(t, cluster.client.Delete(t.Context(), vs))
			got = w.untilSays(apiGVK, "catalog", "Routed", "False VirtualServiceNotFound")
			assert.Empty(t, text(got, "status", "apiStatus", "url"))
			assert.Empty(t, text(got, "status", "apiStatus", "uid"))
			w.rendered(got)
			w.untilSays(apiGVK, "catalog", "Routed", "True Routed")

			// The address goes and comes.
			w.addressed()
			got = w.untilSays(apiGVK, "catalog", "Routed", "False AddressPending")
			assert.Empty(t, text(got, "status", "apiStatus", "url"))
			w.addressed(corev1.LoadBalancerIngress{Hostname: "lb.example.com"})
			got = w.until(apiGVK, "catalog", "https://lb.example.com/new/v4", "status", "apiStatus", "url")
			assert.Equal(t, "lb.example.com", text(got, "status", "apiStatus", "ip"))

			// The Gateway goes and comes.
			require.NoError(t, cluster.client.Delete(t.Context(), w.get(gatewayGVK, "component-gateway")))
			w.untilSays(apiGVK, "catalog", "Routed", "False GatewayNotFound")
			w.untilEvent("catalog", "Warning", "GatewayNotFound", "component-gateway does not exist")
			w.gateway("component-gateway")
			w.untilSays(apiGVK, "catalog", "Routed", "True Routed")

			// Idle means silence.
			w.quiet(s)
			writes, reads := s.wire.traffic()
			merge(t, w.get(apiGVK, "catalog"), `{"metadata":{"annotations":{"touched":"1"}}}`)
			merge(t, w.ingress, `{"metadata":{"annotations":{"touched":"1"}}}`)
			w.endpoints("prodcatapi", "v4", discoveryv1.AddressTypeIPv4, ptr.To(false), ptr.To(false))
			w.quiet(s)
			moreWrites, moreReads := s.wire.traffic()
			assert.Equal(t, writes, moreWrites, "no write")
			assert.Equal(t, reads, moreReads, "no read")
		})
	}
}

func TestAnAPIWhoseServiceIsMissingSaysSo(t *testing.T) {
	newNamespace(t)
	w := newWorld(t, complete(t)...)
	startSidecar(t, w.namespace, nil)
	api := w.api("catalog", "openapi", path)
	w.rendered(api)
	w.untilSays(apiGVK, "catalog", "Ready", "False ServiceNotFound")
	w.untilEvent("catalog", "Warning", "ServiceNotFound", w.namespace+"/prodcatapi")
	w.service("prodcatapi")
	w.untilSays(apiGVK, "catalog", "Ready", "False NoReadyEndpoint")
}
