// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// ignored are the fields of the spec that are accepted and have no effect on the objects. NOTES.txt warns of them.
var ignored = map[string]bool{
	"createServiceBinding": true,
	"odTracing":            true,
	"jaegerTracing":        true,
	"storage[].volumeMode": true,
}

// passedOn are fields of Kubernetes types, which reach the pod as they are. One effect stands for all fields within.
var passedOn = map[string]bool{
	"affinity": true, "livenessProbe": true, "readinessProbe": true, "lifecycle": true, "tolerations[]": true,
	"env[].valueFrom": true, "storage[].selector": true,
}

// effect says what a field of the spec does: with the values given over minimal, the place in the render changes to want,
// which it is not when the values are before (default: minimal alone).
type effect struct {
	field  string
	before string
	values string
	place  string
	want   any
}

const (
	oneDomain = `domains: [{name: shop}]`
	annotated = "StatefulSet|spec|template|metadata|annotations|"
)

var effects = []effect{
	{field: "license.license", values: `license: {accept: true, license: L-WRRP-ZHFMSQ, use: nonproduction}`,
		place: "StatefulSet|metadata|annotations|datapower.ibm.com/license", want: "L-WRRP-ZHFMSQ"},
	{field: "license.use", values: `license: {accept: true, license: L-EYGU-PVGRBC, use: production}`,
		place: gateway + "image", want: "cp.icr.io/cp/datapower/datapower-prod:10.6.0.1"},
	{field: "version", values: `version: 10.5-lts`,
		place: gateway + "image", want: "cp.icr.io/cp/datapower/datapower-nonprod:10.5.0.22"},
	{field: "image", values: `image: example.com/x:y`, place: gateway + "image", want: "example.com/x:y"},
	{field: "imagePullPolicy", values: `imagePullPolicy: Never`, place: gateway + "imagePullPolicy", want: "Never"},
	{field: "imagePullSecrets[]", values: `imagePullSecrets: [mine]`, place: pod + "imagePullSecrets|0|name", want: "mine"},
	{field: "replicas", values: `replicas: 4`, place: "StatefulSet|spec|replicas", want: int64(4)},

	{field: "users[].name", values: `users: [{name: bob, passwordSecret: admin-credentials, accessLevel: privileged}]`,
		place: plan + "user.0.name", want: "bob"},
	{field: "users[].passwordSecret", values: `users: [{name: admin, passwordSecret: other, accessLevel: privileged}]`,
		place: pod + "volumes|name=input-user-0|secret|secretName", want: "other"},
	{field: "users[].accessLevel", values: `users: [{name: admin, passwordSecret: p, accessLevel: group-defined, group: g}]`,
		place: "ConfigMap/gw-user-commands|data|user.0", want: "access-level group-defined\ngroup \"g\"\n"},
	{field: "users[].group", values: `users: [{name: admin, passwordSecret: p, accessLevel: group-defined, group: a"b\c}]`,
		place: "ConfigMap/gw-user-commands|data|user.0", want: "access-level group-defined\ngroup \"a\\\"b\\\\c\"\n"},

	{field: "domains[].name", values: oneDomain, place: plan + "domain.0.name", want: "shop"},
	{field: "domains[].certs[].certType", values: `domains: [{name: shop, certs: [{certType: sharedcerts, secret: s}]}]`,
		place: plan + "domain.0.cert.0.type", want: "sharedcerts"},
	{field: "domains[].certs[].secret", values: `domains: [{name: shop, certs: [{certType: sharedcerts, secret: s}]}]`,
		place: pod + "volumes|name=input-domain-0-cert-0|secret|secretName", want: "s"},
	{field: "domains[].certs[].subPath",
		values: `domains: [{name: shop, certs: [{certType: usrcerts, secret: s, subPath: a/b}]}]`,
		place:  plan + "domain.0.cert.0.subpath", want: "a/b"},
	{field: "domains[].dpApp.config[]", values: `domains: [{name: shop, dpApp: {config: [a, b]}}]`,
		place: pod + "volumes|name=input-domain-0-config-1|configMap|name", want: "b"},
	{field: "domains[].dpApp.local[]", values: `domains: [{name: shop, dpApp: {local: [a]}}]`,
		place: pod + "volumes|name=input-domain-0-local-0|configMap|name", want: "a"},
	{field: "domains[].passphraseSecret", values: `domains: [{name: shop, passphraseSecret: p}]`,
		place: pod + "volumes|name=input-domain-0-passphrase|secret|secretName", want: "p"},
	{field: "domains[].settings.passphrase.secret", values: `domains: [{name: shop, settings: {passphrase: {secret: p}}}]`,
		place: gateway + "volumeMounts|name=input-domain-0-passphrase|mountPath",
		want:  "/opt/datapower-operator/domain/0/passphrase"},
	{field: "domains[].settings.passphrase.generate",
		values: `domains: [{name: shop, settings: {passphrase: {generate: true}}}]`,
		place:  pod + "volumes|name=input-domain-0-passphrase|secret|secretName", want: "gw-shop-passphrase"},
	{field: "domains[].passwordMap[].alias", values: `domains: [{name: shop, passwordMap: [{alias: a, secret: s}]}]`,
		place: plan + "domain.0.password.0.alias", want: "a"},
	{field: "domains[].passwordMap[].secret", values: `domains: [{name: shop, passwordMap: [{alias: a, secret: s}]}]`,
		place: pod + "volumes|name=input-domain-0-password-0|secret|secretName", want: "s"},
	{field: "domains[].passwordMap[].generate", values: `domains: [{name: shop, passwordMap: [{alias: a, generate: true}]}]`,
		place: pod + "volumes|name=input-domain-0-password-0|secret|secretName", want: "gw-shop-a-password"},

	{field: "env[].name", values: `env: [{name: X, value: why}]`, place: gateway + "env|4|name", want: "X"},
	{field: "env[].value", values: `env: [{name: X, value: why}]`, place: gateway + "env|name=X|value", want: "why"},
	{field: "env[].valueFrom", values: `env: [{name: X, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]`,
		place: gateway + "env|name=X|valueFrom|fieldRef|fieldPath", want: "status.podIP"},
	{field: "initCmds[]", values: `initCmds: [one, two]`, place: plan + "initcmd.1", want: "two"},
	{field: "extraExe[]", values: `extraExe: [a, b]`, place: pod + "volumes|name=extra-exe|projected|sources|1|configMap|name",
		want: "b"},
	{field: "debug", values: `debug: true`, place: plan + "debug", want: "true"},

	{field: "resources.requests.cpu", values: `resources: {requests: {cpu: 2}}`, place: gateway + "resources|requests|cpu",
		want: "2"},
	{field: "resources.requests.memory", values: `resources: {requests: {memory: 5Gi}}`,
		place: gateway + "resources|requests|memory", want: "5Gi"},
	{field: "resources.limits.cpu", values: `resources: {limits: {cpu: 3}}`, place: gateway + "resources|limits|cpu", want: "3"},
	{field: "resources.limits.memory", values: `resources: {limits: {memory: 9Gi}}`,
		place: gateway + "resources|limits|memory", want: "9Gi"},

	{field: "livenessProbe", values: `livenessProbe: {exec: {command: [x]}}`, place: gateway + "livenessProbe|exec|command|0",
		want: "x"},
	{field: "readinessProbe", values: `readinessProbe: {periodSeconds: 9}`, place: gateway + "readinessProbe|periodSeconds",
		want: int64(9)},
	{field: "readinessTimeoutSeconds", values: `readinessTimeoutSeconds: 61`,
		place: gateway + "startupProbe|failureThreshold", want: int64(13)},
	{field: "healthCheck.probe.port", values: `healthCheck: {probe: {port: 8000}}`,
		place: gateway + "readinessProbe|httpGet|port", want: int64(8000)},
	{field: "healthCheck.logLevel", values: `healthCheck: {logLevel: fatal}`, place: plan + "health.priority", want: "emerg"},
	{field: "healthCheck.watchdog.enabled", values: `healthCheck: {watchdog: {enabled: true}}`,
		place: gateway + "livenessProbe|failureThreshold", want: int64(16)},
	{field: "healthCheck.watchdog.softTimeoutSeconds", before: `healthCheck: {watchdog: {enabled: true}}`,
		values: `healthCheck: {watchdog: {enabled: true, softTimeoutSeconds: 45}}`, place: plan + "health.soft-timeout", want: "45"},
	{field: "healthCheck.watchdog.hardTimeoutSeconds", before: `healthCheck: {watchdog: {enabled: true}}`,
		values: `healthCheck: {watchdog: {enabled: true, hardTimeoutSeconds: 101}}`,
		place:  gateway + "livenessProbe|failureThreshold", want: int64(21)},

	{field: "affinity", values: `affinity: {podAffinity: {}}`, place: pod + "affinity|nodeAffinity", want: nil},
	{field: "tolerations[]", values: `tolerations: [{operator: Exists}]`, place: pod + "tolerations|0|operator", want: "Exists"},
	{field: "nodeSelector{}", values: `nodeSelector: {a: b}`, place: pod + "nodeSelector|a", want: "b"},
	{field: "annotations{}", values: `annotations: {prometheus.io/scrape: "no"}`, place: annotated + "prometheus.io/scrape",
		want: "no"},
	{field: "labels{}", values: `labels: {team: a}`, place: "StatefulSet|spec|template|metadata|labels|team", want: "a"},
	{field: "lifecycle", values: `lifecycle: {preStop: {sleep: {seconds: 7}}}`,
		place: gateway + "lifecycle|preStop|sleep|seconds", want: int64(7)},
	{field: "terminationGracePeriodSeconds", values: `terminationGracePeriodSeconds: 90`,
		place: pod + "terminationGracePeriodSeconds", want: int64(90)},
	{field: "runAsRoot", values: `runAsRoot: true`, place: gateway + "securityContext|runAsUser", want: int64(0)},
	{field: "serviceAccountName", values: `serviceAccountName: mine`, place: pod + "serviceAccountName", want: "mine"},

	{field: "storage[].path", values: `storage: [{path: /a/b, type: ephemeral}]`,
		place: gateway + "volumeMounts|name=storage-a-b|mountPath", want: "/a/b"},
	{field: "storage[].type", before: `storage: [{path: /a/b, type: ephemeral, size: 1Gi}]`,
		values: `storage: [{path: /a/b, type: persistent, size: 1Gi}]`,
		place:  "StatefulSet|spec|volumeClaimTemplates|0|metadata|name", want: "storage-a-b"},
	{field: "storage[].size", values: `storage: [{path: /a/b, type: ephemeral, size: 2Gi}]`,
		place: pod + "volumes|name=storage-a-b|emptyDir|sizeLimit", want: "2Gi"},
	{field: "storage[].class", values: `storage: [{path: /a/b, type: persistent, size: 2Gi, class: fast}]`,
		place: "StatefulSet|spec|volumeClaimTemplates|0|spec|storageClassName", want: "fast"},
	{field: "storage[].selector", values: `storage: [{path: /a, type: persistent, size: 2Gi, selector: {matchLabels: {k: v}}}]`,
		place: "StatefulSet|spec|volumeClaimTemplates|0|spec|selector|matchLabels|k", want: "v"},
	{field: "storage[].deleteClaim", before: `storage: [{path: /a, type: persistent, size: 2Gi}]`,
		values: `storage: [{path: /a, type: persistent, size: 2Gi, deleteClaim: true}]`,
		place:  "StatefulSet|spec|persistentVolumeClaimRetentionPolicy|whenDeleted", want: "Delete"},

	{field: "podManagementPolicy", values: `podManagementPolicy: OrderedReady`, place: "StatefulSet|spec|podManagementPolicy",
		want: "OrderedReady"},
	{field: "updateStrategy.mode", values: `updateStrategy: {mode: manual, partition: 0}`,
		place: "StatefulSet|spec|updateStrategy|rollingUpdate|partition", want: int64(0)},
	{field: "updateStrategy.partition", values: `updateStrategy: {mode: manual, partition: 2}`,
		place: "StatefulSet|spec|updateStrategy|rollingUpdate|partition", want: int64(2)},
	{field: "updateStrategy.rolloutHistoryLimit", values: `updateStrategy: {mode: automatic, rolloutHistoryLimit: 5}`,
		place: "StatefulSet|spec|revisionHistoryLimit", want: int64(5)},
	{field: "podAutoScaling.method", values: `podAutoScaling: {method: HPA, hpa: {maxReplicas: 3}}`,
		place: "StatefulSet|spec|replicas", want: nil},
	{field: "podAutoScaling.hpa.maxReplicas", values: `podAutoScaling: {method: HPA, hpa: {maxReplicas: 3}}`,
		place: "HorizontalPodAutoscaler|spec|maxReplicas", want: int64(3)},
	{field: "podAutoScaling.hpa.minReplicas", values: `podAutoScaling: {method: HPA, hpa: {maxReplicas: 3, minReplicas: 2}}`,
		place: "HorizontalPodAutoscaler|spec|minReplicas", want: int64(2)},
	{field: "podAutoScaling.hpa.targetCPUUtilizationPercentage",
		values: `podAutoScaling: {method: HPA, hpa: {maxReplicas: 3, targetCPUUtilizationPercentage: 55}}`,
		place:  "HorizontalPodAutoscaler|spec|metrics|0|resource|target|averageUtilization", want: int64(55)},
	{field: "podAutoScaling.hpa.targetMemoryUtilizationPercentage",
		values: `podAutoScaling: {method: HPA, hpa: {maxReplicas: 3, targetMemoryUtilizationPercentage: 66}}`,
		place:  "HorizontalPodAutoscaler|spec|metrics|0|resource|name", want: "memory"},
	{field: "podAutoScaling.vpa.maxAllowedCPU", values: `podAutoScaling: {method: VPA, vpa: {maxAllowedCPU: 6}}`,
		place: "VerticalPodAutoscaler|spec|resourcePolicy|containerPolicies|0|maxAllowed|cpu", want: "6"},
	{field: "podAutoScaling.vpa.maxAllowedMemory", values: `podAutoScaling: {method: VPA, vpa: {maxAllowedMemory: 16Gi}}`,
		place: "VerticalPodAutoscaler|spec|resourcePolicy|containerPolicies|0|maxAllowed|memory", want: "16Gi"},

	{field: "hostAliases[].ip", values: `hostAliases: [{ip: 192.0.2.1, hostnames: [a]}]`, place: plan + "host.0.ip",
		want: "192.0.2.1"},
	{field: "hostAliases[].hostnames[]", values: `hostAliases: [{ip: 192.0.2.1, hostnames: [a, b]}]`,
		place: pod + "hostAliases|0|hostnames|1", want: "b"},
	{field: "cryptoMode", values: `cryptoMode: permissive`, place: plan + "crypto-mode", want: "permissive"},
	{field: "rbm.passwordHashAlgorithm", values: `rbm: {passwordHashAlgorithm: sha256}`, place: plan + "password-method",
		want: "sha256"},
	{field: "snmp.config.port", values: `snmp: {config: {port: 162}}`, place: plan + "snmp.port", want: "162"},
	{field: "snmp.exporter.enabled", values: `snmp: {exporter: {enabled: true}}`,
		place: pod + "containers|name=snmp-exporter|args|0", want: "--web.listen-address=:63512"},
	{field: "snmp.exporter.port", values: `snmp: {exporter: {enabled: true, port: 9116}}`, place: annotated + "prometheus.io/port",
		want: "9116"},
	{field: "snmp.generator.config", values: `snmp: {exporter: {enabled: true}, generator: {config: gen}}`,
		place: pod + "volumes|name=snmp-generator|configMap|name", want: "gen"},
}

