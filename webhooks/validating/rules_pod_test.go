package validating_test

import (
	"strconv"
	"strings"
)

func itoa(i int) string { return strconv.Itoa(i) }

var containerRules = map[string]rule{
	"an image is trimmed": {
		`image: registry/a:b`, `image: "registry/a:b "`,
		[]string{`spec.image: Invalid value: "string": must not start or end with white space: remove it`},
	},
	"the pull policy must be known": {
		`imagePullPolicy: Never`, `imagePullPolicy: Sometimes`,
		[]string{`spec.imagePullPolicy: Unsupported value: "string": supported values: "Always", "IfNotPresent", "Never"`},
	},
	"executables come from ConfigMaps": {
		`extraExe: [a]`, `extraExe: [a, ""]`, []string{`spec.extraExe[1]: Required value: name a ConfigMap`},
	},
	"a variable needs a name": {
		`env: [{name: A.B-c, value: v}]`, `env: [{name: "", value: hunter2}, {name: "A=B"}]`,
		[]string{
			`spec.env[0].name: Invalid value: "string": must be the name of an environment variable: printable ASCII without '='`,
			`spec.env[1].name: Invalid value: "string": must be the name of an environment variable: printable ASCII without '='`,
		},
	},
	"a variable has one value": {
		`env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]`, `env: [{name: A, value: hunter2, valueFrom: {secretKeyRef: {name: s, key: k}}}]`,
		[]string{`spec.env[0].valueFrom: Invalid value: "object": value and valueFrom exclude each other: remove one`},
	},
	"a variable has one source": {
		`env: [{name: A, valueFrom: {fieldRef: {fieldPath: p}}}]`, `env: [{name: A, valueFrom: {}}]`,
		[]string{`spec.env[0].valueFrom: Invalid value: "object": must have exactly one source: name one of configMapKeyRef, secretKeyRef, fieldRef and resourceFieldRef`},
	},
	"a source has a name": {
		`env: [{name: A, valueFrom: {configMapKeyRef: {name: c, key: k}}}]`, `env: [{name: A, valueFrom: {configMapKeyRef: {key: k}}}]`,
		[]string{`spec.env[0].valueFrom.configMapKeyRef.name: Required value: name a ConfigMap`},
	},
	"a hook has one handler": {
		`lifecycle: {preStop: {sleep: {seconds: 1}}}`, `lifecycle: {preStop: {}, postStart: {sleep: {seconds: 1}, exec: {command: [a]}}}`,
		[]string{
			`spec.lifecycle.postStart: Invalid value: "object": must have exactly one handler: name one of exec, httpGet, tcpSocket and sleep`,
			`spec.lifecycle.preStop: Invalid value: "object": must have exactly one handler: name one of exec, httpGet, tcpSocket and sleep`,
		},
	},
	"a probe has one handler": {
		`livenessProbe: {tcpSocket: {port: 1}}`, `livenessProbe: {tcpSocket: {port: 1}, httpGet: {port: 2}}`,
		[]string{`spec.livenessProbe: Invalid value: "object": must have at most one handler: keep one of exec, httpGet, tcpSocket and grpc`},
	},
	"a probe's numbers are not negative": {
		`readinessProbe: {periodSeconds: 1, successThreshold: 3}`, `readinessProbe: {periodSeconds: -1, failureThreshold: -2}`,
		[]string{
			`spec.readinessProbe.periodSeconds: Invalid value: "integer": must be at least 0: raise it`,
			`spec.readinessProbe.failureThreshold: Invalid value: "integer": must be at least 0: raise it`,
		},
	},
	"a probe asks at a port": {
		`livenessProbe: {httpGet: {port: web-mgmt}}
readinessProbe: {grpc: {port: 65535}}`,
		`livenessProbe: {httpGet: {port: 65536}}
readinessProbe: {tcpSocket: {port: "no port"}}`,
		[]string{
			`spec.livenessProbe.httpGet.port: Invalid value: "integer": must be a port number: choose one from 1 to 65535`,
			`spec.readinessProbe.tcpSocket.port: Invalid value: "string": must be the name of a port: at most 15 lower-case letters, digits and '-'`,
		},
	},
	"a probe runs a command": {
		`livenessProbe: {exec: {command: [a]}}`, `livenessProbe: {exec: {}}`,
		[]string{`spec.livenessProbe.exec.command: Required value: say which command to run`},
	},
	"a liveness probe succeeds at once": {
		`livenessProbe: {successThreshold: 1}`, `livenessProbe: {successThreshold: 2}`,
		[]string{`spec.livenessProbe.successThreshold: Invalid value: "integer": must be 1: Kubernetes allows no other number for a liveness probe`},
	},
	"a readiness probe ends nothing": {
		`livenessProbe: {terminationGracePeriodSeconds: 1}`, `readinessProbe: {terminationGracePeriodSeconds: 1}`,
		[]string{`spec.readinessProbe.terminationGracePeriodSeconds: Invalid value: "integer": must not be set: a readiness probe ends no container`},
	},
	"a readiness timeout is a minute": {
		`readinessTimeoutSeconds: 60`, `readinessTimeoutSeconds: 59`,
		[]string{`spec.readinessTimeoutSeconds: Invalid value: "integer": must be at least 60: raise it`},
	},
	"the health check's log level must be known": {
		`healthCheck: {logLevel: dpanic}`, `healthCheck: {logLevel: loud}`,
		[]string{`spec.healthCheck.logLevel: Unsupported value: "string": supported values: "debug", "dpanic", "error", "fatal", "info", "panic", "warn"`},
	},
	"the health check has a port": {
		`healthCheck: {probe: {port: 1}}`, `healthCheck: {probe: {port: 0}}`,
		[]string{`spec.healthCheck.probe.port: Invalid value: "integer": must be a port number: choose one from 1 to 65535`},
	},
	"the watchdog waits": {
		`healthCheck: {watchdog: {enabled: true, softTimeoutSeconds: 20, hardTimeoutSeconds: 21}}`,
		`healthCheck: {watchdog: {enabled: true, softTimeoutSeconds: 18, hardTimeoutSeconds: 19}}`,
		[]string{
			`spec.healthCheck.watchdog.softTimeoutSeconds: Invalid value: "integer": must be at least 20: raise it`,
			`spec.healthCheck.watchdog.hardTimeoutSeconds: Invalid value: "integer": must be at least 20: raise it`,
		},
	},
	"the watchdog warns first": {
		`healthCheck: {watchdog: {enabled: true, softTimeoutSeconds: 20}}`, `healthCheck: {watchdog: {enabled: true, softTimeoutSeconds: 20, hardTimeoutSeconds: 20}}`,
		[]string{`spec.healthCheck.watchdog.softTimeoutSeconds: Invalid value: "integer": softTimeoutSeconds must be less than hardTimeoutSeconds: warnings come before the restart`},
	},
}

