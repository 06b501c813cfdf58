// SPDX-License-Identifier: Apache-2.0

package v1beta3_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// TestGeneratedSecretName reads the table that the chart's tests read too, so that both make the same names.
func TestGeneratedSecretName(t *testing.T) {
	text, err := os.ReadFile("testdata/generated-names.json")
	require.NoError(t, err)
	var rows []struct{ Why, Service, Domain, Alias, Name string }
	require.NoError(t, json.Unmarshal(text, &rows))
	require.NotEmpty(t, rows)
	for _, row := range rows {
		t.Run(row.Why, func(t *testing.T) {
			assert.Equal(t, row.Name, v1beta3.GeneratedSecretName(row.Service, row.Domain, row.Alias))
		})
	}
}

type secretOrigin struct{ service, domain, alias string }

func drawOrigin(t *rapid.T, name string) secretOrigin {
	return secretOrigin{
		service: rapid.StringMatching(`[a-c](-?[a-c]){0,3}`).Draw(t, name+" service"),
		domain:  rapid.StringMatching(`[a-cA-C._-]{1,4}`).Draw(t, name+" domain"),
		alias:   rapid.StringMatching(`([a-cA-C._/ é-]{1,4}|passphrase|a-password)?`).Draw(t, name+" alias"),
	}
}

func (o secretOrigin) name() string { return v1beta3.GeneratedSecretName(o.service, o.domain, o.alias) }

func TestGeneratedSecretNamesAreValidAndUnique(t *testing.T) {
	t.Run("every name is a valid name of a Secret", rapid.MakeCheck(func(t *rapid.T) {
		origin := secretOrigin{
			service: rapid.StringMatching(`[a-z]([-a-z0-9]{0,50}[a-z0-9])?`).Draw(t, "service"),
			domain:  rapid.StringMatching(`[a-zA-Z0-9_.-]{1,253}`).Draw(t, "domain"),
			alias:   rapid.StringN(0, 128, -1).Draw(t, "alias"),
		}
		assert.Empty(t, validation.IsDNS1123Subdomain(origin.name()), "%+v", origin)
	}))
	t.Run("two origins have two names", rapid.MakeCheck(func(t *rapid.T) {
		a, b := drawOrigin(t, "a"), drawOrigin(t, "b")
		if a != b {
			assert.NotEqual(t, a.name(), b.name(), "%+v %+v", a, b)
		}
	}))
}

func TestGeneratedSecrets(t *testing.T) {
	yes, no := ptr.To(true), ptr.To(false)
	settings := func(p v1beta3.Passphrase) *v1beta3.DomainSettings { return &v1beta3.DomainSettings{Passphrase: &p} }
	tests := map[string]struct {
		domains []v1beta3.Domain
		want    []v1beta3.GeneratedSecret
	}{
		"a service without domains generates nothing": {},
		"settings without a passphrase generate nothing": {
			domains: []v1beta3.Domain{{Name: "a"}, {Name: "b", Settings: &v1beta3.DomainSettings{}}},
		},
		"what the user provides is not generated": {
			domains: []v1beta3.Domain{{
				Name: "a", Settings: settings(v1beta3.Passphrase{Secret: "mine", Generate: no}),
				PasswordMap: []v1beta3.PasswordMapEntry{{Alias: "x", Secret: "mine"}},
			}},
		},
		"a Secret of the user wins over a wish to generate, which the schema refuses beside it": {
			domains: []v1beta3.Domain{{
				Name: "a", Settings: settings(v1beta3.Passphrase{Secret: "mine", Generate: yes}),
				PasswordMap: []v1beta3.PasswordMapEntry{{Alias: "x", Secret: "mine", Generate: yes}},
			}},
		},
		"a passphrase and password aliases are generated, domain by domain": {
			domains: []v1beta3.Domain{
				{Name: "a", PasswordMap: []v1beta3.PasswordMapEntry{
					{Alias: "x", Secret: "mine"}, {Alias: "z", Generate: yes}, {Alias: "w", Generate: no},
				}},
				{
					Name: "b", PasswordMap: []v1beta3.PasswordMapEntry{{Alias: "z", Generate: yes}},
					Settings: settings(v1beta3.Passphrase{Generate: yes}),
				},
			},
			want: []v1beta3.GeneratedSecret{
				{
					Name: "gw-a-z-password", Key: "password", Path: "spec.domains[0].passwordMap[1]", Domain: "a", Alias: "z",
					Context: v1beta3.GeneratedContext{Path: "spec.domains[0].passwordMap[1]", Domain: "a", Alias: "z"},
				},
				{
					Name: "gw-b-passphrase", Key: "passphrase", Path: "spec.domains[1].settings.passphrase", Domain: "b",
					Context: v1beta3.GeneratedContext{Path: "spec.domains[1].settings.passphrase", Domain: "b"},
				},
				{
					Name: "gw-b-z-password", Key: "password", Path: "spec.domains[1].passwordMap[0]", Domain: "b", Alias: "z",
					Context: v1beta3.GeneratedContext{Path: "spec.domains[1].passwordMap[0]", Domain: "b", Alias: "z"},
				},
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			svc := &v1beta3.DataPowerService{
				ObjectMeta: metav1.ObjectMeta{Name: "gw"},
				Spec:       v1beta3.DataPowerServiceSpec{Domains: test.domains},
			}
			assert.Equal(t, test.want, v1beta3.GeneratedSecrets(svc))
		})
	}
}
