package exposure_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

const (
	// patience bounds every wait; a passing test never needs it.
	patience = 90 * time.Second
	tick     = 20 * time.Millisecond
)

var (
	apiGVK            = schema.GroupVersionKind{Group: "oda.tmforum.org", Version: "v1", Kind: "ExposedAPI"}
	legacyGVK         = schema.GroupVersionKind{Group: "oda.tmforum.org", Version: "v1beta4", Kind: "API"}
	componentGVK      = schema.GroupVersionKind{Group: "oda.tmforum.org", Version: "v1", Kind: "Component"}
	virtualServiceGVK = schema.GroupVersionKind{Group: "networking.istio.io", Version: "v1", Kind: "VirtualService"}
	gatewayGVK        = schema.GroupVersionKind{Group: "networking.istio.io", Version: "v1", Kind: "Gateway"}
	monitorGVK        = schema.GroupVersionKind{Group: "monitoring.coreos.com", Version: "v1", Kind: "ServiceMonitor"}
)

// world is a namespace of components, with a gateway of its own.
type world struct {
	*testing.T
	namespace string
	// ingress is the Service in front of the gateway.
	ingress *corev1.Service
}

// newWorld makes sure that exactly the given definitions are served, and makes a namespace with a gateway, where Istio is,
// and the Service in front of it, which has the address 203.0.113.10.
func newWorld(t *testing.T, crds ...*apiextensionsv1.CustomResourceDefinition) *world {
	t.Helper()
	w := &world{T: t, namespace: newNamespace(t)}
	w.define(crds...)
	selector := map[string]string{"istio": w.namespace}
	w.ingress = &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "istio-ingress"},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Selector: selector, Ports: []corev1.ServicePort{
			{Name: "http2", Port: 80}, {Name: "https", Port: 443}}},
	}
	w.create(w.ingress)
	w.addressed(corev1.LoadBalancerIngress{IP: "203.0.113.10"})
	for _, crd := range crds {
		if crd.Name == "gateways.networking.istio.io" {
			w.gateway("component-gateway")
		}
	}
	t.Cleanup(func() { // what is left would be noise in later tests
		for _, gvk := range []schema.GroupVersionKind{apiGVK, legacyGVK} {
			list := &unstructured.Unstructured{}
			list.SetGroupVersionKind(gvk)
			_ = cluster.client.DeleteAllOf(context.Background(), list, client.InNamespace(w.namespace))
		}
	})
	return w
}

// define makes sure that of the kinds that matter exactly those of the given definitions are served.
func (w *world) define(crds ...*apiextensionsv1.CustomResourceDefinition) {
	w.Helper()
	wanted := map[string]bool{}
	for _, crd := range crds {
		wanted[crd.Name] = true
	}
	for _, name := range []string{"exposedapis.oda.tmforum.org", "apis.oda.tmforum.org", "components.oda.tmforum.org",
		"virtualservices.networking.istio.io", "gateways.networking.istio.io", "servicemonitors.monitoring.coreos.com"} {
		if !wanted[name] {
			w.undefine(name)
		}
	}
	for _, crd := range crds {
		w.defineOne(crd.DeepCopy())
	}
}

func (w *world) undefine(name string) {
	w.Helper()
	crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: name}}
	require.NoError(w, client.IgnoreNotFound(cluster.client.Delete(w.Context(), crd)))
	w.eventually("the end of "+name, func() bool {
		return apierrors.IsNotFound(cluster.client.Get(w.Context(), client.ObjectKeyFromObject(crd), crd))
	})
}

