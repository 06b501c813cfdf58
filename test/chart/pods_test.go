// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"pgregory.net/rapid"
)

func TestVersionsAndImages(t *testing.T) {
	for name, c := range map[string]struct{ values, version, image string }{
		"an exact version of the catalogue": {`version: 10.6.0.1`, "10.6.0.1", "cp.icr.io/cp/datapower/datapower-nonprod:10.6.0.1"},
		"an exact version that the catalogue does not know": {
			`version: 10.9.9.9sr7`, "10.9.9.9sr7", "cp.icr.io/cp/datapower/datapower-nonprod:10.9.9.9sr7"},
		"an exact version with five numbers": {
			`version: 10.0.0.0.321933`, "10.0.0.0.321933", "cp.icr.io/cp/datapower/datapower-nonprod:10.0.0.0.321933"},
		"a channel":                       {`version: 10.6-lts`, "10.6.0.10sr1", "cp.icr.io/cp/datapower/datapower-nonprod:10.6.0.10sr1"},
		"a former channel":                {`version: 10.0-eus`, "10.0.1.19", "cp.icr.io/cp/datapower/datapower-nonprod:10.0.1.19"},
		"a channel of the first operator": {`version: 10.0.0`, "10.0.4.0sr1", "cp.icr.io/cp/datapower/datapower-nonprod:10.0.4.0sr1"},
		"a tag of the catalogue": {`version: 10.6.0.1
catalogue: {versions: {10.6.0.1: {tag: 10.6.0.1-special}}}`, "10.6.0.1", "cp.icr.io/cp/datapower/datapower-nonprod:10.6.0.1-special"},
		"an image of the user": {"version: 10.6-lts\nimage: example.com/dp:x", "10.6.0.10sr1", "example.com/dp:x"},
		"production": {`license: {accept: true, license: L-EYGU-PVGRBC, use: production}`, "10.6.0.1",
			"cp.icr.io/cp/datapower/datapower-prod:10.6.0.1"},
		"developers": {`license: {accept: true, license: L-EYGU-PVGRBC, use: developers}`, "10.6.0.1",
			"cp.icr.io/cp/datapower/datapower-deved:10.6.0.1"},
		"developers-limited": {`license: {accept: true, license: L-EYGU-PVGRBC, use: developers-limited}`, "10.6.0.1",
			"icr.io/cpopen/datapower/datapower-limited:10.6.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			m := render(t, values(t, minimal, c.values))
			assert.Equal(t, c.image, m.at(gateway+"image"))
			assert.Equal(t, c.version, m.at("StatefulSet|metadata|labels|app.kubernetes.io/version"))
		})
	}
}

func TestOnlyAnImageOfTheUserIsMarked(t *testing.T) {
	place := "StatefulSet|metadata|annotations|datapower.ibm.com/custom-image"
	assert.Nil(t, render(t, values(t, minimal)).at(place))
	assert.Equal(t, "true", render(t, values(t, minimal, `image: a/b:c`)).at(place))
}

