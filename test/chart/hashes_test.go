// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// referring uses one Secret or ConfigMap in every place that can name one.
const referring = `
users:
  - {name: admin, passwordSecret: s-admin, accessLevel: privileged}
  - {name: ops, passwordSecret: s-ops, accessLevel: privileged}
domains:
  - name: shop
    certs: [{certType: usrcerts, secret: s-cert}]
    dpApp: {config: [c-config], local: [c-local]}
    settings: {passphrase: {secret: s-passphrase}}
    passwordMap: [{alias: a, secret: s-alias}, {alias: b, generate: true}]
  - name: old
    passphraseSecret: s-old
  - name: made
    settings: {passphrase: {generate: true}}
env:
  - {name: A, valueFrom: {secretKeyRef: {name: s-env, key: k}}}
  - {name: B, valueFrom: {configMapKeyRef: {name: c-env, key: k}}}
extraExe: [c-extra]
snmp: {exporter: {enabled: true}, generator: {config: c-snmp}}
`

func TestAChangedReferenceChangesOnlyItsAnnotation(t *testing.T) {
	before := reconciled(t, "")
	for kind, references := range map[string]map[string]string{
		"secrets": {
			"s-admin": "user.admin", "s-ops": "user.ops", "s-cert": "domains.shop", "s-passphrase": "domains.shop",
			"s-alias": "domains.shop", "gw-shop-b-password": "domains.shop", "s-old": "domains.old",
			"gw-made-passphrase": "domains.made", "s-env": "references", "unrelated": "",
		},
		"configMaps": {
			"c-config": "domains.shop", "c-local": "domains.shop", "c-env": "references", "c-extra": "references",
			"c-snmp": "references", "s-admin": "",
		},
	} {
		for reference, want := range references {
			t.Run(kind+" "+reference, func(t *testing.T) {
				after := reconciled(t, fmt.Sprintf(`operator: {references: {%s: {%s: changed}}}`, kind, reference))
				var changed []string
				for key := range after {
					if after[key] != before[key] {
						changed = append(changed, key)
					}
				}
				if want == "" {
					assert.Empty(t, changed)
				} else {
					assert.Equal(t, []string{"datapower.ibm.com/" + want + ".reconciled"}, changed)
				}
			})
		}
	}
}

// reconciled are the annotations with hashes of a service that refers to much.
func reconciled(t *testing.T, more string) map[string]any {
	t.Helper()
	m := render(t, values(t, minimal, referring, more))
	found := map[string]any{}
	for key, value := range m.at(strings.TrimSuffix(annotated, "|")).(map[string]any) {
		if strings.HasSuffix(key, ".reconciled") {
			require.Regexp(t, `^[0-9a-f]{16}$`, value)
			found[key] = value
		}
	}
	require.Len(t, found, 8)
	return found
}

func TestAChangedConfigurationRollsThePods(t *testing.T) {
	key := func(name string) string { return annotated + "datapower.ibm.com/" + name + ".reconciled" }
	for name, c := range map[string]struct{ values, annotation string }{
		"a command":          {`initCmds: [echo]`, "init"},
		"an access level":    {`users: [{name: admin, passwordSecret: admin-credentials, accessLevel: group-defined, group: g}]`, "username.commands"},
		"a user's Secret":    {`users: [{name: admin, passwordSecret: other, accessLevel: privileged}]`, "user.admin"},
		"a domain":           {`domains: [{name: a}]`, "domains.a"},
		"the crypto mode":    {`cryptoMode: permissive`, "init"},
		"a static host":      {`hostAliases: [{ip: 192.0.2.1, hostnames: [a]}]`, "init"},
		"the order of files": {`domains: [{name: a, dpApp: {config: [two, one]}}]`, "domains.a"},
	} {
		t.Run(name, func(t *testing.T) {
			before := render(t, values(t, minimal)).at(key(c.annotation))
			if name == "the order of files" {
				before = render(t, values(t, minimal, `domains: [{name: a, dpApp: {config: [one, two]}}]`)).at(key(c.annotation))
			}
			assert.NotEqual(t, before, render(t, values(t, minimal, c.values)).at(key(c.annotation)))
		})
	}
}

func TestScalingDoesNotRollThePods(t *testing.T) {
	template := "StatefulSet|spec|template"
	before := render(t, values(t, minimal)).at(template)
	assert.Equal(t, before, render(t, values(t, minimal, `replicas: 5`)).at(template))
	assert.Equal(t, before, render(t, values(t, minimal, `operator: {stopped: true}`)).at(template))
	horizontal := `podAutoScaling: {method: HPA, hpa: {maxReplicas: 3}}`
	assert.Equal(t, before, render(t, values(t, minimal, horizontal)).at(template))
}
