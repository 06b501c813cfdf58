// SPDX-License-Identifier: Apache-2.0

package datapower_test

// podRules are rules of fields that shape the pods.
var podRules = map[string]rule{
	"the watchdog warns before it restarts": {
		accepted: []string{
			`healthCheck: {watchdog: {enabled: true, softTimeoutSeconds: 20, hardTimeoutSeconds: 21}}`,
			`healthCheck: {watchdog: {enabled: true, softTimeoutSeconds: 90}}`,
		},
		refused: `healthCheck: {watchdog: {enabled: true, softTimeoutSeconds: 60, hardTimeoutSeconds: 60}}`,
		path:    "spec.healthCheck.watchdog.softTimeoutSeconds",
		message: "softTimeoutSeconds must be less than hardTimeoutSeconds",
	},
	"the watchdog's timeouts are at least 20 seconds": {
		refused: `healthCheck: {watchdog: {enabled: true, softTimeoutSeconds: 19}}`,
		path:    "spec.healthCheck.watchdog.softTimeoutSeconds",
		message: "should be greater than or equal to 20",
	},
	"the watchdog is switched on or off": {
		refused: `healthCheck: {watchdog: {softTimeoutSeconds: 20}}`,
		path:    "spec.healthCheck.watchdog.enabled",
		message: "Required value",
	},
	"the health check has a level of logging": {
		accepted: []string{`healthCheck: {logLevel: dpanic}`},
		refused:  `healthCheck: {logLevel: trace}`,
		path:     "spec.healthCheck.logLevel",
		message:  `supported values: "debug", "info", "warn", "error", "dpanic", "panic", "fatal"`,
	},
	"the health check has a port": {
		accepted: []string{`healthCheck: {probe: {port: 65535}}`},
		refused:  `healthCheck: {probe: {port: 65536}}`,
		path:     "spec.healthCheck.probe.port",
		message:  "should be less than or equal to 65535",
	},
	"the readiness timeout is at least a minute": {
		accepted: []string{`readinessTimeoutSeconds: 60`},
		refused:  `readinessTimeoutSeconds: 59`,
		path:     "spec.readinessTimeoutSeconds",
		message:  "should be greater than or equal to 60",
	},
	"a pod has no negative time to stop": {
		accepted: []string{`terminationGracePeriodSeconds: 0`},
		refused:  `terminationGracePeriodSeconds: -1`,
		path:     "spec.terminationGracePeriodSeconds",
		message:  "should be greater than or equal to 0",
	},
	"the label that selects the pods is the operator's": {
		accepted: []string{`labels: {app.kubernetes.io/instance: mine, datapower.ibm.com/other: x}`, `labels: {}`},
		refused:  `labels: {datapower.ibm.com/service: mine}`,
		path:     "spec.labels",
		message:  "labels must not set datapower.ibm.com/service",
	},
	"the annotations that roll the pods are the operator's": {
		accepted: []string{`annotations: {prometheus.io/scrape: "false", datapower.ibm.com/mine: x, example.com/a.reconciled: x}`},
		refused:  `annotations: {datapower.ibm.com/domains.default.reconciled: now}`,
		path:     "spec.annotations",
		message:  "annotations must not set keys of the form datapower.ibm.com/*.reconciled",
	},
	"an address has one entry of host aliases": {
		accepted: []string{`hostAliases: [{ip: 192.0.2.1, hostnames: [a]}, {ip: 192.0.2.2, hostnames: [a]}]`},
		refused:  `hostAliases: [{ip: 192.0.2.1, hostnames: [a]}, {ip: 192.0.2.1, hostnames: [b]}]`,
		path:     "spec.hostAliases[1]",
		message:  `Duplicate value: {"ip":"192.0.2.1"}`,
	},
	"the pod management policy is one of a StatefulSet": {
		accepted: []string{`podManagementPolicy: OrderedReady`},
		refused:  `podManagementPolicy: Ordered`,
		path:     "spec.podManagementPolicy",
		message:  `supported values: "Parallel", "OrderedReady"`,
	},
	"a manual update needs a partition": {
		accepted: []string{
			`updateStrategy: {mode: manual, partition: 0}`, `updateStrategy: {mode: automatic, rolloutHistoryLimit: 0}`,
		},
		refused: `updateStrategy: {mode: manual}`,
		path:    "spec.updateStrategy.partition",
		message: "partition is required when mode is manual",
	},
	"an update is manual or automatic": {
		refused: `updateStrategy: {mode: canary}`,
		path:    "spec.updateStrategy.mode",
		message: `supported values: "manual", "automatic"`,
	},
	"the crypto mode is one of DataPower's": {
		accepted: []string{`cryptoMode: permissive`},
		refused:  `cryptoMode: fips-140-2-l1`,
		path:     "spec.cryptoMode",
		message:  `supported values: "permissive", "fips-140-3-l1"`,
	},
	"a password hash is md5 or sha256": {
		accepted: []string{`rbm: {passwordHashAlgorithm: md5}`, `rbm: {}`},
		refused:  `rbm: {passwordHashAlgorithm: sha1}`,
		path:     "spec.rbm.passwordHashAlgorithm",
		message:  `supported values: "md5", "sha256"`,
	},
	"an SNMP port is a port": {
		accepted: []string{`snmp: {config: {port: 1161}}`},
		refused:  `snmp: {config: {port: 0}}`,
		path:     "spec.snmp.config.port",
		message:  "should be greater than or equal to 1",
	},
	"an SNMP generator has a ConfigMap": {
		refused: `snmp: {generator: {config: ""}}`,
		path:    "spec.snmp.generator.config",
		message: "should be at least 1 chars long",
	},
	"a service binding is made automatically, always or never": {
		accepted: []string{`createServiceBinding: never`},
		refused:  `createServiceBinding: sometimes`,
		path:     "spec.createServiceBinding",
		message:  `supported values: "automatic", "always", "never"`,
	},
	"deprecated tracing keeps its required fields": {
		refused: `odTracing: {enabled: false, imageAgent: a, imageCollector: c, imagePullPolicy: p, odTracingDataHostname: d}`,
		path:    "spec.odTracing.odTracingRegistrationHostname",
		message: "Required value",
	},
	"deprecated Jaeger tracing keeps its choices": {
		accepted: []string{`jaegerTracing: {samplingType: const, propagationFormat: jaeger}`},
		refused:  `jaegerTracing: {samplingType: always}`,
		path:     "spec.jaegerTracing.samplingType",
		message:  `supported values: "remote", "const", "ratelimiting", "probabilistic"`,
	},
	"an affinity is that of a pod": {
		accepted: []string{`affinity: {nodeAffinity: {}}`},
		refused:  `affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1}]}}`,
		path:     "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference",
		message:  "Required value",
	},
	"an environment variable may appear twice, and has a name": {
		accepted: []string{`env: [{name: A, value: "1"}, {name: A, value: "2"}]`},
		refused:  `env: [{value: "1"}]`,
		path:     "spec.env[0].name",
		message:  "Required value",
	},
}