func (w *world) defineOne(crd *apiextensionsv1.CustomResourceDefinition) {
	w.Helper()
	var now apiextensionsv1.CustomResourceDefinition
	err := cluster.client.Get(w.Context(), client.ObjectKeyFromObject(crd), &now)
	if apierrors.IsNotFound(err) {
		require.NoError(w, cluster.client.Create(w.Context(), crd))
	} else {
		require.NoError(w, err)
		crd.ResourceVersion = now.ResourceVersion
		require.NoError(w, cluster.client.Update(w.Context(), crd))
	}
	w.eventually(crd.Name+" served", func() bool {
		require.NoError(w, cluster.client.Get(w.Context(), client.ObjectKeyFromObject(crd), &now))
		for _, c := range now.Status.Conditions {
			if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
				list := &unstructured.UnstructuredList{}
				list.SetGroupVersionKind(schema.GroupVersionKind{Group: crd.Spec.Group, Version: crd.Spec.Versions[0].Name, Kind: crd.Spec.Names.ListKind})
				return cluster.client.List(w.Context(), list, client.InNamespace(w.namespace)) == nil
			}
		}
		return false
	})
}

func (w *world) eventually(what string, met func() bool) {
	w.Helper()
	require.Eventually(w, met, patience, tick, what)
}

func (w *world) create(objects ...client.Object) {
	w.Helper()
	for _, o := range objects {
		w.eventually("creating", func() bool { // a kind that was defined just now may be unknown for a moment
			err := cluster.client.Create(w.Context(), o)
			if err != nil && !strings.Contains(err.Error(), "no matches for kind") && !apierrors.IsNotFound(err) {
				require.NoError(w, err)
			}
			return err == nil
		})
	}
}

// apply creates what a text describes.
func (w *world) apply(text string) *unstructured.Unstructured {
	w.Helper()
	u := &unstructured.Unstructured{}
	require.NoError(w, yaml.Unmarshal([]byte(text), &u.Object))
	if u.GetNamespace() == "" {
		u.SetNamespace(w.namespace)
	}
	w.create(u)
	return u
}

// gateway makes the Gateway of ODA Canvas' chart.
func (w *world) gateway(name string) {
	w.Helper()
	w.apply(fmt.Sprintf(`
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: %s}
spec:
  selector: {istio: %s}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"], tls: {httpsRedirect: true}}
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: istio-ingress-cert}}`,
		name, w.namespace))
}

// addressed gives the load balancer its address, as its controller does.
func (w *world) addressed(entries ...corev1.LoadBalancerIngress) {
	w.Helper()
	w.ingress.Status.LoadBalancer.Ingress = entries
	require.NoError(w, cluster.client.Status().Update(w.Context(), w.ingress))
}

// service makes an implementation.
func (w *world) service(name string) *corev1.Service {
	w.Helper()
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name, Labels: map[string]string{"name": name}},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": name, "tier": "api"}, Ports: []corev1.ServicePort{{Port: 8080}}},
	}
	w.create(s)
	return s
}

// endpoints writes an EndpointSlice, as its controller does: one endpoint for each answer, nil for none.
func (w *world) endpoints(service, slice string, family discoveryv1.AddressType, ready ...*bool) {
	w.Helper()
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: w.namespace, Name: slice, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: family,
	}
	for i, r := range ready {
		address := fmt.Sprintf("10.0.0.%d", i+1)
		if family == discoveryv1.AddressTypeIPv6 {
			address = fmt.Sprintf("fd00::%d", i+1)
		}
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: r}})
	}
	var now discoveryv1.EndpointSlice
	if err := cluster.client.Get(w.Context(), client.ObjectKeyFromObject(s), &now); apierrors.IsNotFound(err) {
		w.create(s)
		return
	}
	s.ResourceVersion = now.ResourceVersion
	require.NoError(w, cluster.client.Update(w.Context(), s))
}

// api makes an ExposedAPI.
func (w *world) api(name, apiType, path string, more ...string) *unstructured.Unstructured {
	w.Helper()
	return w.apply(fmt.Sprintf(`
apiVersion: oda.tmforum.org/v1
kind: ExposedAPI
metadata: {name: %s}
spec:
  name: catalog
  apiType: %s
  implementation: prodcatapi
  path: %s
  port: 8080
%s`, name, apiType, path, strings.Join(more, "\n")))
}

