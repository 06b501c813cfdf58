// SPDX-License-Identifier: Apache-2.0

package oda_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

func environment(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

func TestWithoutAnEnvironmentTheSettingsAreUpstreams(t *testing.T) {
	s, err := oda.ReadSettings(environment(nil))
	require.NoError(t, err)
	assert.Equal(t, oda.Settings{Gateway: "component-gateway", Metrics: oda.MetricsServiceMonitor}, s)
}

func TestMetricsModesAreKnownInAnyCaseAndNumber(t *testing.T) {
	for text, want := range map[string]oda.MetricsMode{
		"": oda.MetricsServiceMonitor, "ServiceMonitor": oda.MetricsServiceMonitor, "servicemonitor": oda.MetricsServiceMonitor,
		"PrometheusAnnotation": oda.MetricsPrometheusAnnotations, "PROMETHEUSANNOTATIONS": oda.MetricsPrometheusAnnotations,
		"DataDogAnnotation": oda.MetricsDataDogAnnotations, "DatadogAnnotations": oda.MetricsDataDogAnnotations, // fault 6
	} {
		got, err := oda.ParseMetricsMode(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"Prometheus", "ServiceMonitors", "none", "DataDog Annotations"} {
		_, err := oda.ParseMetricsMode(text)
		require.ErrorIs(t, err, oda.ErrSettings, text)
	}
}

func TestEverySettingThatIsNotKnownIsNamed(t *testing.T) {
	_, err := oda.ReadSettings(environment(map[string]string{
		oda.EnvMetrics: "x", oda.EnvHostFromSpec: "perhaps", oda.EnvSegmentSafePrefix: "2", oda.EnvInternalSegments: "coreFunction, managment",
	}))
	require.ErrorIs(t, err, oda.ErrSettings)
	for _, want := range []string{
		`OPENMETRICS_IMPLEMENTATION is "x"; known are ServiceMonitor, PrometheusAnnotation(s) and DataDogAnnotation(s)`,
		`APIOPERATORISTIO_HOSTFROMSPEC is "perhaps"; known are true and false`,
		`APIOPERATORISTIO_SEGMENTSAFEPREFIX is "2"; known are true and false`,
		`APIOPERATORISTIO_INTERNALSEGMENTS has "managment"; known are coreFunction, managementFunction and securityFunction`,
	} {
		assert.ErrorContains(t, err, want)
	}
}

func TestSettingsAreTrimmed(t *testing.T) {
	s, err := oda.ReadSettings(environment(map[string]string{
		oda.EnvGateway: " canvas/component-gateway ", oda.EnvPublicHostname: " 10.1.2.3 ", oda.EnvHostFromSpec: "true",
		oda.EnvSegmentSafePrefix: "TRUE", oda.EnvInternalSegments: "securityFunction,, managementFunction,securityFunction",
	}))
	require.NoError(t, err)
	assert.Equal(t, oda.Settings{
		Gateway: "canvas/component-gateway", PublicHostname: "10.1.2.3", Metrics: oda.MetricsServiceMonitor, HostFromSpec: true,
		SegmentSafePrefix: true, InternalSegments: []string{"securityFunction", "managementFunction"},
	}, s)
}
