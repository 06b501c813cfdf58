package conversion

import (
	"maps"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// TestShapesHaveTheFieldsOfTheSchema: the API server drops what the schema does not have, this package what the Go
// types do not have. Both must mean the same.
func TestShapesHaveTheFieldsOfTheSchema(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../config/crd/bases/datapower.ibm.com_datapowerservices.yaml")
	require.NoError(t, err)
	crd := &apiextensionsv1.CustomResourceDefinition{}
	require.NoError(t, yaml.UnmarshalStrict(content, crd))
	require.Len(t, crd.Spec.Versions, len(shapes))
	for _, version := range crd.Spec.Versions {
		properties := version.Schema.OpenAPIV3Schema.Properties
		for part, s := range shapes[version.Name].fields {
			schema := properties[part]
			want, got := map[string]bool{}, map[string]bool{}
			schemaPaths(&schema, part, want)
			shapePaths(s, part, got)
			for path := range want {
				assert.Contains(t, got, path, "%s: the schema has the field, the type has not", version.Name)
			}
			for path := range got {
				assert.Contains(t, want, path, "%s: the type has the field, the schema has not", version.Name)
			}
		}
	}
}

func schemaPaths(s *apiextensionsv1.JSONSchemaProps, path string, into map[string]bool) {
	into[path] = true
	for name, property := range s.Properties {
		schemaPaths(&property, path+"."+name, into)
	}
	if s.Items != nil && s.Items.Schema != nil {
		schemaPaths(s.Items.Schema, path+"[]", into)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		schemaPaths(s.AdditionalProperties.Schema, path+"{}", into)
	}
}

func shapePaths(s *shape, path string, into map[string]bool) {
	into[path] = true
	for name, child := range s.fields {
		shapePaths(child, path+"."+name, into)
	}
	switch s.kind {
	case listKind:
		shapePaths(s.elem, path+"[]", into)
	case mapKind:
		shapePaths(s.elem, path+"{}", into)
	}
}

// TestRenamedChannelsAreThoseOfTheCatalogue: the chart must find a channel under the same name.
func TestRenamedChannelsAreThoseOfTheCatalogue(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../helm-charts/datapowerservice/values.yaml")
	require.NoError(t, err)
	var values struct {
		Catalogue struct {
			Aliases  map[string]string `json:"aliases"`
			Channels map[string]any    `json:"channels"`
		} `json:"catalogue"`
	}
	require.NoError(t, yaml.Unmarshal(content, &values))
	assert.Equal(t, values.Catalogue.Aliases, currentNames)
	for current := range maps.Values(currentNames) {
		assert.Contains(t, values.Catalogue.Channels, current)
	}
}