var resourceRules = map[string]rule{
	"a tenth of a CPU is the least request": {
		`resources: {requests: {cpu: 100m}}`, `resources: {requests: {cpu: 99m}}`,
		[]string{`spec.resources.requests.cpu: Invalid value: "string": requests.cpu must be at least 100m: raise it`},
	},
	"half a CPU is the least limit": {
		`resources: {limits: {cpu: 500m}}`, `resources: {limits: {cpu: 0.4}}`,
		[]string{`spec.resources.limits.cpu: Invalid value: "string": limits.cpu must be at least 500m: raise it`},
	},
	"two gibibytes are the least memory": {
		`resources: {requests: {memory: 2Gi}, limits: {memory: 2147483648}}`, `resources: {requests: {memory: 2G}, limits: {memory: 2147483647}}`,
		[]string{
			`spec.resources.requests.memory: Invalid value: "string": requests.memory must be at least 2Gi: raise it (a G is less than a Gi)`,
			`spec.resources.limits.memory: Invalid value: "string": limits.memory must be at least 2Gi: raise it (a G is less than a Gi)`,
		},
	},
	"a request does not exceed its limit": {
		`resources: {requests: {cpu: 1, memory: 4Gi}, limits: {cpu: 1000m, memory: 4096Mi}}`, `resources: {requests: {cpu: 2, memory: 8Gi}, limits: {cpu: 1, memory: 4Gi}}`,
		[]string{
			`spec.resources.requests.cpu: Invalid value: "string": requests.cpu must not exceed limits.cpu: lower the request or raise the limit`,
			`spec.resources.requests.memory: Invalid value: "string": requests.memory must not exceed limits.memory: lower the request or raise the limit`,
		},
	},
}

