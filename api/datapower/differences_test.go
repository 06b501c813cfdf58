// SPDX-License-Identifier: Apache-2.0

package datapower_test

// intendedDifference is a group of fields whose schema differs from that of IBM's definition for one reason.
type intendedDifference struct {
	reason   string
	versions []string
	fields   []string
}

var (
	allVersions = []string{"v1beta1", "v1beta2", "v1beta3"}
	oldVersions = []string{"v1beta1", "v1beta2"}
)

// intendedDifferences are all differences between our schemas and those of IBM's operator (1.13 for v1beta1 and
// v1beta2, 1.18.3 for v1beta3). CEL rules, which IBM's schemas have none of, are not listed: see the tables of rules.
var intendedDifferences = []intendedDifference{
	{
		reason:   "a default makes a required field optional for users, and the API server sets it before it validates",
		versions: oldVersions,
		fields:   []string{`spec.replicas: default "1", was none`, `spec.replicas: required none, was yes`},
	},
	{
		reason:   "a default makes a required field optional for users, and the API server sets it before it validates",
		versions: []string{"v1beta3"},
		fields: []string{
			`spec.replicas: required none, was yes`,
			`spec.podAutoScaling.hpa.minReplicas: default "1", was none`,
			`spec.podAutoScaling.hpa.minReplicas: required none, was yes`,
		},
	},
	{
		reason:   "IBM's documentation gives users a default (admin), which the chart's values hold",
		versions: allVersions,
		fields:   []string{`spec.users: required none, was yes`},
	},
	{
		reason:   "an object without a spec lacks the licence and the version, which are required",
		versions: allVersions,
		fields:   []string{`spec: required yes, was none`},
	},
	{
		reason: "licence identifiers grow with every DataPower release: the schema knows their form, the chart's catalogue " +
			"knows them one by one",
		versions: []string{"v1beta3"},
		fields: []string{
			`spec.license.license: enum none, was of many`,
			`spec.license.license: pattern "^L-[A-Z0-9]{4}-[A-Z0-9]{6}$", was none`,
		},
	},
	{
		reason:   "an enumeration without an empty value says it already",
		versions: allVersions,
		fields:   []string{`spec.domains.[].certs.[].certType: minLength none, was "1"`},
	},
	{
		reason:   "a domain becomes the name of a directory and a word of DataPower's command language",
		versions: allVersions,
		fields: []string{
			`spec.domains.[].name: pattern "^[a-zA-Z0-9_.-]+$", was none`,
			`spec.domains.[].name: maxLength "253", was none`,
		},
	},
	{
		reason:   "an alias without a name cannot be referred to",
		versions: []string{"v1beta3"},
		fields:   []string{`spec.domains.[].passwordMap.[].alias: minLength "1", was none`},
	},
	{
		reason:   "Kubernetes or the gateway would refuse other values later and less clearly",
		versions: []string{"v1beta3"},
		fields: []string{
			`spec.snmp.config.port: maximum "65535", was none`,
			`spec.snmp.config.port: minimum "1", was none`,
			`spec.snmp.exporter.port: maximum "65535", was none`,
			`spec.snmp.exporter.port: minimum "1", was none`,
			`spec.terminationGracePeriodSeconds: minimum "0", was none`,
		},
	},
	{
		reason:   "the API server estimates the cost of CEL rules from these bounds, which are far beyond real use",
		versions: allVersions,
		fields: []string{
			`spec.annotations: maxProperties "1000", was none`,
			`spec.domains: maxItems "500", was none`,
			`spec.domains.[].certs: maxItems "100", was none`,
			`spec.domains.[].certs.[].subPath: maxLength "128", was none`,
			`spec.storage: maxItems "24", was none`,
			`spec.storage.[].class: maxLength "253", was none`,
			`spec.storage.[].path: maxLength "1024", was none`,
			`spec.users: maxItems "1000", was none`,
			`spec.users.[].group: maxLength "253", was none`,
			`spec.users.[].name: maxLength "253", was none`,
		},
	},
	{
		reason:   "the API server estimates the cost of CEL rules from these bounds, which are far beyond real use",
		versions: []string{"v1beta3"},
		fields: []string{
			`spec.domains.[].passphraseSecret: maxLength "253", was none`,
			`spec.domains.[].passwordMap: maxItems "100", was none`,
			`spec.domains.[].passwordMap.[].alias: maxLength "128", was none`,
			`spec.domains.[].passwordMap.[].secret: maxLength "253", was none`,
			`spec.domains.[].settings.passphrase.secret: maxLength "253", was none`,
			`spec.hostAliases: maxItems "256", was none`,
		},
	},
	{
		reason:   "the Go type is a 64-bit number, and the generator says so",
		versions: []string{"v1beta3"},
		fields: []string{
			`spec.healthCheck.watchdog.hardTimeoutSeconds: format "int64", was none`,
			`spec.healthCheck.watchdog.softTimeoutSeconds: format "int64", was none`,
		},
	},
	{
		reason:   "the Go type is a 64-bit number, and the generator says so",
		versions: []string{"v1beta1"},
		fields:   []string{`spec.resources.requests.cpu: format "int64", was none`},
	},
	{
		reason: "three descriptions of an affinity would make the definition too large for kubectl apply; versions that are " +
			"not served do without",
		versions: oldVersions,
		fields:   []string{`spec.affinity: inner fields not described`},
	},
	{
		reason:   "a newer Kubernetes knows more about pods",
		versions: oldVersions,
		fields: []string{
			`spec.env.[].valueFrom.fileKeyRef: added`,
			`spec.livenessProbe.grpc.mode: added`,
			`spec.livenessProbe.httpGet.protocol: added`,
			`spec.readinessProbe.grpc.mode: added`,
			`spec.readinessProbe.httpGet.protocol: added`,
		},
	},
	{
		reason:   "a newer Kubernetes knows more about pods",
		versions: []string{"v1beta1"},
		fields:   []string{`spec.datapowerMonitor.env.[].valueFrom.fileKeyRef: added`},
	},
	{
		reason:   "a newer Kubernetes knows more about pods",
		versions: []string{"v1beta2"},
		fields: []string{
			`spec.lifecycle.postStart.httpGet.protocol: added`,
			`spec.lifecycle.preStop.httpGet.protocol: added`,
			`spec.lifecycle.stopSignal: added`,
		},
	},
	{
		reason:   "two programs write the status by server-side apply, each its own part: none could write first",
		versions: allVersions,
		fields: []string{
			`status.conditions: required none, was yes`,
			`status.customImages: required none, was yes`,
			`status.phase: required none, was yes`,
			`status.versions: required none, was yes`,
			`status.versions.available: required none, was yes`,
			`status.versions.available.channels: required none, was yes`,
			`status.versions.available.versions: required none, was yes`,
			`status.versions.reconciled: required none, was yes`,
		},
	},
	{
		reason:   "two programs write the status by server-side apply, each its own part: none could write first",
		versions: []string{"v1beta2", "v1beta3"},
		fields:   []string{`status.mgmtPorts: required none, was yes`},
	},
	{
		reason:   "the catalogue of versions does not know the licences of each, nor a link for each",
		versions: []string{"v1beta3"},
		fields: []string{
			`status.versions.available.channels.[].licenses: required none, was yes`,
			`status.versions.available.channels.[].licenses.[].link: required none, was yes`,
			`status.versions.available.versions.[].licenses: required none, was yes`,
			`status.versions.available.versions.[].licenses.[].link: required none, was yes`,
		},
	},
	{
		reason:   "kubectl wait and kstatus read observedGeneration; users of Helm look for their release",
		versions: []string{"v1beta3"},
		fields:   []string{`status.observedGeneration: added`, `status.deployedRelease: added`},
	},
}
