package defaulting_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gomodules.xyz/jsonpatch/v2"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/webhooks/defaulting"
)

const (
	chartFolder = "../../helm-charts/datapowerservice"
	valuesFile  = chartFolder + "/values.yaml"
)

func chartDefaults(t testing.TB) defaulting.Defaults {
	t.Helper()
	d, err := defaulting.Load(valuesFile)
	require.NoError(t, err)
	return d
}

// service is a DataPowerService of a version with this spec, YAML in flow style.
func service(t testing.TB, version, spec string) map[string]any {
	t.Helper()
	return map[string]any{
		"apiVersion": "datapower.ibm.com/" + version, "kind": "DataPowerService",
		"metadata": map[string]any{"name": "gw"}, "spec": parse(t, spec),
	}
}

func parse(t testing.TB, text string) map[string]any {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(t, err)
	var out map[string]any
	require.NoError(t, utiljson.Unmarshal(raw, &out))
	return out
}

// The default probe.
const (
	probe   = `failureThreshold: 3, initialDelaySeconds: 5, periodSeconds: 5, successThreshold: 1, timeoutSeconds: 5`
	handler = `httpGet: {path: /, port: 7879, scheme: HTTP}`
)

var fieldTests = map[string]struct{ version, in, field, want string }{
	"one replica":                      {"v1beta3", `{}`, "replicas", `1`},
	"no replicas are a number":         {"v1beta3", `{replicas: 0}`, "replicas", `0`},
	"images are pulled when absent":    {"v1beta3", `{}`, "imagePullPolicy", `IfNotPresent`},
	"pods start in parallel":           {"v1beta3", `{}`, "podManagementPolicy", `Parallel`},
	"another order stays":              {"v1beta3", `{podManagementPolicy: OrderedReady}`, "podManagementPolicy", `OrderedReady`},
	"debug is off":                     {"v1beta3", `{}`, "debug", `false`},
	"debug stays on":                   {"v1beta3", `{debug: true}`, "debug", `true`},
	"not as root":                      {"v1beta3", `{}`, "runAsRoot", `false`},
	"the user admin":                   {"v1beta3", `{}`, "users", `[{name: admin, passwordSecret: admin-credentials, accessLevel: privileged}]`},
	"the user admin for an empty list": {"v1beta3", `{users: []}`, "users", `[{name: admin, passwordSecret: admin-credentials, accessLevel: privileged}]`},
	"another user stays alone":         {"v1beta3", `{users: [{name: b}]}`, "users", `[{name: b}]`},
	"architecture and spreading": {"v1beta3", `{}`, "affinity", `{nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution:
		{nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/arch, operator: In, values: [amd64]}]}]}}, podAntiAffinity:
		{preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: kubernetes.io/hostname}}]}}`},
	"an affinity replaces the default whole": {"v1beta3", `{affinity: {podAffinity: {}}}`, "affinity", `{podAffinity: {}}`},
	"an empty affinity means none":           {"v1beta3", `{affinity: {}}`, "affinity", `{}`},

	"the default probe":          {"v1beta3", `{}`, "livenessProbe", `{` + probe + `, ` + handler + `}`},
	"the default probe for null": {"v1beta3", `{readinessProbe: null}`, "readinessProbe", `{` + probe + `, ` + handler + `}`},
	"a probe's scalars default one by one": {
		"v1beta3", `{livenessProbe: {periodSeconds: 9}}`, "livenessProbe", `{` + strings.Replace(probe, "periodSeconds: 5", "periodSeconds: 9", 1) + `, ` + handler + `}`,
	},
	"a zero is a value": {
		"v1beta3", `{readinessProbe: {initialDelaySeconds: 0}}`, "readinessProbe",
		`{` + strings.Replace(probe, "initialDelaySeconds: 5", "initialDelaySeconds: 0", 1) + `, ` + handler + `}`,
	},
	"a handler replaces the default one": {
		"v1beta3", `{readinessProbe: {exec: {command: [a]}}}`, "readinessProbe", `{` + probe + `, exec: {command: [a]}}`,
	},
	"a handler of the default's kind gets nothing of it": {
		"v1beta3", `{readinessProbe: {httpGet: {port: 1}}}`, "readinessProbe", `{` + probe + `, httpGet: {port: 1}}`,
	},
	"the default handler asks at the port of the health check": {
		"v1beta3", `{healthCheck: {probe: {port: 8000}}}`, "readinessProbe", `{` + probe + `, httpGet: {path: /, port: 8000, scheme: HTTP}}`,
	},
	"with a watchdog the liveness probe waits for its hard timeout": {
		"v1beta3", `{healthCheck: {watchdog: {enabled: true, hardTimeoutSeconds: 91}}}`, "livenessProbe",
		`{` + strings.Replace(probe, "failureThreshold: 3", "failureThreshold: 19", 1) + `, ` + handler + `}`,
	},
	"with a watchdog and its default timeout": {
		"v1beta3", `{healthCheck: {watchdog: {enabled: true}}, livenessProbe: {periodSeconds: 20}}`, "livenessProbe",
		`{failureThreshold: 4, initialDelaySeconds: 5, periodSeconds: 20, successThreshold: 1, timeoutSeconds: 5, ` + handler + `}`,
	},
	"with a watchdog the user's threshold stays": {
		"v1beta3", `{healthCheck: {watchdog: {enabled: true}}, livenessProbe: {failureThreshold: 2}}`, "livenessProbe",
		`{` + strings.Replace(probe, "failureThreshold: 3", "failureThreshold: 2", 1) + `, ` + handler + `}`,
	},

	"resources of production":    {"v1beta3", `{license: {use: production}}`, "resources", `{requests: {cpu: "4", memory: 4Gi}, limits: {cpu: "4", memory: 8Gi}}`},
	"resources of nonproduction": {"v1beta3", `{license: {use: nonproduction}}`, "resources", `{requests: {cpu: "1", memory: 4Gi}, limits: {cpu: "1", memory: 8Gi}}`},
	"resources of developers":    {"v1beta3", `{license: {use: developers}}`, "resources", `{requests: {cpu: "1", memory: 4Gi}, limits: {cpu: "1", memory: 8Gi}}`},
	"resources of developers-limited": {
		"v1beta3", `{license: {use: developers-limited}}`, "resources", `{requests: {cpu: "1", memory: 4Gi}, limits: {cpu: "1", memory: 8Gi}}`,
	},
	"an unknown use has no resources": {"v1beta3", `{license: {use: x}}`, "resources", `null`},
	"a request raises the default limit": {
		"v1beta3", `{license: {use: developers}, resources: {requests: {cpu: 2, memory: 16Gi}}}`, "resources",
		`{requests: {cpu: 2, memory: 16Gi}, limits: {cpu: 2, memory: 16Gi}}`,
	},
	"a limit lowers the default request": {
		"v1beta3", `{license: {use: production}, resources: {limits: {cpu: 500m, memory: 3Gi}}}`, "resources",
		`{requests: {cpu: 500m, memory: 3Gi}, limits: {cpu: 500m, memory: 3Gi}}`,
	},
	"a limit above the default request leaves it": {
		"v1beta3", `{license: {use: developers}, resources: {limits: {cpu: 6}}}`, "resources",
		`{requests: {cpu: "1", memory: 4Gi}, limits: {cpu: 6, memory: 8Gi}}`,
	},
	"what is no quantity gets no other half": {
		"v1beta3", `{license: {use: developers}, resources: {limits: {memory: lots}}}`, "resources",
		`{requests: {cpu: "1"}, limits: {cpu: "1", memory: lots}}`,
	},

	"no health check is made up":       {"v1beta3", `{}`, "healthCheck", `null`},
	"a health check gets its settings": {"v1beta3", `{healthCheck: {}}`, "healthCheck", `{logLevel: info, probe: {port: 7879}}`},
	"a watchdog gets its timeouts": {
		"v1beta3", `{healthCheck: {logLevel: warn, probe: {port: 1}, watchdog: {enabled: true}}}`, "healthCheck",
		`{logLevel: warn, probe: {port: 1}, watchdog: {enabled: true, softTimeoutSeconds: 60, hardTimeoutSeconds: 80}}`,
	},
	"a watchdog that is off gets none": {
		"v1beta3", `{healthCheck: {watchdog: {enabled: false}}}`, "healthCheck", `{logLevel: info, probe: {port: 7879}, watchdog: {enabled: false}}`,
	},
	"a default soft timeout stays away from a hard one that it would exceed": {
		"v1beta3", `{healthCheck: {watchdog: {enabled: true, hardTimeoutSeconds: 60}}}`, "healthCheck",
		`{logLevel: info, probe: {port: 7879}, watchdog: {enabled: true, hardTimeoutSeconds: 60}}`,
	},
	"a default hard timeout stays away from a soft one above it": {
		"v1beta3", `{healthCheck: {watchdog: {enabled: true, softTimeoutSeconds: 80}}}`, "healthCheck",
		`{logLevel: info, probe: {port: 7879}, watchdog: {enabled: true, softTimeoutSeconds: 80}}`,
	},
	"an empty snmp switches nothing on": {"v1beta3", `{snmp: {}}`, "snmp", `{}`},
	"an snmp exporter gets its ports": {
		"v1beta3", `{snmp: {exporter: {enabled: true}}}`, "snmp", `{config: {port: 1161}, exporter: {enabled: true, port: 63512}}`,
	},
	"an exporter that is off gets no port": {
		"v1beta3", `{snmp: {config: {port: 5}, exporter: {enabled: false}}}`, "snmp", `{config: {port: 5}, exporter: {enabled: false}}`,
	},
	"an autoscaler without target gets one": {
		"v1beta3", `{podAutoScaling: {method: HPA, hpa: {maxReplicas: 3}}}`, "podAutoScaling",
		`{method: HPA, hpa: {maxReplicas: 3, targetCPUUtilizationPercentage: 80}}`,
	},
	"an autoscaler with a memory target gets no other": {
		"v1beta3", `{podAutoScaling: {method: HPA, hpa: {targetMemoryUtilizationPercentage: 0}}}`, "podAutoScaling",
		`{method: HPA, hpa: {targetMemoryUtilizationPercentage: 0}}`,
	},
	"no autoscaler gets no target": {"v1beta3", `{podAutoScaling: {hpa: {maxReplicas: 3}}}`, "podAutoScaling", `{hpa: {maxReplicas: 3}}`},
	"automatic updates keep a history": {
		"v1beta3", `{updateStrategy: {mode: automatic}}`, "updateStrategy", `{mode: automatic, rolloutHistoryLimit: 10}`,
	},
	"manual updates keep none":                   {"v1beta3", `{updateStrategy: {mode: manual, partition: 1}}`, "updateStrategy", `{mode: manual, partition: 1}`},
	"a volume mode stays":                        {"v1beta3", `{storage: [{path: /a, volumeMode: Block}]}`, "storage", `[{path: /a, volumeMode: Block}]`},
	"a hash algorithm is DataPower's own matter": {"v1beta3", `{rbm: {}}`, "rbm", `{}`},

	"v1beta2 has no pull policy": {"v1beta2", `{}`, "imagePullPolicy", `null`},
	"v1beta2 has no CPU limit": {
		"v1beta2", `{license: {use: nonproduction}}`, "resources", `{requests: {cpu: "1", memory: 4Gi}, limits: {memory: 8Gi}}`,
	},
	"v1beta1 has its CPU request as a number": {
		"v1beta1", `{license: {use: production}}`, "resources", `{requests: {cpu: 4, memory: 4Gi}, limits: {memory: 8Gi}}`,
	},
	"v1beta1 cannot say a request of one CPU": {
		"v1beta1", `{license: {use: developers}}`, "resources", `{requests: {memory: 4Gi}, limits: {memory: 8Gi}}`,
	},
	"v1beta1 has probes":                   {"v1beta1", `{}`, "livenessProbe", `{` + probe + `, ` + handler + `}`},
	"v1beta1 without monitor settings":     {"v1beta1", `{}`, "datapowerMonitor", `null`},
	"v1beta1 with settings of the monitor": {"v1beta1", `{datapowerMonitor: {lifecycleDebounceMs: 5000}}`, "datapowerMonitor", `{lifecycleDebounceMs: 5000, peeringRecoveryCheckIntervalMs: 1000, monitorGatewayPeering: false, image: "docker.io/ibmcom/datapower-monitor:latest", livenessProbePort: 8080, xmlMgmtPort: 5550, resources: {requests: {cpu: 250m, memory: 256Mi}, limits: {cpu: 500m, memory: 1Gi}}}`},
}