func TestResourcesDefaultWithoutContradictingTheUser(t *testing.T) {
	for name, c := range map[string]struct{ use, given, cpuRequest, cpuLimit, memoryRequest, memoryLimit string }{
		"nothing given":                                     {"nonproduction", `{}`, "1", "1", "4Gi", "8Gi"},
		"nothing given in production":                       {"production", `{}`, "4", "4", "4Gi", "8Gi"},
		"nothing given for developers":                      {"developers", `{}`, "1", "1", "4Gi", "8Gi"},
		"nothing given for the free edition":                {"developers-limited", `{}`, "1", "1", "4Gi", "8Gi"},
		"everything given":                                  {"production", `{requests: {cpu: 2, memory: 5Gi}, limits: {cpu: "3", memory: 6Gi}}`, "2", "3", "5Gi", "6Gi"},
		"a CPU request is the limit too":                    {"nonproduction", `{requests: {cpu: 2}}`, "2", "2", "4Gi", "8Gi"},
		"a small CPU limit lowers the request":              {"production", `{limits: {cpu: 500m}}`, "500m", "500m", "4Gi", "8Gi"},
		"a large CPU limit keeps the request":               {"nonproduction", `{limits: {cpu: 8}}`, "1", "8", "4Gi", "8Gi"},
		"a large memory request raises the limit":           {"nonproduction", `{requests: {memory: 16Gi}}`, "1", "1", "16Gi", "16Gi"},
		"a small memory limit lowers the request":           {"nonproduction", `{limits: {memory: 2Gi}}`, "1", "1", "2Gi", "2Gi"},
		"decimal and binary suffixes are compared by value": {"nonproduction", `{limits: {memory: 4G}}`, "1", "1", "4G", "4G"},
		"plain bytes are compared by value":                 {"nonproduction", `{requests: {memory: 8589934593}}`, "1", "1", "8589934593", "8589934593"},
	} {
		t.Run(name, func(t *testing.T) {
			m := render(t, values(t, minimal, fmt.Sprintf("license: {accept: true, license: L-EYGU-PVGRBC, use: %s}\nresources: %s", c.use, c.given)))
			assert.Equal(t, c.cpuRequest, m.at(gateway+"resources|requests|cpu"))
			assert.Equal(t, c.cpuLimit, m.at(gateway+"resources|limits|cpu"))
			assert.Equal(t, c.memoryRequest, m.at(gateway+"resources|requests|memory"))
			assert.Equal(t, c.memoryLimit, m.at(gateway+"resources|limits|memory"))
		})
	}
}

func TestARenderedRequestNeverExceedsItsLimit(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		half := func(label string, suffixes ...string) any {
			if !rapid.Bool().Draw(r, label) {
				return nil
			}
			return fmt.Sprint(rapid.IntRange(1, 64).Draw(r, label+" number")) + rapid.SampledFrom(suffixes).Draw(r, label+" suffix")
		}
		given := map[string]any{}
		if rapid.Bool().Draw(r, "requests or limits") {
			given["requests"] = map[string]any{"cpu": half("cpu request", "", "00m"), "memory": half("memory request", "Gi", "G")}
		} else {
			given["limits"] = map[string]any{"cpu": half("cpu limit", "", "00m"), "memory": half("memory limit", "Gi", "G")}
		}
		vals := values(t, minimal)
		vals["resources"] = given
		set := decode[appsv1.StatefulSet](t, render(t, vals).find("StatefulSet"))
		rendered := set.Spec.Template.Spec.Containers[0].Resources
		for name, request := range rendered.Requests {
			limit := rendered.Limits[name]
			assert.LessOrEqual(r, request.Cmp(limit), 0, "%s: %s > %s", name, request.String(), limit.String())
		}
		assert.Equal(r, 1, rendered.Requests.Memory().Cmp(resource.MustParse("0")))
	})
}

func TestWorkerThreadsFollowTheCPULimit(t *testing.T) {
	for limit, want := range map[string]string{"500m": "1", "1": "1", "1001m": "2", "2.5": "3", "4": "4"} {
		t.Run(limit, func(t *testing.T) {
			m := render(t, values(t, minimal, fmt.Sprintf(`resources: {limits: {cpu: "%s"}}`, limit)))
			assert.Equal(t, want, m.at(gateway+"env|name=DATAPOWER_WORKER_THREADS|value"))
		})
	}
	vertical := render(t, values(t, minimal, `podAutoScaling: {method: VPA, vpa: {}}`))
	assert.Equal(t, "limits.cpu", vertical.at(gateway+"env|name=DATAPOWER_WORKER_THREADS|valueFrom|resourceFieldRef|resource"),
		"a VerticalPodAutoscaler changes the limit after rendering")
}

