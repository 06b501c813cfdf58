package exposure

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// object reads an object from YAML.
func object(t require.TestingT, text string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	data, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(t, err)
	require.NoError(t, u.UnmarshalJSON(data))
	return u
}

// chartGateway is the Gateway of upstream's chart: HTTP redirects to HTTPS.
const chartGateway = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {namespace: components, name: component-gateway}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"], tls: {httpsRedirect: true}}
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: istio-ingress-cert}}`

// front is a Service in front of the gateway.
func front(name string, ports []corev1.ServicePort, ingress ...corev1.LoadBalancerIngress) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "istio-ingress", Name: name, Labels: map[string]string{"istio": "ingressgateway"}}}
	s.Spec.Ports, s.Status.LoadBalancer.Ingress = ports, ingress
	return s
}

func port(name string, number int32) corev1.ServicePort {
	return corev1.ServicePort{Name: name, Port: number}
}

// catalog is upstream's CREATE_APISTATUS_1, as far as its operator reads it.
func catalog() oda.API {
	const path = "/prdcat3-productcatalogmanagement/tmf-api/productCatalogManagement/v4"
	return oda.API{
		Key: oda.Key{Kind: "ExposedAPI", Namespace: "components", Name: "prdcat3-productcatalogmanagement-productcatalogmanagement"},
		UID: "e715b931-4413-4cee-9f84-f747471063c4", Type: "openapi", Implementation: "prdcat3-prodcatapi",
		Path: path, DeveloperUI: path + "/docs", Port: 8080,
	}
}

// metrics is upstream's CREATE_APISTATUS_2.
func metrics() oda.API {
	return oda.API{
		Key: oda.Key{Kind: "ExposedAPI", Namespace: "components", Name: "prdcat3-productcatalogmanagement-metrics"},
		UID: "103a544e-07c5-48a8-89f9-b1ae2618b141", Type: "prometheus", Implementation: "prdcat3-productcatalogmanagement-sm",
		Path: "/prdcat3-productcatalogmanagement/metrics", Port: 4000,
	}
}

const routeUID = "1f0e7ed5-ec14-4bb3-a1ba-f2b9d9d1d3a6"

// in is the input of an API in perfect order, with the VirtualService that its settings ask for; change makes it less so.
func in(t require.TestingT, api oda.API, change ...func(*Input)) Input {
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{
		Namespace: api.Namespace, Name: api.Implementation, Labels: map[string]string{"name": api.Implementation}}}
	service.Spec.Selector = map[string]string{"app": api.Implementation}
	in := Input{
		API: api, Generation: 3, Settings: oda.Settings{Gateway: oda.DefaultGateway, Metrics: oda.MetricsServiceMonitor},
		Istio: true, PrometheusOperator: true, Gateway: ReadGateway(object(t, chartGateway)),
		Front:   []*corev1.Service{front("istio-ingress", []corev1.ServicePort{port("http2", 80)}, corev1.LoadBalancerIngress{IP: "203.0.113.10"})},
		Service: service, ReadyEndpoint: true, Monitor: true, Now: now,
	}
	for _, c := range change {
		c(&in)
	}
	if in.Route == nil {
		wanted, _ := in.Settings.Route(in.API)
		in.Route = &Route{UID: routeUID, Owner: string(in.API.UID), Gateways: []string{wanted.Gateway}, Hosts: wanted.Hosts, Matches: wanted.Matches,
			Host: in.API.Implementation, Port: in.API.Port}
	}
	return in
}

func withFront(services ...*corev1.Service) func(*Input) {
	return func(in *Input) { in.Front = services }
}

func withIngress(ports []corev1.ServicePort, ingress ...corev1.LoadBalancerIngress) func(*Input) {
	return withFront(front("istio-ingress", ports, ingress...))
}

func says(s Status, conditionType string) string {
	c := meta.FindStatusCondition(s.Conditions, conditionType)
	if c == nil {
		return "(absent)"
	}
	return string(c.Status) + " " + c.Reason
}

func message(t *testing.T, s Status, conditionType string) string {
	t.Helper()
	c := meta.FindStatusCondition(s.Conditions, conditionType)
	require.NotNil(t, c)
	return c.Message
}