var podRules = map[string]rule{
	"replicas are a number": {
		`replicas: 0`, `replicas: -1`, []string{`spec.replicas: Invalid value: "integer": must be at least 0: raise it`},
	},
	"a grace period is not negative": {
		`terminationGracePeriodSeconds: 0`, `terminationGracePeriodSeconds: -1`,
		[]string{`spec.terminationGracePeriodSeconds: Invalid value: "integer": must be at least 0: raise it`},
	},
	"the order of pods must be known": {
		`podManagementPolicy: OrderedReady`, `podManagementPolicy: Random`,
		[]string{`spec.podManagementPolicy: Unsupported value: "string": supported values: "OrderedReady", "Parallel"`},
	},
	"pull secrets are Secrets": {
		`imagePullSecrets: [a, a]`, `imagePullSecrets: [A]`,
		[]string{`spec.imagePullSecrets[0]: Invalid value: "string": must be the name of a Secret: lower-case letters, digits, '-' and '.', at most 253 characters`},
	},
	"a toleration's operator must be known": {
		`tolerations: [{operator: Exists}, {key: a.b/c, operator: Equal, value: v, effect: NoSchedule}, {key: size, operator: Gt, value: "5"}]`,
		`tolerations: [{key: a, operator: In}, {operator: Equal}, {value: hunter2}]`,
		[]string{
			`spec.tolerations[0].operator: Unsupported value: "string": supported values: "Equal", "Exists", "Gt", "Lt"`,
			`spec.tolerations[1].operator: Invalid value: "string": must be Exists when there is no key: it then tolerates every taint`,
			`spec.tolerations[2].operator: Invalid value: "string": must be Exists when there is no key: it then tolerates every taint`,
		},
	},
	"a toleration has the form of a taint": {
		`tolerations: [{key: a, effect: NoExecute, tolerationSeconds: 5}]`,
		`tolerations: [{key: "a b", value: "c d", effect: Now}, {key: a, operator: Exists, value: v}, {key: a, tolerationSeconds: 5}]`,
		[]string{
			`spec.tolerations[0].effect: Unsupported value: "string": supported values: "NoExecute", "NoSchedule", "PreferNoSchedule"`,
			`spec.tolerations[0].key: Invalid value: "string": must be the key of a taint: an optional domain and '/', then at most 63 letters, digits, '-', '_' and '.'`,
			`spec.tolerations[0].value: Invalid value: "string": must be the value of a taint: at most 63 letters, digits, '-', '_' and '.'`,
			`spec.tolerations[1].value: Invalid value: "string": must not be set when operator is Exists: remove it`,
			`spec.tolerations[2].effect: Invalid value: "string": must be NoExecute when tolerationSeconds is set`,
		},
	},
	"a ServiceAccount has its name": {
		`serviceAccountName: a`, `serviceAccountName: A`,
		[]string{`spec.serviceAccountName: Invalid value: "string": must be the name of a ServiceAccount: lower-case letters, digits, '-' and '.', at most 253 characters`},
	},
	"an affinity is complete": {
		`affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{}]}, preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {}}]},
 podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: a}]}, podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 100, podAffinityTerm: {topologyKey: a}}]}}`,
		`affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}, preferredDuringSchedulingIgnoredDuringExecution: [{weight: 0, preference: {}}]},
 podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: ""}]}, podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 101, podAffinityTerm: {topologyKey: ""}}]}}`,
		[]string{
			`spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: give at least one term`,
			`spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: "integer": must be a weight: choose one from 1 to 100`,
			`spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: name a label of nodes, for example kubernetes.io/hostname`,
			`spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: "integer": must be a weight: choose one from 1 to 100`,
			`spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.topologyKey: Required value: name a label of nodes, for example kubernetes.io/hostname`,
		},
	},
	"the label that selects the pods is taken": {
		`labels: {app.kubernetes.io/instance: mine}`, `labels: {datapower.ibm.com/service: mine}`,
		[]string{`spec.labels: Forbidden: labels must not set datapower.ibm.com/service: the StatefulSet selects its pods by it; use another key`},
	},
	"labels have their form": {
		`labels: {a/b: ""}`, `labels: {a b: x, c: "no value"}`,
		[]string{
			`spec.labels[a b]: Invalid value: "string": must have the key of a label: an optional domain and '/', then at most 63 letters, digits, '-', '_' and '.'`,
			`spec.labels[c]: Invalid value: "string": must be the value of a label: at most 63 letters, digits, '-', '_' and '.'`,
		},
	},
	"node labels have their form": {
		`nodeSelector: {a: b}`, `nodeSelector: {"": b}`,
		[]string{`spec.nodeSelector[]: Invalid value: "string": must have the key of a label: an optional domain and '/', then at most 63 letters, digits, '-', '_' and '.'`},
	},
	"annotations with hashes are taken": {
		`annotations: {datapower.ibm.com/mine: x, prometheus.io/scrape: "false"}`, `annotations: {datapower.ibm.com/init.reconciled: x}`,
		[]string{`spec.annotations: Forbidden: annotations must not set keys of the form datapower.ibm.com/*.reconciled: the operator keeps content hashes there; use a key of your own to roll the pods`},
	},
	"annotations have their form": {
		`annotations: {A/b: "any value"}`, `annotations: {a b: x}`,
		[]string{`spec.annotations[a b]: Invalid value: "string": must have the key of an annotation: an optional domain and '/', then at most 63 letters, digits, '-', '_' and '.'`},
	},
	"annotations have a size": {
		`annotations: {a: b}`, `annotations: {a: "` + strings.Repeat("x", 256*1024) + `"}`,
		[]string{`spec.annotations: Too long: may not be more than 262144 bytes`},
	},
	"an address has one entry": {
		`hostAliases: [{ip: 10.0.0.1}, {ip: "::1", hostnames: [a.b]}]`, `hostAliases: [{ip: 10.0.0.1}, {ip: 10.0.0.1}]`,
		[]string{`spec.hostAliases[1].ip: Duplicate value: "string"`},
	},
	"an alias has an address and host names": {
		`hostAliases: [{ip: 10.0.0.1, hostnames: [a]}]`, `hostAliases: [{ip: localhost, hostnames: [A_b]}]`,
		[]string{
			`spec.hostAliases[0].ip: Invalid value: "string": must be an IP address, for example 10.9.8.7`,
			`spec.hostAliases[0].hostnames[0]: Invalid value: "string": must be a host name: lower-case letters, digits, '-' and '.'`,
		},
	},
}

