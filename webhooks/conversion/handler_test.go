package conversion_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/datapower-operator/datapower-operator/webhooks/conversion"
)

// ask sends a body to a handler.
func ask(t testing.TB, body string, metrics *conversion.Metrics, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequest(http.MethodPost, conversion.Path, strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	for _, e := range edit {
		e(request)
	}
	recorder := httptest.NewRecorder()
	conversion.NewHandler(conversion.Converter{}, metrics, logr.Discard()).ServeHTTP(recorder, request)
	return recorder
}

// reviewOf is a review of some objects.
func reviewOf(version, to string, objects ...string) string {
	return fmt.Sprintf(`{"apiVersion":"apiextensions.k8s.io/%s","kind":"ConversionReview","request":{"uid":"u-1","desiredAPIVersion":"datapower.ibm.com/%s","objects":[%s]}}`,
		version, to, strings.Join(objects, ","))
}

func answerOf(t testing.TB, recorder *httptest.ResponseRecorder) *apiextensionsv1.ConversionReview {
	t.Helper()
	require.Equal(t, http.StatusOK, recorder.Code, recorder.Body.String())
	review := &apiextensionsv1.ConversionReview{}
	require.NoError(t, json.Unmarshal(recorder.Body.Bytes(), review))
	require.NotNil(t, review.Response)
	require.Nil(t, review.Request)
	return review
}

func named(version, name string) string {
	return fmt.Sprintf(`{"apiVersion":"datapower.ibm.com/%s","kind":"DataPowerService","metadata":{"namespace":"ns","name":%q,"uid":"uid-of-%s",
		"resourceVersion":"7","generation":3,"finalizers":["f"],"labels":{"l":"1"},"managedFields":[{"manager":"m"}]},"spec":{"version":"10.0.0","replicas":2}}`, version, name, name)
}

func TestAReviewIsAnsweredInItsOwnVersionWithAllObjectsInTheirOrder(t *testing.T) {
	for _, version := range conversion.ReviewVersions() {
		answer := answerOf(t, ask(t, reviewOf(version, "v1beta3", named("v1beta1", "c"), named("v1beta2", "a"), named("v1beta3", "b")), nil))
		assert.Equal(t, "apiextensions.k8s.io/"+version, answer.APIVersion)
		assert.Equal(t, "Success", answer.Response.Result.Status)
		assert.EqualValues(t, "u-1", answer.Response.UID)
		require.Len(t, answer.Response.ConvertedObjects, 3)
		for i, name := range []string{"c", "a", "b"} {
			var object struct {
				APIVersion string
				Metadata   map[string]any
			}
			require.NoError(t, json.Unmarshal(answer.Response.ConvertedObjects[i].Raw, &object))
			assert.Equal(t, "datapower.ibm.com/v1beta3", object.APIVersion)
			delete(object.Metadata, "annotations")
			want := map[string]any{"namespace": "ns", "name": name, "uid": "uid-of-" + name, "resourceVersion": "7", "generation": 3.0,
				"finalizers": []any{"f"}, "labels": map[string]any{"l": "1"}, "managedFields": []any{map[string]any{"manager": "m"}}}
			assert.Equal(t, want, object.Metadata)
		}
	}
}

func TestAReviewWithoutObjectsSucceeds(t *testing.T) {
	answer := answerOf(t, ask(t, reviewOf("v1", "v1beta3"), nil))
	assert.Equal(t, "Success", answer.Response.Result.Status)
	assert.Empty(t, answer.Response.ConvertedObjects)
}

func TestAnObjectThatDoesNotConvertFailsTheReviewAndIsNamed(t *testing.T) {
	for name, tc := range map[string]struct{ body, says string }{
		"another version": {reviewOf("v1", "v1beta3", named("v1beta1", "ok"), named("v9", "bad")), `objects[1]: DataPowerService ns/bad: unknown version "datapower.ibm.com/v9"`},
		"another kind":    {reviewOf("v1", "v1beta3", `{"apiVersion":"v1","kind":"Secret"}`), `objects[0]: unknown kind`},
		"no object":       {reviewOf("v1", "v1beta3", `17`), `objects[0]: malformed object`},
		"wanted version":  {reviewOf("v1", "v7", named("v1beta1", "a")), `desiredAPIVersion: unknown version "datapower.ibm.com/v7"`},
		"annotations": {reviewOf("v1", "v1beta3", `{"apiVersion":"datapower.ibm.com/v1beta1","kind":"DataPowerService","metadata":{"namespace":"ns","name":"n","annotations":[]}}`),
			`DataPowerService ns/n: malformed object: metadata.annotations is no map`},
	} {
		t.Run(name, func(t *testing.T) {
			answer := answerOf(t, ask(t, tc.body, nil))
			assert.Equal(t, "Failure", answer.Response.Result.Status)
			assert.Contains(t, answer.Response.Result.Message, tc.says)
			assert.EqualValues(t, "u-1", answer.Response.UID)
			assert.Empty(t, answer.Response.ConvertedObjects)
		})
	}
}

func TestWhatIsNoReviewIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		body string
		code int
		edit func(*http.Request)
	}{
		"no JSON":           {body: "{", code: http.StatusBadRequest},
		"another kind":      {body: `{"apiVersion":"v1","kind":"Pod"}`, code: http.StatusBadRequest},
		"another version":   {body: `{"apiVersion":"apiextensions.k8s.io/v2","kind":"ConversionReview","request":{}}`, code: http.StatusBadRequest},
		"no request":        {body: `{"apiVersion":"apiextensions.k8s.io/v1","kind":"ConversionReview"}`, code: http.StatusBadRequest},
		"too large":         {body: strings.Repeat(" ", 64<<20+1), code: http.StatusRequestEntityTooLarge},
		"another method":    {code: http.StatusMethodNotAllowed, edit: func(r *http.Request) { r.Method = http.MethodGet }},
		"another form":      {code: http.StatusUnsupportedMediaType, edit: func(r *http.Request) { r.Header.Set("Content-Type", "application/yaml") }},
		"no form is stated": {code: http.StatusUnsupportedMediaType, edit: func(r *http.Request) { r.Header.Del("Content-Type") }},
	} {
		t.Run(name, func(t *testing.T) {
			edit := tc.edit
			if edit == nil {
				edit = func(*http.Request) {}
			}
			assert.Equal(t, tc.code, ask(t, tc.body, nil, edit).Code)
		})
	}
}

