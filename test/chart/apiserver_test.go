// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/test/chart/openapischema"
)

// fieldManager is what the operator applies the rendered objects as.
const fieldManager = "datapower-helm-operator"

// TestARealAPIServerTakesEveryRender starts the API server that KUBEBUILDER_ASSETS points to.
func TestARealAPIServerTakesEveryRender(t *testing.T) {
	config := startAPIServer(t)
	cluster, err := client.New(config, client.Options{})
	require.NoError(t, err)
	resources := map[string]sample{}
	maps.Copy(resources, samplesIfThere(t))
	renders := map[string]*manifest{}
	for name, s := range resources {
		renders["sample "+name] = renderAs(t, s.release, s.spec)
	}
	for name, f := range fixtures(t) {
		renders[name] = renderAs(t, f.release, f.values)
		prune(t, f.values) // keys that are chart values and no fields
		resources["fixture "+name] = sample{f.release, f.values}
	}
	for _, m := range renders {
		makeNamespaces(t, cluster, m)
	}

	t.Run("as a dry run of server-side apply", func(t *testing.T) {
		for name, m := range renders {
			t.Run(name, func(t *testing.T) {
				for _, object := range m.objects {
					assert.NoError(t, apply(t, cluster, object, client.DryRunAll), "%s %s", object.GetKind(), object.GetName())
				}
			})
		}
	})
	t.Run("applied twice, with nothing left to change", func(t *testing.T) {
		for _, object := range renders["full"].objects {
			require.NoError(t, apply(t, cluster, object), object.GetKind())
			first := current(t, cluster, object).GetResourceVersion()
			require.NoError(t, apply(t, cluster, object), object.GetKind())
			assert.Equal(t, first, current(t, cluster, object).GetResourceVersion(), object.GetKind())
		}
	})
	t.Run("as resources that went through the API server", func(t *testing.T) {
		for name, s := range resources {
			t.Run(name, func(t *testing.T) { throughTheServer(t, cluster, s) })
		}
	})
	t.Run("by kubeconform with the schemas of the API server", func(t *testing.T) {
		kubeconform(t, config, renders)
	})
}

// startAPIServer starts an API server with the definitions of this repository and of the vertical autoscaler.
func startAPIServer(t *testing.T) *rest.Config {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Skip("KUBEBUILDER_ASSETS names no folder with kube-apiserver and etcd")
	}
	environment := &envtest.Environment{
		CRDDirectoryPaths:     []string{crdFolder, "testdata/crds"},
		ErrorIfCRDPathMissing: true,
	}
	config, err := environment.Start()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, environment.Stop()) })
	return config
}

func makeNamespaces(t *testing.T, cluster client.Client, m *manifest) {
	t.Helper()
	for _, object := range m.objects {
		err := cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: object.GetNamespace()}})
		if !apierrors.IsAlreadyExists(err) {
			require.NoError(t, err)
		}
	}
}

// apply applies an object as the operator does; a field that the API server does not know is an error.
func apply(t *testing.T, cluster client.Client, object *unstructured.Unstructured, options ...client.ApplyOption) error {
	t.Helper()
	options = append(options, client.FieldOwner(fieldManager), client.ForceOwnership)
	strict := client.WithFieldValidation(cluster, metav1.FieldValidationStrict)
	return strict.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object.DeepCopy()), options...)
}

func current(t *testing.T, cluster client.Client, object *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(object.GroupVersionKind())
	require.NoError(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(object), live))
	return live
}

// throughTheServer creates a resource, reads it back with what the server made of it, and renders that: the result must be
// what the resource's own text renders.
func throughTheServer(t *testing.T, cluster client.Client, s sample) {
	t.Helper()
	resource := &unstructured.Unstructured{Object: map[string]any{"spec": s.spec}}
	resource.SetGroupVersionKind(schema.GroupVersionKind{Group: "datapower.ibm.com", Version: "v1beta3", Kind: "DataPowerService"})
	resource.SetName(s.release.name)
	resource.SetNamespace(s.release.namespace)
	require.NoError(t, cluster.Create(t.Context(), resource))
	spec := current(t, cluster, resource).Object["spec"].(map[string]any)
	assert.Equal(t, renderAs(t, s.release, s.spec).text(), renderAs(t, s.release, spec).text())
}

// kubeconform validates renders with the program of that name.
func kubeconform(t *testing.T, config *rest.Config, renders map[string]*manifest) {
	t.Helper()
	program, err := filepath.Abs("../../bin/kubeconform")
	require.NoError(t, err)
	if _, err := os.Stat(program); err != nil {
		t.Skip("bin/kubeconform is not built")
	}
	schemas, manifests := t.TempDir(), t.TempDir()
	kinds := map[schema.GroupVersionKind]bool{}
	for name, m := range renders {
		var documents []string
		for _, object := range m.objects {
			kinds[object.GroupVersionKind()] = true
			text, err := yaml.Marshal(object.Object)
			require.NoError(t, err)
			documents = append(documents, string(text))
		}
		path := filepath.Join(manifests, name+".yaml")
		require.NoError(t, os.WriteFile(path, []byte(strings.Join(documents, "---\n")), 0o644))
	}
	discover, err := discovery.NewDiscoveryClientForConfig(config)
	require.NoError(t, err)
	list := make([]schema.GroupVersionKind, 0, len(kinds))
	for kind := range kinds {
		list = append(list, kind)
	}
	require.NoError(t, openapischema.Write(discover.OpenAPIV3(), schemas, list))
	validate := func(path string) (string, error) {
		location := filepath.Join(schemas, openapischema.LocationTemplate)
		output, err := exec.Command(program, "-strict", "-summary", "-schema-location", location, path).CombinedOutput()
		return string(output), err
	}
	output, err := validate(manifests)
	assert.NoError(t, err, "%s", output)
	assert.Contains(t, output, "Invalid: 0, Errors: 0, Skipped: 0")

	broken := filepath.Join(t.TempDir(), "broken.yaml")
	text := "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {clusterIp: None}\n"
	require.NoError(t, os.WriteFile(broken, []byte(text), 0o644))
	output, err = validate(broken)
	assert.Error(t, err, "a misspelt field must be found, or this test could not fail: %s", output)
}
