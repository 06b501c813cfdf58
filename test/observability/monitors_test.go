package observability

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// monitor is what concerns us of a ServiceMonitor.
type monitor struct {
	Spec struct {
		Selector struct {
			MatchLabels map[string]string `json:"matchLabels"`
		} `json:"selector"`
		Endpoints []struct {
			Port          string `json:"port"`
			Path          string `json:"path"`
			Scheme        string `json:"scheme"`
			HonorLabels   bool   `json:"honorLabels"`
			Authorization struct {
				Credentials struct{ Name, Key string } `json:"credentials"`
			} `json:"authorization"`
			TLS struct {
				ServerName string                                      `json:"serverName"`
				Skip       bool                                        `json:"insecureSkipVerify"`
				CA         struct{ Secret struct{ Name, Key string } } `json:"ca"`
			} `json:"tlsConfig"`
		} `json:"endpoints"`
	} `json:"spec"`
}

// services are those of config/manager with the labels that config/default adds.
func services(t *testing.T) []corev1.Service {
	t.Helper()
	var k struct {
		Labels []struct {
			Pairs map[string]string `json:"pairs"`
		} `json:"labels"`
	}
	read(t, "config/default/kustomization.yaml", &k)
	data, err := os.ReadFile(filepath.Join(root, "config/manager/services.yaml"))
	require.NoError(t, err)
	var all []corev1.Service
	for _, document := range bytes.Split(data, []byte("\n---\n")) {
		var s corev1.Service
		require.NoError(t, yaml.Unmarshal(document, &s))
		for _, l := range k.Labels {
			for key, value := range l.Pairs {
				s.Labels[key] = value
			}
		}
		all = append(all, s)
	}
	return all
}

func TestTheServiceMonitorSelectsTheServiceOfAllReplicasOnly(t *testing.T) {
	var m monitor
	read(t, "config/prometheus/servicemonitor.yaml", &m)
	require.NotEmpty(t, m.Spec.Selector.MatchLabels)
	var selected []corev1.Service
	for _, s := range services(t) {
		matches := true
		for key, value := range m.Spec.Selector.MatchLabels {
			matches = matches && s.Labels[key] == value
		}
		if matches {
			selected = append(selected, s)
		}
	}
	require.Len(t, selected, 1, "every replica once")
	service := selected[0]
	assert.Equal(t, "datapower-operator-metrics", service.Name, "the rules select by it: job")

	var want, scraped []string
	for _, port := range service.Spec.Ports {
		want = append(want, port.Name)
	}
	for _, e := range m.Spec.Endpoints {
		scraped = append(scraped, e.Port)
		assert.Equal(t, "/metrics", e.Path)
		assert.Equal(t, "https", e.Scheme)
		assert.True(t, e.HonorLabels, "the namespace of a resource stays")
		assert.False(t, e.TLS.Skip)
		assert.Equal(t, service.Name+"."+service.Namespace+".svc", e.TLS.ServerName)
		assert.Equal(t, "datapower-operator", e.TLS.CA.Secret.Name)
		assert.Equal(t, "ca.crt", e.TLS.CA.Secret.Key)
		assert.Equal(t, "datapower-operator-metrics-reader", e.Authorization.Credentials.Name)
		assert.Equal(t, "token", e.Authorization.Credentials.Key)
	}
	assert.ElementsMatch(t, want, scraped, "both containers")
}
