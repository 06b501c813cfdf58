// SPDX-License-Identifier: Apache-2.0

package oda_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/datapower-operator/datapower-operator/api/internal/crdtest"
	"github.com/datapower-operator/datapower-operator/api/oda/legacy"
	v1 "github.com/datapower-operator/datapower-operator/api/oda/v1"
)

const (
	crds    = "../../config/crd/oda/"
	samples = "../../../shared/samples/exposedapi"
)

func exposedAPI(t *testing.T, version, fields string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal([]byte(`
apiVersion: oda.tmforum.org/`+version+`
kind: ExposedAPI
metadata: {name: a, namespace: components}
spec: {name: a, apiType: openapi, implementation: s, path: /p, port: 8080, `+fields+`}`), &u.Object))
	return u
}

func TestEveryVersionTakesEveryShapeOfSpecificationAndKeepsWhatItDoesNotDeclare(t *testing.T) {
	d := crdtest.Load(t, crds+"bases/oda.tmforum.org_exposedapis.yaml")
	for _, version := range []string{"v1", "v1beta4", "v1beta3"} {
		for _, specification := range []string{`[https://x]`, `[{url: https://x, version: v4}]`, `{url: https://x, version: v4}`, `https://x`} {
			in := exposedAPI(t, version, "apiSDO: TMForum, hostname: h, apiKeyVerification: {enabled: true, more: 1}, specification: "+specification)
			require.NoError(t, unstructured.SetNestedMap(in.Object, map[string]any{
				"apiStatus": map[string]any{"url": "https://x", "name": "a"}, "kopf": map[string]any{"progress": "x"},
			}, "status"))
			decoded, unknown := d.Decode(t, in)
			assert.Empty(t, unknown)
			assert.Equal(t, in.Object, decoded.Object)
			_, refused := d.Create(t, in)
			assert.Empty(t, refused, "%s %s", version, specification)
		}
	}
}

func TestRequiredFieldsAreUpstreams(t *testing.T) {
	d := crdtest.Load(t, crds+"bases/oda.tmforum.org_exposedapis.yaml")
	for _, field := range []string{"name", "apiType", "implementation", "path", "port"} {
		in := exposedAPI(t, "v1", "")
		unstructured.RemoveNestedField(in.Object, "spec", field)
		_, refused := d.Create(t, in)
		require.Len(t, refused, 1)
		assert.Equal(t, "spec."+field, refused[0].Field)
	}
	_, refused := d.Create(t, exposedAPI(t, "v1", "apiType: grpc"))
	assert.NotEmpty(t, refused)
}

func TestEveryVersionOfTheOldKindsTakesWhatWasInUse(t *testing.T) {
	for file, kind := range map[string]string{"apis": "API", "lowercaseapis": "api"} {
		d := crdtest.Load(t, crds+"legacy/"+file+".yaml")
		want := legacy.Versions
		if kind == "api" {
			want = legacy.LowercaseVersions
		}
		var served []string
		for _, v := range d.CRD.Spec.Versions {
			served = append(served, v.Name)
			in := exposedAPI(t, v.Name, "apitype: openapi, specification: https://x")
			in.SetKind(kind)
			unstructured.RemoveNestedField(in.Object, "spec", "apiType")
			decoded, unknown := d.Decode(t, in)
			assert.Empty(t, unknown)
			assert.Equal(t, in.Object, decoded.Object)
		}
		assert.Equal(t, want, served)
	}
}

func TestPublishedResourcesAreAcceptedAndRead(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(samples, "*.yaml"))
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skipf("needs %s beside the repository", samples)
	}
	current := crdtest.Load(t, crds+"bases/oda.tmforum.org_exposedapis.yaml")
	lowercase := crdtest.Load(t, crds+"legacy/lowercaseapis.yaml")
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		in := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal(text, &in.Object))
		if in.GetNamespace() == "" {
			in.SetNamespace("components")
		}
		d, into := current, runtime.Object(&v1.ExposedAPI{})
		if in.GetKind() == "api" {
			d, into = lowercase, &legacy.API{}
		}
		decoded, unknown := d.Decode(t, in)
		assert.Empty(t, unknown, file)
		_, refused := d.Create(t, decoded)
		assert.Empty(t, refused, file)
		require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(in.Object, into), file)
		back, err := runtime.DefaultUnstructuredConverter.ToUnstructured(into)
		require.NoError(t, err)
		for field := range in.Object["spec"].(map[string]any) {
			if field != "apiSDO" { // declared nowhere
				assert.Contains(t, back["spec"], field, strings.TrimPrefix(file, samples))
			}
		}
	}
}
