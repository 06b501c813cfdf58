package admission_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/sidecar/catalogue"
	"github.com/datapower-operator/datapower-operator/webhooks/admission"
	"github.com/datapower-operator/datapower-operator/webhooks/defaulting"
)

const chartValues = "../../helm-charts/datapowerservice/values.yaml"

// good is a service that is right, in YAML.
const good = `{apiVersion: datapower.ibm.com/v1beta3, kind: DataPowerService, metadata: {name: gw, namespace: ns},
  spec: {license: {accept: true, use: nonproduction, license: L-RJON-CCCP46}, version: 10.6-lts, replicas: 1,
  users: [{name: admin, passwordSecret: s, accessLevel: privileged}]}}`

type rig struct {
	handlers map[string]http.Handler
	registry *prometheus.Registry
}

func newRig(t testing.TB) *rig {
	t.Helper()
	defaults, err := defaulting.Load(chartValues)
	require.NoError(t, err)
	known, err := catalogue.Load(chartValues)
	require.NoError(t, err)
	r := &rig{registry: prometheus.NewRegistry()}
	metrics, err := admission.NewMetrics(r.registry)
	require.NoError(t, err)
	webhooks := &admission.Webhooks{
		Defaults: defaults, Catalogue: known, Metrics: metrics, Clock: clock.RealClock{},
		ServiceExists: func(_ context.Context, namespace, name string) bool { return namespace == "ns" && name == "there" },
	}
	r.handlers = webhooks.Handlers()
	return r
}

// post sends a body as the API server would.
func (r *rig) post(t require.TestingT, path string, body []byte) *admissionv1.AdmissionResponse {
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	require.NotNil(t, r.handlers[path], path)
	r.handlers[path].ServeHTTP(recorder, request)
	var review admissionv1.AdmissionReview
	require.NoError(t, json.Unmarshal(recorder.Body.Bytes(), &review))
	require.NotNil(t, review.Response)
	return review.Response
}

func review(t require.TestingT, operation admissionv1.Operation, object, old string, change func(*admissionv1.AdmissionRequest)) []byte {
	raw := func(text string) runtime.RawExtension {
		if text == "" {
			return runtime.RawExtension{}
		}
		content, err := yaml.YAMLToJSON([]byte(text))
		require.NoError(t, err)
		return runtime.RawExtension{Raw: content}
	}
	request := &admissionv1.AdmissionRequest{
		UID: "u", Operation: operation, Name: "gw", Namespace: "ns", Object: raw(object), OldObject: raw(old),
	}
	var kind metav1.TypeMeta
	require.NoError(t, yaml.Unmarshal([]byte(object), &kind))
	gvk := kind.GroupVersionKind()
	request.Kind = metav1.GroupVersionKind{Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind}
	if change != nil {
		change(request)
	}
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}, Request: request})
	require.NoError(t, err)
	return body
}

const (
	defaultService  = "/default-datapower-ibm-com-v1beta3-datapowerservice"
	validateService = "/validate-datapower-ibm-com-v1beta3-datapowerservice"
	defaultMonitor  = "/default-datapower-ibm-com-v1beta2-datapowermonitor"
	validateMonitor = "/validate-datapower-ibm-com-v1beta2-datapowermonitor"
)

func TestThePathsAreThoseOfTheExistingOperator(t *testing.T) {
	var paths []string
	for path := range newRig(t).handlers {
		paths = append(paths, path)
	}
	assert.ElementsMatch(t, []string{
		defaultService, validateService, defaultMonitor, validateMonitor,
		"/default-datapower-ibm-com-v1beta1-datapowerservice", "/validate-datapower-ibm-com-v1beta1-datapowerservice",
		"/default-datapower-ibm-com-v1beta2-datapowerservice", "/validate-datapower-ibm-com-v1beta2-datapowerservice",
	}, paths)
}

func TestDefaultsAreAPatch(t *testing.T) {
	r := newRig(t)
	response := r.post(t, defaultService, review(t, admissionv1.Create, good, "", nil))
	require.True(t, response.Allowed)
	assert.Equal(t, admissionv1.PatchTypeJSONPatch, *response.PatchType)
	assert.Contains(t, string(response.Patch), `{"op":"add","path":"/spec/imagePullPolicy","value":"IfNotPresent"}`)
	assert.NotContains(t, string(response.Patch), `"op":"remove"`)
	assert.Equal(t, 1.0, testutil.ToFloat64(counter(t, r, "defaulter", "DataPowerService", "v1beta3", "patched")))

	monitor := `{apiVersion: datapower.ibm.com/v1beta2, kind: DataPowerMonitor, metadata: {name: gw}, spec: {}}`
	response = r.post(t, defaultMonitor, review(t, admissionv1.Create, monitor, "", nil))
	assert.Contains(t, string(response.Patch), `{"op":"add","path":"/spec/lifecycleDebounceMs","value":10000}`)
}

