package conversion_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/webhooks/conversion"
)

// service is a DataPowerService of a version as JSON. The rest of the object is YAML in flow style.
func service(t testing.TB, version, rest string) []byte {
	t.Helper()
	o := map[string]any{}
	require.NoError(t, yaml.Unmarshal([]byte(rest), &o))
	o["apiVersion"], o["kind"] = apiVersion(version), "DataPowerService"
	return []byte(text(t, o))
}

// convert converts and decodes.
func convert(t testing.TB, raw []byte, version string) map[string]any {
	t.Helper()
	out, err := conversion.ConvertObject(raw, apiVersion(version))
	require.NoError(t, err)
	return object(t, out)
}

var fieldTests = map[string]struct{ from, in, to, want string }{
	"the channel 10.0.0 becomes 10.0-cd in v1beta2": {
		"v1beta1", `{spec: {version: 10.0.0}}`, "v1beta2", `{spec: {version: 10.0-cd}}`,
	},
	"the channel 10.0.1 becomes 10.0-lts in v1beta2": {
		"v1beta1", `{spec: {version: 10.0.1}}`, "v1beta2", `{spec: {version: 10.0-lts}}`,
	},
	"the channel 10.0.0 becomes 10.0-cd in v1beta3": {
		"v1beta1", `{spec: {version: 10.0.0}}`, "v1beta3", `{spec: {version: 10.0-cd}}`,
	},
	"the channel 10.0-eus becomes 10.0-lts in v1beta3": {
		"v1beta2", `{spec: {version: 10.0-eus}}`, "v1beta3", `{spec: {version: 10.0-lts}}`,
	},
	"a channel that nobody renamed keeps its name in v1beta1": {
		"v1beta3", `{spec: {version: 10.0-lts}}`, "v1beta1", `{spec: {version: 10.0-lts}}`,
	},
	"a current channel keeps its name": {
		"v1beta2", `{spec: {version: 10.0-cd}}`, "v1beta3", `{spec: {version: 10.0-cd}}`,
	},
	"an exact version stays": {
		"v1beta1", `{spec: {version: 10.0.0.0}}`, "v1beta3", `{spec: {version: 10.0.0.0}}`,
	},
	"the licence ID is left out of v1beta2": {
		"v1beta3", `{spec: {license: {accept: true, use: production, license: L-EYGU-PVGRBC}}}`,
		"v1beta2", `{spec: {license: {accept: true, use: production}}}`,
	},
	"volume mode Block becomes Filesystem": {
		"v1beta1", `{spec: {storage: [{path: /a, type: persistent, volumeMode: Block}, {path: /b, volumeMode: Filesystem}]}}`,
		"v1beta3", `{spec: {storage: [{path: /a, type: persistent, volumeMode: Filesystem}, {path: /b, volumeMode: Filesystem}]}}`,
	},
	"a CPU number stays a number": {
		"v1beta1", `{spec: {resources: {requests: {cpu: 4}}}}`, "v1beta3", `{spec: {resources: {requests: {cpu: 4}}}}`,
	},
	"a CPU text of whole cores becomes a number in v1beta1": {
		"v1beta3", `{spec: {resources: {requests: {cpu: "8000m"}}}}`, "v1beta1", `{spec: {resources: {requests: {cpu: 8}}}}`,
	},
	"a fraction of a CPU is left out of v1beta1": {
		"v1beta3", `{spec: {resources: {requests: {cpu: 4500m}}}}`, "v1beta1", `{spec: {resources: {requests: {}}}}`,
	},
	"fewer CPUs than v1beta1 allows are left out of it": {
		"v1beta3", `{spec: {resources: {requests: {cpu: 1}}}}`, "v1beta1", `{spec: {resources: {requests: {}}}}`,
	},
	"v1beta2 has any CPU request and no CPU limit": {
		"v1beta3", `{spec: {resources: {requests: {cpu: 500m, memory: 4Gi}, limits: {cpu: 1}}}}`,
		"v1beta2", `{spec: {resources: {requests: {cpu: 500m, memory: 4Gi}, limits: {}}}}`,
	},
	"a number of bytes becomes text": {
		"v1beta3", `{spec: {resources: {limits: {memory: 8589934592}}}}`,
		"v1beta2", `{spec: {resources: {limits: {memory: "8589934592"}}}}`,
	},
	"memory that is no quantity is left out of the hub": {
		"v1beta2", `{spec: {resources: {limits: {memory: lots}, requests: {memory: 4Gi}}}}`,
		"v1beta3", `{spec: {resources: {limits: {}, requests: {memory: 4Gi}}}}`,
	},
	"an affinity that is none is left out of the hub": {
		"v1beta1", `{spec: {affinity: {nodeAffinity: x, podAffinity: {}, typo: {}}}}`,
		"v1beta3", `{spec: {affinity: {podAffinity: {}}}}`,
	},
	"a domain without configuration has no dpApp in the old versions": {
		"v1beta3", `{spec: {domains: [{name: a, dpApp: {local: [x]}}, {name: b, dpApp: {config: [z]}}]}}`,
		"v1beta1", `{spec: {domains: [{name: a}, {name: b, dpApp: {config: [z]}}]}}`,
	},
	"a domain's passwords are left out of v1beta2": {
		"v1beta3", `{spec: {domains: [{name: a, passphraseSecret: s, passwordMap: [{alias: x, generate: true}], settings: {}}]}}`,
		"v1beta2", `{spec: {domains: [{name: a}]}}`,
	},
	"v1beta1 has no scheduling fields and v1beta2 has": {
		"v1beta2", `{spec: {nodeSelector: {a: b}, tolerations: [{key: a}], lifecycle: {preStop: {}}}}`,
		"v1beta1", `{spec: {}}`,
	},
	"what came with v1beta3 is left out of v1beta2": {
		"v1beta3", `{spec: {version: 10.6-lts, imagePullPolicy: Always, runAsRoot: true, cryptoMode: permissive, snmp: {}}}`,
		"v1beta2", `{spec: {version: 10.6-lts}}`,
	},
	"pods were called nodes": {
		"v1beta3", `{status: {phase: Running, pods: [a-0]}}`, "v1beta2", `{status: {phase: Running, nodes: [a-0]}}`,
	},
	"the condition Error was called ReconcileError in v1beta1": {
		"v1beta3", `{status: {conditions: [{type: Ready}, {type: Error, status: "False", reason: NoError}]}}`,
		"v1beta1", `{status: {conditions: [{type: Ready}, {type: ReconcileError, status: "False", reason: NoError}]}}`,
	},
	"the condition Error has its name in v1beta2": {
		"v1beta1", `{status: {conditions: [{type: ReconcileError, status: "True"}]}}`,
		"v1beta2", `{status: {conditions: [{type: Error, status: "True"}]}}`,
	},
	"v1beta1 has no management ports and v1beta2 has": {
		"v1beta2", `{status: {phase: Failed, mgmtPorts: [{name: rest-mgmt, port: 5554}]}}`,
		"v1beta1", `{status: {phase: Failed}}`,
	},
	"the old versions list no licences": {
		"v1beta3", `{status: {versions: {reconciled: 10.6.0.1, available: {versions: [{name: 10.6.0.1, licenses: [{name: L}]}]}}}}`,
		"v1beta2", `{status: {versions: {reconciled: 10.6.0.1, available: {versions: [{name: 10.6.0.1}]}}}}`,
	},
	"the monitor's settings leave the spec": {
		"v1beta1", `{spec: {version: 10.0.0.0, datapowerMonitor: {lifecycleDebounceMs: 5}}}`,
		"v1beta2", `{spec: {version: 10.0.0.0}}`,
	},
	"an object without spec and status stays without": {
		"v1beta1", `{metadata: {name: a, managedFields: [{manager: m}]}}`, "v1beta3", `{}`,
	},
	"a null stays a null": {
		"v1beta1", `{spec: null, status: {nodes: null}}`, "v1beta3", `{spec: null, status: {pods: null}}`,
	},
}

