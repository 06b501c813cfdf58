// SPDX-License-Identifier: Apache-2.0

package v1beta3_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

func secret(name, key, path string) v1beta3.Reference {
	return v1beta3.Reference{Kind: "Secret", Name: name, Key: key, Path: path}
}

func configMap(name, key, path string) v1beta3.Reference {
	return v1beta3.Reference{Kind: "ConfigMap", Name: name, Key: key, Path: path}
}

func optional(r v1beta3.Reference) v1beta3.Reference {
	r.Optional = true
	return r
}

var referenceTests = map[string]struct {
	spec string
	want []v1beta3.Reference
}{
	"an empty spec names nothing": {spec: `{}`},
	"every field that names an object counts, in the order of the spec's sections": {
		spec: `
snmp: {generator: {config: snmp}}
env:
  - {name: A, value: plain}
  - {name: B, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
  - {name: C, valueFrom: {secretKeyRef: {name: token, key: value}}}
  - {name: D, valueFrom: {configMapKeyRef: {name: settings, key: level, optional: true}}}
extraExe: [tools, more-tools]
domains:
  - name: default
    passwordMap: [{alias: x, secret: x-password}, {alias: z, generate: true}]
    settings: {passphrase: {secret: phrase}}
    dpApp: {local: [files], config: [first, second]}
    certs: [{certType: usrcerts, secret: keys}, {certType: sharedcerts, secret: ca}]
  - name: old
    passphraseSecret: old-phrase
  - name: bare
    settings: {}
users:
  - {name: admin, passwordSecret: admin-credentials, accessLevel: privileged}
imagePullSecrets: [pull]
jaegerTracing: {tls: {disabled: false, reporterClientSecretName: jaeger}}`,
		want: []v1beta3.Reference{
			secret("admin-credentials", "", "spec.users[0].passwordSecret"),
			secret("keys", "", "spec.domains[0].certs[0].secret"),
			secret("ca", "", "spec.domains[0].certs[1].secret"),
			configMap("first", "", "spec.domains[0].dpApp.config[0]"),
			configMap("second", "", "spec.domains[0].dpApp.config[1]"),
			configMap("files", "", "spec.domains[0].dpApp.local[0]"),
			secret("phrase", "passphrase", "spec.domains[0].settings.passphrase.secret"),
			secret("x-password", "password", "spec.domains[0].passwordMap[0].secret"),
			secret("old-phrase", "passphrase", "spec.domains[1].passphraseSecret"),
			configMap("tools", "", "spec.extraExe[0]"),
			configMap("more-tools", "", "spec.extraExe[1]"),
			secret("token", "value", "spec.env[2].valueFrom.secretKeyRef"),
			optional(configMap("settings", "level", "spec.env[3].valueFrom.configMapKeyRef")),
			configMap("snmp", "generator.yaml", "spec.snmp.generator.config"),
		},
	},
	"an object that is named twice counts once, under its first path": {
		spec: `
users:
  - {name: a, passwordSecret: shared, accessLevel: privileged}
  - {name: b, passwordSecret: shared, accessLevel: privileged}
domains: [{name: d, dpApp: {config: [shared, shared], local: [shared]}}]`,
		want: []v1beta3.Reference{
			secret("shared", "", "spec.users[0].passwordSecret"),
			configMap("shared", "", "spec.domains[0].dpApp.config[0]"),
		},
	},
	"the first needed key counts": {
		spec: `
users: [{name: a, passwordSecret: s, accessLevel: privileged}]
domains: [{name: d, passwordMap: [{alias: x, secret: s}], settings: {passphrase: {secret: s}}}]`,
		want: []v1beta3.Reference{secret("s", "passphrase", "spec.users[0].passwordSecret")},
	},
	"an object is optional only if every use is": {
		spec: `
env:
  - {name: A, valueFrom: {secretKeyRef: {name: both, key: a, optional: true}}}
  - {name: B, valueFrom: {secretKeyRef: {name: both, key: b}}}
  - {name: C, valueFrom: {secretKeyRef: {name: optional, key: c, optional: true}}}
  - {name: D, valueFrom: {secretKeyRef: {name: optional, key: d, optional: true}}}`,
		want: []v1beta3.Reference{
			secret("both", "b", "spec.env[0].valueFrom.secretKeyRef"),
			optional(secret("optional", "c", "spec.env[2].valueFrom.secretKeyRef")),
		},
	},
	"the key of an optional use is not needed from an object that must exist for another reason": {
		spec: `
users: [{name: a, passwordSecret: s, accessLevel: privileged}]
env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: extra, optional: true}}}]`,
		want: []v1beta3.Reference{secret("s", "", "spec.users[0].passwordSecret")},
	},
	"an env entry that a later one replaces needs nothing": {
		spec: `
env:
  - {name: A, valueFrom: {secretKeyRef: {name: replaced, key: a}}}
  - {name: B, valueFrom: {configMapKeyRef: {name: kept, key: b}}}
  - {name: A, value: plain}`,
		want: []v1beta3.Reference{configMap("kept", "b", "spec.env[1].valueFrom.configMapKeyRef")},
	},
	"an empty name is no reference": {
		spec: `
domains: [{name: d, passphraseSecret: "", settings: {passphrase: {secret: "", generate: true}}}]
env: [{name: A, valueFrom: {secretKeyRef: {name: "", key: a}}}]`,
	},
}

func TestReferences(t *testing.T) {
	for name, test := range referenceTests {
		t.Run(name, func(t *testing.T) {
			svc := &v1beta3.DataPowerService{}
			require.NoError(t, yaml.UnmarshalStrict([]byte(test.spec), &svc.Spec))
			assert.Equal(t, test.want, v1beta3.References(svc))
		})
	}
}

func TestReferencesLeaveTheServiceAlone(t *testing.T) {
	svc := &v1beta3.DataPowerService{Spec: v1beta3.DataPowerServiceSpec{
		Users: []v1beta3.User{{Name: "a", PasswordSecret: "s"}},
		Env: []corev1.EnvVar{{Name: "A", ValueFrom: &corev1.EnvVarSource{
			SecretKeyRef: &corev1.SecretKeySelector{Key: "k", Optional: ptr.To(true)},
		}}},
	}}
	before := svc.DeepCopy()
	v1beta3.References(svc)
	v1beta3.GeneratedSecrets(svc)
	assert.Equal(t, before, svc)
}
