package validating_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/webhooks/validating"
)

// rule is a rule with fields of the spec that keep it, fields that break it, and the exact errors.
type rule struct {
	accepted, refused string
	want              []string
}

func TestARuleAcceptsAndRefuses(t *testing.T) {
	t.Parallel()
	for name, r := range rules() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			errors, _ := validating.Service(service(t, r.accepted), nil, smallCatalogue{})
			assert.Empty(t, texts(errors), "accepted")
			errors, _ = validating.Service(service(t, r.refused), nil, smallCatalogue{})
			assert.Equal(t, r.want, texts(errors), "refused")
			errors, _ = validating.Stored(service(t, r.refused), smallCatalogue{})
			assert.Equal(t, r.want, texts(errors), "refused when stored")
		})
	}
}

func rules() map[string]rule {
	all := map[string]rule{}
	for _, group := range []map[string]rule{licenseRules, userRules, domainRules, containerRules, resourceRules, podRules, storageRules, scalingRules, gatewayRules} {
		for name, r := range group {
			all[name] = r
		}
	}
	return all
}

var licenseRules = map[string]rule{
	"the licence must be accepted": {
		``, `license: {accept: false, use: production, license: L-AAAA-AAAAAA}`,
		[]string{`spec.license.accept: Invalid value: "boolean": license.accept must be true: accept the licence named in license.license to run DataPower`},
	},
	"the use must be known": {
		`license: {accept: true, use: developers-limited, license: L-BBBB-BBBBBB}`, `license: {accept: true, use: fun, license: L-BBBB-BBBBBB}`,
		[]string{`spec.license.use: Unsupported value: "string": supported values: "developers", "developers-limited", "nonproduction", "production"`},
	},
	"the use must be there": {
		``, `license: {accept: true, license: L-AAAA-AAAAAA}`,
		[]string{`spec.license.use: Required value: set it to one of developers, developers-limited, nonproduction, production`},
	},
	"the licence ID must have its form": {
		``, `license: {accept: true, use: production, license: mine}`,
		[]string{`spec.license.license: Invalid value: "string": must be the ID of a licence, for example L-EYGU-PVGRBC`},
	},
	"the version must be there": {
		`version: 10.6-lts`, `version: ""`,
		[]string{`spec.version: Required value: name an exact version such as 10.6.0.1 or one of the channels 10.5-lts, 10.6-lts`},
	},
	"the channel must be known": {
		`version: 10.5-lts`, `version: 10.7-lts`,
		[]string{`spec.version: Invalid value: "string": must be an exact version such as 10.6.0.1 or one of the channels 10.5-lts, 10.6-lts`},
	},
	"an exact version may be unknown but must have its form": {
		`version: 11.0.0.1sr1`, `version: 11.0.0`,
		[]string{`spec.version: Invalid value: "string": must be an exact version such as 10.6.0.1 or one of the channels 10.5-lts, 10.6-lts`},
	},
}

