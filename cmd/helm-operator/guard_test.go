package main

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/helm-operator/mapper"
)

// reached is a mapper that only tells that it was asked.
type reached struct{ mapper.None }

func (reached) Map(context.Context, *unstructured.Unstructured, mapper.Cluster) (map[string]any, error) {
	return map[string]any{"reached": true}, nil
}

func testGuard(t *testing.T) *guard {
	t.Helper()
	text, err := os.ReadFile("../../helm-charts/datapowerservice/values.yaml")
	require.NoError(t, err)
	var values map[string]any
	require.NoError(t, yaml.Unmarshal(text, &values))
	g, err := newGuard(reached{}, values, map[string]any{"catalogue.channels.my-channel": `{version: "10.6.0.1"}`})
	require.NoError(t, err)
	return g
}

func TestWhatAdmissionWouldRefuseIsHeld(t *testing.T) {
	g := testGuard(t)
	for name, tc := range map[string]struct {
		spec string
		want string // part of the message; empty means that it is not held
	}{
		"a good one":                    {spec: "version: 10.6-lts"},
		"a channel of the overrides":    {spec: "version: my-channel"},
		"a limit below default request": {spec: "version: 10.6-lts, resources: {limits: {memory: 3Gi}}"},
		"an unknown channel":            {spec: "version: hunter2", want: `spec.version: Invalid value: "string": must be an exact version`},
		"two problems":                  {spec: "version: hunter2, hostAliases: [{ip: x}]", want: `; spec.hostAliases[0].ip: Invalid value: "string"`},
	} {
		t.Run(name, func(t *testing.T) {
			cr := &unstructured.Unstructured{}
			require.NoError(t, yaml.Unmarshal([]byte(`{apiVersion: datapower.ibm.com/v1beta3, kind: DataPowerService, metadata: {name: gw},
  spec: {license: {accept: true, use: nonproduction, license: L-RJON-CCCP46},
  users: [{name: admin, passwordSecret: s, accessLevel: privileged}], `+tc.spec+`}}`), &cr.Object))
			before := cr.DeepCopy()
			mapped, err := g.Map(t.Context(), cr, nil)
			assert.Equal(t, before, cr, "it is only looked at")
			if tc.want == "" {
				require.NoError(t, err)
				assert.Equal(t, map[string]any{"reached": true}, mapped)
				return
			}
			var hold *mapper.HoldError
			require.ErrorAs(t, err, &hold)
			assert.Equal(t, "Invalid", hold.Reason)
			assert.Contains(t, hold.Message, tc.want)
			assert.NotContains(t, hold.Message, "hunter2")
		})
	}
}
