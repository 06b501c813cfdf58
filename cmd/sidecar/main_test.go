package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExitCodes(t *testing.T) {
	for name, tc := range map[string]struct {
		args        []string
		environment map[string]string
		code        int
		says        string
	}{
		"help is no failure": {args: []string{"--help"}, code: 0, says: "--chart-values"},
		"an unknown flag is a usage error": {
			args: []string{"--no-such-flag"}, code: 2, says: "unknown flag: --no-such-flag"},
		"an argument is a usage error": {
			args: []string{"conversion-webhok"}, code: 2, says: `unexpected argument "conversion-webhok"`},
		"an unknown OPENMETRICS_IMPLEMENTATION is a usage error": {
			environment: map[string]string{"OPENMETRICS_IMPLEMENTATION": "Graphite"}, code: 2, says: `OPENMETRICS_IMPLEMENTATION is "Graphite"`},
		"a malformed WATCH_NAMESPACE is a usage error": {
			environment: map[string]string{"WATCH_NAMESPACE": "A,b"}, code: 2, says: `reading WATCH_NAMESPACE: not a namespace name: "A"`},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			code := run(t.Context(), tc.args, func(key string) string { return tc.environment[key] }, &stderr)
			assert.Equal(t, tc.code, code)
			assert.Contains(t, stderr.String(), tc.says)
		})
	}
}

func TestAChartThatIsNotThereIsAnErrorWithItsPath(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "values.yaml")
	opts, err := parse([]string{"--chart-values", missing}, func(string) string { return "" }, &bytes.Buffer{})
	require.NoError(t, err)
	require.ErrorContains(t, serve(t.Context(), opts), missing)
}

func TestTheFlagsOfTheSharedProgramAreThere(t *testing.T) {
	opts, err := parse([]string{"--leader-elect=false"}, func(string) string { return "" }, &bytes.Buffer{})
	require.NoError(t, err)
	assert.Equal(t, "helm-charts/datapowerservice/values.yaml", opts.chartValues)
	assert.Equal(t, ":8444", opts.shared.MetricsBindAddress)
	assert.Equal(t, ":8082", opts.shared.HealthProbeBindAddress)
	assert.False(t, opts.shared.LeaderElect)
	assert.Equal(t, "datapower-sidecar", opts.shared.LeaderElectionID)
	assert.True(t, opts.webhooks.enabled)
	assert.Equal(t, ":9443", opts.webhooks.address)
	assert.Equal(t, "datapower-operator", opts.webhooks.service)
}