// rendered plays the helm-operator: it makes the VirtualService of an API.
func (w *world) rendered(api *unstructured.Unstructured) *unstructured.Unstructured {
	w.Helper()
	spec := api.Object["spec"].(map[string]any)
	vs := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"hosts": []any{"*"}, "gateways": []any{"component-gateway"},
		"http": []any{map[string]any{
			"match": []any{map[string]any{"uri": map[string]any{"prefix": spec["path"]}}},
			"route": []any{map[string]any{"destination": map[string]any{
				"host": spec["implementation"], "port": map[string]any{"number": spec["port"]}}}},
		}},
	}}}
	vs.SetGroupVersionKind(virtualServiceGVK)
	w.owned(vs, api)
	w.create(vs)
	return vs
}

func (w *world) owned(o *unstructured.Unstructured, api *unstructured.Unstructured) {
	o.SetNamespace(api.GetNamespace())
	o.SetName(api.GetName())
	o.SetOwnerReferences([]metav1.OwnerReference{*metav1.NewControllerRef(api, api.GroupVersionKind())})
}

func (w *world) get(gvk schema.GroupVersionKind, name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(gvk)
	if err := cluster.client.Get(context.Background(), client.ObjectKey{Namespace: w.namespace, Name: name}, u); err != nil {
		return nil
	}
	return u
}

// text is a field of an object as text, "" when it is absent.
func text(u *unstructured.Unstructured, path ...string) string {
	if u == nil {
		return ""
	}
	value, found, _ := unstructured.NestedFieldNoCopy(u.Object, path...)
	if !found {
		return ""
	}
	return fmt.Sprint(value)
}

// says is "status reason" of a condition.
func says(u *unstructured.Unstructured, conditionType string) string {
	if u == nil {
		return ""
	}
	list, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, item := range list {
		if c, ok := item.(map[string]any); ok && c["type"] == conditionType {
			return fmt.Sprint(c["status"], " ", c["reason"])
		}
	}
	return "(absent)"
}

// until waits until a field of an API has a value, and returns the API.
func (w *world) until(gvk schema.GroupVersionKind, name, want string, path ...string) *unstructured.Unstructured {
	w.Helper()
	var u *unstructured.Unstructured
	met := assert.Eventually(w, func() bool { u = w.get(gvk, name); return text(u, path...) == want }, patience, tick)
	if !met {
		require.FailNow(w, "not reached", "%s %s should be %q\n%v", gvk.Kind, strings.Join(path, "."), want, u)
	}
	return u
}

// untilSays waits until a condition of an API is "status reason".
func (w *world) untilSays(gvk schema.GroupVersionKind, name, conditionType, want string) *unstructured.Unstructured {
	w.Helper()
	var u *unstructured.Unstructured
	met := assert.Eventually(w, func() bool { u = w.get(gvk, name); return says(u, conditionType) == want }, patience, tick)
	if !met {
		require.FailNow(w, "not reached", "%s should be %s\n%v", conditionType, want, u)
	}
	return u
}

// quiet waits until the writer has sent nothing for a while, and returns its writes so far.
func (w *world) quiet(s *sidecar) []string {
	w.Helper()
	last, since := -1, time.Now()
	w.eventually("silence", func() bool {
		writes, reads := s.wire.traffic()
		if n := writes + reads; n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > 700*time.Millisecond
	})
	return s.wire.statusWrites()
}

// untilEvent waits for an event about an API whose reason and note match.
func (w *world) untilEvent(name, eventType, reason, note string) {
	w.Helper()
	w.eventually("the event "+reason+" "+note, func() bool {
		var list eventsv1.EventList
		require.NoError(w, cluster.client.List(w.Context(), &list, client.InNamespace(w.namespace)))
		for _, e := range list.Items {
			if e.Regarding.Name == name && e.Type == eventType && e.Reason == reason && strings.Contains(e.Note, note) {
				return true
			}
		}
		return false
	})
}