// TestFieldsGetTheirDefaults looks at one field of the spec each.
func TestFieldsGetTheirDefaults(t *testing.T) {
	t.Parallel()
	for name, test := range fieldTests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := service(t, test.version, test.in)
			require.NoError(t, defaulting.Object(object, chartDefaults(t)))
			want := parse(t, `{field: `+test.want+`}`)["field"]
			assert.Equal(t, want, object["spec"].(map[string]any)[test.field])
		})
	}
}

func TestEditingTheValuesEditsTheDefaults(t *testing.T) {
	t.Parallel()
	const spec = `{license: {use: developers}, healthCheck: {watchdog: {enabled: true}}, snmp: {exporter: {enabled: true}},
		podAutoScaling: {method: HPA, hpa: {}}, updateStrategy: {mode: automatic}}`
	tests := map[string]struct {
		values map[string]any // laid over the chart's values
		path   []string
		want   any
	}{
		"replicas":        {map[string]any{"replicas": 3}, []string{"replicas"}, int64(3)},
		"pull policy":     {map[string]any{"imagePullPolicy": "Always"}, []string{"imagePullPolicy"}, "Always"},
		"pod management":  {map[string]any{"podManagementPolicy": "OrderedReady"}, []string{"podManagementPolicy"}, "OrderedReady"},
		"debug":           {map[string]any{"debug": true}, []string{"debug"}, true},
		"root":            {map[string]any{"runAsRoot": true}, []string{"runAsRoot"}, true},
		"a new scalar":    {map[string]any{"terminationGracePeriodSeconds": 90}, []string{"terminationGracePeriodSeconds"}, int64(90)},
		"a map":           {map[string]any{"nodeSelector": map[string]any{"a": "b"}}, []string{"nodeSelector", "a"}, "b"},
		"users":           {defaults("users", []any{map[string]any{"name": "u"}}), []string{"users"}, []any{map[string]any{"name": "u"}}},
		"affinity":        {defaults("affinity", map[string]any{"podAffinity": map[string]any{}}), []string{"affinity", "podAffinity"}, map[string]any{}},
		"liveness probe":  {defaults("livenessProbe", map[string]any{"periodSeconds": 7}), []string{"livenessProbe", "periodSeconds"}, int64(7)},
		"readiness probe": {defaults("readinessProbe", map[string]any{"timeoutSeconds": 7}), []string{"readinessProbe", "timeoutSeconds"}, int64(7)},
		"health port":     {defaults("healthCheck", map[string]any{"port": 8}), []string{"healthCheck", "probe", "port"}, int64(8)},
		"health log":      {defaults("healthCheck", map[string]any{"logLevel": "warn"}), []string{"healthCheck", "logLevel"}, "warn"},
		"soft timeout":    {defaults("healthCheck", map[string]any{"softTimeoutSeconds": 30, "hardTimeoutSeconds": 40}), []string{"healthCheck", "watchdog", "softTimeoutSeconds"}, int64(30)},
		"hard timeout":    {defaults("healthCheck", map[string]any{"hardTimeoutSeconds": 99}), []string{"healthCheck", "watchdog", "hardTimeoutSeconds"}, int64(99)},
		"CPU": {
			defaults("resources", map[string]any{"developers": map[string]any{"requests": map[string]any{"cpu": 2}}}),
			[]string{"resources", "limits", "cpu"}, int64(2),
		},
		"snmp port":     {defaults("snmp", map[string]any{"port": 161}), []string{"snmp", "config", "port"}, int64(161)},
		"exporter port": {defaults("snmp", map[string]any{"exporterPort": 9}), []string{"snmp", "exporter", "port"}, int64(9)},
		"CPU target": {
			defaults("podAutoScaling", map[string]any{"targetCPUUtilizationPercentage": 50}),
			[]string{"podAutoScaling", "hpa", "targetCPUUtilizationPercentage"}, int64(50),
		},
		"history": {defaults("updateStrategy", map[string]any{"rolloutHistoryLimit": 3}), []string{"updateStrategy", "rolloutHistoryLimit"}, int64(3)},
	}
	content, err := os.ReadFile(valuesFile)
	require.NoError(t, err)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values := parse(t, string(content))
			overlay(values, test.values)
			d, err := defaulting.FromValues(values)
			require.NoError(t, err)
			object := service(t, "v1beta3", spec)
			require.NoError(t, defaulting.Object(object, d))
			var value any = object["spec"]
			for _, step := range test.path {
				value = value.(map[string]any)[step]
			}
			assert.Equal(t, test.want, value)
		})
	}
}