var userRules = map[string]rule{
	"users have names of their own": {
		`users: [{name: a, passwordSecret: s, accessLevel: privileged}, {name: b, passwordSecret: s, accessLevel: privileged}]`,
		`users: [{name: a, passwordSecret: s, accessLevel: privileged}, {name: a, passwordSecret: s, accessLevel: privileged}]`,
		[]string{`spec.users[1].name: Duplicate value: "string"`},
	},
	"a user needs everything": {
		``, `users: [{}]`,
		[]string{
			`spec.users[0].name: Required value: give it a name`,
			`spec.users[0].passwordSecret: Required value: name a Secret`,
			`spec.users[0].accessLevel: Required value: set it to one of group-defined, privileged`,
		},
	},
	"a user's name can be written in a command": {
		`users: [{name: a.b_c-d e, passwordSecret: s, accessLevel: privileged}]`, `users: [{name: 'a"b', passwordSecret: s, accessLevel: privileged}]`,
		[]string{`spec.users[0].name: Invalid value: "string": must not contain control characters, double quotes or backslashes: use letters, digits, '_', '-' and '.'`},
	},
	"a user's name has a length": {
		`users: [{name: ` + strings.Repeat("ü", 253) + `, passwordSecret: s, accessLevel: privileged}]`,
		`users: [{name: ` + strings.Repeat("ü", 254) + `, passwordSecret: s, accessLevel: privileged}]`,
		[]string{`spec.users[0].name: Too long: may not be more than 253 characters`},
	},
	"a password Secret has the name of a Secret": {
		`users: [{name: a, passwordSecret: a.b-c, accessLevel: privileged}]`, `users: [{name: a, passwordSecret: A_B, accessLevel: privileged}]`,
		[]string{`spec.users[0].passwordSecret: Invalid value: "string": must be the name of a Secret: lower-case letters, digits, '-' and '.', at most 253 characters`},
	},
	"the access level must be known": {
		`users: [{name: a, passwordSecret: s, accessLevel: group-defined, group: g}]`, `users: [{name: a, passwordSecret: s, accessLevel: root}]`,
		[]string{`spec.users[0].accessLevel: Unsupported value: "string": supported values: "group-defined", "privileged"`},
	},
	"a group-defined user needs a group": {
		`users: [{name: a, passwordSecret: s, accessLevel: group-defined, group: g}]`, `users: [{name: a, passwordSecret: s, accessLevel: group-defined}]`,
		[]string{`spec.users[0].group: Required value: group is required when accessLevel is group-defined: name a user group of the default domain`},
	},
	"a group is one line": {
		`users: [{name: a, passwordSecret: s, accessLevel: group-defined, group: g}]`, `users: [{name: a, passwordSecret: s, accessLevel: group-defined, group: "g\nreboot"}]`,
		[]string{`spec.users[0].group: Invalid value: "string": must not contain control characters: name a user group of the default domain`},
	},
	"there are at most 1000 users": {
		``, `users: [` + strings.Repeat(`{name: a, passwordSecret: s, accessLevel: privileged},`, 1001) + `]`,
		append([]string{`spec.users: Too many: 1001: must have at most 1000 items`}, duplicates("spec.users", "name", 1001)...),
	},
}

