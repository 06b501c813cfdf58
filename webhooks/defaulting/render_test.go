package defaulting_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/webhooks/conversion"
	"github.com/datapower-operator/datapower-operator/webhooks/defaulting"
)

// refused starts what render returns for a spec that the chart refuses.
const refused = "refused: "

// render is what the chart makes of a spec, the refusal included.
func render(t testing.TB, spec map[string]any) string {
	t.Helper()
	chart, err := loader.Load(chartFolder)
	require.NoError(t, err)
	text, err := yaml.Marshal(spec)
	require.NoError(t, err)
	values, err := chartutil.ReadValues(text)
	require.NoError(t, err)
	release := chartutil.ReleaseOptions{Name: "gw", Namespace: "ns", Revision: 1, IsInstall: true}
	top, err := chartutil.ToRenderValues(chart, values, release, chartutil.DefaultCapabilities)
	if err != nil {
		return refused + err.Error()
	}
	files, err := engine.Render(chart, top)
	if err != nil {
		return refused + err.Error()
	}
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&out, "# %s\n%s\n", name, files[name])
	}
	return out.String()
}

// requireSameRender requires that the chart renders the same with and without the webhook's defaults.
func requireSameRender(t testing.TB, object map[string]any) {
	t.Helper()
	filled := runtime.DeepCopyJSON(object)
	require.NoError(t, defaulting.Object(filled, chartDefaults(t)))
	before := render(t, object["spec"].(map[string]any))
	after := render(t, filled["spec"].(map[string]any))
	requireSame(t, before, after)
}

// requireSame compares two renders. Of two refusals the messages may differ.
func requireSame(t require.TestingT, before, after string) {
	if !strings.HasPrefix(before, refused) || !strings.HasPrefix(after, refused) {
		require.Equal(t, before, after)
	}
}

const license = `license: {accept: true, use: production, license: L-EYGU-PVGRBC}, version: 10.6.0.1`

func TestRenderingIsTheSameAfterDefaulting(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]string{
		"a minimal service":                       ``,
		"an empty list of users":                  `users: []`,
		"a probe with scalars":                    `livenessProbe: {initialDelaySeconds: 0, periodSeconds: 7}, readinessProbe: {failureThreshold: 9}`,
		"a probe with another handler":            `livenessProbe: {tcpSocket: {port: 9090}}, readinessTimeoutSeconds: 600`,
		"an empty affinity":                       `affinity: {}`,
		"an affinity of the user":                 `affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone}]}}`,
		"a CPU request as a number":               `resources: {requests: {cpu: 2}}`,
		"a CPU request as text":                   `resources: {requests: {cpu: 2500m}}`,
		"a CPU limit below the default":           `resources: {limits: {cpu: "1.5"}}`,
		"a memory request above the default":      `resources: {requests: {memory: 16Gi}}`,
		"memory in bytes":                         `resources: {limits: {memory: 3221225472}}`,
		"a health check":                          `healthCheck: {}`,
		"a health check port":                     `healthCheck: {probe: {port: 8001}}`,
		"a watchdog":                              `healthCheck: {watchdog: {enabled: true}}`,
		"a watchdog with a short timeout":         `healthCheck: {watchdog: {enabled: true, hardTimeoutSeconds: 30}}`,
		"a watchdog with a long soft":             `healthCheck: {watchdog: {enabled: true, softTimeoutSeconds: 90}}`,
		"a watchdog and a probe":                  `healthCheck: {watchdog: {enabled: true, hardTimeoutSeconds: 100}}, livenessProbe: {periodSeconds: 3}`,
		"a watchdog and a threshold of zero":      `healthCheck: {watchdog: {enabled: true}}, livenessProbe: {failureThreshold: 0}`,
		"a watchdog that is off":                  `healthCheck: {watchdog: {enabled: false, hardTimeoutSeconds: 20}}`,
		"an empty snmp":                           `snmp: {}`,
		"an snmp agent":                           `snmp: {config: {}}`,
		"an snmp exporter":                        `snmp: {exporter: {enabled: true}, generator: {config: c}}`,
		"an autoscaler":                           `podAutoScaling: {method: HPA, hpa: {maxReplicas: 4}}`,
		"an autoscaler by memory":                 `podAutoScaling: {method: HPA, hpa: {maxReplicas: 4, targetMemoryUtilizationPercentage: 70}}`,
		"refused: an autoscaler without a target": `podAutoScaling: {method: HPA, hpa: {maxReplicas: 4, targetCPUUtilizationPercentage: 0}}`,
		"a vertical autoscaler":                   `podAutoScaling: {method: VPA, vpa: {}}`,
		"automatic updates":                       `updateStrategy: {mode: automatic}`,
		"automatic updates with all history":      `updateStrategy: {mode: automatic, rolloutHistoryLimit: 0}`,
		"manual updates":                          `updateStrategy: {mode: manual, partition: 2}`,
		"no replicas":                             `replicas: 0`,
		"FIPS mode":                               `cryptoMode: fips-140-3-l1, rbm: {}`,
		"as root":                                 `runAsRoot: true, debug: true`,
		"pull secrets":                            `imagePullSecrets: [s]`,
	} {
		refuses := strings.HasPrefix(name, "refused")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := service(t, "v1beta3", `{`+license+`, `+spec+`}`)
			rendered := render(t, object["spec"].(map[string]any))
			assert.Equal(t, refuses, strings.HasPrefix(rendered, refused), "%.300s", rendered)
			requireSameRender(t, object)
		})
	}
}

