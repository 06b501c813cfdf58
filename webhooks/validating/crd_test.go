package validating_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	structuraldefaulting "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/yaml"
)

// definition asks the API server's own code what the schema and the CEL rules of one version of a
// CustomResourceDefinition refuse.
type definition struct {
	gvk      schema.GroupVersionKind
	schema   *structuralschema.Structural
	strategy interface {
		rest.RESTCreateStrategy
		rest.RESTUpdateStrategy
	}
}

func loadDefinition(t testing.TB, file, version string) *definition {
	t.Helper()
	content, err := os.ReadFile("../../config/crd/bases/" + file)
	require.NoError(t, err)
	scheme := runtime.NewScheme()
	install.Install(scheme)
	crd := &apiextensionsv1.CustomResourceDefinition{}
	require.NoError(t, yaml.UnmarshalStrict(content, crd))
	scheme.Default(crd)
	internal := &apiextensions.CustomResourceDefinition{}
	require.NoError(t, scheme.Convert(crd, internal, nil))

	versionSchema, err := apiextensions.GetSchemaForVersion(internal, version)
	require.NoError(t, err)
	structural, err := structuralschema.NewStructural(versionSchema.OpenAPIV3Schema)
	require.NoError(t, err)
	validator, _, err := validation.NewSchemaValidator(versionSchema.OpenAPIV3Schema)
	require.NoError(t, err)
	gvk := schema.GroupVersionKind{Group: crd.Spec.Group, Version: version, Kind: crd.Spec.Names.Kind}
	return &definition{gvk: gvk, schema: structural, strategy: customresource.NewStrategy(
		runtime.NewScheme(), true, gvk, validator, nil, structural, &apiextensions.CustomResourceSubresourceStatus{}, nil, nil)}
}

// decode is a typed object as the API server has it before it validates.
func (d *definition) decode(t require.TestingT, object any) *unstructured.Unstructured {
	raw, err := json.Marshal(object)
	require.NoError(t, err)
	u := &unstructured.Unstructured{}
	require.NoError(t, utiljson.Unmarshal(raw, &u.Object))
	delete(u.Object, "status")
	u.SetGroupVersionKind(d.gvk)
	u.SetNamespace("ns")
	u.SetResourceVersion("1")
	structuraldefaulting.PruneNonNullableNullsWithoutDefaults(u.Object, d.schema)
	structuraldefaulting.Default(u.Object, d.schema)
	return u
}

func (d *definition) create(t require.TestingT, object any) field.ErrorList {
	return d.strategy.Validate(context(t), d.decode(t, object))
}

func (d *definition) update(t require.TestingT, object, old any) field.ErrorList {
	return d.strategy.ValidateUpdate(context(t), d.decode(t, object), d.decode(t, old))
}

// notChecked is the field of the error by which the API server says that it did not run the CEL rules, because the object
// breaks the schema.
const notChecked = "<nil>"

// requireAgreement requires that whatever the schema refuses is refused, at the same field or around it.
func requireAgreement(t require.TestingT, schema, ours field.ErrorList, object any) {
	for _, refused := range schema {
		if refused.Field == notChecked && len(schema) > 1 {
			continue
		}
		if !covered(refused.Field, ours) {
			raw, _ := json.Marshal(object)
			require.Fail(t, "the schema refuses what validation accepts", "%s\nvalidation: %v\n%.2000s", refused, ours, raw)
		}
	}
}

func covered(path string, ours field.ErrorList) bool {
	for _, err := range ours {
		if path == err.Field || under(path, err.Field) || under(err.Field, path) {
			return true
		}
	}
	return false
}

// under tells whether a path is that of a field within another, or of an item in it.
func under(path, parent string) bool {
	return strings.HasPrefix(path, parent+".") || strings.HasPrefix(path, parent+"[")
}