var storageRules = map[string]rule{
	"a volume needs its type and its path": {
		`storage: [{type: ephemeral, path: /a}]`, `storage: [{}]`,
		[]string{
			`spec.storage[0].type: Required value: set it to one of ephemeral, persistent`,
			`spec.storage[0].path: Required value: name a directory, for example /opt/ibm/datapower/drouter/config`,
		},
	},
	"the type must be known": {
		`storage: [{type: persistent, path: /a, size: 1Gi}]`, `storage: [{type: forever, path: /a}]`,
		[]string{`spec.storage[0].type: Unsupported value: "string": supported values: "ephemeral", "persistent"`},
	},
	"a directory has one volume": {
		`storage: [{type: ephemeral, path: /a}, {type: ephemeral, path: /a/b}]`, `storage: [{type: ephemeral, path: /a}, {type: ephemeral, path: /a}]`,
		[]string{`spec.storage[1].path: Duplicate value: "string"`},
	},
	"a path is absolute": {
		`storage: [{type: ephemeral, path: /a}]`, `storage: [{type: ephemeral, path: a}]`,
		[]string{`spec.storage[0].path: Invalid value: "string": path must be absolute: begin it with /`},
	},
	"a path has no colon": {
		`storage: [{type: ephemeral, path: /a}]`, `storage: [{type: ephemeral, path: "/a:b"}]`,
		[]string{`spec.storage[0].path: Invalid value: "string": path must not contain ':', Kubernetes refuses such a mount: choose another directory`},
	},
	"persistent storage has a size": {
		`storage: [{type: persistent, path: /a, size: 1Gi}]`, `storage: [{type: persistent, path: /a}]`,
		[]string{`spec.storage[0].size: Required value: size is required when type is persistent: say how much storage to claim, for example 5Gi`},
	},
	"a size is more than nothing": {
		`storage: [{type: ephemeral, path: /a, size: 0}]`, `storage: [{type: persistent, path: /a, size: 0}, {type: ephemeral, path: /b, size: -1Gi}]`,
		[]string{
			`spec.storage[0].size: Invalid value: "string": must be greater than zero: say how much storage to claim, for example 5Gi`,
			`spec.storage[1].size: Invalid value: "string": must be greater than zero: say how much storage to claim, for example 5Gi`,
		},
	},
}