// TestFieldsConvert compares spec and status. Each object must also come back as it was.
func TestFieldsConvert(t *testing.T) {
	t.Parallel()
	for name, test := range fieldTests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			original := service(t, test.from, test.in)
			raw, err := conversion.ConvertObject(original, apiVersion(test.to))
			require.NoError(t, err)
			converted, want := object(t, raw), object(t, service(t, test.to, test.want))
			for _, part := range []string{"apiVersion", "kind", "spec", "status"} {
				assert.Equal(t, want[part], converted[part], part)
			}
			back := convert(t, raw, test.from)
			if _, had := object(t, original)["metadata"]; !had {
				assert.Empty(t, back["metadata"], "metadata is only there because the API server insists on it")
				delete(back, "metadata")
			}
			assert.Equal(t, object(t, original), back)
		})
	}
}

func TestFieldsThatTheSourceDoesNotHaveAreDropped(t *testing.T) {
	t.Parallel()
	// In v1beta3 they would come alive.
	converted := convert(t, service(t, "v1beta1", `{spec: {version: a, cryptoMode: permissive, foo: 1}, status: {pods: [a]}}`), "v1beta3")
	assert.Equal(t, map[string]any{"version": "a"}, converted["spec"])
	assert.Equal(t, map[string]any{}, converted["status"])
}

func TestTheLicenceIsNamedWhereItIsKnown(t *testing.T) {
	t.Parallel()
	converter := conversion.Converter{LicenseID: func(version, use string) string {
		if version == "10.0-lts" && use == "production" {
			return "L-EYGU-PVGRBC"
		}
		return ""
	}}
	tests := map[string]struct{ from, in, want string }{
		"by the channel's name of today":     {"v1beta1", `{spec: {version: 10.0.1, license: {use: production}}}`, "L-EYGU-PVGRBC"},
		"not for an unknown version":         {"v1beta2", `{spec: {version: 10.0.9.9, license: {use: production}}}`, ""},
		"not for an unknown use":             {"v1beta2", `{spec: {version: 10.0-lts, license: {use: developers}}}`, ""},
		"not for an object without licence":  {"v1beta2", `{spec: {version: 10.0-lts}}`, ""},
		"not for an object without spec":     {"v1beta2", `{}`, ""},
		"not where the object has one again": {"v1beta3", `{spec: {version: 10.0-lts, license: {use: production, license: L-OWN}}}`, "L-OWN"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := service(t, test.from, test.in)
			for _, version := range []string{"v1beta2", "v1beta3"} {
				var err error
				raw, err = converter.ConvertObject(raw, apiVersion(version))
				require.NoError(t, err)
			}
			spec, _ := object(t, raw)["spec"].(map[string]any)
			license, _ := spec["license"].(map[string]any)
			id, _ := license["license"].(string)
			assert.Equal(t, test.want, id)
		})
	}
}
