package exposure

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

// The tests below are named after the numbered faults of the upstream operator that concern the status; it would fail each.

func TestFault1TheCauseOfAProblemIsInTheConditionWithARemedy(t *testing.T) {
	for reason, tc := range map[string]struct {
		conditionType string
		change        func(*Input)
		says          []string
	}{
		ReasonPathConflict: {oda.ConditionRouted, func(in *Input) {
			in.Conflict = &oda.Conflict{Winner: oda.Key{Kind: "ExposedAPI", Namespace: "other", Name: "older"}, Gateway: "canvas/gw", Host: "*", Path: "/v4", Equal: true}
		}, []string{"ExposedAPI other/older", "canvas/gw", "Change spec.path"}},
		ReasonInvalidSpec:    {oda.ConditionRouted, func(in *Input) { in.SpecError = "spec.port is no number: x" }, []string{"spec.port is no number"}},
		ReasonRouteNotOurs:   {oda.ConditionRouted, func(in *Input) { in.Route = &Route{Owner: "other"} }, []string{"belongs to somebody else", "Rename"}},
		ReasonRouteOutdated:  {oda.ConditionRouted, func(in *Input) { in.Route = &Route{Owner: string(in.API.UID)}; in.HelmFailure = "quota" }, []string{"quota"}},
		ReasonGatewayMissing: {oda.ConditionRouted, func(in *Input) { in.Gateway = nil }, []string{"components/component-gateway", oda.EnvGateway}},
		ReasonFrontMissing:   {oda.ConditionRouted, func(in *Input) { in.Front = nil }, []string{"istio=ingressgateway", oda.EnvPublicHostname}},
		ReasonAddressPending: {oda.ConditionRouted, func(in *Input) { in.Front[0].Status = corev1.ServiceStatus{} }, []string{"istio-ingress/istio-ingress", "follows"}},
		ReasonServiceMissing: {oda.ConditionReady, func(in *Input) { in.Service, in.ReadyEndpoint = nil, false }, []string{"components/prdcat3-prodcatapi", "Create it"}},
		ReasonNotReady:       {oda.ConditionReady, func(in *Input) { in.ReadyEndpoint = false }, []string{"app=prdcat3-prodcatapi"}},
	} {
		t.Run(reason, func(t *testing.T) {
			got := Compute(in(t, catalog(), tc.change))
			assert.Equal(t, "False "+reason, says(got, tc.conditionType))
			for _, text := range tc.says {
				assert.Contains(t, message(t, got, tc.conditionType), text)
			}
		})
	}
}

func TestFault3TheURLFollowsWhenTheLoadBalancerGetsItsAddressLater(t *testing.T) {
	w := newWorld(oda.Settings{Gateway: oda.DefaultGateway})
	w.setGateway(name{Namespace: "components", Name: "component-gateway"}, object(t, chartGateway))
	w.setAPI(object(t, exposed))
	pending := front("istio-ingress", []corev1.ServicePort{port("http2", 80)})
	assert.Equal(t, []oda.Key{catalogKey}, w.setService(nameOf(pending), pending))
	addressed := front("istio-ingress", []corev1.ServicePort{port("http2", 80)}, corev1.LoadBalancerIngress{IP: "203.0.113.10"})
	assert.Contains(t, w.setService(nameOf(addressed), addressed), catalogKey, "the API is told")
	again := addressed.DeepCopy()
	again.ResourceVersion = "2"
	assert.Empty(t, w.setService(nameOf(again), again), "nothing has changed")
	elsewhere := again.DeepCopy()
	elsewhere.Labels = nil
	assert.Contains(t, w.setService(nameOf(elsewhere), elsewhere), catalogKey, "it leads there no longer")
	w.setService(nameOf(again), again)
	assert.Contains(t, w.setService(nameOf(again), nil), catalogKey, "it is gone")
}

func TestFault4ReadinessGoesBothWays(t *testing.T) {
	w := newWorld(oda.Settings{Gateway: oda.DefaultGateway})
	w.setAPI(object(t, exposed))
	slice := func(name string, ready ...*bool) *discoveryv1.EndpointSlice {
		s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
			Namespace: "components", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: "prodcatapi"}}}
		for _, r := range ready {
			s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Conditions: discoveryv1.EndpointConditions{Ready: r}})
		}
		return s
	}
	ready := func() bool { in, _, _ := w.observe(catalogKey); return *Compute(in).Ready }
	assert.False(t, ready())
	assert.Empty(t, w.setSlice(slice("a", ptr.To(false))), "nothing changes")
	assert.Equal(t, []oda.Key{catalogKey}, w.setSlice(slice("b", ptr.To(false), nil)), "nil means ready")
	assert.True(t, ready(), "not only the first slice counts")
	assert.Empty(t, w.setSlice(slice("c", ptr.To(true))), "the API is ready already: no write for each endpoint")
	assert.Empty(t, w.deleteSlice(slice("c")))
	assert.Equal(t, []oda.Key{catalogKey}, w.setSlice(slice("b")))
	assert.False(t, ready())
}

func TestFault5EveryFieldOfTheSpecCounts(t *testing.T) {
	before := Compute(in(t, catalog()))
	for name, change := range map[string]func(*Input){
		"developerUI": func(in *Input) { in.API.DeveloperUI = "/other/docs" },
		"apiType":     func(in *Input) { in.API.Type = "openmetrics" },
		"hostname":    func(in *Input) { in.API.Hostname = "api.example.com" },
	} {
		t.Run(name, func(t *testing.T) {
			after := in(t, catalog(), change)
			after.Current = before
			assert.NotEqual(t, before, Compute(after))
		})
	}
}

