package conversionruntime

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

func readConfig(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile("../../config/" + path)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, into))
}

func TestPrometheusReachesThePods(t *testing.T) {
	var monitor struct {
		Spec struct {
			Selector struct {
				MatchLabels map[string]string `json:"matchLabels"`
			} `json:"selector"`
			Endpoints []struct {
				Port string `json:"port"`
				Path string `json:"path"`
			} `json:"podMetricsEndpoints"`
		} `json:"spec"`
	}
	readConfig(t, "prometheus/podmonitor-conversion.yaml", &monitor)
	var policy networkingv1.NetworkPolicy
	readConfig(t, "network-policy/conversion-webhook.yaml", &policy)
	pod := desired().Spec.Template
	for _, selected := range []map[string]string{monitor.Spec.Selector.MatchLabels, policy.Spec.PodSelector.MatchLabels} {
		require.NotEmpty(t, selected)
		for key, value := range selected {
			assert.Equal(t, value, pod.Labels[key])
		}
	}
	require.Len(t, monitor.Spec.Endpoints, 1)
	assert.Equal(t, "/metrics", monitor.Spec.Endpoints[0].Path)
	var number int32
	for _, port := range pod.Spec.Containers[0].Ports {
		if port.Name == monitor.Spec.Endpoints[0].Port {
			number = port.ContainerPort
		}
	}
	assert.EqualValues(t, HealthPort, number, "the port where the metrics are")
	let := false
	for _, rule := range policy.Spec.Ingress {
		for _, from := range rule.From {
			for _, port := range rule.Ports {
				let = let || from.NamespaceSelector.MatchLabels["metrics"] == "enabled" && port.Port.IntVal == number
			}
		}
	}
	assert.True(t, let, "the NetworkPolicy lets a Prometheus of a labelled namespace through")
}
