// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWhichObjectsAreRendered(t *testing.T) {
	always := []string{"ConfigMap/gw-init", "ConfigMap/gw-user-commands", "Service/gw-headless", "StatefulSet/gw"}
	usual := append([]string{"DataPowerMonitor/gw", "NetworkPolicy/gw", "ServiceAccount/gw-datapower"}, always...)
	for name, c := range map[string]struct {
		values string
		want   []string
	}{
		"the usual ones":                        {``, usual},
		"several pods get a budget":             {`replicas: 2`, append([]string{"PodDisruptionBudget/gw"}, usual...)},
		"no pods get none":                      {`replicas: 0`, usual},
		"a stopped service keeps its budget":    {"replicas: 2\noperator: {stopped: true}", append([]string{"PodDisruptionBudget/gw"}, usual...)},
		"the budget can be left out":            {"replicas: 2\npodDisruptionBudget: {enabled: false}", usual},
		"a horizontal autoscaler gets a budget": {`podAutoScaling: {method: HPA, hpa: {maxReplicas: 2}}`, append([]string{"HorizontalPodAutoscaler/gw", "PodDisruptionBudget/gw"}, usual...)},
		"a vertical autoscaler":                 {`podAutoScaling: {method: VPA, vpa: {}}`, append([]string{"VerticalPodAutoscaler/gw"}, usual...)},
		"autoscaling by no method":              {`podAutoScaling: {method: None, hpa: {maxReplicas: 2}}`, usual},
		"a traffic Service":                     {`service: {enabled: true, ports: [{port: 443}]}`, append([]string{"Service/gw"}, usual...)},
		"nothing that can be left out": {`
networkPolicy: {enabled: false}
operator: {monitor: {external: true}}
serviceAccountName: theirs`, always},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, object := range render(t, values(t, minimal, c.values)).objects {
				got = append(got, object.GetKind()+"/"+object.GetName())
			}
			slices.Sort(got)
			want := slices.Sorted(slices.Values(c.want))
			assert.Equal(t, want, got)
		})
	}
}

func TestTheMonitorsSpecIsEmpty(t *testing.T) {
	assert.Equal(t, map[string]any{}, render(t, values(t, minimal)).at("DataPowerMonitor|spec"))
}

func TestPeersFindEachOtherBeforeTheyAreReady(t *testing.T) {
	m := render(t, values(t, minimal))
	assert.Equal(t, "None", m.at("Service|spec|clusterIP"))
	assert.Equal(t, true, m.at("Service|spec|publishNotReadyAddresses"))
	assert.Equal(t, "gw-headless", m.at("StatefulSet|spec|serviceName"))
}

func TestReplicas(t *testing.T) {
	for name, c := range map[string]struct {
		values string
		want   any
	}{
		"the default":                  {``, int64(1)},
		"none":                         {`replicas: 0`, int64(0)},
		"an autoscaler owns them":      {"replicas: 3\npodAutoScaling: {method: HPA, hpa: {maxReplicas: 2}}", nil},
		"a vertical one does not":      {"replicas: 3\npodAutoScaling: {method: VPA, vpa: {}}", int64(3)},
		"stopped":                      {"replicas: 3\noperator: {stopped: true}", int64(0)},
		"stopped in spite of scaling":  {"operator: {stopped: true}\npodAutoScaling: {method: HPA, hpa: {maxReplicas: 2}}", int64(0)},
		"a large number stays a whole": {`replicas: 2000000`, int64(2000000)},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, render(t, values(t, minimal, c.values)).at("StatefulSet|spec|replicas"))
		})
	}
}

func TestUpdateStrategyAndHistory(t *testing.T) {
	for name, c := range map[string]struct {
		strategy  string
		partition any
		history   int64
	}{
		"absent":                              {`null`, nil, 10},
		"automatic":                           {`{mode: automatic}`, nil, 10},
		"automatic ignores a partition":       {`{mode: automatic, partition: 3}`, nil, 10},
		"automatic with a limit":              {`{mode: automatic, rolloutHistoryLimit: 2}`, nil, 2},
		"automatic without a limit keeps all": {`{mode: automatic, rolloutHistoryLimit: 0}`, nil, 2147483647},
		"manual":                              {`{mode: manual, partition: 1}`, int64(1), 10},
		"manual ignores a limit":              {`{mode: manual, partition: 0, rolloutHistoryLimit: 2}`, int64(0), 10},
	} {
		t.Run(name, func(t *testing.T) {
			m := render(t, values(t, minimal, "updateStrategy: "+c.strategy))
			assert.Equal(t, "RollingUpdate", m.at("StatefulSet|spec|updateStrategy|type"))
			assert.Equal(t, c.partition, m.at("StatefulSet|spec|updateStrategy|rollingUpdate|partition"))
			assert.Equal(t, c.history, m.at("StatefulSet|spec|revisionHistoryLimit"))
		})
	}
}

