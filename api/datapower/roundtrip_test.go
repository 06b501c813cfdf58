// SPDX-License-Identifier: Apache-2.0

package datapower_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/datapower-operator/datapower-operator/api/internal/crdtest"
)

// corePaths are the fields whose type is a pod's. Their inner fields are Kubernetes' own business.
var corePaths = []string{
	".spec.affinity", ".spec.env", ".spec.livenessProbe", ".spec.readinessProbe", ".spec.lifecycle", ".spec.tolerations",
	".spec.hostAliases", ".spec.storage[].selector", ".spec.datapowerMonitor.env", ".spec.datapowerMonitor.resources",
	".spec.jaegerTracing.env[].valueFrom", ".status.conditions",
}

var completeObjects = map[string]string{
	"v1beta1 DataPowerService": "testdata/datapowerservice-v1beta1.yaml",
	"v1beta2 DataPowerService": "testdata/datapowerservice-v1beta2.yaml",
	"v1beta3 DataPowerService": "testdata/datapowerservice-v1beta3.yaml",
	"v1beta2 DataPowerMonitor": "testdata/datapowermonitor-v1beta2.yaml",
}

func TestCompleteObjects(t *testing.T) {
	definitions := map[string]*crdtest.Definition{
		"DataPowerService": loadServices(t), "DataPowerMonitor": loadMonitors(t),
	}
	for name, path := range completeObjects {
		obj := readObject(t, path)
		definition := definitions[obj.GetKind()]

		t.Run("a "+name+" that sets every field is accepted and keeps every field", func(t *testing.T) {
			_, unknown := definition.Decode(t, obj)
			assert.Empty(t, unknown)
			_, errs := definition.Create(t, obj)
			assert.Empty(t, errs)
		})
		t.Run("the test data of "+name+" does set every field of the schema", func(t *testing.T) {
			for _, v := range definition.CRD.Spec.Versions {
				if v.Name == obj.GroupVersionKind().Version {
					requireSet(t, v.Schema.OpenAPIV3Schema, []any{obj.Object}, "")
				}
			}
		})
		t.Run("the Go type of "+name+" keeps every field", func(t *testing.T) {
			assert.Equal(t, obj.Object, throughGo(t, obj).Object)
		})
	}
}

// requireSet requires that some of the values sets each property of a schema.
func requireSet(t *testing.T, schema *apiextensionsv1.JSONSchemaProps, values []any, path string) {
	t.Helper()
	for _, core := range corePaths {
		if path == core {
			return
		}
	}
	for name := range schema.Properties {
		if path == "" && (name == "apiVersion" || name == "kind" || name == "metadata") {
			continue
		}
		var children []any
		for _, value := range values {
			if fields, ok := value.(map[string]any); ok && fields[name] != nil {
				children = append(children, fields[name])
			}
		}
		child := schema.Properties[name]
		if assert.NotEmpty(t, children, "%s.%s is not set", path, name) {
			requireSet(t, &child, children, path+"."+name)
		}
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		var items []any
		for _, value := range values {
			if list, ok := value.([]any); ok {
				items = append(items, list...)
			}
		}
		requireSet(t, schema.Items.Schema, items, path+"[]")
	}
}

// throughGo decodes an object into its Go type, refusing unknown fields, and encodes it again. Quantities come back
// in canonical form and empty lists are left out; the test data avoids both.
func throughGo(t *testing.T, obj *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	typed, err := newScheme().New(obj.GroupVersionKind())
	require.NoError(t, err)
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(obj.Object, typed, true))
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	require.NoError(t, err)
	return &unstructured.Unstructured{Object: content}
}

func TestGoTypesOmitWhatIsNotSet(t *testing.T) {
	tests := map[string]string{
		"a service without status":        "{apiVersion: datapower.ibm.com/v1beta3, kind: DataPowerService, metadata: {name: a}, spec: {license: {accept: false, license: \"\", use: \"\"}, version: \"\"}}",
		"a monitor without spec, status":  "{apiVersion: datapower.ibm.com/v1beta2, kind: DataPowerMonitor, metadata: {name: a}}",
		"a monitor that is idle and says": "{apiVersion: datapower.ibm.com/v1beta2, kind: DataPowerMonitor, metadata: {name: a}, status: {phase: Running, lastEvent: \"\", workPending: false, workInProgress: false}}",
	}
	for name, text := range tests {
		t.Run(strings.TrimSpace(name), func(t *testing.T) {
			obj := object(t, text)
			assert.Equal(t, obj.Object, throughGo(t, obj).Object)
		})
	}
}
