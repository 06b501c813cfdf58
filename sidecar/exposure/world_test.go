package exposure

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

// outcome is all that follows from what was observed: by API its status, by pod what is due, by Component what it is told.
func outcome(t require.TestingT, w *world) map[oda.Key]any {
	out := map[oda.Key]any{}
	for _, key := range w.all() {
		in, _, found := w.observe(key)
		if found {
			in.Istio, in.PrometheusOperator, in.Now = true, true, now
			out[key] = Compute(in)
		}
	}
	for n := range w.pods {
		_, due := w.due(n)
		out[podKey(n)] = fmt.Sprint(due)
	}
	for n := range w.components {
		patch, err := ComponentPatch(w.tells(n))
		require.NoError(t, err)
		out[componentKey(n)] = string(patch)
	}
	return out
}

// Whatever happens, everybody is told whom it concerns: who is not told has the outcome of before.
func TestEverybodyIsToldWhomAChangeConcerns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(oda.Settings{Gateway: "gw", Metrics: oda.MetricsPrometheusAnnotations})
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			before := outcome(t, w)
			told := map[oda.Key]bool{}
			for _, key := range step(t, w) {
				told[key] = true
			}
			after := outcome(t, w)
			for key, is := range after {
				if !told[key] {
					require.Equal(t, before[key], is, "%s was not told", key)
				}
			}
		}
	})
}

// step does something to the world, and returns who is told of it.
func step(t *rapid.T, w *world) []oda.Key {
	namespace := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "namespace")
	which := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "name")
	gone := rapid.IntRange(0, 3).Draw(t, "gone") == 0
	n := name{Namespace: namespace, Name: which}
	label := func() map[string]string {
		return map[string]string{"istio": rapid.SampledFrom([]string{"x", "y", ingressValue}).Draw(t, "label")}
	}
	path := rapid.SampledFrom([]string{"/v4", "/v4/x", "/v5"})
	described := func(kind, more string) *unstructured.Unstructured {
		return object(t, fmt.Sprintf("{apiVersion: x/v1, kind: %s, metadata: {namespace: %s, name: %s%s}}", kind, namespace, which, more))
	}
	switch rapid.SampledFrom([]string{"API", "VirtualService", "Gateway", "Service", "EndpointSlice", "Pod", "Component"}).Draw(t, "kind") {
	case "API":
		if gone {
			return w.deleteAPI(oda.Key{Kind: oda.KindExposedAPI, Namespace: namespace, Name: which})
		}
		u := described(oda.KindExposedAPI, fmt.Sprintf(", uid: %s-%s, ownerReferences: [{apiVersion: oda.tmforum.org/v1, kind: Component, name: %s}]",
			namespace, which, rapid.SampledFrom([]string{"x", "y"}).Draw(t, "component")))
		u.SetCreationTimestamp(metav1.Unix(rapid.Int64Range(1, 3).Draw(t, "created"), 0))
		u.Object["spec"] = map[string]any{
			"apiType": rapid.SampledFrom([]string{"openapi", "prometheus"}).Draw(t, "type"), "port": int64(80), "path": path.Draw(t, "path"),
			"implementation": rapid.SampledFrom([]string{"x", "y", "<external>"}).Draw(t, "implementation"),
		}
		u.Object["status"] = map[string]any{"apiStatus": map[string]any{"url": path.Draw(t, "url")}}
		return w.setAPI(u)
	case "VirtualService":
		if gone {
			return w.setRoute(n, nil)
		}
		owner := ""
		if rapid.Bool().Draw(t, "owned") {
			owner = fmt.Sprintf(", ownerReferences: [{apiVersion: oda.tmforum.org/v1, kind: ExposedAPI, name: x, uid: %s-%s, controller: true}]", namespace, which)
		}
		u := described("VirtualService", owner)
		u.Object["spec"] = map[string]any{"hosts": []any{"*"}, "gateways": []any{"gw"}, "http": []any{map[string]any{
			"match": []any{map[string]any{"uri": map[string]any{"prefix": path.Draw(t, "prefix")}}}}}}
		return w.setRoute(n, u)
	case "Gateway":
		n.Name = "gw"
		if gone {
			return w.setGateway(n, nil)
		}
		u := described("Gateway", "")
		u.Object["spec"] = map[string]any{"selector": map[string]any{"istio": label()["istio"]}}
		return w.setGateway(n, u)
	case "Service":
		if gone {
			return w.setService(n, nil)
		}
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: which, Labels: label()}}
		s.Spec.Selector = label()
		if rapid.Bool().Draw(t, "addressed") {
			s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: rapid.SampledFrom([]string{"203.0.113.1", "203.0.113.2"}).Draw(t, "ip")}}
		}
		return w.setService(n, s)
	case "EndpointSlice":
		s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: rapid.SampledFrom([]string{"1", "2"}).Draw(t, "slice"),
			Labels: map[string]string{discoveryv1.LabelServiceName: which}}}
		if gone {
			return w.deleteSlice(s)
		}
		s.Endpoints = []discoveryv1.Endpoint{{Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(rapid.Bool().Draw(t, "ready"))}}}
		return w.setSlice(s)
	case "Pod":
		if gone {
			return w.setPod(n, nil)
		}
		return w.setPod(n, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: which, Labels: label()}})
	default:
		if gone {
			return w.setComponent(n, nil)
		}
		u := described("Component", "")
		u.Object["status"] = map[string]any{"coreAPIs": []any{map[string]any{"uid": namespace + "-x"}, map[string]any{"uid": namespace + "-y"}}}
		return w.setComponent(n, u)
	}
}