func TestTheLastOfSeveralVariablesCounts(t *testing.T) {
	m := render(t, values(t, minimal, `
env:
  - {name: A, value: first}
  - {name: DATAPOWER_INTERACTIVE, value: "false"}
  - {name: B, value: b}
  - {name: A, value: "$(B)"}
`))
	names := []string{}
	for _, variable := range m.at(gateway + "env").([]any) {
		names = append(names, variable.(map[string]any)["name"].(string))
	}
	assert.Equal(t, []string{"DATAPOWER_ACCEPT_LICENSE", "DATAPOWER_LICENSE_ACCEPT", "DATAPOWER_WORKER_THREADS",
		"DATAPOWER_INTERACTIVE", "B", "A"}, names, "A stays after B, to which it refers")
	assert.Equal(t, "$(B)", m.at(gateway+"env|name=A|value"))
	assert.Equal(t, "false", m.at(gateway+"env|name=DATAPOWER_INTERACTIVE|value"), "the user wins over the operator")
}

func TestProbesDefaultFieldByField(t *testing.T) {
	for name, c := range map[string]struct {
		values string
		want   map[string]any
	}{
		"nothing given": {``, map[string]any{
			"httpGet":             map[string]any{"path": "/", "port": int64(7879), "scheme": "HTTP"},
			"initialDelaySeconds": int64(5), "periodSeconds": int64(5), "timeoutSeconds": int64(5),
			"successThreshold": int64(1), "failureThreshold": int64(3),
		}},
		"scalars given": {`livenessProbe: {initialDelaySeconds: 0, failureThreshold: 9}`, map[string]any{
			"httpGet":             map[string]any{"path": "/", "port": int64(7879), "scheme": "HTTP"},
			"initialDelaySeconds": int64(0), "periodSeconds": int64(5), "timeoutSeconds": int64(5),
			"successThreshold": int64(1), "failureThreshold": int64(9),
		}},
		"a handler of another kind": {`livenessProbe: {tcpSocket: {port: 1}}`, map[string]any{
			"tcpSocket":           map[string]any{"port": int64(1)},
			"initialDelaySeconds": int64(5), "periodSeconds": int64(5), "timeoutSeconds": int64(5),
			"successThreshold": int64(1), "failureThreshold": int64(3),
		}},
		"a handler of the same kind is not mixed with the default": {`livenessProbe: {httpGet: {port: web}}`, map[string]any{
			"httpGet":             map[string]any{"port": "web"},
			"initialDelaySeconds": int64(5), "periodSeconds": int64(5), "timeoutSeconds": int64(5),
			"successThreshold": int64(1), "failureThreshold": int64(3),
		}},
		"nulls are absent": {`livenessProbe: {httpGet: null, periodSeconds: null}`, map[string]any{
			"httpGet":             map[string]any{"path": "/", "port": int64(7879), "scheme": "HTTP"},
			"initialDelaySeconds": int64(5), "periodSeconds": int64(5), "timeoutSeconds": int64(5),
			"successThreshold": int64(1), "failureThreshold": int64(3),
		}},
		"the watchdog stretches the threshold": {`
healthCheck: {probe: {port: 80}, watchdog: {enabled: true, hardTimeoutSeconds: 62}}
livenessProbe: {periodSeconds: 10}`, map[string]any{
			"httpGet":             map[string]any{"path": "/", "port": int64(80), "scheme": "HTTP"},
			"initialDelaySeconds": int64(5), "periodSeconds": int64(10), "timeoutSeconds": int64(5),
			"successThreshold": int64(1), "failureThreshold": int64(7),
		}},
		"the watchdog leaves the user's threshold": {`
healthCheck: {watchdog: {enabled: true}}
livenessProbe: {failureThreshold: 2}`, map[string]any{
			"httpGet":             map[string]any{"path": "/", "port": int64(7879), "scheme": "HTTP"},
			"initialDelaySeconds": int64(5), "periodSeconds": int64(5), "timeoutSeconds": int64(5),
			"successThreshold": int64(1), "failureThreshold": int64(2),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, render(t, values(t, minimal, c.values)).at(gateway+"livenessProbe"))
		})
	}
}

