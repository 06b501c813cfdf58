// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNamesAndUnitsOfMetrics(t *testing.T) {
	groups, err := collect()
	require.NoError(t, err)
	seen := map[string]string{}
	for _, g := range groups {
		require.NotEmpty(t, g.metrics, g.title)
		for _, m := range g.metrics {
			assert.True(t, strings.HasPrefix(m.name, "datapower_operator_"), m.name)
			assert.True(t, strings.HasSuffix(m.help, "."), "%s: the help is a sentence", m.name)
			assert.Equal(t, m.kind == "counter", strings.HasSuffix(m.name, "_total"), "%s is a %s", m.name, m.kind)
			if m.kind == "histogram" {
				assert.True(t, strings.HasSuffix(m.name, "_seconds"), m.name)
				assert.NotEmpty(t, m.buckets, m.name)
			}
			if help, twice := seen[m.name]; twice {
				assert.Equal(t, help, m.help, "%s is told by two groups with one help", m.name)
			}
			seen[m.name] = m.help
		}
	}
}

func TestActionsOfHelmAreMeasuredUpToHalfAnHour(t *testing.T) {
	groups, err := collect()
	require.NoError(t, err)
	for _, g := range groups {
		for _, m := range g.metrics {
			if m.name == "datapower_operator_helm_action_duration_seconds" {
				assert.Equal(t, "histogram", m.kind)
				assert.InDelta(t, 1800, m.buckets[len(m.buckets)-1], 0)
				return
			}
		}
	}
	t.Fatal("there is no such metric")
}

func TestTheDocumentIsWhatTheCodeSays(t *testing.T) {
	groups, err := collect()
	require.NoError(t, err)
	want, err := document(groups)
	require.NoError(t, err)
	have, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	assert.Equal(t, string(want), string(have), "run: make generate")
}

func TestALabelWithoutExplanationIsAnError(t *testing.T) {
	metrics, err := describe(prometheus.NewCounterVec(prometheus.CounterOpts{Name: "x_total", Help: `say "x" {}.`}, []string{"colour"}))
	require.NoError(t, err)
	require.Len(t, metrics, 1)
	assert.Equal(t, metric{name: "x_total", help: `say "x" {}.`, kind: "counter", labels: []string{"colour"}}, metrics[0])
	_, err = document([]group{{metrics: metrics}})
	require.ErrorIs(t, err, errUnexplained)
	assert.ErrorContains(t, err, "label colour of x_total")
}
