package exposure

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"pgregory.net/rapid"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

func TestComputingAgainChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		flag := func(name string) bool { return rapid.Bool().Draw(t, name) }
		api := rapid.SampledFrom([]oda.API{catalog(), metrics()}).Draw(t, "api")
		input := in(t, api, func(in *Input) {
			in.Istio, in.PrometheusOperator, in.Monitor, in.ReadyEndpoint = flag("istio"), flag("prometheus"), flag("monitor"), flag("ready")
			if flag("no gateway") {
				in.Gateway = nil
			}
			if flag("no service") {
				in.Service = nil
			}
			if flag("no address") {
				in.Front = nil
			}
			if flag("external") {
				in.API.Implementation = oda.ImplementationExternal
			}
			in.Settings.Metrics = rapid.SampledFrom([]oda.MetricsMode{oda.MetricsServiceMonitor, oda.MetricsDataDogAnnotations}).Draw(t, "mode")
		})
		first := Compute(input)
		input.Current, input.Now = first, now.Add(1e12)
		assert.Equal(t, first, Compute(input))
		for _, c := range first.Conditions {
			assert.NotEmpty(t, c.Message)
			assert.Regexp(t, `^[A-Z][A-Za-z]+$`, c.Reason)
		}
		assert.Empty(t, Transitions(first, first))
	})
}

func TestAnAPIThatIsKeptInsideHasAURLThatWorksThere(t *testing.T) {
	got := Compute(in(t, catalog(), func(in *Input) {
		in.API.Segment, in.Settings.InternalSegments = oda.SegmentManagement, []string{oda.SegmentManagement}
		in.Route = &Route{}
	}))
	assert.Equal(t, "False Internal", says(got, oda.ConditionRouted))
	assert.Equal(t, "http://prdcat3-prodcatapi.components.svc.cluster.local:8080"+catalog().Path, got.APIStatus.URL)
	assert.Empty(t, got.APIStatus.UID)
}

func TestAnAPIWithoutItsOwnRouteHasNoURL(t *testing.T) {
	for name, change := range map[string]func(*Input){
		"the loser of a path":                 func(in *Input) { in.Conflict = &oda.Conflict{} },
		"the VirtualService of somebody else": func(in *Input) { in.Route = &Route{UID: "x", Owner: "other"} },
	} {
		t.Run(name, func(t *testing.T) {
			got := Compute(in(t, catalog(), change))
			assert.Empty(t, got.APIStatus.URL)
			assert.Empty(t, got.APIStatus.UID)
			assert.Empty(t, got.APIStatus.IP)
		})
	}
}

func TestMonitoredSaysWhatIsMissing(t *testing.T) {
	datadog := func(in *Input) { in.Settings.Metrics = oda.MetricsDataDogAnnotations }
	for want, change := range map[string][]func(*Input){
		"True ServiceMonitorInPlace":           nil,
		"False ServiceMonitorNotFound":         {func(in *Input) { in.Monitor = false }},
		"Unknown ServiceMonitorsNotListed":     {func(in *Input) { in.Monitor, in.MonitorsUnknown = false, true }},
		"False PrometheusOperatorNotInstalled": {func(in *Input) { in.PrometheusOperator = false }},
		"False ServiceLabelMissing":            {func(in *Input) { in.Service.Labels = nil }},
		"True PodsAnnotated":                   {datadog},
		"False ServiceNotFound":                {datadog, func(in *Input) { in.Service = nil }},
		"False ServiceWithoutSelector":         {datadog, func(in *Input) { in.Service.Spec.Selector = nil }},
	} {
		assert.Equal(t, want, says(Compute(in(t, metrics(), change...)), oda.ConditionMonitored))
	}
	assert.Equal(t, "(absent)", says(Compute(in(t, catalog())), oda.ConditionMonitored))
}

