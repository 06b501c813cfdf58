package exposure_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

func rawMerge(patch string) client.Patch { return client.RawPatch(types.MergePatchType, []byte(patch)) }

func TestTheComponentGetsWhatItsAPIsSay(t *testing.T) {
	newNamespace(t)
	w := newWorld(t, complete(t)...)
	s := startSidecar(t, w.namespace, nil)
	component := w.apply(`{apiVersion: oda.tmforum.org/v1, kind: Component, metadata: {name: ctk-catalog}, spec: {}}`)
	owner := fmt.Sprintf("\n  ownerReferences: [{apiVersion: oda.tmforum.org/v1, kind: Component, name: ctk-catalog, uid: %s}]", component.GetUID())
	api := func(name, path string) string {
		u := w.apply(fmt.Sprintf(`
apiVersion: oda.tmforum.org/v1
kind: ExposedAPI
metadata:
  name: %s%s
spec: {name: catalog, apiType: openapi, implementation: prodcatapi, path: %s, developerUI: %s/docs, port: 8080}`, name, owner, path, path))
		w.rendered(u)
		return string(u.GetUID())
	}
	core, security := api("core", "/core"), api("security", "/security")
	w.until(apiGVK, "core", "https://203.0.113.10/core", "status", "apiStatus", "url")
	w.until(apiGVK, "security", "https://203.0.113.10/security", "status", "apiStatus", "url")

	// The operator of Components writes its lists, in which other things stand that are not ours.
	merge(t, component, fmt.Sprintf(`{"status":{"deployment_status":"In-Progress-CompCon",
		"coreAPIs":[{"name":"other","uid":"other"},{"name":"core","uid":%q,"ready":false}],
		"securityAPIs":[{"name":"security","uid":%q}]}}`, core, security))
	w.endpoints("prodcatapi", "v4", discoveryv1.AddressTypeIPv4, nil)
	w.until(componentGVK, "ctk-catalog", fmt.Sprintf("[map[name:other uid:other] map[developerUI:https://203.0.113.10/core/docs name:core ready:true uid:%s "+
		"url:https://203.0.113.10/core]]", core), "status", "coreAPIs")
	got := w.until(componentGVK, "ctk-catalog", fmt.Sprintf("[map[developerUI:https://203.0.113.10/security/docs name:security ready:true uid:%s "+
		"url:https://203.0.113.10/security]]", security), "status", "securityAPIs")
	assert.Equal(t, "In-Progress-CompCon", text(got, "status", "deployment_status"))

	// A list that is written anew is completed anew.
	merge(t, got, fmt.Sprintf(`{"status":{"coreAPIs":[{"name":"core","uid":%q}]}}`, core))
	w.until(componentGVK, "ctk-catalog", fmt.Sprintf("[map[developerUI:https://203.0.113.10/core/docs name:core ready:true uid:%s "+
		"url:https://203.0.113.10/core]]", core), "status", "coreAPIs")
	writes := w.quiet(s)
	merge(t, w.get(componentGVK, "ctk-catalog"), `{"status":{"deployment_status":"Complete"}}`)
	assert.Len(t, w.quiet(s), len(writes), "nothing of ours has changed")
}

// pod makes a pod with containers of the given names.
func (w *world) pod(name string, labels map[string]string, containers ...string) *corev1.Pod {
	w.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name, Labels: labels}}
	for _, c := range containers {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: c, Image: "example.com/x"})
	}
	w.create(p)
	return p
}

func (w *world) untilAnnotated(p *corev1.Pod, want map[string]string) {
	w.Helper()
	met := assert.Eventually(w, func() bool {
		require.NoError(w, cluster.client.Get(w.Context(), client.ObjectKeyFromObject(p), p))
		return assert.ObjectsAreEqual(want, p.Annotations)
	}, patience, tick)
	require.True(w, met, "%s has %v, should have %v", p.Name, p.Annotations, want)
}

