// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// violations are what forbids the pods of a render at a level of the Pod Security Standards.
func violations(t *testing.T, m *manifest, level api.Level) []string {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	require.NoError(t, err)
	template := decode[appsv1.StatefulSet](t, m.find("StatefulSet")).Spec.Template
	var reasons []string
	latest := api.LevelVersion{Level: level, Version: api.LatestVersion()}
	for _, result := range evaluator.EvaluatePod(latest, &template.ObjectMeta, &template.Spec) {
		if !result.Allowed {
			reasons = append(reasons, result.ForbiddenReason+": "+result.ForbiddenDetail)
		}
	}
	return reasons
}

func TestPodsAreRestricted(t *testing.T) {
	for name, s := range fixtures(t) {
		if s.values["runAsRoot"] == true {
			continue
		}
		t.Run(name, func(t *testing.T) {
			assert.Empty(t, violations(t, renderAs(t, s.release, s.values), api.LevelRestricted))
		})
	}
	t.Run("with the SNMP exporter and its generator", func(t *testing.T) {
		m := render(t, values(t, minimal, `snmp: {exporter: {enabled: true}, generator: {config: g}}`))
		assert.Empty(t, violations(t, m, api.LevelRestricted))
	})
	t.Run("with user and group left to the platform", func(t *testing.T) {
		m := render(t, values(t, minimal, `securityContext: {runAsUser: null, fsGroup: null}`))
		assert.Empty(t, violations(t, m, api.LevelRestricted))
	})
}

func TestPodsOfPublishedSamplesAreRestricted(t *testing.T) {
	for name, s := range samples(t) {
		t.Run(name, func(t *testing.T) {
			assert.Empty(t, violations(t, renderAs(t, s.release, s.spec), api.LevelRestricted))
		})
	}
}

func TestARootGatewayIsBaselineAndItsNeighboursAreNotRoot(t *testing.T) {
	m := render(t, values(t, minimal, `runAsRoot: true`, `snmp: {exporter: {enabled: true}}`))
	assert.Empty(t, violations(t, m, api.LevelBaseline))
	assert.NotEmpty(t, violations(t, m, api.LevelRestricted), "or this test could not fail")
	assert.Equal(t, false, m.at(gateway+"securityContext|runAsNonRoot"))
	assert.Equal(t, false, m.at(gateway+"securityContext|allowPrivilegeEscalation"))
	assert.Nil(t, m.at(pod+"containers|name=snmp-exporter|securityContext|runAsUser"))
	assert.Equal(t, true, m.at(pod+"securityContext|runAsNonRoot"))

	contrary := render(t, values(t, minimal, `runAsRoot: true`, `securityContext: {container: {runAsUser: 7, runAsNonRoot: true}}`))
	assert.Equal(t, int64(0), contrary.at(gateway+"securityContext|runAsUser"), "the user's word counts over the chart's")
	assert.Equal(t, false, contrary.at(gateway+"securityContext|runAsNonRoot"))
}
