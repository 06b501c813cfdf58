// SPDX-License-Identifier: Apache-2.0

// Package crdtest asks an API server's own code, without an API server, what a CustomResourceDefinition does to an
// object: which unknown fields it drops, which defaults it sets, what it refuses and with which message. It serves
// tests only.
package crdtest

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	structuraldefaulting "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	structuralpruning "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/yaml"
)

// strategy is what the API server's registry asks before it stores a custom resource.
type strategy interface {
	rest.RESTCreateStrategy
	rest.RESTUpdateStrategy
}

// Definition is a loaded CustomResourceDefinition.
type Definition struct {
	// CRD is the definition with the API server's defaults.
	CRD *apiextensionsv1.CustomResourceDefinition

	internal *apiextensions.CustomResourceDefinition
	versions map[string]version
}

type version struct {
	schema   *structuralschema.Structural
	strategy strategy
}

// Load reads a CustomResourceDefinition from a YAML file. It fails the test when an API server would refuse the
// definition, for example because the estimated cost of its CEL rules is too high.
func Load(t testing.TB, path string) *Definition {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	scheme := runtime.NewScheme()
	install.Install(scheme)
	crd := &apiextensionsv1.CustomResourceDefinition{}
	require.NoError(t, yaml.UnmarshalStrict(text, crd))
	scheme.Default(crd)
	internal := &apiextensions.CustomResourceDefinition{}
	require.NoError(t, scheme.Convert(crd, internal, nil))
	internal.Status.StoredVersions = []string{storageVersion(internal)}
	require.Empty(t, apiextensionsvalidation.ValidateCustomResourceDefinition(t.Context(), internal))

	d := &Definition{CRD: crd, internal: internal, versions: map[string]version{}}
	for i := range internal.Spec.Versions {
		d.versions[internal.Spec.Versions[i].Name] = d.build(t, &internal.Spec.Versions[i])
	}
	return d
}

func storageVersion(crd *apiextensions.CustomResourceDefinition) string {
	for _, v := range crd.Spec.Versions {
		if v.Storage {
			return v.Name
		}
	}
	return ""
}

// build prepares one version as the API server's handler of custom resources does.
func (d *Definition) build(t testing.TB, v *apiextensions.CustomResourceDefinitionVersion) version {
	t.Helper()
	validationSchema, err := apiextensions.GetSchemaForVersion(d.internal, v.Name)
	require.NoError(t, err)
	structural, err := structuralschema.NewStructural(validationSchema.OpenAPIV3Schema)
	require.NoError(t, err)
	require.NoError(t, structuraldefaulting.PruneDefaults(structural))
	validator, _, err := validation.NewSchemaValidator(validationSchema.OpenAPIV3Schema)
	require.NoError(t, err)
	statusSchema := validationSchema.OpenAPIV3Schema.Properties["status"]
	statusValidator, _, err := validation.NewSchemaValidator(&statusSchema)
	require.NoError(t, err)
	subresources, err := apiextensions.GetSubresourcesForVersion(d.internal, v.Name)
	require.NoError(t, err)
	kind := schema.GroupVersionKind{Group: d.CRD.Spec.Group, Version: v.Name, Kind: d.CRD.Spec.Names.Kind}
	return version{
		schema: structural,
		strategy: customresource.NewStrategy(runtime.NewScheme(), true, kind, validator, statusValidator, structural,
			subresources.Status, subresources.Scale, nil),
	}
}

// Decode is what the API server makes of an object before it validates it: unknown fields are dropped and reported
// as paths, nulls are dropped, defaults are set. The argument stays as it is.
func (d *Definition) Decode(t testing.TB, obj *unstructured.Unstructured) (*unstructured.Unstructured, []string) {
	t.Helper()
	v := d.version(t, obj)
	decoded := obj.DeepCopy()
	options := structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}
	unknown := structuralpruning.PruneWithOptions(decoded.Object, v.schema, true, options)
	structuraldefaulting.PruneNonNullableNullsWithoutDefaults(decoded.Object, v.schema)
	structuraldefaulting.Default(decoded.Object, v.schema)
	return decoded, unknown
}

// Create returns the object as the API server would store it on creation, and why the API server would refuse it.
func (d *Definition) Create(t testing.TB, obj *unstructured.Unstructured) (*unstructured.Unstructured, field.ErrorList) {
	t.Helper()
	decoded, _ := d.Decode(t, obj)
	s := d.version(t, obj).strategy
	s.PrepareForCreate(t.Context(), decoded)
	return decoded, s.Validate(t.Context(), decoded)
}

// Update returns why the API server would refuse the update of an object from was to obj, both in one version.
func (d *Definition) Update(t testing.TB, was, obj *unstructured.Unstructured) field.ErrorList {
	t.Helper()
	stored, _ := d.Decode(t, was)
	decoded, _ := d.Decode(t, obj)
	stored.SetResourceVersion("1")
	decoded.SetResourceVersion("1")
	s := d.version(t, obj).strategy
	s.PrepareForUpdate(t.Context(), decoded, stored)
	return s.ValidateUpdate(t.Context(), decoded, stored)
}

func (d *Definition) version(t testing.TB, obj *unstructured.Unstructured) version {
	t.Helper()
	gvk := obj.GroupVersionKind()
	require.Equal(t, d.CRD.Spec.Names.Kind, gvk.Kind)
	v, ok := d.versions[gvk.Version]
	require.True(t, ok, "the definition has no version %q", gvk.Version)
	return v
}