var scalingRules = map[string]rule{
	"the method must be known": {
		`podAutoScaling: {method: None}`, `podAutoScaling: {method: KEDA}`,
		[]string{`spec.podAutoScaling.method: Unsupported value: "string": supported values: "HPA", "None", "VPA"`},
	},
	"horizontal scaling has settings": {
		`podAutoScaling: {method: HPA, hpa: {maxReplicas: 2}}`, `podAutoScaling: {method: HPA}`,
		[]string{`spec.podAutoScaling.hpa: Required value: hpa is required when method is HPA: give at least hpa.maxReplicas`},
	},
	"vertical scaling has settings": {
		`podAutoScaling: {method: VPA, vpa: {}}`, `podAutoScaling: {method: VPA}`,
		[]string{`spec.podAutoScaling.vpa: Required value: vpa is required when method is VPA: give upper bounds, or 'vpa: {}' for none`},
	},
	"there is room to scale": {
		`podAutoScaling: {method: HPA, hpa: {minReplicas: 3, maxReplicas: 4}}`, `podAutoScaling: {method: HPA, hpa: {minReplicas: 3, maxReplicas: 3}}`,
		[]string{`spec.podAutoScaling.hpa.maxReplicas: Invalid value: "integer": maxReplicas must be greater than minReplicas: raise maxReplicas or lower minReplicas`},
	},
	"one pod is the least": {
		`podAutoScaling: {method: HPA, hpa: {minReplicas: 1, maxReplicas: 2}}`, `podAutoScaling: {method: HPA, hpa: {minReplicas: 0, maxReplicas: 2}}`,
		[]string{`spec.podAutoScaling.hpa.minReplicas: Invalid value: "integer": must be at least 1: raise it`},
	},
	"a target is not negative": {
		`podAutoScaling: {method: HPA, hpa: {maxReplicas: 2, targetCPUUtilizationPercentage: 0, targetMemoryUtilizationPercentage: 1}}`,
		`podAutoScaling: {method: HPA, hpa: {maxReplicas: 2, targetCPUUtilizationPercentage: -1, targetMemoryUtilizationPercentage: -1}}`,
		[]string{
			`spec.podAutoScaling.hpa.targetCPUUtilizationPercentage: Invalid value: "integer": must be at least 0: raise it`,
			`spec.podAutoScaling.hpa.targetMemoryUtilizationPercentage: Invalid value: "integer": must be at least 0: raise it`,
		},
	},
	"something counts": {
		`podAutoScaling: {method: HPA, hpa: {maxReplicas: 2}}`, `podAutoScaling: {method: HPA, hpa: {maxReplicas: 2, targetCPUUtilizationPercentage: 0}}`,
		[]string{`spec.podAutoScaling.hpa: Invalid value: "object": must have a target above 0 for CPU or memory: with 0 neither counts`},
	},
	"an upper bound is above the lower one": {
		`podAutoScaling: {method: VPA, vpa: {maxAllowedCPU: 4, maxAllowedMemory: 8Gi}}
resources: {requests: {cpu: 4, memory: 4Gi}}`,
		`podAutoScaling: {method: VPA, vpa: {maxAllowedCPU: 3, maxAllowedMemory: 0}}
resources: {requests: {cpu: 4}}`,
		[]string{
			`spec.podAutoScaling.vpa.maxAllowedCPU: Invalid value: "string": must not be below resources.requests.cpu, which is the lower bound: raise it`,
			`spec.podAutoScaling.vpa.maxAllowedMemory: Invalid value: "string": must not be below resources.requests.memory, which is the lower bound: raise it`,
		},
	},
	"an update has a mode": {
		`updateStrategy: {mode: automatic}`, `updateStrategy: {}`,
		[]string{`spec.updateStrategy.mode: Required value: set it to one of automatic, manual`},
	},
	"the mode of updates must be known": {
		`updateStrategy: {mode: manual, partition: 0}`, `updateStrategy: {mode: magic}`,
		[]string{`spec.updateStrategy.mode: Unsupported value: "string": supported values: "automatic", "manual"`},
	},
	"manual updates have a partition": {
		`updateStrategy: {mode: manual, partition: 0}`, `updateStrategy: {mode: manual}`,
		[]string{`spec.updateStrategy.partition: Required value: partition is required when mode is manual: pods with a smaller ordinal keep the old revision`},
	},
	"numbers of updates are not negative": {
		`updateStrategy: {mode: automatic, rolloutHistoryLimit: 0}`, `updateStrategy: {mode: manual, partition: -1, rolloutHistoryLimit: -1}`,
		[]string{
			`spec.updateStrategy.partition: Invalid value: "integer": must be at least 0: raise it`,
			`spec.updateStrategy.rolloutHistoryLimit: Invalid value: "integer": must be at least 0: raise it`,
		},
	},
}

