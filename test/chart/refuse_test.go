// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatTheTemplatesRefuse(t *testing.T) {
	for name, c := range map[string]struct{ values, message string }{
		"an unknown channel": {`version: 12.0-lts`, `spec.version: "12.0-lts" is neither an exact version such as 10.6.0.1 nor a ` +
			`known channel (10.0-cd, 10.0-lts, 10.5-cd, 10.5-lts, 10.6-cd, 10.6-lts, 11.0-sc2)`},
		"no version":      {`version: null`, `spec.version: ""`},
		"an odd version":  {`version: 10.6.0.1-rc1`, `spec.version: "10.6.0.1-rc1"`},
		"a short version": {`version: 10.6.0`, `spec.version: "10.6.0"`},
		"two users of one name": {`users: [{name: a, passwordSecret: p, accessLevel: privileged}, {name: a, passwordSecret: q, accessLevel: privileged}]`,
			`spec.users[1].name: "a" is used twice`},
		"a user name with a line break": {`users: [{name: "a\nb", passwordSecret: p, accessLevel: privileged}]`, "spec.users[0].name: "},
		"a group-defined user without a group": {`users: [{name: a, passwordSecret: p, accessLevel: group-defined}]`,
			"spec.users[0].group: "},
		"a domain with a slash, which schema and templates refuse": {`domains: [{name: a/b}]`, "/domains/0/name"},
		"the domain ..":           {`domains: [{name: ".."}]`, `spec.domains[0].name: ".." cannot name a directory`},
		"two domains of one name": {`domains: [{name: a}, {name: b}, {name: a}]`, `spec.domains[2].name: "a" is used twice`},
		"a sub-path of shared certificates": {`domains: [{name: a, certs: [{certType: sharedcerts, secret: s, subPath: x}]}]`,
			"spec.domains[0].certs[0].subPath: only allowed with certType usrcerts"},
		"a sub-path that leads out": {`domains: [{name: a, certs: [{certType: usrcerts, secret: s, subPath: x/../..}]}]`,
			"spec.domains[0].certs[0].subPath: must be relative and without .."},
		"an absolute sub-path": {`domains: [{name: a, certs: [{certType: usrcerts, secret: s, subPath: /etc}]}]`,
			"spec.domains[0].certs[0].subPath: must be relative and without .."},
		"a passphrase that is given and generated": {`domains: [{name: a, settings: {passphrase: {secret: s, generate: true}}}]`,
			"spec.domains[0].settings.passphrase: secret and generate exclude each other"},
		"an alias that is given and generated": {`domains: [{name: a, passwordMap: [{alias: x, secret: s, generate: true}]}]`,
			"spec.domains[0].passwordMap[0]: needs either secret or generate"},
		"an alias without a password": {`domains: [{name: a, passwordMap: [{alias: x}]}]`,
			"spec.domains[0].passwordMap[0]: needs either secret or generate"},
		"an alias twice": {`domains: [{name: a, passwordMap: [{alias: x, secret: s}, {alias: x, secret: t}]}]`,
			`spec.domains[0].passwordMap[1].alias: "x" is used twice`},
		"a path twice": {`storage: [{path: /a, type: ephemeral}, {path: /a, type: ephemeral}]`, `spec.storage[1].path: "/a" is used twice`},
		"persistent storage without a size": {`storage: [{path: /a, type: persistent}]`,
			"spec.storage[0].size: required for persistent storage"},
		"a request above its limit": {`resources: {requests: {memory: 9Gi}, limits: {memory: 8Gi}}`,
			"spec.resources.requests.memory: 9Gi exceeds the limit 8Gi"},
		"manual updates without a partition": {`updateStrategy: {mode: manual}`, "spec.updateStrategy.partition: required with mode manual"},
		"horizontal scaling without bounds":  {`podAutoScaling: {method: HPA}`, "spec.podAutoScaling.hpa.maxReplicas: required"},
		"horizontal scaling without room": {`podAutoScaling: {method: HPA, hpa: {minReplicas: 3, maxReplicas: 3}}`,
			"spec.podAutoScaling.hpa.maxReplicas: must be greater than minReplicas"},
		"horizontal scaling by nothing": {`podAutoScaling: {method: HPA, hpa: {maxReplicas: 3, targetCPUUtilizationPercentage: 0}}`,
			"spec.podAutoScaling.hpa: needs a target above 0 for CPU or memory"},
		"a budget that lets no pod go": {"replicas: 3\npodDisruptionBudget: {maxUnavailable: 0}",
			"podDisruptionBudget.maxUnavailable: 0 would block every drain of a node"},
		"a budget that keeps all pods": {"replicas: 3\npodDisruptionBudget: {minAvailable: 100%}",
			"podDisruptionBudget.minAvailable: 100% would block every drain of a node"},
		"a budget that keeps as many pods as there are": {"replicas: 3\npodDisruptionBudget: {minAvailable: 3}",
			"podDisruptionBudget.minAvailable: 3 would block every drain of a node"},
		"an unknown network policy": {`networkPolicy: {mode: Strict}`, `networkPolicy.mode: "Strict" is neither AllowAll nor Restricted`},
		"a Service without ports":   {`service: {enabled: true}`, "service.ports: a traffic Service needs at least one port"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Contains(t, renderError(t, values(t, minimal, c.values)), c.message)
		})
	}
}

func TestWhatTheSchemaRefuses(t *testing.T) {
	for name, c := range map[string]struct{ values, place string }{
		"a misspelt key":                  {`replica: 2`, "'replica'"},
		"a misspelt key of a chart value": {`networkPolicy: {mod: AllowAll}`, "'mod'"},
		"a misspelt key deep in the spec": {`domains: [{name: a, dpApp: {configs: []}}]`, "'configs'"},
		"an unknown edition":              {`license: {accept: true, license: L-EYGU-PVGRBC, use: free}`, "/license/use"},
		"a licence without its parts":     {`license: {accept: true}`, "/license"},
		"a number of pods in words":       {`replicas: two`, "/replicas"},
		"a negative number of pods":       {`replicas: -1`, "/replicas"},
		"a storage type of fancy":         {`storage: [{path: /a, type: magic}]`, "/storage/0/type"},
		"a port that is too large":        {`healthCheck: {probe: {port: 70000}}`, "/healthCheck/probe/port"},
		"a user without a password":       {`users: [{name: a, accessLevel: privileged}]`, "/users/0"},
	} {
		t.Run(name, func(t *testing.T) {
			message := renderError(t, values(t, minimal, c.values))
			require.Contains(t, message, "values don't meet the specifications of the schema")
			assert.Contains(t, message, c.place)
		})
	}
}
