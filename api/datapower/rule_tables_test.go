// SPDX-License-Identifier: Apache-2.0

package datapower_test

// rule is one thing that the schema refuses: specs just inside the rule and one just outside of it.
type rule struct {
	accepted []string
	refused  string
	path     string
	message  string
}

// licenseRules are rules of the licence, the version and the image.
var licenseRules = map[string]rule{
	"the licence must be accepted": {
		accepted: []string{`license: {accept: true, use: production, license: L-RJON-CCCP46}`},
		refused:  `license: {accept: false, use: production, license: L-RJON-CCCP46}`,
		path:     "spec.license.accept",
		message:  "license.accept must be true: accept the licence",
	},
	"a licence identifier has a known form, and need not be a known one": {
		accepted: []string{`license: {accept: true, use: production, license: L-ABCD-012345}`},
		refused:  `license: {accept: true, use: production, license: L-ABCD-01234}`,
		path:     "spec.license.license",
		message:  "should match '^L-[A-Z0-9]{4}-[A-Z0-9]{6}$'",
	},
	"the licence identifier is required": {
		refused: `license: {accept: true, use: production}`,
		path:    "spec.license.license",
		message: "Required value",
	},
	"the use is one of the four editions": {
		accepted: []string{
			`license: {accept: true, use: developers, license: L-RJON-CCCP46}`,
			`license: {accept: true, use: developers-limited, license: L-RJON-CCCP46}`,
		},
		refused: `license: {accept: true, use: test, license: L-RJON-CCCP46}`,
		path:    "spec.license.use",
		message: `supported values: "production", "nonproduction", "developers", "developers-limited"`,
	},
	"the version must not be empty": {
		accepted: []string{`version: 10.0.4.0sr1`},
		refused:  `version: ""`,
		path:     "spec.version",
		message:  "should be at least 1 chars long",
	},
	"replicas must not be negative": {
		accepted: []string{`replicas: 0`},
		refused:  `replicas: -1`,
		path:     "spec.replicas",
		message:  "should be greater than or equal to 0",
	},
	"an image must not be empty": {
		accepted: []string{`image: registry.example.com/datapower:1`},
		refused:  `image: ""`,
		path:     "spec.image",
		message:  "should be at least 1 chars long",
	},
	"a pull policy is one that Kubernetes knows": {
		accepted: []string{`imagePullPolicy: Never`},
		refused:  `imagePullPolicy: Sometimes`,
		path:     "spec.imagePullPolicy",
		message:  `supported values: "Always", "Never", "IfNotPresent"`,
	},
}

// userRules are rules of users.
var userRules = map[string]rule{
	"two users must not have one name": {
		accepted: []string{
			`users: [{name: a, passwordSecret: s, accessLevel: privileged}, {name: A, passwordSecret: s, accessLevel: privileged}]`,
			`users: []`,
		},
		refused: `users: [{name: a, passwordSecret: s, accessLevel: privileged}, {name: a, passwordSecret: t, accessLevel: privileged}]`,
		path:    "spec.users[1]",
		message: `Duplicate value: {"name":"a"}`,
	},
	"a user name must not contain a double quote": {
		accepted: []string{
			`users: [{name: "it's a name: $(x) ü %", passwordSecret: s, accessLevel: privileged}]`,
		},
		refused: `users: [{name: 'a"b', passwordSecret: s, accessLevel: privileged}]`,
		path:    "spec.users[0].name",
		message: "name must not contain control characters, double quotes or backslashes",
	},
	"a user name must not contain a backslash": {
		refused: `users: [{name: 'a\b', passwordSecret: s, accessLevel: privileged}]`,
		path:    "spec.users[0].name",
		message: "name must not contain control characters, double quotes or backslashes",
	},
	"a user name must not contain a line break": {
		refused: `users: [{name: "a\nb", passwordSecret: s, accessLevel: privileged}]`,
		path:    "spec.users[0].name",
		message: "name must not contain control characters, double quotes or backslashes",
	},
	"a user name must not contain a control character outside ASCII": {
		refused: `users: [{name: "a\u0085b", passwordSecret: s, accessLevel: privileged}]`,
		path:    "spec.users[0].name",
		message: "name must not contain control characters, double quotes or backslashes",
	},
	"a user name must not be empty": {
		refused: `users: [{name: "", passwordSecret: s, accessLevel: privileged}]`,
		path:    "spec.users[0].name",
		message: "should be at least 1 chars long",
	},
	"a user needs a password Secret": {
		refused: `users: [{name: a, accessLevel: privileged}]`,
		path:    "spec.users[0].passwordSecret",
		message: "Required value",
	},
	"an access level is privileged or group-defined": {
		refused: `users: [{name: a, passwordSecret: s, accessLevel: user}]`,
		path:    "spec.users[0].accessLevel",
		message: `supported values: "group-defined", "privileged"`,
	},
	"a group-defined user needs a group": {
		accepted: []string{
			`users: [{name: a, passwordSecret: s, accessLevel: group-defined, group: g}]`,
			`users: [{name: a, passwordSecret: s, accessLevel: privileged, group: g}]`,
		},
		refused: `users: [{name: a, passwordSecret: s, accessLevel: group-defined, group: ""}]`,
		path:    "spec.users[0].group",
		message: "group is required when accessLevel is group-defined",
	},
}

