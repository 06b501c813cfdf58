// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// fixture is a release with values that together cover the fields.
type fixture struct {
	release release
	values  map[string]any
}

// fixtures are the specs in testdata/values.
func fixtures(t *testing.T) map[string]fixture {
	t.Helper()
	paths, err := filepath.Glob("testdata/values/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	found := map[string]fixture{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		found[name] = fixture{release{name, releaseNamespace}, values(t, string(text))}
	}
	return found
}

// text is a rendered chart for a golden file. Files of the chart are named instead of repeated, and the hash over them is
// left out, so that the files can change without every golden file changing too.
func (m *manifest) text() string {
	m.t.Helper()
	var documents []string
	for _, object := range m.objects {
		shown := object.DeepCopy().Object
		if data, isMap := shown["data"].(map[string]any); isMap {
			for key, value := range data {
				file, err := os.ReadFile(filepath.Join(chartFolder, "files", key))
				if err == nil && string(file) == value {
					data[key] = "content of files/" + key
				}
			}
		}
		if annotations, isMap := podAnnotations(shown); isMap {
			annotations["datapower.ibm.com/init.reconciled"] = "hash"
		}
		text, err := yaml.Marshal(shown)
		require.NoError(m.t, err)
		documents = append(documents, string(text))
	}
	return strings.Join(documents, "---\n")
}

// podAnnotations are those of the pod template of an object.
func podAnnotations(object map[string]any) (map[string]any, bool) {
	current := any(object)
	for _, key := range []string{"spec", "template", "metadata", "annotations"} {
		current = step(current, key)
	}
	annotations, isMap := current.(map[string]any)
	return annotations, isMap
}

func TestPublishedSamplesRenderAsBefore(t *testing.T) {
	for name, s := range samples(t) {
		t.Run(name, func(t *testing.T) {
			golden(t, "sample-"+name+".yaml", renderAs(t, s.release, s.spec).text())
		})
	}
}

func TestFixturesRenderAsBefore(t *testing.T) {
	for name, f := range fixtures(t) {
		t.Run(name, func(t *testing.T) {
			golden(t, name+".yaml", renderAs(t, f.release, f.values).text())
		})
	}
}

func TestRenderingTwiceGivesTheSameBytes(t *testing.T) {
	for name, f := range fixtures(t) {
		t.Run(name, func(t *testing.T) {
			first, err := renderFiles(loadChart(t), f.release, f.values)
			require.NoError(t, err)
			for range 5 {
				again, err := renderFiles(loadChart(t), f.release, f.values)
				require.NoError(t, err)
				assert.Equal(t, first, again)
			}
		})
	}
}

func TestEveryObjectIsInTheNamespaceAndLabelled(t *testing.T) {
	for name, f := range fixtures(t) {
		t.Run(name, func(t *testing.T) {
			m := renderAs(t, f.release, f.values)
			for _, object := range m.objects {
				assert.Equal(t, f.release.namespace, object.GetNamespace(), object.GetKind())
				labels := object.GetLabels()
				assert.Equal(t, f.release.name, labels["datapower.ibm.com/service"], object.GetKind())
				assert.Equal(t, "datapower", labels["app.kubernetes.io/name"], object.GetKind())
				assert.Equal(t, "datapower", labels["app.kubernetes.io/component"], object.GetKind())
				assert.Equal(t, f.release.namespace+"-"+f.release.name, labels["app.kubernetes.io/instance"], object.GetKind())
				assert.Equal(t, "datapower-operator", labels["app.kubernetes.io/managed-by"], object.GetKind())
				assert.NotEmpty(t, labels["app.kubernetes.io/version"], object.GetKind())
			}
		})
	}
}