func TestEveryFieldHasItsEffect(t *testing.T) {
	for _, e := range effects {
		t.Run(e.field, func(t *testing.T) {
			assert.NotEqual(t, e.want, render(t, values(t, minimal, e.before)).at(e.place), "before")
			assert.Equal(t, e.want, render(t, values(t, minimal, e.values)).at(e.place), "after")
		})
	}
}

func TestALicenceMustBeAccepted(t *testing.T) {
	for name, license := range map[string]string{
		"not accepted": `license: {accept: false, license: L-EYGU-PVGRBC, use: nonproduction}`,
		"absent":       `license: null`,
	} {
		t.Run(name, func(t *testing.T) {
			assert.Contains(t, renderError(t, values(t, minimal, license)), "spec.license.accept: ")
		})
	}
	accepted := render(t, values(t, minimal))
	assert.Equal(t, "true", accepted.at(gateway+"env|name=DATAPOWER_ACCEPT_LICENSE|value"))
	assert.Equal(t, "true", accepted.at(gateway+"env|name=DATAPOWER_LICENSE_ACCEPT|value"))
}

func TestEveryFieldOfTheSchemaIsInTheTableOrIgnored(t *testing.T) {
	known := map[string]bool{"license.accept": true} // TestALicenceMustBeAccepted
	for _, e := range effects {
		known[e.field] = true
	}
	var missing []string
	for _, leaf := range leaves("", specSchema(t)) {
		if !known[leaf] && !ignored[leaf] {
			missing = append(missing, leaf)
		}
	}
	assert.Empty(t, missing)
}