func TestAllPodsOfTheFullSelectorAreAnnotated(t *testing.T) {
	newNamespace(t)
	selected := map[string]string{"app": "prodcatapi", "tier": "api", "more": "x"}
	half := map[string]string{"app": "prodcatapi"}
	for mode, annotations := range map[string]func(namespace string) map[string]string{
		"PrometheusAnnotation": func(string) map[string]string { return map[string]string{"prometheus.io/scrape": "true"} },
		"datadogAnnotations": func(ns string) map[string]string {
			return map[string]string{"ad.datadoghq.com/catalog.checks": `{"openmetrics": {"instances": [{"openmetrics_endpoint": "http://prodcatapi.` + ns +
				`.svc.cluster.local:8080/metrics", "namespace": "components", "metrics": [".*"]}]}}`}
		},
	} {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t, complete(t)...)
			s := startSidecar(t, w.namespace, map[string]string{oda.EnvMetrics: mode})
			service := w.service("prodcatapi")
			first := w.pod("first", selected, "istio-proxy", "catalog")
			other := w.pod("other", half, "catalog")
			w.rendered(w.api("metrics", "prometheus", "/metrics"))
			w.untilSays(apiGVK, "metrics", "Monitored", "True PodsAnnotated")
			want := annotations(w.namespace)
			w.untilAnnotated(first, want)
			late := w.pod("late", selected, "catalog", "more")
			w.untilAnnotated(late, want)

			// An annotation that somebody takes away comes back.
			merge(t, late, `{"metadata":{"annotations":null}}`)
			w.untilAnnotated(late, want)

			// The Service selects others.
			merge(t, service, `{"spec":{"selector":{"tier":null,"more":null}}}`)
			w.untilAnnotated(other, want)
			merge(t, service, `{"spec":{"selector":{"tier":"none"}}}`)
			for _, p := range []*corev1.Pod{first, other, late} {
				w.untilAnnotated(p, nil)
			}
			merge(t, service, `{"spec":{"selector":{"tier":"api"}}}`)
			w.untilAnnotated(first, want)
			w.untilAnnotated(late, want)
			w.quiet(s)
			writes, reads := s.wire.traffic()
			merge(t, first, `{"metadata":{"labels":{"touched":"1"}}}`)
			w.quiet(s)
			moreWrites, moreReads := s.wire.traffic()
			assert.Equal(t, []int{writes, reads}, []int{moreWrites, moreReads}, "no traffic")

			// Another type; then another mode, when the annotations are an old operator's.
			merge(t, w.get(apiGVK, "metrics"), `{"spec":{"apiType":"openapi"}}`)
			w.untilAnnotated(first, nil)
			merge(t, w.get(apiGVK, "metrics"), `{"spec":{"apiType":"openmetrics"}}`)
			w.untilAnnotated(first, want)
			s.stop()
			startSidecar(t, w.namespace, nil)
			w.untilAnnotated(first, nil)
			w.untilAnnotated(late, nil)
		})
	}
}

func TestEveryURLFollowsTheLoadBalancerWithOneWriteEach(t *testing.T) {
	newNamespace(t)
	const apis = 500
	w := newWorld(t, complete(t)...)
	s := startSidecar(t, w.namespace, nil)
	w.service("prodcatapi")
	for i := range apis {
		w.rendered(w.api(fmt.Sprintf("api-%d", i), "openapi", fmt.Sprintf("/api-%d/v4", i)))
	}
	w.until(apiGVK, "api-499", "https://203.0.113.10/api-499/v4", "status", "apiStatus", "url")
	before := w.quiet(s)
	assert.Equal(t, apis, len(before), "one write for each")
	elsewhere := &corev1.Service{ // in front of another gateway
		ObjectMeta: metav1.ObjectMeta{Namespace: newNamespace(t), Name: "istio-ingress"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"istio": "elsewhere"}, Ports: []corev1.ServicePort{{Port: 80}}},
	}
	w.create(elsewhere)
	assert.Equal(t, apis, len(w.quiet(s)))

	started := time.Now()
	w.addressed(corev1.LoadBalancerIngress{IP: "203.0.113.20"})
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(apiGVK.GroupVersion().WithKind("ExposedAPIList"))
	w.eventually("the writes to be sent", func() bool { return len(s.wire.statusWrites()) == 2*apis }) // asking costs the API server time, too
	require.Eventually(t, func() bool {
		require.NoError(t, cluster.client.List(t.Context(), list, client.InNamespace(w.namespace)))
		return !slices.ContainsFunc(list.Items, func(u unstructured.Unstructured) bool {
			return text(&u, "status", "apiStatus", "url") != "https://203.0.113.20/"+u.GetName()+"/v4"
		})
	}, patience, tick)
	assert.Len(t, list.Items, apis)
	t.Logf("%d URLs follow a changed address in %s", apis, time.Since(started).Round(time.Millisecond))
	assert.Equal(t, 2*apis, len(w.quiet(s)), "one write for each")
}