// The texts are those of section 3.3 of the description of the upstream operator.
func TestAnnotationsAreThoseOfUpstream(t *testing.T) {
	assert.Equal(t, map[string]string{"prometheus.io/scrape": "true"}, Annotations(oda.MetricsPrometheusAnnotations, []oda.API{metrics()}, "x"))
	const one = `{"openmetrics_endpoint": "http://prdcat3-productcatalogmanagement-sm.components.svc.cluster.local:4000/prdcat3-productcatalogmanagement/metrics", ` +
		`"namespace": "components", "metrics": [".*"]}`
	assert.Equal(t, map[string]string{"ad.datadoghq.com/catalog.checks": `{"openmetrics": {"instances": [` + one + `]}}`},
		Annotations(oda.MetricsDataDogAnnotations, []oda.API{metrics()}, "catalog"))
	second := metrics()
	second.Name, second.Path = "a-first", "/<a>"
	assert.Equal(t, map[string]string{"ad.datadoghq.com/catalog.checks": `{"openmetrics": {"instances": [` +
		`{"openmetrics_endpoint": "http://prdcat3-productcatalogmanagement-sm.components.svc.cluster.local:4000/<a>", "namespace": "components", "metrics": [".*"]}, ` + one + `]}}`},
		Annotations(oda.MetricsDataDogAnnotations, []oda.API{metrics(), second}, "catalog"), "two APIs of one pod")
	assert.Nil(t, Annotations(oda.MetricsServiceMonitor, []oda.API{metrics()}, "catalog"))
	assert.Nil(t, Annotations(oda.MetricsPrometheusAnnotations, nil, "catalog"))
}

func TestEventsTellOfEveryChangeOnce(t *testing.T) {
	fine := Compute(in(t, catalog()))
	lost := Compute(in(t, catalog(), func(in *Input) {
		in.Conflict = &oda.Conflict{Winner: oda.Key{Kind: "ExposedAPI", Namespace: "a", Name: "b"}}
	}))
	idle := Compute(in(t, catalog(), func(in *Input) { in.ReadyEndpoint = false }))
	kinds := func(events []Event) (out []string) {
		for _, e := range events {
			out = append(out, e.Type+" "+e.Reason)
		}
		return out
	}
	assert.Equal(t, []string{"Normal Routed", "Normal EndpointReady"}, kinds(Transitions(Status{}, fine)))
	assert.Equal(t, []string{"Warning PathConflict"}, kinds(Transitions(fine, lost)))
	assert.Equal(t, []string{"Normal Routed"}, kinds(Transitions(lost, fine)))
	homeless := Compute(in(t, catalog(), func(in *Input) { in.Gateway = nil }))
	assert.Equal(t, []string{"Warning GatewayNotFound"}, kinds(Transitions(lost, homeless)), "another reason")
	assert.Equal(t, []string{"Warning NoReadyEndpoint"}, kinds(Transitions(fine, idle)))
	assert.Equal(t, []string{"Normal Routed"}, kinds(Transitions(Status{}, idle)), "that pods start is no news")
}

func TestTheConditionsOfOthersStay(t *testing.T) {
	r := readResource(object(t, `
apiVersion: oda.tmforum.org/v1
kind: ExposedAPI
metadata: {namespace: components, name: catalog, uid: u-1, resourceVersion: "1"}
spec: {apiType: openapi, implementation: x, path: /v4, port: 80}
status:
  conditions:
  - {type: Deployed, status: "True", reason: InstallSuccessful, odd: [1]}
  - {type: Routed, status: "False", reason: Old, message: x, lastTransitionTime: "2026-01-01T00:00:00Z"}
  - {type: Monitored, status: "False", reason: Old, message: x, lastTransitionTime: "2026-01-01T00:00:00Z"}`))
	require.Len(t, r.status.Conditions, 2)
	merged, err := mergeConditions(r.conditions, Compute(in(t, r.API)))
	require.NoError(t, err)
	var types []any
	for _, c := range merged {
		types = append(types, c.(map[string]any)["type"])
	}
	assert.Equal(t, []any{"Deployed", "Routed", "Ready"}, types)
	assert.Equal(t, []any{int64(1)}, merged[0].(map[string]any)["odd"])
}