// domainRules are rules of domains.
var domainRules = map[string]rule{
	"two domains must not have one name": {
		accepted: []string{`domains: [{name: idp}, {name: IDP}]`},
		refused:  `domains: [{name: idp}, {name: idp}]`,
		path:     "spec.domains[1]",
		message:  `Duplicate value: {"name":"idp"}`,
	},
	"a domain name has letters, digits, underscores, dashes and dots": {
		accepted: []string{`domains: [{name: Dev_1.0-x}, {name: ...}, {name: -}]`},
		refused:  `domains: [{name: a/b}]`,
		path:     "spec.domains[0].name",
		message:  "should match '^[a-zA-Z0-9_.-]+$'",
	},
	"a domain name must not end in a line break": {
		refused: `domains: [{name: "a\n"}]`,
		path:    "spec.domains[0].name",
		message: "should match '^[a-zA-Z0-9_.-]+$'",
	},
	"a domain must not be called by the name of a directory's parent": {
		refused: `domains: [{name: ..}]`,
		path:    "spec.domains[0].name",
		message: "name must not be '.' or '..'",
	},
	"a domain must not be called by the name of a directory itself": {
		refused: `domains: [{name: .}]`,
		path:    "spec.domains[0].name",
		message: "name must not be '.' or '..'",
	},
	"a certificate type is usrcerts or sharedcerts": {
		accepted: []string{`domains: [{name: a, certs: [{certType: usrcerts, secret: s}, {certType: sharedcerts, secret: s}]}]`},
		refused:  `domains: [{name: a, certs: [{certType: certs, secret: s}]}]`,
		path:     "spec.domains[0].certs[0].certType",
		message:  `supported values: "sharedcerts", "usrcerts"`,
	},
	"a certificate needs a Secret": {
		refused: `domains: [{name: a, certs: [{certType: usrcerts, secret: ""}]}]`,
		path:    "spec.domains[0].certs[0].secret",
		message: "should be at least 1 chars long",
	},
	"subPath is for usrcerts": {
		accepted: []string{
			`domains: [{name: a, certs: [{certType: usrcerts, secret: s, subPath: a/b}]}]`,
			`domains: [{name: a, certs: [{certType: sharedcerts, secret: s, subPath: ""}]}]`,
		},
		refused: `domains: [{name: a, certs: [{certType: sharedcerts, secret: s, subPath: a}]}]`,
		path:    "spec.domains[0].certs[0].subPath",
		message: "subPath is allowed only with certType usrcerts",
	},
	"subPath is relative": {
		refused: `domains: [{name: a, certs: [{certType: usrcerts, secret: s, subPath: /a}]}]`,
		path:    "spec.domains[0].certs[0].subPath",
		message: "subPath must be relative and must not contain a '..' segment",
	},
	"subPath must not leave the directory in the middle": {
		accepted: []string{`domains: [{name: a, certs: [{certType: usrcerts, secret: s, subPath: a..b/..c/d..}]}]`},
		refused:  `domains: [{name: a, certs: [{certType: usrcerts, secret: s, subPath: a/../b}]}]`,
		path:     "spec.domains[0].certs[0].subPath",
		message:  "subPath must be relative and must not contain a '..' segment",
	},
	"subPath must not leave the directory at once": {
		refused: `domains: [{name: a, certs: [{certType: usrcerts, secret: s, subPath: ..}]}]`,
		path:    "spec.domains[0].certs[0].subPath",
		message: "subPath must be relative and must not contain a '..' segment",
	},
	"a ConfigMap of configuration has a name": {
		accepted: []string{`domains: [{name: a, dpApp: {}}, {name: b, dpApp: {config: [x, x], local: [z]}}]`},
		refused:  `domains: [{name: a, dpApp: {config: [""]}}]`,
		path:     "spec.domains[0].dpApp.config[0]",
		message:  "should be at least 1 chars long",
	},
	"a passphrase is not both provided and generated": {
		accepted: []string{
			`domains: [{name: a, settings: {passphrase: {secret: s}}}, {name: b, settings: {passphrase: {generate: true}}}]`,
			`domains: [{name: a, settings: {passphrase: {secret: s, generate: false}}}, {name: b, settings: {passphrase: {secret: "", generate: true}}}]`,
		},
		refused: `domains: [{name: a, settings: {passphrase: {secret: s, generate: true}}}]`,
		path:    "spec.domains[0].settings.passphrase",
		message: "set exactly one of secret and 'generate: true' for the passphrase",
	},
	"a passphrase is provided or generated": {
		refused: `domains: [{name: a, settings: {passphrase: {generate: false}}}]`,
		path:    "spec.domains[0].settings.passphrase",
		message: "set exactly one of secret and 'generate: true' for the passphrase",
	},
	"the deprecated passphrase excludes the new one": {
		accepted: []string{
			`domains: [{name: a, passphraseSecret: s}]`,
			`domains: [{name: a, passphraseSecret: "", settings: {passphrase: {generate: true}}}]`,
			`domains: [{name: a, passphraseSecret: s, settings: {}}]`,
		},
		refused: `domains: [{name: a, passphraseSecret: s, settings: {passphrase: {generate: true}}}]`,
		path:    "spec.domains[0].passphraseSecret",
		message: "passphraseSecret and settings.passphrase exclude each other",
	},
	"a password alias is not both provided and generated": {
		accepted: []string{`domains: [{name: a, passwordMap: [{alias: x, secret: s}, {alias: z, generate: true}]}]`},
		refused:  `domains: [{name: a, passwordMap: [{alias: x, secret: s, generate: true}]}]`,
		path:     "spec.domains[0].passwordMap[0]",
		message:  "set exactly one of secret and 'generate: true' for the password alias",
	},
	"a password alias is provided or generated": {
		refused: `domains: [{name: a, passwordMap: [{alias: x}]}]`,
		path:    "spec.domains[0].passwordMap[0]",
		message: "set exactly one of secret and 'generate: true' for the password alias",
	},
	"a password alias must not contain a double quote": {
		refused: `domains: [{name: a, passwordMap: [{alias: 'x"y', secret: s}]}]`,
		path:    "spec.domains[0].passwordMap[0].alias",
		message: "alias must not contain control characters, double quotes or backslashes",
	},
	"a password alias must not be empty": {
		refused: `domains: [{name: a, passwordMap: [{alias: "", secret: s}]}]`,
		path:    "spec.domains[0].passwordMap[0].alias",
		message: "should be at least 1 chars long",
	},
	"two password aliases of a domain must not have one name": {
		accepted: []string{`domains: [{name: a, passwordMap: [{alias: x, secret: s}]}, {name: b, passwordMap: [{alias: x, secret: s}]}]`},
		refused:  `domains: [{name: a, passwordMap: [{alias: x, secret: s}, {alias: x, secret: t}]}]`,
		path:     "spec.domains[0].passwordMap[1]",
		message:  `Duplicate value: {"alias":"x"}`,
	},
}

