package defaulting_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/datapower-operator/datapower-operator/webhooks/defaulting"
)

// Operations of field managers.
const byEdit, byApply = "Update", "Apply"

var refreshTests = map[string]struct {
	created, changed string // the change is laid over the object with its defaults
	by, owned        string
	field, want      string
}{
	"a lower limit lowers the default request": {
		created: `{license: {use: developers}}`, changed: `{resources: {limits: {memory: 3Gi}}}`,
		by: byApply, owned: `{"f:license":{"f:use":{}},"f:resources":{"f:limits":{"f:memory":{}}}}`,
		field: "resources", want: `{requests: {cpu: "1", memory: 3Gi}, limits: {cpu: "1", memory: 3Gi}}`,
	},
	"a higher request raises the default limit": {
		created: `{license: {use: developers}}`, changed: `{resources: {requests: {cpu: 2, memory: 9Gi}}}`,
		by: byEdit, owned: `{"f:license":{"f:use":{}},"f:resources":{"f:requests":{"f:cpu":{},"f:memory":{}}}}`,
		field: "resources", want: `{requests: {cpu: 2, memory: 9Gi}, limits: {cpu: 2, memory: 9Gi}}`,
	},
	"a request that the user owns stays, and validation refuses it": {
		created: `{license: {use: developers}, resources: {requests: {memory: 4Gi}}}`, changed: `{resources: {limits: {memory: 3Gi}}}`,
		by: byApply, owned: `{"f:license":{"f:use":{}},"f:resources":{"f:limits":{"f:memory":{}},"f:requests":{"f:memory":{}}}}`,
		field: "resources", want: `{requests: {cpu: "1", memory: 4Gi}, limits: {cpu: "1", memory: 3Gi}}`,
	},
	"another use brings its CPU": {
		created: `{license: {use: developers}}`, changed: `{license: {use: production}}`,
		by: byEdit, owned: `{"f:license":{"f:use":{}}}`,
		field: "resources", want: `{requests: {cpu: "4", memory: 4Gi}, limits: {cpu: "4", memory: 8Gi}}`,
	},
	"another use leaves a CPU request that somebody owns": {
		created: `{license: {use: developers}, resources: {requests: {cpu: 1}}}`, changed: `{license: {use: production}}`,
		by: byEdit, owned: `{"f:license":{"f:use":{}},"f:resources":{"f:requests":{"f:cpu":{}}}}`,
		field: "resources", want: `{requests: {cpu: 1, memory: 4Gi}, limits: {cpu: 1, memory: 8Gi}}`,
	},
	"probes follow the port of the health check": {
		created: `{}`, changed: `{healthCheck: {probe: {port: 8000}}}`,
		by: byEdit, owned: `{"f:healthCheck":{"f:probe":{"f:port":{}}}}`,
		field: "readinessProbe.httpGet", want: `{path: /, port: 8000, scheme: HTTP}`,
	},
	"the liveness probe follows the watchdog": {
		created: `{}`, changed: `{healthCheck: {watchdog: {enabled: true}}}`,
		by: byEdit, owned: `{"f:healthCheck":{"f:watchdog":{"f:enabled":{}}}}`,
		field: "livenessProbe.failureThreshold", want: `16`,
	},
	"another handler replaces the default one": {
		created: `{}`, changed: `{livenessProbe: {tcpSocket: {port: 9090}}}`,
		by: byApply, owned: `{"f:livenessProbe":{"f:tcpSocket":{"f:port":{}}}}`,
		field: "livenessProbe", want: `{tcpSocket: {port: 9090}, initialDelaySeconds: 5, periodSeconds: 5, timeoutSeconds: 5, successThreshold: 1, failureThreshold: 3}`,
	},
	"an edit of one field of the default handler keeps the others": {
		created: `{}`, changed: `{livenessProbe: {httpGet: {path: /healthz}}}`,
		by: byEdit, owned: `{"f:livenessProbe":{"f:httpGet":{"f:path":{}}}}`,
		field: "livenessProbe.httpGet", want: `{path: /healthz, port: 7879, scheme: HTTP}`,
	},
	"an applied affinity replaces the default whole": {
		created: `{}`, changed: `{affinity: {podAffinity: {}}}`,
		by: byApply, owned: `{"f:affinity":{"f:podAffinity":{}}}`,
		field: "affinity", want: `{podAffinity: {}}`,
	},
	"a default that is applied as it was exported stays, though nobody owns what is in an atomic object": {
		created: `{}`, changed: `{}`,
		by: byApply, owned: `{"f:affinity":{"f:nodeAffinity":{"f:requiredDuringSchedulingIgnoredDuringExecution":{}}}}`,
		field: "affinity", want: `{nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [
			{key: kubernetes.io/arch, operator: In, values: [amd64]}]}]}}}`,
	},
	"an affinity edited beside the default keeps what the editor showed": {
		created: `{}`, changed: `{affinity: {nodeAffinity: null, podAffinity: {}}}`,
		by: byEdit, owned: `{"f:affinity":{"f:podAffinity":{}}}`,
		field: "affinity.podAntiAffinity", want: `{preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: kubernetes.io/hostname}}]}`,
	},
	"applied users replace the default user": {
		created: `{}`, changed: `{users: [{name: admin, passwordSecret: admin-credentials, accessLevel: privileged}, {name: bob}]}`,
		by: byApply, owned: `{"f:users":{"k:{\"name\":\"bob\"}":{".":{},"f:name":{}}}}`,
		field: "users", want: `[{name: bob}]`,
	},
	"the default user stays when somebody applies it": {
		created: `{}`, changed: `{users: [{name: admin, passwordSecret: admin-credentials, accessLevel: privileged}, {name: bob}]}`,
		by: byApply, owned: `{"f:users":{"k:{\"name\":\"bob\"}":{".":{}},"k:{\"name\":\"admin\"}":{".":{}}}}`,
		field: "users", want: `[{name: admin, passwordSecret: admin-credentials, accessLevel: privileged}, {name: bob}]`,
	},
	"the default user stays when the list is edited": {
		created: `{}`, changed: `{users: [{name: admin, passwordSecret: admin-credentials, accessLevel: privileged}, {name: bob}]}`,
		by: byEdit, owned: `{"f:users":{"k:{\"name\":\"bob\"}":{".":{}}}}`,
		field: "users", want: `[{name: admin, passwordSecret: admin-credentials, accessLevel: privileged}, {name: bob}]`,
	},
	"a removed field gets its default again": {
		created: `{replicas: 3, debug: true}`, changed: `{replicas: null}`,
		by: byEdit, owned: `{"f:debug":{}}`,
		field: "replicas", want: `1`,
	},
}