func defaults(name string, value any) map[string]any {
	return map[string]any{"defaults": map[string]any{name: value}}
}

func overlay(object, over map[string]any) {
	for name, value := range over {
		from, isMap := value.(map[string]any)
		into, both := object[name].(map[string]any)
		if isMap && both {
			overlay(into, from)
			continue
		}
		object[name] = value
	}
}

func TestTheZeroDefaultsFillInNothing(t *testing.T) {
	t.Parallel()
	object := service(t, "v1beta3", `{license: {use: production}, healthCheck: {watchdog: {enabled: true}}, snmp: {exporter: {enabled: true}}}`)
	want := service(t, "v1beta3", `{license: {use: production}, healthCheck: {watchdog: {enabled: true}}, snmp: {exporter: {enabled: true}}}`)
	require.NoError(t, defaulting.Object(object, defaulting.Defaults{}))
	assert.Equal(t, want, object)
}

func TestValuesThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	for name, values := range map[string]string{
		"no YAML":                   "a: b: c",
		"a list":                    "[]",
		"users that are text":       "defaults: {users: admin}",
		"a probe with a wrong port": "defaults: {livenessProbe: {httpGet: {port: {}}}}",
		"a CPU that is no quantity": "defaults: {resources: {production: {requests: {cpu: lots}}}}",
		"defaults that are text":    "defaults: x",
		"a fraction of a timeout":   "defaults: {healthCheck: {hardTimeoutSeconds: 1.5}}",
	} {
		_, err := defaulting.Parse([]byte(values))
		require.ErrorIs(t, err, defaulting.ErrMalformed, name)
	}
	_, err := defaulting.Load("no-such-file")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestObjectsOfOtherKindsAreRefused(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		`{}`, `{"apiVersion":"datapower.ibm.com/v1","kind":"DataPowerService"}`, `{"apiVersion":"apps/v1beta3","kind":"DataPowerService"}`,
		`{"apiVersion":"datapower.ibm.com/v1beta3","kind":"DataPowerMonitor"}`, `{"apiVersion":"a/b/c","kind":"DataPowerService"}`,
	} {
		_, err := defaulting.JSON([]byte(raw), nil, defaulting.Defaults{})
		require.ErrorIs(t, err, defaulting.ErrUnknownKind, raw)
		_, err = defaulting.JSON([]byte(raw), []byte(`{}`), defaulting.Defaults{})
		require.ErrorIs(t, err, defaulting.ErrUnknownKind, raw)
	}
	for _, raw := range []string{``, `x`, `[]`, `null`} {
		_, err := defaulting.JSON([]byte(raw), nil, defaulting.Defaults{})
		require.ErrorIs(t, err, defaulting.ErrNoObject, raw)
	}
	_, err := defaulting.JSON([]byte(`{}`), []byte(`x`), defaulting.Defaults{})
	require.ErrorIs(t, err, defaulting.ErrNoObject)
}

