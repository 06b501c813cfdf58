package conversion_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/webhooks/conversion"
)

var editTests = map[string]struct {
	in, via string
	edit    []string // pairs of old and new text
	want    string
}{
	"an edit of one field loses no other": {
		in:   `{version: 10.6-lts, replicas: 1, cryptoMode: permissive, resources: {limits: {cpu: 2, memory: 8Gi}}}`,
		via:  "v1beta1",
		edit: []string{`"replicas":1`, `"replicas":2`},
		want: `{version: 10.6-lts, replicas: 2, cryptoMode: permissive, resources: {limits: {cpu: 2, memory: 8Gi}}}`,
	},
	"a CPU request set in v1beta1 wins over the one that it could not show": {
		in:   `{resources: {requests: {cpu: 500m, memory: 4Gi}}}`,
		via:  "v1beta1",
		edit: []string{`{"memory"`, `{"cpu":6,"memory"`},
		want: `{resources: {requests: {cpu: 6, memory: 4Gi}}}`,
	},
	"a CPU request changed in v1beta1 wins over the notation it had": {
		in:   `{resources: {requests: {cpu: "8"}}}`,
		via:  "v1beta1",
		edit: []string{`"cpu":8`, `"cpu":9`},
		want: `{resources: {requests: {cpu: 9}}}`,
	},
	"memory changed in v1beta2 wins over the number it was": {
		in:   `{resources: {limits: {memory: 4294967296}}}`,
		via:  "v1beta2",
		edit: []string{`"4294967296"`, `"5Gi"`},
		want: `{resources: {limits: {memory: 5Gi}}}`,
	},
	"a removed domain does not come back and the others keep their passwords": {
		in:   `{domains: [{name: a, passphraseSecret: s}, {name: b, passwordMap: [{alias: x, secret: s}]}]}`,
		via:  "v1beta1",
		edit: []string{`{"name":"a"},`, ``},
		want: `{domains: [{name: b, passwordMap: [{alias: x, secret: s}]}]}`,
	},
	"domains keep their passwords when they are reordered and others are added": {
		in:   `{domains: [{name: a, passphraseSecret: s}, {name: b, passphraseSecret: u}]}`,
		via:  "v1beta2",
		edit: []string{`{"name":"a"},{"name":"b"}`, `{"name":"c"},{"name":"b"},{"name":"a"}`},
		want: `{domains: [{name: c}, {name: b, passphraseSecret: u}, {name: a, passphraseSecret: s}]}`,
	},
	"a renamed domain does not get the passwords of the old one": {
		in:   `{domains: [{name: a, passphraseSecret: s}]}`,
		via:  "v1beta2",
		edit: []string{`[{"name":"a"}]`, `[{"name":"z"}]`},
		want: `{domains: [{name: z}]}`,
	},
	"a dpApp written in v1beta1 wins over the one without config": {
		in:   `{domains: [{name: a, dpApp: {local: [x]}}]}`,
		via:  "v1beta1",
		edit: []string{`[{"name":"a"}]`, `[{"name":"a","dpApp":{"config":["c"]}}]`},
		want: `{domains: [{name: a, dpApp: {config: [c]}}]}`,
	},
	"resources removed in v1beta1 take their CPU limit along": {
		in:   `{version: "1", resources: {limits: {cpu: 2}}}`,
		via:  "v1beta1",
		edit: []string{`"resources":{"limits":{}},`, ``},
		want: `{version: "1"}`,
	},
}

// TestEditsInAnotherVersion reads an object in another version, replaces text of the JSON there, writes it back, and
// compares the spec.
func TestEditsInAnotherVersion(t *testing.T) {
	t.Parallel()
	for name, test := range editTests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shown, err := conversion.ConvertObject(service(t, "v1beta3", `{spec: `+test.in+`}`), apiVersion(test.via))
			require.NoError(t, err)
			require.Contains(t, string(shown), test.edit[0], "the edit must find its place")
			back := convert(t, []byte(strings.Replace(string(shown), test.edit[0], test.edit[1], 1)), "v1beta3")
			var want map[string]any
			require.NoError(t, yaml.Unmarshal([]byte(test.want), &want))
			assert.Equal(t, want, back["spec"])
			assert.NotContains(t, annotationsOf(back), conversion.DataAnnotation, "nothing waits any more")
		})
	}
}