// TestAnUpdateRefreshesDefaults creates a service, which gets its defaults, changes it as a user would, and looks at
// one field. Owned are the fields that field managers own then, as fieldsV1 has them.
func TestAnUpdateRefreshesDefaults(t *testing.T) {
	t.Parallel()
	for name, test := range refreshTests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := chartDefaults(t)
			stored := service(t, "v1beta3", test.created)
			setManager(stored, byEdit, fieldsOf(parse(t, test.created)))
			require.NoError(t, defaulting.Object(stored, d))
			request := runtime.DeepCopyJSON(stored)
			overlay(request["spec"].(map[string]any), parse(t, test.changed))
			var fields map[string]any
			require.NoError(t, json.Unmarshal([]byte(test.owned), &fields))
			setManager(request, test.by, fields)
			was := runtime.DeepCopyJSON(stored)
			require.NoError(t, defaulting.Update(request, stored, d))
			assert.Equal(t, was, stored, "the stored object is only read")
			assert.Equal(t, parse(t, `{x: `+test.want+`}`)["x"], lookup(request["spec"], test.field))

			again := runtime.DeepCopyJSON(request)
			require.NoError(t, defaulting.Update(again, request, d))
			assert.Equal(t, request, again, "the next update changes nothing")
		})
	}
}

// setManager makes one field manager the owner of fields of the spec.
func setManager(object map[string]any, operation string, fields map[string]any) {
	object["metadata"].(map[string]any)["managedFields"] = []any{
		map[string]any{"manager": "m", "operation": operation, "fieldsV1": map[string]any{"f:spec": fields}},
		map[string]any{"manager": "s", "operation": "Apply", "subresource": "status", "fieldsV1": map[string]any{"f:spec": map[string]any{"f:replicas": map[string]any{}}}},
	}
}

// fieldsOf is what somebody owns who wrote this.
func fieldsOf(value any) map[string]any {
	fields := map[string]any{}
	object, _ := value.(map[string]any)
	for name, inner := range object {
		fields["f:"+name] = fieldsOf(inner)
	}
	return fields
}

func lookup(value any, path string) any {
	for path != "" {
		var name string
		name, path = cut(path)
		value = value.(map[string]any)[name]
	}
	return value
}

func cut(path string) (first, rest string) {
	for i := range path {
		if path[i] == '.' {
			return path[:i], path[i+1:]
		}
	}
	return path, ""
}