// resourceRules are rules of resources and autoscaling.
var resourceRules = map[string]rule{
	"a CPU request is at least 100m": {
		accepted: []string{`resources: {requests: {cpu: 100m}}`, `resources: {requests: {cpu: 1}}`, `resources: {requests: {cpu: "0.1"}}`},
		refused:  `resources: {requests: {cpu: 99m}}`,
		path:     "spec.resources.requests.cpu",
		message:  "requests.cpu must be at least 100m",
	},
	"a CPU limit is at least 500m": {
		accepted: []string{`resources: {limits: {cpu: 500m}}`, `resources: {limits: {cpu: "0.5"}}`},
		refused:  `resources: {limits: {cpu: 499m}}`,
		path:     "spec.resources.limits.cpu",
		message:  "limits.cpu must be at least 500m",
	},
	"a memory request is at least 2Gi": {
		accepted: []string{`resources: {requests: {memory: 2Gi}}`, `resources: {requests: {memory: 2147483648}}`},
		refused:  `resources: {requests: {memory: 2G}}`,
		path:     "spec.resources.requests.memory",
		message:  "requests.memory must be at least 2Gi",
	},
	"a memory limit is at least 2Gi": {
		accepted: []string{`resources: {limits: {memory: 2048Mi}}`},
		refused:  `resources: {limits: {memory: 2047Mi}}`,
		path:     "spec.resources.limits.memory",
		message:  "limits.memory must be at least 2Gi",
	},
	"a CPU request does not exceed the limit": {
		accepted: []string{
			`resources: {requests: {cpu: 4}, limits: {cpu: "4"}}`, `resources: {requests: {cpu: 8}, limits: {memory: 4Gi}}`,
		},
		refused: `resources: {requests: {cpu: 1001m}, limits: {cpu: 1}}`,
		path:    "spec.resources.requests.cpu",
		message: "requests.cpu must not exceed limits.cpu",
	},
	"a memory request does not exceed the limit": {
		accepted: []string{
			`resources: {requests: {memory: 4Gi}, limits: {memory: 4Gi}}`, `resources: {requests: {memory: 16Gi}, limits: {}}`,
		},
		refused: `resources: {requests: {memory: 4Gi}, limits: {memory: 4G}}`,
		path:    "spec.resources.requests.memory",
		message: "requests.memory must not exceed limits.memory",
	},
	"a quantity is one": {
		refused: `resources: {limits: {memory: 8 GB}}`,
		path:    "spec.resources.limits.memory",
		message: "should match",
	},
	"HPA needs its settings": {
		accepted: []string{
			`podAutoScaling: {method: HPA, hpa: {maxReplicas: 4, minReplicas: 3}}`, `podAutoScaling: {method: None}`, `podAutoScaling: {}`,
		},
		refused: `podAutoScaling: {method: HPA, vpa: {}}`,
		path:    "spec.podAutoScaling.hpa",
		message: "hpa is required when method is HPA",
	},
	"VPA needs its settings, which may be empty": {
		accepted: []string{`podAutoScaling: {method: VPA, vpa: {}}`},
		refused:  `podAutoScaling: {method: VPA}`,
		path:     "spec.podAutoScaling.vpa",
		message:  "vpa is required when method is VPA",
	},
	"HPA and VPA exclude each other": {
		refused: `podAutoScaling: {method: Both}`,
		path:    "spec.podAutoScaling.method",
		message: `supported values: "None", "HPA", "VPA"`,
	},
	"maxReplicas exceeds minReplicas": {
		accepted: []string{`podAutoScaling: {hpa: {maxReplicas: 2, minReplicas: 1}}`},
		refused:  `podAutoScaling: {hpa: {maxReplicas: 2, minReplicas: 2}}`,
		path:     "spec.podAutoScaling.hpa.maxReplicas",
		message:  "maxReplicas must be greater than minReplicas",
	},
	"maxReplicas exceeds the default of minReplicas": {
		accepted: []string{`podAutoScaling: {hpa: {maxReplicas: 2}}`},
		refused:  `podAutoScaling: {hpa: {maxReplicas: 1}}`,
		path:     "spec.podAutoScaling.hpa.maxReplicas",
		message:  "maxReplicas must be greater than minReplicas",
	},
	"minReplicas is at least 1": {
		refused: `podAutoScaling: {hpa: {maxReplicas: 2, minReplicas: 0}}`,
		path:    "spec.podAutoScaling.hpa.minReplicas",
		message: "should be greater than or equal to 1",
	},
	"a target utilisation is not negative": {
		accepted: []string{`podAutoScaling: {hpa: {maxReplicas: 2, targetCPUUtilizationPercentage: 0}}`},
		refused:  `podAutoScaling: {hpa: {maxReplicas: 2, targetMemoryUtilizationPercentage: -1}}`,
		path:     "spec.podAutoScaling.hpa.targetMemoryUtilizationPercentage",
		message:  "should be greater than or equal to 0",
	},
}

