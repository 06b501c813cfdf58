// SPDX-License-Identifier: Apache-2.0

package datapower_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta1"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/api/internal/crdtest"
)

const (
	servicesFile = "../../config/crd/bases/datapower.ibm.com_datapowerservices.yaml"
	monitorsFile = "../../config/crd/bases/datapower.ibm.com_datapowermonitors.yaml"
	sharedFolder = "../../../shared"
)

// newScheme knows all versions.
func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1beta1.AddToScheme, v1beta2.AddToScheme, v1beta3.AddToScheme} {
		utilruntime.Must(add(scheme))
	}
	return scheme
}

// object reads one object from YAML, numbers as the API server reads them.
func object(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal([]byte(text), &obj.Object))
	return obj
}

func readObject(t testing.TB, path string) *unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return object(t, string(text))
}

// shared returns the path of a file outside the repository, and skips the test where there is none.
func shared(t testing.TB, path string) string {
	t.Helper()
	full := filepath.Join(sharedFolder, path)
	if _, err := os.Stat(full); err != nil {
		t.Skipf("needs %s beside the repository: %v", full, err)
	}
	return full
}

// service is the smallest DataPowerService of a version, with the given fields of its spec in place of or in
// addition to its own.
func service(t testing.TB, version, spec string) *unstructured.Unstructured {
	t.Helper()
	license := "{accept: true, use: nonproduction, license: L-EYGU-PVGRBC}"
	if version != "v1beta3" {
		license = "{accept: true, use: nonproduction}"
	}
	obj := object(t, `
apiVersion: datapower.ibm.com/`+version+`
kind: DataPowerService
metadata: {name: gw, namespace: gateways}
spec: {version: 10.6-lts, license: `+license+`}`)
	fields := map[string]any{}
	require.NoError(t, yaml.Unmarshal([]byte(spec), &fields))
	for name, value := range fields {
		require.NoError(t, unstructured.SetNestedField(obj.Object, value, "spec", name))
	}
	return obj
}

// requireRefused requires exactly one reason of refusal, at a path, whose text contains a message. Left out of account
// are the remark that other rules could not be checked and what the scale subresource repeats, whose paths start with
// a dot.
func requireRefused(t testing.TB, errs field.ErrorList, path, message string) {
	t.Helper()
	var reasons field.ErrorList
	for _, err := range errs {
		if !strings.Contains(err.Detail, "some validation rules were not checked") && !strings.HasPrefix(err.Field, ".") {
			reasons = append(reasons, err)
		}
	}
	require.Len(t, reasons, 1, "%v", errs)
	require.Equal(t, path, reasons[0].Field, "%v", errs)
	require.Contains(t, reasons[0].Error(), message)
}

func loadServices(t testing.TB) *crdtest.Definition { return crdtest.Load(t, servicesFile) }

func loadMonitors(t testing.TB) *crdtest.Definition { return crdtest.Load(t, monitorsFile) }