func TestHorizontalAutoscalingMetrics(t *testing.T) {
	for name, c := range map[string]struct {
		targets string
		want    map[string]int64
	}{
		"neither named":    {``, map[string]int64{"cpu": 80}},
		"CPU":              {`targetCPUUtilizationPercentage: 50`, map[string]int64{"cpu": 50}},
		"memory":           {`targetMemoryUtilizationPercentage: 60`, map[string]int64{"memory": 60}},
		"both":             {`targetCPUUtilizationPercentage: 50, targetMemoryUtilizationPercentage: 60`, map[string]int64{"cpu": 50, "memory": 60}},
		"CPU switched off": {`targetCPUUtilizationPercentage: 0, targetMemoryUtilizationPercentage: 60`, map[string]int64{"memory": 60}},
	} {
		t.Run(name, func(t *testing.T) {
			m := render(t, values(t, minimal, fmt.Sprintf(`podAutoScaling: {method: HPA, hpa: {maxReplicas: 3, %s}}`, c.targets)))
			got := map[string]int64{}
			for _, metric := range m.at("HorizontalPodAutoscaler|spec|metrics").([]any) {
				name := step(step(metric, "resource"), "name").(string)
				got[name] = step(step(step(metric, "resource"), "target"), "averageUtilization").(int64)
			}
			assert.Equal(t, c.want, got)
			assert.Equal(t, int64(1), m.at("HorizontalPodAutoscaler|spec|minReplicas"))
			assert.Equal(t, "StatefulSet", m.at("HorizontalPodAutoscaler|spec|scaleTargetRef|kind"))
		})
	}
}

func TestVerticalAutoscalingStaysBetweenRequestsAndBounds(t *testing.T) {
	policy := "VerticalPodAutoscaler|spec|resourcePolicy|containerPolicies|0|"
	m := render(t, values(t, minimal, `
podAutoScaling: {method: VPA, vpa: {maxAllowedCPU: 8}}
resources: {requests: {cpu: 2}}`))
	assert.Equal(t, map[string]any{"cpu": "2", "memory": "4Gi"}, m.at(policy+"minAllowed"))
	assert.Equal(t, map[string]any{"cpu": "8"}, m.at(policy+"maxAllowed"))
	assert.Equal(t, "Recreate", m.at("VerticalPodAutoscaler|spec|updatePolicy|updateMode"))
	assert.Equal(t, "Off", m.at("VerticalPodAutoscaler|spec|resourcePolicy|containerPolicies|1|mode"), "the exporter is left alone")
	unbounded := render(t, values(t, minimal, `podAutoScaling: {method: VPA, vpa: {}}`))
	assert.Nil(t, unbounded.at(policy+"maxAllowed"))
}

func TestClaimsAreDeletedOnlyWhenEveryEntryAsksForIt(t *testing.T) {
	entry := func(path, kind, more string) string {
		return fmt.Sprintf("  - {path: %s, type: %s, size: 1Gi%s}\n", path, kind, more)
	}
	for name, c := range map[string]struct {
		storage string
		want    any
	}{
		"no claims, no policy":         {entry("/a", "ephemeral", ", deleteClaim: true"), nil},
		"nobody asks":                  {entry("/a", "persistent", ""), "Retain"},
		"the only one asks":            {entry("/a", "persistent", ", deleteClaim: true"), "Delete"},
		"all ask":                      {entry("/a", "persistent", ", deleteClaim: true") + entry("/b", "persistent", ", deleteClaim: true"), "Delete"},
		"one of two asks":              {entry("/a", "persistent", ", deleteClaim: true") + entry("/b", "persistent", ""), "Retain"},
		"an ephemeral one has no vote": {entry("/a", "persistent", ", deleteClaim: true") + entry("/b", "ephemeral", ""), "Delete"},
	} {
		t.Run(name, func(t *testing.T) {
			m := render(t, values(t, minimal, "storage:\n"+c.storage))
			assert.Equal(t, c.want, m.at("StatefulSet|spec|persistentVolumeClaimRetentionPolicy|whenDeleted"))
			if name == "one of two asks" {
				assert.Contains(t, m.notes, "WARNING: spec.storage[0].deleteClaim has no effect")
			} else {
				assert.NotContains(t, m.notes, "WARNING")
			}
		})
	}
}

