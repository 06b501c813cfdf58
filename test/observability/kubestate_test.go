package observability

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// kubeState is a configuration of kube-state-metrics for custom resources, as far as it concerns us.
type kubeState struct {
	Spec struct {
		Resources []struct {
			Kind       struct{ Group, Version, Kind string } `json:"groupVersionKind"`
			Identity   map[string][]string                   `json:"labelsFromPath"`
			Collectors []struct {
				Name, Help string
				Each       struct {
					Type  string
					Info  struct{ LabelsFromPath map[string][]string }
					Gauge struct{ Path []string }
					State struct {
						Path, ValueFrom []string
						LabelsFromPath  map[string][]string
					} `json:"stateSet"`
				}
			} `json:"metrics"`
		}
	}
}

// definitions are the schemas by group, version and kind.
func definitions(t *testing.T) map[[3]string]*apiextensionsv1.JSONSchemaProps {
	t.Helper()
	schemas := map[[3]string]*apiextensionsv1.JSONSchemaProps{}
	for _, pattern := range []string{"config/crd/bases/*.yaml", "config/crd/oda/bases/*.yaml"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		for _, file := range files {
			var crd apiextensionsv1.CustomResourceDefinition
			relative, err := filepath.Rel(root, file)
			require.NoError(t, err)
			read(t, relative, &crd)
			for _, v := range crd.Spec.Versions {
				schemas[[3]string{crd.Spec.Group, v.Name, crd.Spec.Names.Kind}] = v.Schema.OpenAPIV3Schema
			}
		}
	}
	return schemas
}

// inSchema tells whether a schema has a field. Paths into a list are those of its items.
func inSchema(schema *apiextensionsv1.JSONSchemaProps, path []string) bool {
	if len(path) == 0 {
		return true
	}
	if path[0] == "metadata" {
		return true
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		schema = schema.Items.Schema
	}
	next, found := schema.Properties[path[0]]
	return found && inSchema(&next, path[1:])
}

func TestKubeStateMetricsReadsFieldsThatExist(t *testing.T) {
	var config kubeState
	read(t, "config/kube-state-metrics/custom-resource-state.yaml", &config)
	schemas := definitions(t)
	require.Len(t, config.Spec.Resources, 3)
	for _, r := range config.Spec.Resources {
		schema := schemas[[3]string{r.Kind.Group, r.Kind.Version, r.Kind.Kind}]
		require.NotNil(t, schema, r.Kind)
		assert.Contains(t, r.Identity, "name")
		assert.Contains(t, r.Identity, "namespace")
		for _, c := range r.Collectors {
			at := r.Kind.Kind + ": " + c.Name
			assert.NotEmpty(t, c.Help, at)
			paths := [][]string{c.Each.Gauge.Path, c.Each.State.Path}
			for _, labels := range []map[string][]string{c.Each.Info.LabelsFromPath, r.Identity} {
				for _, path := range labels {
					paths = append(paths, path)
				}
			}
			for _, path := range c.Each.State.LabelsFromPath {
				paths = append(paths, append(append([]string{}, c.Each.State.Path...), path...))
			}
			paths = append(paths, append(append([]string{}, c.Each.State.Path...), c.Each.State.ValueFrom...))
			for _, path := range paths {
				assert.True(t, inSchema(schema, path), "%s: there is no field %v", at, path)
			}
		}
	}
}

func TestAnInfoOfKubeStateMetricsAlwaysHasALabelOfItsOwn(t *testing.T) {
	// kube-state-metrics makes no series of an info whose own labels are all absent, whatever labels its resource gets.
	var config kubeState
	read(t, "config/kube-state-metrics/custom-resource-state.yaml", &config)
	for _, r := range config.Spec.Resources {
		infos := 0
		for _, c := range r.Collectors {
			if c.Each.Type == "Info" {
				infos++
				assert.Equal(t, []string{"metadata", "uid"}, c.Each.Info.LabelsFromPath["uid"], "%s: %s", r.Kind.Kind, c.Name)
			}
		}
		assert.Equal(t, 1, infos, r.Kind.Kind)
	}
}