func TestRenderingPublishedResourcesIsTheSameAfterDefaulting(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../shared/samples/datapower/*.yaml")
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("the published resources are not here: ../shared/samples/datapower")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			text := strings.NewReplacer("$my_ibm_cp_datapower_license", "L-EYGU-PVGRBC", "$my_ibm_cp_datapower_version", "10.6-lts",
				"PARM_DP_SERVICE_NAME", "gw", "PARM_REPLICA_COUNT", "3", "PARM_LIMITS_CPU", "4", "PARM_LIMITS_MEMORY", "8Gi").
				Replace(string(content))
			for _, document := range strings.Split(text, "\n---\n") {
				object := parse(t, document)
				if object["kind"] != "DataPowerService" {
					continue
				}
				if object["apiVersion"] == "datapower.ibm.com/v1beta3" {
					dropUnknownFields(object)
				}
				requireSameRenderOfHub(t, object)
			}
		})
	}
}

// TestRenderingOldVersionsIsTheSameAfterDefaulting fills defaults in before the conversion, as the webhook does.
func TestRenderingOldVersionsIsTheSameAfterDefaulting(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"v1beta1", "v1beta2"} {
		for _, use := range []string{"production", "nonproduction", "developers-limited"} {
			for _, spec := range []string{
				``, `resources: {requests: {cpu: 6}}`, `resources: {limits: {memory: 3Gi}}`, `resources: {requests: {memory: 16Gi}}`,
				`livenessProbe: {exec: {command: [a]}}`, `users: [{name: a, passwordSecret: s, accessLevel: privileged}]`, `affinity: {}`,
			} {
				object := service(t, version, `{license: {accept: true, use: `+use+`}, version: 10.0.0, `+spec+`}`)
				requireSameRenderOfHub(t, object)
			}
		}
	}
}

// TestDefaultsOfOldVersionsDoNotReplaceWhatTheyCannotShow writes a service as an old version that was read as one.
func TestDefaultsOfOldVersionsDoNotReplaceWhatTheyCannotShow(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"v1beta1", "v1beta2"} {
		for _, resources := range []string{
			`{requests: {cpu: 500m}}`, `{limits: {cpu: 600m}}`, `{requests: {cpu: 4500m, memory: 3221225472}}`, `{requests: {cpu: "8"}}`,
		} {
			stored := service(t, "v1beta3", `{`+license+`, resources: `+resources+`}`)
			raw, err := json.Marshal(stored)
			require.NoError(t, err)
			shown, err := conversion.ConvertObject(raw, "datapower.ibm.com/"+version)
			require.NoError(t, err)
			written, err := defaulting.JSON(shown, nil, chartDefaults(t))
			require.NoError(t, err)
			back := toHub(t, parse(t, string(written)))
			assert.Equal(t, render(t, stored["spec"].(map[string]any)), render(t, back["spec"].(map[string]any)), "%s %s", version, resources)
		}
	}
}

// dropUnknownFields does what the API server does. One published resource misspells its resources.
func dropUnknownFields(object map[string]any) {
	if resources, ok := object["spec"].(map[string]any)["resources"].(map[string]any); ok {
		delete(resources, "request")
		delete(resources, "limit")
	}
}

func requireSameRenderOfHub(t *testing.T, object map[string]any) {
	t.Helper()
	filled := runtime.DeepCopyJSON(object)
	require.NoError(t, defaulting.Object(filled, chartDefaults(t)))
	before := render(t, toHub(t, object)["spec"].(map[string]any))
	require.NotContains(t, before[:len(refused)], refused, "%.300s", before)
	require.Equal(t, before, render(t, toHub(t, filled)["spec"].(map[string]any)))
}

func toHub(t *testing.T, object map[string]any) map[string]any {
	t.Helper()
	raw, err := yaml.Marshal(object)
	require.NoError(t, err)
	raw, err = yaml.YAMLToJSON(raw)
	require.NoError(t, err)
	// The chart's schema wants a licence ID, and old versions have none.
	converter := conversion.Converter{LicenseID: func(string, string) string { return "L-EYGU-PVGRBC" }}
	raw, err = converter.ConvertObject(raw, "datapower.ibm.com/v1beta3")
	require.NoError(t, err)
	return parse(t, string(raw))
}

// TestDefaultingKeepsItsPromises: on any spec, defaulting renders the same, replaces nothing, and does nothing the
// second time.
func TestDefaultingKeepsItsPromises(t *testing.T) {
	t.Parallel()
	d := chartDefaults(t)
	rapid.Check(t, func(r *rapid.T) {
		object := service(t, "v1beta3", `{}`)
		object["spec"] = randomSpec(r)
		filled := runtime.DeepCopyJSON(object)
		require.NoError(r, defaulting.Object(filled, d))
		requireKept(r, object["spec"], filled["spec"], "spec")
		again := runtime.DeepCopyJSON(filled)
		require.NoError(r, defaulting.Object(again, d))
		require.Equal(r, filled, again)
		requireSame(r, render(t, object["spec"].(map[string]any)), render(t, filled["spec"].(map[string]any)))
	})
}

// requireKept requires that every value that was there is there. An empty list of users counts as none.
func requireKept(t require.TestingT, before, after any, path string) {
	was, isMap := before.(map[string]any)
	if !isMap {
		require.Equal(t, before, after, path)
		return
	}
	for name, value := range was {
		if list, isList := value.([]any); !isList || len(list) > 0 {
			requireKept(t, value, after.(map[string]any)[name], path+"."+name)
		}
	}
}

// randomSpec is a spec in which fields that defaulting looks at are present, absent, empty or zero.
func randomSpec(r *rapid.T) map[string]any {
	spec := map[string]any{"version": "10.6.0.1"}
	maybe := func(object map[string]any, name string, values ...any) {
		if i := rapid.IntRange(-len(values), len(values)-1).Draw(r, name); i >= 0 {
			object[name] = runtime.DeepCopyJSONValue(values[i])
		}
	}
	nested := func(object map[string]any, name string, fill func(map[string]any)) {
		if rapid.Bool().Draw(r, name) {
			inner := map[string]any{}
			fill(inner)
			object[name] = inner
		}
	}
	spec["license"] = map[string]any{"accept": true, "license": "L-EYGU-PVGRBC", "use": rapid.SampledFrom([]string{"production", "developers"}).Draw(r, "use")}
	maybe(spec, "replicas", int64(0), int64(3))
	maybe(spec, "users", []any{}, []any{map[string]any{"name": "a", "passwordSecret": "s", "accessLevel": "privileged"}})
	maybe(spec, "affinity", map[string]any{}, map[string]any{"podAffinity": map[string]any{}})
	nested(spec, "resources", func(resources map[string]any) {
		for _, half := range []string{"requests", "limits"} {
			nested(resources, half, func(quantities map[string]any) {
				maybe(quantities, "cpu", int64(2), "1500m", "8", "0.5")
				maybe(quantities, "memory", "3Gi", "16Gi", int64(5368709120), "4G")
			})
		}
	})
	for _, name := range []string{"livenessProbe", "readinessProbe"} {
		nested(spec, name, func(probe map[string]any) {
			maybe(probe, "exec", map[string]any{"command": []any{"a"}})
			maybe(probe, "initialDelaySeconds", int64(0), int64(9))
			maybe(probe, "periodSeconds", int64(0), int64(7))
			maybe(probe, "failureThreshold", int64(0), int64(2))
		})
	}
	nested(spec, "healthCheck", func(check map[string]any) {
		nested(check, "probe", func(probe map[string]any) { maybe(probe, "port", int64(8000)) })
		nested(check, "watchdog", func(watchdog map[string]any) {
			watchdog["enabled"] = rapid.Bool().Draw(r, "enabled")
			maybe(watchdog, "softTimeoutSeconds", int64(20), int64(100))
			maybe(watchdog, "hardTimeoutSeconds", int64(20), int64(60), int64(200))
		})
	})
	maybe(spec, "readinessTimeoutSeconds", int64(90))
	nested(spec, "snmp", func(snmp map[string]any) {
		nested(snmp, "exporter", func(exporter map[string]any) { exporter["enabled"] = rapid.Bool().Draw(r, "exporting") })
		nested(snmp, "config", func(config map[string]any) { maybe(config, "port", int64(162)) })
	})
	nested(spec, "podAutoScaling", func(scaling map[string]any) {
		maybe(scaling, "method", "HPA", "VPA", "None")
		hpa := map[string]any{"maxReplicas": int64(4)}
		maybe(hpa, "targetCPUUtilizationPercentage", int64(0), int64(50))
		maybe(hpa, "targetMemoryUtilizationPercentage", int64(0), int64(50))
		scaling["hpa"] = hpa
	})
	nested(spec, "updateStrategy", func(strategy map[string]any) {
		strategy["mode"] = "automatic"
		maybe(strategy, "rolloutHistoryLimit", int64(0), int64(3))
	})
	return spec
}