func TestAServiceWithoutSpecStaysWithout(t *testing.T) {
	t.Parallel()
	const raw = `{"apiVersion":"datapower.ibm.com/v1beta3","kind":"DataPowerService"}`
	for _, old := range []string{``, raw} {
		out, err := defaulting.JSON([]byte(raw), []byte(old), chartDefaults(t))
		require.NoError(t, err)
		assert.JSONEq(t, raw, string(out))
	}
}

func TestThePatchOnlyAdds(t *testing.T) {
	t.Parallel()
	// Notations that typed objects would lose.
	raw, err := json.Marshal(service(t, "v1beta3", `{license: {use: developers, accept: true}, users: [], livenessProbe: {initialDelaySeconds: 0},
		resources: {requests: {cpu: "1000m"}, limits: {memory: 8589934592}}, storage: [{path: /a, size: 5120Mi}], hostAliases: []}`))
	require.NoError(t, err)
	out, err := defaulting.JSON(raw, nil, chartDefaults(t))
	require.NoError(t, err)
	operations, err := jsonpatch.CreatePatch(raw, out)
	require.NoError(t, err)
	require.NotEmpty(t, operations)
	for _, operation := range operations {
		assert.Equal(t, "add", operation.Operation, operation.Path)
	}
}

func TestServiceFillsTypedObjects(t *testing.T) {
	t.Parallel()
	svc := &v1beta3.DataPowerService{}
	svc.Name = "gw"
	svc.Spec.License.Use = v1beta3.LicenseUseProduction
	require.NoError(t, defaulting.Service(svc, chartDefaults(t)))
	assert.Equal(t, "gw", svc.Name)
	assert.Equal(t, int32(1), *svc.Spec.Replicas)
	assert.Equal(t, "4", svc.Spec.Resources.Limits.CPU.String())
	assert.Equal(t, int32(7879), svc.Spec.ReadinessProbe.HTTPGet.Port.IntVal)
	again := svc.DeepCopy()
	require.NoError(t, defaulting.Service(again, chartDefaults(t)))
	assert.Equal(t, svc, again)
}