func TestClaimTemplatesDoNotChangeWithTheVersion(t *testing.T) {
	storage := `storage: [{path: /a, type: persistent, size: 1Gi, class: c}]`
	claims := "StatefulSet|spec|volumeClaimTemplates"
	before := render(t, values(t, minimal, storage)).at(claims)
	after := render(t, values(t, minimal, storage, `version: 11.0-sc2`, `labels: {a: b}`)).at(claims)
	assert.NotNil(t, before)
	assert.Equal(t, before, after)
}

func TestBudgetsNeverBlockAllDrains(t *testing.T) {
	m := render(t, values(t, minimal, `replicas: 3`))
	assert.Equal(t, int64(1), m.at("PodDisruptionBudget|spec|maxUnavailable"))
	assert.Equal(t, "AlwaysAllow", m.at("PodDisruptionBudget|spec|unhealthyPodEvictionPolicy"))
	m = render(t, values(t, minimal, "replicas: 3\npodDisruptionBudget: {minAvailable: 50%}"))
	assert.Equal(t, "50%", m.at("PodDisruptionBudget|spec|minAvailable"))
	assert.Nil(t, m.at("PodDisruptionBudget|spec|maxUnavailable"))
}

func TestNetworkPolicies(t *testing.T) {
	open := render(t, values(t, minimal))
	assert.Equal(t, []any{map[string]any{}}, open.at("NetworkPolicy|spec|ingress"))
	assert.Equal(t, []any{map[string]any{}}, open.at("NetworkPolicy|spec|egress"))

	strict := render(t, values(t, minimal, `
networkPolicy: {mode: Restricted}
service: {enabled: true, ports: [{port: 443, targetPort: 8443}, {port: 53, protocol: UDP}]}`))
	assert.Len(t, strict.at("NetworkPolicy|spec|ingress"), 3)
	assert.Equal(t, []any{
		map[string]any{"port": int64(8443), "protocol": "TCP"}, map[string]any{"port": int64(53), "protocol": "UDP"},
	}, strict.at("NetworkPolicy|spec|ingress|2|ports"))
	assert.Equal(t, "rest-mgmt", strict.at("NetworkPolicy|spec|ingress|1|ports|0|port"))
	assert.NotContains(t, strict.at("NetworkPolicy|spec|ingress"), map[string]any{}, "no rule lets everything in")
	assert.NotContains(t, strict.at("NetworkPolicy|spec|egress"), map[string]any{}, "no rule lets everything out")
}

func TestSNMP(t *testing.T) {
	off := render(t, values(t, minimal))
	assert.Nil(t, off.at(plan+"snmp.port"))
	agent := render(t, values(t, minimal, `snmp: {config: {port: 1161}}`))
	assert.Equal(t, "1161", agent.at(plan+"snmp.port"))
	assert.Nil(t, agent.at(pod+"containers|name=snmp-exporter"))
	assert.Equal(t, "UDP", agent.at(gateway+"ports|name=snmp|protocol"))

	builtin := render(t, values(t, minimal, `snmp: {exporter: {enabled: true}}`))
	assert.Nil(t, builtin.at(pod+"initContainers"))
	assert.Equal(t, []any{"--web.listen-address=:63512"}, builtin.at(pod+"containers|name=snmp-exporter|args"))
	assert.Equal(t, "127.0.0.1:1161", builtin.at(annotated+"prometheus.io/param_target"))
	// A Prometheus that goes by annotations finds the exporter, unless the chart's value says otherwise.
	assert.Equal(t, "true", builtin.at(annotated+"prometheus.io/scrape"))
	assert.Equal(t, "63512", builtin.at(annotated+"prometheus.io/port"))
	assert.Equal(t, "/snmp", builtin.at(annotated+"prometheus.io/path"))
	hidden := render(t, values(t, minimal, `snmp: {exporter: {enabled: true}}`, `defaults: {annotations: {prometheus.io/scrape: "false"}}`))
	assert.Equal(t, "false", hidden.at(annotated+"prometheus.io/scrape"))

	disabled := render(t, values(t, minimal, `snmp: {exporter: {enabled: false}, generator: {config: g}}`))
	assert.Nil(t, disabled.at(pod+"containers|name=snmp-exporter"))
	assert.Nil(t, disabled.at(pod+"initContainers"), "nobody reads what the generator would make")
	assert.Nil(t, disabled.at(annotated+"prometheus.io/port"))
}