const exposed = `
apiVersion: oda.tmforum.org/v1
kind: ExposedAPI
metadata: {namespace: components, name: catalog, uid: u-1}
spec: {apiType: openapi, implementation: prodcatapi, path: /v4, port: 8080}`

var catalogKey = oda.Key{Kind: "ExposedAPI", Namespace: "components", Name: "catalog"}

func TestFault7NoLabelIsNeeded(t *testing.T) {
	w := newWorld(oda.Settings{Gateway: oda.DefaultGateway})
	assert.Equal(t, []oda.Key{catalogKey}, w.setAPI(object(t, exposed)))
	in, _, found := w.observe(catalogKey)
	require.True(t, found)
	assert.NotNil(t, Compute(in).APIStatus)
}

func TestFault8AnExternalAPIKeepsItsStatus(t *testing.T) {
	r := readResource(object(t, `
apiVersion: oda.tmforum.org/v1
kind: ExposedAPI
metadata: {namespace: components, name: external, uid: u-1, resourceVersion: "1"}
spec: {apiType: openapi, implementation: <external>, path: /v4, port: 443}
status: {apiStatus: {url: "https://elsewhere.example.com/v4"}, implementation: {ready: true}}`))
	wanted := Compute(Input{API: r.API, Current: r.status, Now: now})
	assert.Equal(t, "False External", says(wanted, oda.ConditionRouted))
	assert.Equal(t, "Unknown External", says(wanted, oda.ConditionReady))
	patch, err := statusPatch(r, wanted)
	require.NoError(t, err)
	var sent struct{ Status map[string]any }
	require.NoError(t, json.Unmarshal(patch, &sent))
	assert.NotContains(t, sent.Status, "apiStatus")
	assert.NotContains(t, sent.Status, "implementation")
	assert.Equal(t, told{URL: "https://elsewhere.example.com/v4", Ready: true}, tell(wanted), "the Component gets what it says")
}

func TestFault9AMissingIstioIsAConditionAndBlocksNoMonitoring(t *testing.T) {
	got := Compute(in(t, metrics(), func(in *Input) { in.Istio, in.Route, in.Gateway = false, nil, nil }))
	assert.Equal(t, "False IstioNotInstalled", says(got, oda.ConditionRouted))
	assert.Equal(t, "True ServiceMonitorInPlace", says(got, oda.ConditionMonitored))
	assert.Equal(t, "True EndpointReady", says(got, oda.ConditionReady))

	// Nor does a missing ServiceMonitor block routing (issue 92).
	got = Compute(in(t, metrics(), func(in *Input) { in.PrometheusOperator, in.Monitor = false, false }))
	assert.Equal(t, "True Routed", says(got, oda.ConditionRouted))
	assert.Equal(t, "False PrometheusOperatorNotInstalled", says(got, oda.ConditionMonitored))
	assert.NotEmpty(t, got.APIStatus.URL)
}

func TestFault10EveryPodOfTheFullSelectorIsAnnotated(t *testing.T) {
	w := newWorld(oda.Settings{Gateway: oda.DefaultGateway, Metrics: oda.MetricsPrometheusAnnotations})
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "components", Name: "prodcatapi"}}
	service.Spec.Selector = map[string]string{"app": "x", "tier": "api"}
	pod := func(podName string, labels map[string]string) name {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "components", Name: podName, Labels: labels}}
		w.setPod(nameOf(p), p)
		return nameOf(p)
	}
	a, b := pod("a", service.Spec.Selector), pod("b", service.Spec.Selector)
	other := pod("c", map[string]string{"app": "x"})
	u := object(t, exposed)
	u.Object["spec"].(map[string]any)["apiType"] = "openmetrics"
	w.setAPI(u)
	assert.ElementsMatch(t, []oda.Key{catalogKey, podKey(a), podKey(b)}, w.setService(nameOf(service), service))
	for _, n := range []name{a, b} {
		_, due := w.due(n)
		assert.Equal(t, map[string]string{"prometheus.io/scrape": "true"}, due)
	}
	_, due := w.due(other)
	assert.Empty(t, due, "the full selector counts")
	assert.ElementsMatch(t, []oda.Key{podKey(a), podKey(b)}, w.deleteAPI(catalogKey))
	_, due = w.due(a)
	assert.Empty(t, due)
}

func TestFault13ListsOfAComponentAreNeverReplaced(t *testing.T) {
	c := readComponent(object(t, `
apiVersion: oda.tmforum.org/v1
kind: Component
metadata: {namespace: components, name: ctk}
status:
  coreAPIs: [{name: other, uid: u-9, url: "https://kept"}, {name: core, uid: u-1, ready: true, url: "https://old", developerUI: "https://old/docs"}]
  managementAPIs: [{name: metrics, uid: u-2}]`))
	patch, err := ComponentPatch(c, map[string]told{"u-1": {URL: "https://new", Ready: false}, "u-2": {}, "u-3": {URL: "https://nobody"}})
	require.NoError(t, err)
	assert.JSONEq(t, `[
		{"op":"test","path":"/status/coreAPIs/1/uid","value":"u-1"},
		{"op":"add","path":"/status/coreAPIs/1/url","value":"https://new"},
		{"op":"remove","path":"/status/coreAPIs/1/developerUI"},
		{"op":"add","path":"/status/coreAPIs/1/ready","value":false}]`, string(patch))
	patch, err = ComponentPatch(readComponent(object(t, `{apiVersion: oda.tmforum.org/v1, kind: Component, metadata: {name: x}}`)), map[string]told{"u-1": {}})
	require.NoError(t, err)
	assert.Nil(t, patch, "a Component without a status is no error")
}