func TestAMonitorGetsTheDefaultsOfItsSchema(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../config/crd/bases/datapower.ibm.com_datapowermonitors.yaml")
	require.NoError(t, err)
	crd := &apiextensionsv1.CustomResourceDefinition{}
	require.NoError(t, yaml.UnmarshalStrict(content, crd))
	want := map[string]any{}
	for name, property := range crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties {
		if property.Default == nil {
			continue
		}
		var value any
		require.NoError(t, utiljson.Unmarshal(property.Default.Raw, &value))
		want[name] = value
	}
	object := map[string]any{"apiVersion": "datapower.ibm.com/v1beta2", "kind": "DataPowerMonitor", "spec": map[string]any{}}
	require.NoError(t, defaulting.Object(object, defaulting.Defaults{}))
	assert.Equal(t, want, object["spec"])

	typed := &v1beta2.DataPowerMonitor{}
	defaulting.Monitor(typed)
	raw, err := json.Marshal(typed.Spec)
	require.NoError(t, err)
	assert.Equal(t, want, parse(t, string(raw)))

	object["spec"] = map[string]any{"restManagement": map[string]any{}}
	require.NoError(t, defaulting.Object(object, defaulting.Defaults{}))
	assert.Equal(t, map[string]any{"port": int64(5554)}, object["spec"].(map[string]any)["restManagement"])
	typed = &v1beta2.DataPowerMonitor{Spec: v1beta2.DataPowerMonitorSpec{RestManagement: &v1beta2.RestManagement{}}}
	defaulting.Monitor(typed)
	assert.Equal(t, new(int32(5554)), typed.Spec.RestManagement.Port)

	kept := &v1beta2.DataPowerMonitor{Spec: v1beta2.DataPowerMonitorSpec{
		LifecycleDebounceMs: new(int32(2000)), PeeringRecoveryCheckIntervalMs: new(int32(3000)), MonitorGatewayPeering: new(true),
	}}
	same := kept.DeepCopy()
	defaulting.Monitor(same)
	assert.Equal(t, kept, same)
}