// storageRules are rules of storage.
var storageRules = map[string]rule{
	"persistent storage needs a size": {
		accepted: []string{
			`storage: [{type: persistent, path: /a, size: 5Gi}]`, `storage: [{type: ephemeral, path: /a}]`,
		},
		refused: `storage: [{type: persistent, path: /a}]`,
		path:    "spec.storage[0].size",
		message: "size is required when type is persistent",
	},
	"storage is ephemeral or persistent": {
		refused: `storage: [{type: shared, path: /a, size: 5Gi}]`,
		path:    "spec.storage[0].type",
		message: `supported values: "ephemeral", "persistent"`,
	},
	"a directory has one volume": {
		accepted: []string{`storage: [{type: ephemeral, path: /a}, {type: ephemeral, path: /a/b}]`},
		refused:  `storage: [{type: ephemeral, path: /a}, {type: persistent, path: /a, size: 5Gi}]`,
		path:     "spec.storage[1]",
		message:  `Duplicate value: {"path":"/a"}`,
	},
	"a path must be absolute": {
		accepted: []string{`storage: [{type: ephemeral, path: /a}]`},
		refused:  `storage: [{type: ephemeral, path: a/b}]`,
		path:     "spec.storage[0].path",
		message:  "path must be absolute",
	},
	"a path must not contain a colon": {
		refused: `storage: [{type: ephemeral, path: "/a:b"}]`,
		path:    "spec.storage[0].path",
		message: "path must not contain ':'",
	},
	"a path must not be empty": {
		refused: `storage: [{type: ephemeral, path: ""}]`,
		path:    "spec.storage[0].path",
		message: "should be at least 1 chars long",
	},
}
