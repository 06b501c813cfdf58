package conversion_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/webhooks/conversion"
)

// BenchmarkListOf1000 converts a list as the API server would ask for it: 1,000 services with two domains, probes and
// the settings of the monitor.
func BenchmarkListOf1000(b *testing.B) {
	probe := `{httpGet: {path: /, port: 7879, scheme: HTTP}, initialDelaySeconds: 5, periodSeconds: 5, timeoutSeconds: 5}`
	item := string(service(b, "v1beta1", `{metadata: {name: gw, namespace: ns}, spec: {version: 10.0.0, replicas: 3,
		license: {accept: true, use: developers}, resources: {requests: {cpu: 4, memory: 8Gi}, limits: {memory: 8Gi}},
		users: [{name: admin, passwordSecret: s, accessLevel: privileged}], livenessProbe: `+probe+`, readinessProbe: `+probe+`,
		domains: [{name: default, dpApp: {config: [a]}}, {name: b, certs: [{certType: usrcerts, secret: k}], dpApp: {config: [c], local: [l]}}],
		datapowerMonitor: {image: m, lifecycleDebounceMs: 10000, monitorGatewayPeering: true, env: [{name: A, value: B}]}}}`))
	list := []byte(`{"apiVersion":"datapower.ibm.com/v1beta1","kind":"DataPowerServiceList","items":[` +
		strings.TrimSuffix(strings.Repeat(item+",", 1000), ",") + `]}`)
	b.SetBytes(int64(len(list)))
	for b.Loop() {
		_, err := conversion.ConvertObject(list, apiVersion("v1beta3"))
		require.NoError(b, err)
	}
}
