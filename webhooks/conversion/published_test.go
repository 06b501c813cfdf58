package conversion_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/webhooks/conversion"
)

// samples is the folder with resources from public repositories. It is no part of this repository.
const samples = "../../../shared/samples/datapower"

func TestPublishedResourcesConvertAsWrittenByHand(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		file    string
		replace []string
		from    string
		to      []string
	}{
		"the v1beta1 service with a channel of operator 1.0": {
			file: "05-cs-tsui-reference-base-v1beta1.yaml", from: "v1beta1", to: []string{"v1beta2", "v1beta3"},
		},
		"the v1beta1 service with a full datapowerMonitor": {
			file: "12-rsundara-v1beta1-with-datapowermonitor.yaml", from: "v1beta1", to: []string{"v1beta2", "v1beta3"},
			replace: []string{
				"PARM_DP_SERVICE_NAME", "dp-demo", "PARM_REPLICA_COUNT", "3",
				"PARM_LIMITS_CPU", "4", "PARM_LIMITS_MEMORY", "8Gi",
			},
		},
		"the v1beta2 service within a script": {
			file: "13-ibm-cp4i-samples-v1beta2.sh", from: "v1beta2", to: []string{"v1beta1", "v1beta3"},
			replace: []string{
				"${release_name}", "datapower", "${namespace}", "cp4i",
				"${flavour}", "nonproduction", "${replicas}", "1", "${memory_limit}", "4Gi",
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			original := sample(t, test.file, strings.NewReplacer(test.replace...))
			for _, version := range test.to {
				converted, err := conversion.ConvertObject(original, apiVersion(version))
				require.NoError(t, err)
				requireDecodes(t, converted, version)
				want, err := os.ReadFile(filepath.Join("testdata", "published", test.file[:2]+"."+version+".yaml"))
				require.NoError(t, err)
				require.YAMLEq(t, string(want), string(converted))

				back, err := conversion.ConvertObject(converted, apiVersion(test.from))
				require.NoError(t, err)
				require.JSONEq(t, string(withoutStrayKeys(t, original)), string(back))
			}
		})
	}
}

// sample reads the DataPowerService of a published file as JSON.
func sample(t *testing.T, file string, replacer *strings.Replacer) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(samples, file))
	if os.IsNotExist(err) {
		t.Skipf("the published resources are not here: %s", samples)
	}
	require.NoError(t, err)
	text := string(content)
	if _, script, isScript := strings.Cut(text, "YAML=$(cat <<EOF\n"); isScript {
		text, _, _ = strings.Cut(script, "\nEOF\n")
	}
	text, _, _ = strings.Cut(text, "\n---\n")
	raw, err := yaml.YAMLToJSON([]byte(replacer.Replace(text)))
	require.NoError(t, err)
	return raw
}

// withoutStrayKeys removes the key that the API server would drop: sample 12 has a variable's value outside the
// variable.
func withoutStrayKeys(t *testing.T, raw []byte) []byte {
	t.Helper()
	o := object(t, raw)
	if monitor, ok := o["spec"].(map[string]any)["datapowerMonitor"].(map[string]any); ok {
		delete(monitor, "value")
	}
	return []byte(text(t, o))
}