var domainRules = map[string]rule{
	"domains have names of their own": {
		`domains: [{name: a}, {name: A}]`, `domains: [{name: a}, {name: b}, {name: a}]`,
		[]string{`spec.domains[2].name: Duplicate value: "string"`},
	},
	"a domain needs a name": {
		`domains: [{name: My_Domain.1}]`, `domains: [{name: ""}]`, []string{`spec.domains[0].name: Required value: give the domain a name`},
	},
	"a domain's name has few characters": {
		`domains: [{name: a}]`, `domains: [{name: a/b}]`,
		[]string{`spec.domains[0].name: Invalid value: "string": must contain only letters, digits, '_', '-' and '.': choose another name`},
	},
	"a domain's name is no directory of its own kind": {
		`domains: [{name: ...}]`, `domains: [{name: ..}]`,
		[]string{`spec.domains[0].name: Invalid value: "string": name must not be '.' or '..', because a directory is named after the domain: choose another name`},
	},
	"a certificate needs its type and its Secret": {
		`domains: [{name: a, certs: [{certType: sharedcerts, secret: s}]}]`, `domains: [{name: a, certs: [{}]}]`,
		[]string{
			`spec.domains[0].certs[0].certType: Required value: set it to one of sharedcerts, usrcerts`,
			`spec.domains[0].certs[0].secret: Required value: name a Secret`,
		},
	},
	"a certificate's type must be known": {
		`domains: [{name: a, certs: [{certType: usrcerts, secret: s}]}]`, `domains: [{name: a, certs: [{certType: pubcerts, secret: s}]}]`,
		[]string{`spec.domains[0].certs[0].certType: Unsupported value: "string": supported values: "sharedcerts", "usrcerts"`},
	},
	"a sub-path is for usrcerts": {
		`domains: [{name: a, certs: [{certType: usrcerts, secret: s, subPath: x}]}]`, `domains: [{name: a, certs: [{certType: sharedcerts, secret: s, subPath: x}]}]`,
		[]string{`spec.domains[0].certs[0].subPath: Forbidden: subPath is allowed only with certType usrcerts: remove subPath or use usrcerts`},
	},
	"a sub-path is relative": {
		`domains: [{name: a, certs: [{certType: usrcerts, secret: s, subPath: x/y..z}]}]`, `domains: [{name: a, certs: [{certType: usrcerts, secret: s, subPath: /x}]}]`,
		[]string{`spec.domains[0].certs[0].subPath: Invalid value: "string": subPath must be relative and must not contain a '..' segment: name a directory below cert:///`},
	},
	"a sub-path does not climb": {
		`domains: [{name: a, certs: [{certType: usrcerts, secret: s, subPath: x}]}]`, `domains: [{name: a, certs: [{certType: usrcerts, secret: s, subPath: x/../../y}]}]`,
		[]string{`spec.domains[0].certs[0].subPath: Invalid value: "string": subPath must be relative and must not contain a '..' segment: name a directory below cert:///`},
	},
	"configuration comes from ConfigMaps": {
		`domains: [{name: a, dpApp: {config: [c], local: [l]}}]`, `domains: [{name: a, dpApp: {config: [""], local: [L]}}]`,
		[]string{
			`spec.domains[0].dpApp.config[0]: Required value: name a ConfigMap`,
			`spec.domains[0].dpApp.local[0]: Invalid value: "string": must be the name of a ConfigMap: lower-case letters, digits, '-' and '.', at most 253 characters`,
		},
	},
	"a passphrase is given in one way": {
		`domains: [{name: a, settings: {passphrase: {secret: s}}}]`, `domains: [{name: a, passphraseSecret: s, settings: {passphrase: {secret: s}}}]`,
		[]string{`spec.domains[0].passphraseSecret: Forbidden: passphraseSecret and settings.passphrase exclude each other: remove the deprecated passphraseSecret`},
	},
	"a passphrase is not given and generated": {
		`domains: [{name: a, settings: {passphrase: {generate: true}}}]`, `domains: [{name: a, settings: {passphrase: {generate: true, secret: s}}}]`,
		[]string{`spec.domains[0].settings.passphrase: Invalid value: "object": set exactly one of secret and 'generate: true' for the passphrase`},
	},
	"a passphrase is given or generated": {
		`domains: [{name: a, settings: {}}]`, `domains: [{name: a, settings: {passphrase: {generate: false}}}]`,
		[]string{`spec.domains[0].settings.passphrase: Invalid value: "object": set exactly one of secret and 'generate: true' for the passphrase`},
	},
	"a password alias is given or generated": {
		`domains: [{name: a, passwordMap: [{alias: x, secret: s}, {alias: z, generate: true}]}]`,
		`domains: [{name: a, passwordMap: [{alias: x, secret: s, generate: true}, {alias: z}]}]`,
		[]string{
			`spec.domains[0].passwordMap[0]: Invalid value: "object": set exactly one of secret and 'generate: true' for the password alias`,
			`spec.domains[0].passwordMap[1]: Invalid value: "object": set exactly one of secret and 'generate: true' for the password alias`,
		},
	},
	"password aliases have names of their own": {
		`domains: [{name: a, passwordMap: [{alias: x, secret: s}]}, {name: b, passwordMap: [{alias: x, secret: s}]}]`,
		`domains: [{name: a, passwordMap: [{alias: x, secret: s}, {alias: x, secret: s}]}]`,
		[]string{`spec.domains[0].passwordMap[1].alias: Duplicate value: "string"`},
	},
	"a password alias can be written in a command": {
		`domains: [{name: a, passwordMap: [{alias: x, secret: s}]}]`, `domains: [{name: a, passwordMap: [{alias: 'a\b', secret: s}]}]`,
		[]string{`spec.domains[0].passwordMap[0].alias: Invalid value: "string": must not contain control characters, double quotes or backslashes: use letters, digits, '_', '-' and '.'`},
	},
}

func duplicates(list, key string, items int) []string {
	var out []string
	for i := 1; i < items; i++ {
		out = append(out, list+"["+itoa(i)+"]."+key+`: Duplicate value: "string"`)
	}
	return out
}

func TestTheValidServiceHasNoErrorsAndNoWarnings(t *testing.T) {
	t.Parallel()
	errors, warnings := validating.Service(service(t, ``), nil, smallCatalogue{})
	require.Empty(t, errors)
	require.Empty(t, warnings)
}