var gatewayRules = map[string]rule{
	"the cryptographic mode must be known": {
		`cryptoMode: fips-140-3-l1`, `cryptoMode: fips`,
		[]string{`spec.cryptoMode: Unsupported value: "string": supported values: "fips-140-3-l1", "permissive"`},
	},
	"the hash algorithm must be known": {
		`rbm: {passwordHashAlgorithm: sha256}`, `rbm: {passwordHashAlgorithm: sha1}`,
		[]string{`spec.rbm.passwordHashAlgorithm: Unsupported value: "string": supported values: "md5", "sha256"`},
	},
	"SNMP has ports": {
		`snmp: {config: {port: 1}, exporter: {enabled: true, port: 65535}}`, `snmp: {config: {port: 0}, exporter: {enabled: true, port: 70000}}`,
		[]string{
			`spec.snmp.config.port: Invalid value: "integer": must be a port number: choose one from 1 to 65535`,
			`spec.snmp.exporter.port: Invalid value: "integer": must be a port number: choose one from 1 to 65535`,
		},
	},
	"an SNMP generator reads a ConfigMap": {
		`snmp: {exporter: {enabled: true}, generator: {config: c}}`, `snmp: {exporter: {enabled: true}, generator: {config: ""}}`,
		[]string{`spec.snmp.generator.config: Required value: name a ConfigMap`},
	},
	"when to bind must be known": {
		`createServiceBinding: never`, `createServiceBinding: maybe`,
		[]string{`spec.createServiceBinding: Unsupported value: "string": supported values: "always", "automatic", "never"`},
	},
	"ignored tracing must still be complete": {
		`odTracing: {enabled: false, imageAgent: a, imageCollector: b, imagePullPolicy: "", odTracingDataHostname: c, odTracingRegistrationHostname: d}`,
		`odTracing: {enabled: false, imageAgent: "", imageCollector: b, imagePullPolicy: "", odTracingDataHostname: c, odTracingRegistrationHostname: d}`,
		[]string{`spec.odTracing.imageAgent: Required value: set it, or remove odTracing, which is ignored`},
	},
	"ignored Jaeger settings must still be known": {
		`jaegerTracing: {agentPullPolicy: Always, propagationFormat: w3c, samplingType: const}`,
		`jaegerTracing: {agentPullPolicy: a, propagationFormat: b, samplingType: c}`,
		[]string{
			`spec.jaegerTracing.agentPullPolicy: Unsupported value: "string": supported values: "Always", "IfNotPresent", "Never"`,
			`spec.jaegerTracing.propagationFormat: Unsupported value: "string": supported values: "jaeger", "w3c"`,
			`spec.jaegerTracing.samplingType: Unsupported value: "string": supported values: "const", "probabilistic", "ratelimiting", "remote"`,
		},
	},
}