// counter reads one counter by registering the same metric again.
func counter(t *testing.T, r *rig, labels ...string) prometheus.Collector {
	t.Helper()
	err := r.registry.Register(prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "datapower_operator_admission_requests_total",
		Help: "Admission requests by verdict: allowed, patched, refused, or failed when the request could not be judged.",
	}, []string{"webhook", "kind", "version", "verdict"}))
	var already prometheus.AlreadyRegisteredError
	require.ErrorAs(t, err, &already)
	return already.ExistingCollector.(*prometheus.CounterVec).WithLabelValues(labels...)
}

func TestAllThatIsWrongIsToldWithoutValues(t *testing.T) {
	r := newRig(t)
	bad := strings.NewReplacer("accept: true", "accept: false", "version: 10.6-lts", "version: hunter2").Replace(good)
	response := r.post(t, validateService, review(t, admissionv1.Create, bad, "", nil))
	assert.False(t, response.Allowed)
	assert.EqualValues(t, http.StatusUnprocessableEntity, response.Result.Code)
	assert.Equal(t, metav1.StatusReasonInvalid, response.Result.Reason)
	require.Len(t, response.Result.Details.Causes, 2)
	assert.Equal(t, "spec.license.accept", response.Result.Details.Causes[0].Field)
	assert.Equal(t, "spec.version", response.Result.Details.Causes[1].Field)
	text, err := json.Marshal(response)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "hunter2")
	assert.Equal(t, 1.0, testutil.ToFloat64(counter(t, r, "validator", "DataPowerService", "v1beta3", "refused")))
}

func TestWarnings(t *testing.T) {
	r := newRig(t)
	odd := strings.Replace(good, "replicas: 1", `replicas: 1, replica: 5, resources: {limit: {cpu: 1}}`, 1)
	response := r.post(t, validateService, review(t, admissionv1.Create, odd, "", nil))
	assert.True(t, response.Allowed)
	assert.Contains(t, response.Warnings, `"spec.replica" is unknown and has no effect: check its spelling`)
	assert.Contains(t, response.Warnings, `"spec.resources.limit" is unknown and has no effect: check its spelling`)

	monitor := `{apiVersion: datapower.ibm.com/v1beta2, kind: DataPowerMonitor, metadata: {name: there, namespace: ns}, spec: {}}`
	late := "metadata.name is that of a DataPowerService that exists: make the monitor first, else the operator makes it"
	assert.Contains(t, r.post(t, validateMonitor, review(t, admissionv1.Create, monitor, "", nil)).Warnings, late)
	owned := strings.Replace(monitor, "namespace: ns", "namespace: ns, ownerReferences: [{kind: DataPowerService, name: there, uid: u}]", 1)
	assert.Empty(t, r.post(t, validateMonitor, review(t, admissionv1.Create, owned, "", nil)).Warnings, "the operator's own")
	assert.Empty(t, r.post(t, validateMonitor, review(t, admissionv1.Update, monitor, monitor, nil)).Warnings)
}

func TestOlderVersionsAreJudgedAsTheyAreWritten(t *testing.T) {
	r := newRig(t)
	old := `{apiVersion: datapower.ibm.com/v1beta1, kind: DataPowerService, metadata: {name: gw, namespace: ns}, spec: {
	  license: {accept: true, use: production}, version: 10.0-lts, replicas: 1, resources: {requests: {cpu: 2}},
	  users: [{name: admin, passwordSecret: s, accessLevel: privileged}]}}`
	response := r.post(t, validateService, review(t, admissionv1.Create, strings.ReplaceAll(old, "\t", ""), "", nil))
	assert.False(t, response.Allowed)
	assert.Contains(t, response.Result.Message, "spec.resources.requests.cpu")
}

