package conversion_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/test/cluster"
)

// applyFile applies the objects of a file of config/crd.
func (w *world) applyFile(name string) {
	w.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "config", "crd", name))
	require.NoError(w, err)
	for reader := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		object := &unstructured.Unstructured{}
		err := reader.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(w, err)
		require.NoError(w, w.client.Apply(w.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("installer"), client.ForceOwnership))
	}
}

// Without conversion the API server would store an old version without what only that has.
func TestAnOldVersionIsRefusedUntilConversionIsSetUp(t *testing.T) {
	w := newWorld(t, cluster.Options{})
	w.namespace("operators")
	w.namespace(gateways)
	w.install(nil)
	w.applyFile("old-versions.yaml")
	try := 0
	create := func() error {
		try++
		return w.client.Create(w.Context(), oldService(gateways, fmt.Sprintf("old-%d", try)))
	}
	var err error
	w.eventually("the policy is in force", func() bool { err = create(); return err != nil })
	require.True(t, apierrors.IsInvalid(err), "%v", err)
	require.ErrorContains(t, err, "start the DataPower operator, or use apiVersion datapower.ibm.com/v1beta3")

	w.sidecar("operators", "--conversion=process")
	// The API server's policies learn of a changed definition some milliseconds before its conversion does: what is created in
	// between is stored as before (docs/webhooks.md).
	w.eventually("old versions are taken, with what only they have", func() bool {
		return create() == nil && w.converts(gateways, fmt.Sprintf("old-%d", try))
	})
}