func TestReadinessTimeoutIsAStartupProbeThatLastsAtLeastThatLong(t *testing.T) {
	assert.Nil(t, render(t, values(t, minimal)).at(gateway+"startupProbe"))
	m := render(t, values(t, minimal, `
readinessTimeoutSeconds: 100
readinessProbe: {tcpSocket: {port: 9}, periodSeconds: 30, successThreshold: 3}`))
	assert.Equal(t, map[string]any{
		"tcpSocket":           map[string]any{"port": int64(9)},
		"initialDelaySeconds": int64(5), "periodSeconds": int64(30), "timeoutSeconds": int64(5),
		"successThreshold": int64(1), "failureThreshold": int64(4),
	}, m.at(gateway+"startupProbe"))
}

func TestTheSoftTimeoutStaysBelowAHardOneOfTheUser(t *testing.T) {
	m := render(t, values(t, minimal, `healthCheck: {watchdog: {enabled: true, hardTimeoutSeconds: 30}}`))
	assert.Equal(t, "30", m.at(plan+"health.soft-timeout"))
	assert.Nil(t, render(t, values(t, minimal, `healthCheck: {watchdog: {enabled: false}}`)).at(plan+"health.soft-timeout"))
}

func TestLabelsOfTheUserNeverBreakTheSelector(t *testing.T) {
	m := render(t, values(t, minimal, `
labels: {app.kubernetes.io/instance: mine, app.kubernetes.io/name: other, datapower.ibm.com/service: stolen}`))
	labels := "StatefulSet|spec|template|metadata|labels|"
	assert.Equal(t, "mine", m.at(labels+"app.kubernetes.io/instance"))
	assert.Equal(t, "other", m.at(labels+"app.kubernetes.io/name"))
	assert.Equal(t, "gw", m.at(labels+"datapower.ibm.com/service"))
	want := map[string]any{"datapower.ibm.com/service": "gw"}
	assert.Equal(t, want, m.at("StatefulSet|spec|selector|matchLabels"))
	assert.Equal(t, want, m.at("Service|spec|selector"))
	assert.Equal(t, "gateways-gw", m.at("StatefulSet|metadata|labels|app.kubernetes.io/instance"), "objects keep theirs")
}

func TestAnnotationsOfTheUserNeverHideAHash(t *testing.T) {
	key := "datapower.ibm.com/init.reconciled"
	m := render(t, values(t, minimal, `annotations: {"`+key+`": mine}`))
	assert.NotEqual(t, "mine", m.at(annotated+key))
}

func TestAffinityDefaultsOnlyWhenAbsent(t *testing.T) {
	const arch = pod + "affinity|nodeAffinity|requiredDuringSchedulingIgnoredDuringExecution|nodeSelectorTerms|0|matchExpressions|0|key"
	const term = pod + "affinity|podAntiAffinity|preferredDuringSchedulingIgnoredDuringExecution|0|podAffinityTerm|"
	own := map[string]any{"matchLabels": map[string]any{"datapower.ibm.com/service": "gw"}}
	absent := render(t, values(t, minimal))
	assert.Equal(t, "kubernetes.io/arch", absent.at(arch))
	assert.Equal(t, own, absent.at(term+"labelSelector"))
	assert.Equal(t, map[string]any{}, render(t, values(t, minimal, `affinity: {}`)).at(pod+"affinity"))
	given := render(t, values(t, minimal, `
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - {weight: 5, podAffinityTerm: {topologyKey: zone, labelSelector: {matchLabels: {a: b}}}}
    requiredDuringSchedulingIgnoredDuringExecution:
      - {topologyKey: host}`))
	assert.Nil(t, given.at(arch))
	assert.Equal(t, map[string]any{"matchLabels": map[string]any{"a": "b"}}, given.at(term+"labelSelector"))
	assert.Equal(t, own, given.at(pod+"affinity|podAntiAffinity|requiredDuringSchedulingIgnoredDuringExecution|0|labelSelector"))
}