// TestEditsOfTheHub stores an object of an old version in the hub, replaces text there, and reads it in the old version
// again.
func TestEditsOfTheHub(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		from, in string
		edit     []string
		want     string
	}{
		"a channel changed in the hub is shown under its new name": {
			"v1beta1", `{version: 10.0.1}`, []string{`"version":"10.0-lts"`, `"version":"10.5-lts"`}, `{version: 10.5-lts}`,
		},
		"a channel that nobody changed keeps the name it was given": {
			"v1beta1", `{version: 10.0.1, debug: false}`, []string{`false`, `true`}, `{version: 10.0.1, debug: true}`,
		},
		"the settings of the monitor come back after an edit of something else": {
			"v1beta1", `{version: a, datapowerMonitor: {xmlMgmtPort: 5550}}`, []string{`"version":"a"`, `"version":"b"`},
			`{version: b, datapowerMonitor: {xmlMgmtPort: 5550}}`,
		},
		"a setting of the monitor changed in the annotation is shown": {
			"v1beta1", `{datapowerMonitor: {lifecycleDebounceMs: 5000}}`, []string{`:5000`, `:7000`},
			`{datapowerMonitor: {lifecycleDebounceMs: 7000}}`,
		},
		"settings of the monitor removed from the annotations do not come back": {
			"v1beta1", `{datapowerMonitor: {lifecycleDebounceMs: 5000}}`,
			[]string{`"datapower.ibm.com/v1beta1-datapower-monitor":"{\"lifecycleDebounceMs\":5000}"`, ``}, `{}`,
		},
		"a volume mode changed in the hub does not become Block again": {
			"v1beta2", `{storage: [{path: /a, volumeMode: Block}]}`, []string{`,"volumeMode":"Filesystem"`, ``},
			`{storage: [{path: /a}]}`,
		},
		"memory given in the hub wins over what was no quantity": {
			"v1beta2", `{resources: {limits: {memory: lots}}}`, []string{`"limits":{}`, `"limits":{"memory":"3Gi"}`},
			`{resources: {limits: {memory: 3Gi}}}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stored, err := conversion.ConvertObject(service(t, test.from, `{spec: `+test.in+`}`), apiVersion("v1beta3"))
			require.NoError(t, err)
			require.Contains(t, string(stored), test.edit[0], "the edit must find its place")
			back := convert(t, []byte(strings.Replace(string(stored), test.edit[0], test.edit[1], 1)), test.from)
			var want map[string]any
			require.NoError(t, yaml.Unmarshal([]byte(test.want), &want))
			assert.Equal(t, want, back["spec"])
		})
	}
}

func TestADataPowerMonitorRemovedInV1beta1LeavesTheHub(t *testing.T) {
	t.Parallel()
	stored, err := conversion.ConvertObject(service(t, "v1beta1", `{spec: {datapowerMonitor: {}}}`), apiVersion("v1beta3"))
	require.NoError(t, err)
	shown, err := conversion.ConvertObject(stored, apiVersion("v1beta1"))
	require.NoError(t, err)
	require.Contains(t, string(shown), `"datapowerMonitor":{}`)
	again := convert(t, []byte(strings.Replace(string(shown), `"datapowerMonitor":{}`, ``, 1)), "v1beta3")
	assert.NotContains(t, annotationsOf(again), datapower.MonitorSettingsAnnotation)
}

func TestAMonitorAnnotationThatV1beta1CannotSayStaysAnAnnotation(t *testing.T) {
	t.Parallel()
	for _, damaged := range []string{`no JSON`, `[]`, `null`, `{"unknown":1}`, `{"xmlMgmtPort":"x"}`} {
		in := service(t, "v1beta3", `{metadata: {annotations: {`+datapower.MonitorSettingsAnnotation+`: '`+damaged+`'}}, spec: {}}`)
		converted := convert(t, in, "v1beta1")
		assert.Equal(t, damaged, annotationsOf(converted)[datapower.MonitorSettingsAnnotation])
		assert.Empty(t, converted["spec"])
	}
}

func TestTheSettingsOfTheMonitorPassThroughV1beta2(t *testing.T) {
	t.Parallel()
	original := service(t, "v1beta1", `{metadata: {name: a}, spec: {datapowerMonitor: {image: x, env: [{name: A, value: "<"}]}}}`)
	raw := original
	for _, version := range []string{"v1beta2", "v1beta3", "v1beta2"} {
		converted := convert(t, raw, version)
		assert.Equal(t, `{"env":[{"name":"A","value":"<"}],"image":"x"}`, annotationsOf(converted)[datapower.MonitorSettingsAnnotation])
		raw = []byte(text(t, converted))
	}
	assert.Equal(t, object(t, original), convert(t, raw, "v1beta1"))
}

func annotationsOf(o map[string]any) map[string]any {
	metadata, _ := o["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	return annotations
}