func TestHowADefinitionIsServed(t *testing.T) {
	version := func(name string, served, storage, subresource bool) apiextensionsv1.CustomResourceDefinitionVersion {
		v := apiextensionsv1.CustomResourceDefinitionVersion{Name: name, Served: served, Storage: storage}
		if subresource {
			v.Subresources = &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}}
		}
		return v
	}
	definition := func(established apiextensionsv1.ConditionStatus, versions ...apiextensionsv1.CustomResourceDefinitionVersion) *apiextensionsv1.CustomResourceDefinition {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		crd.Spec.Group, crd.Spec.Names.Kind, crd.Spec.Names.Plural, crd.Spec.Versions = "g", "K", "ks", versions
		crd.Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{{Type: apiextensionsv1.Established, Status: established}}
		return crd
	}
	offer := func(version string, subresource bool) served {
		return served{GroupVersionResource: schema.GroupVersionResource{Group: "g", Version: version, Resource: "ks"}, kind: "K", subresource: subresource}
	}
	for name, tc := range map[string]struct {
		crd   *apiextensionsv1.CustomResourceDefinition
		want  served
		found bool
	}{
		"the version of storage": {definition("True", version("v1", true, false, false), version("v1beta4", true, true, true)), offer("v1beta4", true), true},
		"the most stable one when that is not served": {definition("True", version("v1alpha4", true, false, false), version("v1beta3", true, false, false),
			version("v1", false, true, true)), offer("v1beta3", false), true},
		"not established yet": {definition("False", version("v1", true, true, true)), served{}, false},
		"none served":         {definition("True", version("v1", false, true, true)), served{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, found := servedBy(tc.crd)
			assert.Equal(t, tc.found, found)
			assert.Equal(t, tc.want, got)
		})
	}
}

func TestSlimmingKeepsWhatIsLookedAt(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: "p", UID: "u", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"prometheus.io/scrape": "true", "big": "x"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubelet"}, {Manager: oda.FieldManagerPods,
			FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:annotations":{"f:prometheus.io/scrape":{}}}}`)}},
	}}
	pod.Spec.Containers = []corev1.Container{{Name: "istio-proxy", Image: "x"}, {Name: "app", Image: "y"}}
	for range 2 {
		_, err := slim(pod)
		require.NoError(t, err)
		got := readPod(pod)
		assert.Equal(t, "app", got.container)
		assert.Equal(t, []string{"prometheus.io/scrape"}, got.owned)
		assert.Equal(t, map[string]string{"prometheus.io/scrape": "true"}, got.annotations)
		assert.Equal(t, map[string]string{"a": "b"}, got.labels)
		assert.Empty(t, pod.Spec.Containers[0].Image)
	}
	assert.False(t, readPod(pod).annotated(nil), "ours, and due no longer")
	assert.True(t, readPod(pod).annotated(map[string]string{"prometheus.io/scrape": "true"}))
	assert.False(t, readPod(pod).annotated(map[string]string{"prometheus.io/scrape": "true", "other": "x"}))
}

func TestTheHelmOperatorIsWaitedForOnlyWhileItWillChangeTheRoute(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Input)
		want   bool
	}{
		"all is done":                {func(*Input) {}, false},
		"no VirtualService yet":      {func(in *Input) { in.Route = &Route{} }, true},
		"a VirtualService of before": {func(in *Input) { in.Route = &Route{Owner: string(in.API.UID), Hosts: []string{"*"}} }, true},
		"it cannot":                  {func(in *Input) { in.Route, in.HelmFailure = &Route{}, "why" }, false},
		"it will not":                {func(in *Input) { in.Route, in.Conflict = &Route{}, &oda.Conflict{} }, false},
		"it must not":                {func(in *Input) { in.Route, in.Istio = &Route{}, false }, false},
		"there is nothing to route":  {func(in *Input) { in.Route, in.API.Implementation = &Route{}, oda.ImplementationExternal }, false},
	} {
		assert.Equal(t, tc.want, in(t, catalog(), tc.change).unsettled(), name)
	}
}

func TestAPatchNamesOnlyWhatChanges(t *testing.T) {
	r := readResource(object(t, `
apiVersion: oda.tmforum.org/v1
kind: ExposedAPI
metadata: {namespace: components, name: catalog, uid: u-1, resourceVersion: "1"}
spec: {apiType: openapi, implementation: x, path: /v4, port: 80}
status: {apiStatus: {url: old, note: kept}, implementation: {ready: true}}`))
	patch, err := statusPatch(r, Compute(in(t, r.API, func(in *Input) { in.Front = nil })))
	require.NoError(t, err)
	var sent struct{ Status map[string]any }
	require.NoError(t, json.Unmarshal(patch, &sent))
	assert.Equal(t, map[string]any{"name": "catalog", "path": "/v4", "port": 80.0, "implementation": "x", "uid": routeUID, "url": nil},
		sent.Status["apiStatus"], "url is removed; ip and developerUI were not there")
	assert.NotContains(t, sent.Status, "implementation", "it is as it was")
}