func TestServiceAccountAndPullSecrets(t *testing.T) {
	generated := render(t, values(t, minimal))
	assert.Equal(t, "gw-datapower", generated.at(pod+"serviceAccountName"))
	assert.Equal(t, "gw-datapower", generated.at("ServiceAccount|metadata|name"))
	assert.Equal(t, "ibm-entitlement-key", generated.at("ServiceAccount|imagePullSecrets|0|name"))
	assert.Equal(t, false, generated.at("ServiceAccount|automountServiceAccountToken"))
	assert.Equal(t, false, generated.at(pod+"automountServiceAccountToken"))

	own := render(t, values(t, minimal, `imagePullSecrets: [mine]`))
	assert.Nil(t, own.at("ServiceAccount|imagePullSecrets"))
	assert.Equal(t, "mine", own.at(pod+"imagePullSecrets|0|name"))

	foreign := render(t, values(t, minimal, `serviceAccountName: theirs`))
	assert.Nil(t, foreign.find("ServiceAccount"))
	assert.Nil(t, foreign.at(pod+"imagePullSecrets"), "a ServiceAccount of the user gets no automatic pull Secret")
}

func TestThePodIsAttachable(t *testing.T) {
	m := render(t, values(t, minimal))
	assert.Equal(t, true, m.at(gateway+"stdin"))
	assert.Equal(t, true, m.at(gateway+"tty"))
	assert.Equal(t, []any{"/bin/sh", "/opt/datapower-operator/init/init.sh"}, m.at(gateway+"command"))
	assert.Equal(t, []any{"/start.sh"}, m.at(gateway+"args"))
	assert.Equal(t, []any{"/own.sh", "-v"}, render(t, values(t, minimal, `startCommand: [/own.sh, -v]`)).at(gateway+"args"))
}

func TestSecretsAreReadableWithAndWithoutAGroup(t *testing.T) {
	mode := pod + "volumes|name=input-user-0|secret|defaultMode"
	assert.Equal(t, int64(0o440), render(t, values(t, minimal)).at(mode))
	openshift := render(t, values(t, minimal, `securityContext: {runAsUser: null, fsGroup: null}`))
	assert.Equal(t, int64(0o444), openshift.at(mode))
	assert.Nil(t, openshift.at(pod+"securityContext|runAsUser"))
	assert.Nil(t, openshift.at(pod+"securityContext|fsGroup"))
	assert.Equal(t, true, openshift.at(pod+"securityContext|runAsNonRoot"))
}

func TestAGracePeriodOfNothingIsNotAbsent(t *testing.T) {
	assert.Nil(t, render(t, values(t, minimal)).at(pod+"terminationGracePeriodSeconds"))
	assert.Equal(t, int64(0), render(t, values(t, minimal, `terminationGracePeriodSeconds: 0`)).at(pod+"terminationGracePeriodSeconds"))
}

func TestAPortIsNamedOnce(t *testing.T) {
	m := render(t, values(t, minimal, `healthCheck: {probe: {port: 9090}}`))
	assert.Len(t, m.at(gateway+"ports"), 2)
	assert.Len(t, m.at("Service|spec|ports"), 2, "a Service with one port twice would be refused")
}

func TestCryptoModeFIPSHashesWithoutMD5(t *testing.T) {
	assert.Equal(t, "md5", render(t, values(t, minimal)).at(plan+"password-method"))
	fips := values(t, minimal, `cryptoMode: fips-140-3-l1`)
	assert.Equal(t, "sha256", render(t, fips).at(plan+"password-method"))
	fips = values(t, minimal, `cryptoMode: fips-140-3-l1`, `rbm: {passwordHashAlgorithm: md5}`)
	assert.Equal(t, "md5", render(t, fips).at(plan+"password-method"), "what the user says counts")
}

func TestAUserWithoutUsersIsAdmin(t *testing.T) {
	for _, users := range []string{`users: null`, `users: []`} {
		m := render(t, values(t, minimal, users))
		assert.Equal(t, "admin", m.at(plan+"user.0.name"))
		assert.Equal(t, "admin-credentials", m.at(pod+"volumes|name=input-user-0|secret|secretName"))
		require.NotNil(t, m.at(annotated+"datapower.ibm.com/user.admin.reconciled"))
	}
}