func TestWhatNeedsNoWebhookIsAllowed(t *testing.T) {
	r := newRig(t)
	bad := strings.Replace(good, "accept: true", "accept: false", 1)
	for _, path := range []string{defaultService, validateService} {
		for name, body := range map[string][]byte{
			"a deletion":    review(t, admissionv1.Delete, "", "", nil),
			"a connection":  review(t, admissionv1.Connect, "", "", nil),
			"a subresource": review(t, admissionv1.Update, bad, bad, func(r *admissionv1.AdmissionRequest) { r.SubResource = "status" }),
		} {
			response := r.post(t, path, body)
			assert.True(t, response.Allowed, "%s %s", path, name)
			assert.Empty(t, response.Patch)
		}
	}
}

func TestWhatIsNotOfTheKindIsRefused(t *testing.T) {
	r := newRig(t)
	for name, body := range map[string][]byte{
		"another kind":    review(t, admissionv1.Create, strings.Replace(good, "kind: DataPowerService", "kind: Other", 1), "", nil),
		"another version": review(t, admissionv1.Create, strings.Replace(good, "v1beta3", "v9", 1), "", nil),
		"no object":       review(t, admissionv1.Create, good, "", func(r *admissionv1.AdmissionRequest) { r.Object.Raw = []byte(`"hunter2"`) }),
		"nothing":         review(t, admissionv1.Create, good, "", func(r *admissionv1.AdmissionRequest) { r.Object.Raw = nil }),
		"no review":       []byte(`{"hunter2":`),
		"far too much":    bytes.Repeat([]byte(" "), 8<<20),
	} {
		for _, path := range []string{defaultService, validateService} {
			response := r.post(t, path, body)
			assert.False(t, response.Allowed, "%s %s", path, name)
			assert.NotContains(t, response.Result.Message, "hunter2")
		}
	}
	wrongType := strings.Replace(good, "replicas: 1", "replicas: hunter2", 1)
	response := r.post(t, validateService, review(t, admissionv1.Create, wrongType, "", nil))
	assert.Equal(t, "the object does not have the form of its kind: spec.replicas has another type", response.Result.Message)
}

func TestArbitraryJSONBreaksNothing(t *testing.T) {
	r := newRig(t)
	value := func() *rapid.Generator[any] {
		return rapid.Custom(func(t *rapid.T) any {
			var value any
			text := rapid.SampledFrom([]string{`{}`, `[]`, `"x"`, `1`, `-1.5`, `true`, `null`, `[{}]`, `[null]`, `{"a":null}`, `[[1]]`,
				`{"enabled":true}`, `[{"name":1}]`, `{"httpGet":[]}`, `{"requests":[]}`, `{"probe":{"port":"x"}}`}).Draw(t, "value")
			if err := json.Unmarshal([]byte(text), &value); err != nil {
				t.Fatal(err)
			}
			return value
		})
	}()
	fields := []string{"license", "version", "replicas", "users", "domains", "env", "resources", "livenessProbe", "readinessProbe", "healthCheck",
		"affinity", "storage", "tolerations", "podAutoScaling", "updateStrategy", "hostAliases", "snmp", "datapowerMonitor", "labels"}
	rapid.Check(t, func(t *rapid.T) {
		object := func(name string) map[string]any {
			spec := map[string]any{}
			for _, field := range rapid.SliceOfN(rapid.SampledFrom(fields), 0, 6).Draw(t, name) {
				spec[field] = value.Draw(t, field)
			}
			return map[string]any{"spec": spec, "metadata": value.Draw(t, "metadata")}
		}
		version := rapid.SampledFrom([]string{"v1beta1", "v1beta2", "v1beta3"}).Draw(t, "version")
		raw := func(name string) []byte {
			o := object(name)
			o["apiVersion"], o["kind"] = "datapower.ibm.com/"+version, "DataPowerService"
			text, err := json.Marshal(o)
			require.NoError(t, err)
			return text
		}
		body := review(t, admissionv1.Update, strings.Replace(good, "v1beta3", version, 1), "", func(r *admissionv1.AdmissionRequest) {
			r.Object.Raw, r.OldObject.Raw = raw("new"), raw("old")
		})
		for _, path := range []string{defaultService, validateService} {
			if result := r.post(t, path, body).Result; result != nil {
				require.NotContains(t, result.Message, "panic")
			}
		}
	})
}

// BenchmarkAdmission measures one request over HTTP without the network: decode, judge, encode.
func BenchmarkAdmission(b *testing.B) {
	r := newRig(b)
	body := review(b, admissionv1.Create, good, "", nil)
	for name, path := range map[string]string{"default": defaultService, "validate": validateService} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.post(b, path, body)
			}
		})
	}
}
