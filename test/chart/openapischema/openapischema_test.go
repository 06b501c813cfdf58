// SPDX-License-Identifier: Apache-2.0

package openapischema_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/datapower-operator/datapower-operator/test/chart/openapischema"
)

const document = `{"components": {"schemas": {
  "Thing": {
    "type": "object",
    "description": "left out",
    "x-kubernetes-group-version-kind": [{"group": "example.com", "version": "v1", "kind": "Thing"}],
    "properties": {
      "part": {"allOf": [{"$ref": "#/components/schemas/Part"}], "default": {}},
      "free": {"type": "object", "properties": {"a": {}}, "x-kubernetes-preserve-unknown-fields": true},
      "map": {"type": "object", "additionalProperties": {"type": "string"}}
    }
  },
  "Part": {"type": "object", "required": ["name"], "properties": {
    "name": {"type": "string"}, "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}}
  }},
  "DeleteOptions": {"x-kubernetes-group-version-kind": [
    {"group": "example.com", "version": "v1", "kind": "Shared"}, {"group": "other.com", "version": "v1", "kind": "Shared"}
  ]},
  "Broken": {"x-kubernetes-group-version-kind": [{"group": "example.com", "version": "v1", "kind": "Broken"}],
    "properties": {"x": {"$ref": "#/components/schemas/Nowhere"}}}
}}}`

func kind(name string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: name}
}

func TestASchemaStandsAloneAndIsStrict(t *testing.T) {
	got, err := openapischema.Convert([]byte(document), kind("Thing"))
	require.NoError(t, err)
	assert.JSONEq(t, `{
	  "type": "object",
	  "additionalProperties": false,
	  "properties": {
	    "part": {"allOf": [{"type": "object", "required": ["name"], "additionalProperties": false, "properties": {
	      "name": {"type": "string"}, "parts": {"type": "array", "items": {}}}}]},
	    "free": {"type": "object", "properties": {"a": {}}},
	    "map": {"type": "object", "additionalProperties": {"type": "string"}}
	  }
	}`, string(got))
}

func TestWhatHasNoSchemaOfItsOwnIsRefused(t *testing.T) {
	_, err := openapischema.Convert([]byte(document), kind("Nothing"))
	require.ErrorIs(t, err, openapischema.ErrUnknownKind)
	_, err = openapischema.Convert([]byte(document), kind("Shared"))
	require.ErrorIs(t, err, openapischema.ErrUnknownKind)
	_, err = openapischema.Convert([]byte(document), kind("Broken"))
	require.ErrorIs(t, err, openapischema.ErrMalformed)
	_, err = openapischema.Convert([]byte(`{`), kind("Thing"))
	require.ErrorIs(t, err, openapischema.ErrMalformed)
}

func TestFilesAreNamedAsKubeconformLooksForThem(t *testing.T) {
	assert.Equal(t, "v1_v1_service.json", openapischema.FileName(schema.GroupVersionKind{Version: "v1", Kind: "Service"}))
	assert.Equal(t, "apps_v1_statefulset.json",
		openapischema.FileName(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "StatefulSet"}))
}
