package conversion_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/api/datapower"
)

// fillIn fills the placeholders that the authors left in the published resources.
var fillIn = strings.NewReplacer(
	"$my_cp_datapower_instance_name", "capability", "$VAR_APIC_NAMESPACE", "apic",
	"$my_ibm_cp_datapower_version", "10.6-lts", "$my_ibm_cp_datapower_license", "L-LQQV-WT4TTD",
	"PARM_DP_SERVICE_NAME", "dp-demo", "PARM_REPLICA_COUNT", "1", "PARM_LIMITS_CPU", "4", "PARM_LIMITS_MEMORY", "4Gi",
	"${release_name}", "cp4i", "${namespace}", "cp4i", "${flavour}", "nonproduction", "${replicas}", "1", "${memory_limit}", "4Gi",
)

var hereDocument = regexp.MustCompile(`(?s)YAML=\$\(cat <<EOF\n(.*?)\nEOF\n`)

// resourcesOf are the DataPowerServices in a published file.
func resourcesOf(t require.TestingT, path string) []*unstructured.Unstructured {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	text := fillIn.Replace(string(data))
	if filepath.Ext(path) == ".sh" {
		text = hereDocument.FindStringSubmatch(text)[1]
	}
	var found []*unstructured.Unstructured
	for _, document := range strings.Split(text, "\n---\n") {
		object := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal([]byte(document), &object.Object), path)
		if object.GetKind() == "DataPowerService" {
			found = append(found, object)
		}
	}
	return found
}

// published applies what people published, reads it back in every version, edits it in each, and reads it again.
func (w *world) published() {
	files, err := filepath.Glob(filepath.Join(samples, "*"))
	require.NoError(w, err)
	own, err := filepath.Glob(filepath.Join("testdata", "*.yaml"))
	require.NoError(w, err)
	require.NotEmpty(w, own)
	w.namespace("published")
	tried := 0
	for _, path := range append(files, own...) {
		if extension := filepath.Ext(path); extension != ".yaml" && extension != ".sh" {
			continue
		}
		for _, object := range resourcesOf(w, path) {
			w.Logf("%s: %s %s", filepath.Base(path), object.GetAPIVersion(), object.GetName())
			w.roundTrip(object)
			tried++
		}
	}
	require.NotZero(w, tried)
}

func (w *world) roundTrip(original *unstructured.Unstructured) {
	original.SetNamespace("published")
	version := strings.TrimPrefix(original.GetAPIVersion(), "datapower.ibm.com/")
	require.NoError(w, w.client.Create(w.Context(), original.DeepCopy()))
	first := w.mustRead(version, "published", original.GetName())
	requireKept(w, original.Object["spec"], first.Object["spec"])

	for _, other := range []string{"v1beta1", "v1beta2", "v1beta3"} {
		// What the API server sends back in another version can be written back in it, although v1beta3 wants the name of
		// a licence, which older versions do not have. The operator writes the status meanwhile.
		err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
			seen := w.mustRead(other, "published", original.GetName())
			annotations := seen.GetAnnotations()
			if annotations == nil {
				annotations = map[string]string{}
			}
			annotations["edited-in"] = other
			seen.SetAnnotations(annotations)
			require.NoError(w, unstructured.SetNestedField(seen.Object, int64(3), "spec", "replicas"))
			return w.client.Update(w.Context(), seen)
		})
		require.NoError(w, err, "%s written in %s", original.GetName(), other)
		for _, reader := range []string{"v1beta1", "v1beta2", "v1beta3"} {
			now := w.mustRead(reader, "published", original.GetName())
			replicas, _, _ := unstructured.NestedInt64(now.Object, "spec", "replicas")
			assert.EqualValues(w, 3, replicas)
			assert.Equal(w, other, now.GetAnnotations()["edited-in"])
		}
		back := w.mustRead(version, "published", original.GetName())
		require.NoError(w, unstructured.SetNestedField(back.Object, first.Object["spec"].(map[string]any)["replicas"], "spec", "replicas"))
		assert.JSONEq(w, spec(w, first), spec(w, back), "%s after an edit in %s", original.GetName(), other)
		w.patchVersion(original.GetName(), version, first)
	}
	stored := w.mustRead("v1beta3", "published", original.GetName())
	_, hadMonitor, _ := unstructured.NestedMap(original.Object, "spec", "datapowerMonitor")
	_, parked := stored.GetAnnotations()[datapower.MonitorSettingsAnnotation]
	assert.Equal(w, hadMonitor, parked, "the settings of the monitor wait for their DataPowerMonitor")
}

// patchVersion sets the replicas back to what they were.
func (w *world) patchVersion(name, version string, first *unstructured.Unstructured) {
	target := &unstructured.Unstructured{}
	target.SetGroupVersionKind(serviceGVK(version))
	target.SetNamespace("published")
	target.SetName(name)
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"replicas": first.Object["spec"].(map[string]any)["replicas"]}})
	require.NoError(w, err)
	require.NoError(w, w.client.Patch(w.Context(), target, client.RawPatch(types.MergePatchType, patch)))
}

// requireKept checks that what was sent is there, but for fields that the version does not have.
func requireKept(t require.TestingT, sent, got any) {
	switch s := sent.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		for name, value := range s {
			if _, kept := g[name]; kept { // the API server drops unknown fields
				requireKept(t, value, g[name])
			}
		}
	case []any:
		g, _ := got.([]any)
		require.Len(t, g, len(s))
		for i := range s {
			requireKept(t, s[i], g[i])
		}
	default:
		a, _ := json.Marshal(sent)
		b, _ := json.Marshal(got)
		require.JSONEq(t, string(a), string(b))
	}
}