func TestConversionsAreCountedByVersionsAndOutcome(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics, err := conversion.NewMetrics(registry)
	require.NoError(t, err)
	ask(t, reviewOf("v1", "v1beta3", named("v1beta1", "a"), named("v1beta1", "b"), named("nonsense", "c")), metrics)
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP datapower_operator_conversion_objects_total Objects converted between API versions, by outcome (converted, failed).
# TYPE datapower_operator_conversion_objects_total counter
datapower_operator_conversion_objects_total{from="unknown",outcome="failed",to="v1beta1"} 0
datapower_operator_conversion_objects_total{from="unknown",outcome="failed",to="v1beta2"} 0
datapower_operator_conversion_objects_total{from="unknown",outcome="failed",to="v1beta3"} 1
datapower_operator_conversion_objects_total{from="v1beta1",outcome="converted",to="v1beta2"} 0
datapower_operator_conversion_objects_total{from="v1beta1",outcome="converted",to="v1beta3"} 2
datapower_operator_conversion_objects_total{from="v1beta1",outcome="failed",to="v1beta2"} 0
datapower_operator_conversion_objects_total{from="v1beta1",outcome="failed",to="v1beta3"} 0
datapower_operator_conversion_objects_total{from="v1beta2",outcome="converted",to="v1beta1"} 0
datapower_operator_conversion_objects_total{from="v1beta2",outcome="converted",to="v1beta3"} 0
datapower_operator_conversion_objects_total{from="v1beta2",outcome="failed",to="v1beta1"} 0
datapower_operator_conversion_objects_total{from="v1beta2",outcome="failed",to="v1beta3"} 0
datapower_operator_conversion_objects_total{from="v1beta3",outcome="converted",to="v1beta1"} 0
datapower_operator_conversion_objects_total{from="v1beta3",outcome="converted",to="v1beta2"} 0
datapower_operator_conversion_objects_total{from="v1beta3",outcome="failed",to="v1beta1"} 0
datapower_operator_conversion_objects_total{from="v1beta3",outcome="failed",to="v1beta2"} 0
`), "datapower_operator_conversion_objects_total"))
	assert.Equal(t, 1, testutil.CollectAndCount(registry, "datapower_operator_conversion_review_duration_seconds"))
}

// FuzzHandler sends arbitrary JSON as review and as object: every answer is one of the protocol, and nothing panics.
func FuzzHandler(f *testing.F) {
	f.Add(reviewOf("v1", "v1beta3", named("v1beta1", "a")), `{}`)
	f.Add(`{"request":null}`, named("v1beta3", "b"))
	f.Add(`[]`, `{"apiVersion":"datapower.ibm.com/v1beta1","kind":"DataPowerServiceList","items":[null,{"spec":[]}]}`)
	f.Add(``, `{"apiVersion":"datapower.ibm.com/v1beta2","kind":"DataPowerService","metadata":{"annotations":{"datapower.ibm.com/conversion-data":"{\"v1beta3\":[{\"path\":[{}]}]}"}},"spec":{"storage":[1],"domains":{},"resources":{"requests":3}}}`)
	f.Fuzz(func(t *testing.T, body, object string) {
		if code := ask(t, body, nil).Code; code == http.StatusInternalServerError {
			t.Fatalf("internal error for %q", body)
		}
		if !json.Valid([]byte(object)) {
			return
		}
		for _, to := range []string{"v1beta1", "v1beta2", "v1beta3"} {
			answer := answerOf(t, ask(t, reviewOf("v1", to, object), nil))
			if strings.Contains(answer.Response.Result.Message, "internal error") {
				t.Fatalf("a panic for %s", object)
			}
		}
	})
}
