package exposure

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

// The rows that concern the status of the table which was obtained by running TM Forum's operator ("golden table"), with
// the Gateway of its chart. Where ours differs, the row says so; docs/compatibility.md says why.
func TestTheStatusIsThatOfTheUpstreamOperator(t *testing.T) {
	const path = "/prdcat3-productcatalogmanagement/tmf-api/productCatalogManagement/v4"
	const metricsPath = "/prdcat3-productcatalogmanagement/metrics"
	http2 := []corev1.ServicePort{port("http2", 80)}
	address := corev1.LoadBalancerIngress{IP: "203.0.113.10"}
	status := func(url, developerUI, ip string) APIStatus {
		return APIStatus{Name: "prdcat3-productcatalogmanagement-productcatalogmanagement", UID: routeUID, Path: path, Port: 8080,
			Implementation: "prdcat3-prodcatapi", URL: url, DeveloperUI: developerUI, IP: ip}
	}
	metricsStatus := func(url, ip string) APIStatus {
		return APIStatus{Name: "prdcat3-productcatalogmanagement-metrics", UID: routeUID, Path: metricsPath, Port: 4000,
			Implementation: "prdcat3-productcatalogmanagement-sm", URL: url, IP: ip}
	}
	withoutUI := func(in *Input) { in.API.DeveloperUI = "" }
	for name, tc := range map[string]struct {
		api    oda.API
		change []func(*Input)
		want   APIStatus
	}{
		"_1, LB ip 203.0.113.10, ports http2:80": {api: catalog(), change: []func(*Input){withIngress(http2, address)},
			want: status("https://203.0.113.10"+path, "https://203.0.113.10"+path+"/docs", "203.0.113.10")},
		"_4, LB hostname lb.example.com": {api: catalog(),
			change: []func(*Input){withoutUI, withIngress(http2, corev1.LoadBalancerIngress{Hostname: "lb.example.com"})},
			want:   status("https://lb.example.com"+path, "", "lb.example.com")},
		"_4 PUBLICHOSTNAME=components.example.com, GATEWAY=canvas/component-gateway": {api: catalog(),
			change: []func(*Input){withoutUI, withIngress(http2, address), func(in *Input) {
				in.Settings.PublicHostname, in.Settings.Gateway = "components.example.com", "canvas/component-gateway"
			}},
			want: status("https://components.example.com"+path, "", "components.example.com")},
		"_1 PUBLICHOSTNAME=10.1.2.3": {api: catalog(),
			change: []func(*Input){withoutUI, withIngress(http2, address), func(in *Input) { in.Settings.PublicHostname = "10.1.2.3" }},
			want:   status("https://10.1.2.3"+path, "", "10.1.2.3")},
		"_1 LB pending": {api: catalog(), change: []func(*Input){withIngress(http2)}, want: status("", "", "")},
		"_1 http2:8080: HTTPS is not on the port of HTTP (ours differs)": {api: catalog(),
			change: []func(*Input){withoutUI, withIngress([]corev1.ServicePort{port("http2", 8080)}, address)},
			want:   status("https://203.0.113.10"+path, "", "203.0.113.10")},
		"_2": {api: metrics(), change: []func(*Input){withIngress(http2, address)}, want: metricsStatus("https://203.0.113.10"+metricsPath, "203.0.113.10")},
		"_2 + hostname api.example.com": {api: metrics(),
			change: []func(*Input){withIngress(http2, address), func(in *Input) { in.API.Hostname = "api.example.com" }},
			want:   metricsStatus("https://api.example.com"+metricsPath, "203.0.113.10")},
		"_3 path /newpath/v4": {api: catalog(), change: []func(*Input){withIngress(http2, address), func(in *Input) { in.API.Path = "/newpath/v4" }},
			want: APIStatus{Name: "prdcat3-productcatalogmanagement-productcatalogmanagement", UID: routeUID, Path: "/newpath/v4", Port: 8080,
				Implementation: "prdcat3-prodcatapi", URL: "https://203.0.113.10/newpath/v4", DeveloperUI: "https://203.0.113.10" + path + "/docs", IP: "203.0.113.10"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Compute(in(t, tc.api, tc.change...))
			require.NotNil(t, got.APIStatus)
			assert.Equal(t, tc.want, *got.APIStatus)
		})
	}
}

func TestAStatusThatIsEqualIsNotWritten(t *testing.T) { // row "_3 status equal: no call"
	r := readResource(object(t, `
apiVersion: oda.tmforum.org/v1
kind: ExposedAPI
metadata: {namespace: components, name: prdcat3-productcatalogmanagement-productcatalogmanagement, uid: e715b931-4413-4cee-9f84-f747471063c4, resourceVersion: "7"}
spec: {apiType: openapi, implementation: prdcat3-prodcatapi, path: /v4, port: 8080}
status: {kopf: {progress: {}}}`))
	input := in(t, r.API)
	input.Current = r.status
	wanted := Compute(input)
	patch, err := statusPatch(r, wanted)
	require.NoError(t, err)
	assert.Contains(t, string(patch), `"resourceVersion":"7"`)
	assert.Contains(t, string(patch), `"implementation":{"ready":true}`)
	r.status = wanted
	input.Current, input.Now = wanted, now.Add(1)
	patch, err = statusPatch(r, Compute(input))
	require.NoError(t, err)
	assert.Nil(t, patch)
}