func TestIgnoredFieldsChangeNothingAndAreNamedInTheNotes(t *testing.T) {
	for field, text := range map[string]string{
		"spec.createServiceBinding": `createServiceBinding: always`,
		"spec.odTracing": `odTracing: {enabled: true, imageAgent: a, imageCollector: c, imagePullPolicy: Always,
  odTracingDataHostname: d, odTracingRegistrationHostname: r}`,
		"spec.jaegerTracing":         `jaegerTracing: {jaegerCollectorEndpoint: e}`,
		"spec.storage[0].volumeMode": `storage: [{path: /a, type: ephemeral, volumeMode: Block}]`,
	} {
		t.Run(field, func(t *testing.T) {
			without := render(t, values(t, minimal, strings.ReplaceAll(text, ", volumeMode: Block", "")))
			if !strings.Contains(field, "storage") {
				without = render(t, values(t, minimal))
			}
			with := render(t, values(t, minimal, text))
			assert.Equal(t, without.text(), with.text())
			assert.Contains(t, with.notes, "WARNING: "+field+" is accepted and ignored.")
			assert.NotContains(t, without.notes, "ignored")
		})
	}
}

func TestNullIsTheSameAsAbsent(t *testing.T) {
	var everything strings.Builder
	for name := range specSchema(t).Properties {
		if name != "license" && name != "version" && name != "users" {
			everything.WriteString(name + ": null\n")
		}
	}
	m := render(t, values(t, minimal, everything.String()))
	assert.Nil(t, m.at("StatefulSet|spec|replicas"), "Kubernetes' own default is 1 too")
	assert.Equal(t, "cp.icr.io/cp/datapower/datapower-nonprod:10.6.0.1", m.at(gateway+"image"))
	assert.Equal(t, "4Gi", m.at(gateway+"resources|requests|memory"))
}

// leaves are the paths of the fields of a schema that have no fields of their own: lists end in [], maps in {}.
func leaves(path string, schema apiextensionsv1.JSONSchemaProps) []string {
	if passedOn[path] || ignored[path] {
		return []string{path}
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		return leaves(path+"[]", *schema.Items.Schema)
	}
	if len(schema.Properties) == 0 {
		if schema.Type == "object" {
			path += "{}"
		}
		return []string{path}
	}
	var found []string
	for name, field := range schema.Properties {
		found = append(found, leaves(strings.TrimPrefix(path+"."+name, "."), field)...)
	}
	sort.Strings(found)
	return found
}

func TestLeavesFindsFieldsListsAndMaps(t *testing.T) {
	var schema apiextensionsv1.JSONSchemaProps
	require.NoError(t, yaml.Unmarshal([]byte(`
type: object
properties:
  plain: {type: string}
  list: {type: array, items: {type: object, properties: {inner: {type: integer}}}}
  map: {type: object, additionalProperties: {type: string}}
`), &schema))
	assert.Equal(t, []string{"list[].inner", "map{}", "plain"}, leaves("", schema))
}