func TestWithoutFieldManagersAnUpdateLeavesDefaultsAlone(t *testing.T) {
	t.Parallel()
	d := chartDefaults(t)
	stored := service(t, "v1beta3", `{license: {use: developers}}`)
	require.NoError(t, defaulting.Object(stored, d))
	request := runtime.DeepCopyJSON(stored)
	overlay(request["spec"].(map[string]any), parse(t, `{license: {use: production}}`))
	require.NoError(t, defaulting.Update(request, stored, d))
	assert.Equal(t, "1", lookup(request["spec"], "resources.requests.cpu"))
}

// TestWhatKubectlApplyWroteStays: a limit that equals the default, written beside another request, has no field manager.
func TestWhatKubectlApplyWroteStays(t *testing.T) {
	t.Parallel()
	const written = `{"license":{"use":"developers"},"resources":{"limits":{"cpu":"1"},"requests":{"cpu":"500m"}}}`
	for name, test := range map[string]struct{ annotation, want string }{
		"in the object's version":     {`{"apiVersion":"datapower.ibm.com/v1beta3","spec":` + written + `}`, "1"},
		"in another version":          {`{"apiVersion":"datapower.ibm.com/v1beta2","spec":` + written + `}`, "500m"},
		"an annotation without sense": {`{`, "500m"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := chartDefaults(t)
			stored := service(t, "v1beta3", `{license: {use: developers}}`)
			setManager(stored, byEdit, fieldsOf(parse(t, `{license: {use: developers}}`)))
			require.NoError(t, defaulting.Object(stored, d))
			request := runtime.DeepCopyJSON(stored)
			overlay(request["spec"].(map[string]any), parse(t, `{resources: {requests: {cpu: 500m}}}`))
			setManager(request, byEdit, fieldsOf(parse(t, `{license: {use: developers}, resources: {requests: {cpu: 500m}}}`)))
			request["metadata"].(map[string]any)["annotations"] = map[string]any{"kubectl.kubernetes.io/last-applied-configuration": test.annotation}
			require.NoError(t, defaulting.Update(request, stored, d))
			assert.Equal(t, test.want, lookup(request["spec"], "resources.limits.cpu"))
		})
	}
}

// TestAValueThatIsNoDefaultStaysAlthoughNobodyOwnsIt: who strips the field managers leaves such objects behind.
func TestAValueThatIsNoDefaultStaysAlthoughNobodyOwnsIt(t *testing.T) {
	t.Parallel()
	d := chartDefaults(t)
	stored := service(t, "v1beta3", `{license: {use: developers}, resources: {requests: {cpu: 3}}}`)
	require.NoError(t, defaulting.Object(stored, d))
	setManager(stored, "Update", fieldsOf(parse(t, `{license: {use: {}}}`)))
	request := runtime.DeepCopyJSON(stored)
	overlay(request["spec"].(map[string]any), parse(t, `{license: {use: production}}`))
	require.NoError(t, defaulting.Update(request, stored, d))
	assert.Equal(t, parse(t, `{requests: {cpu: 3, memory: 4Gi}, limits: {cpu: 3, memory: 8Gi}}`), lookup(request["spec"], "resources"))
}

func TestAnUpdateFromAnotherVersionOnlyFillsGaps(t *testing.T) {
	t.Parallel()
	request := service(t, "v1beta3", `{license: {use: production}}`)
	request["metadata"].(map[string]any)["managedFields"] = []any{map[string]any{"fieldsV1": map[string]any{"f:spec": map[string]any{}}}}
	require.NoError(t, defaulting.Update(request, service(t, "v1beta2", `{}`), chartDefaults(t)))
	assert.Equal(t, "4", lookup(request["spec"], "resources.requests.cpu"))
}

func TestJSONUpdatesWhenThereIsAStoredObject(t *testing.T) {
	t.Parallel()
	d := chartDefaults(t)
	old := []byte(`{"apiVersion":"datapower.ibm.com/v1beta3","kind":"DataPowerService","spec":{"license":{"use":"developers"}},
		"metadata":{"managedFields":[{"fieldsV1":{"f:spec":{"f:license":{"f:use":{}}}}}]}}`)
	stored, err := defaulting.JSON(old, nil, d)
	require.NoError(t, err)
	request := parse(t, string(stored))
	request["spec"].(map[string]any)["license"].(map[string]any)["use"] = "production"
	raw, err := json.Marshal(request)
	require.NoError(t, err)
	out, err := defaulting.JSON(raw, stored, d)
	require.NoError(t, err)
	assert.Equal(t, "4", lookup(parse(t, string(out))["spec"], "resources.requests.cpu"))
}
