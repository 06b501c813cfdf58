package program_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/datapower-operator/datapower-operator/internal/program"
)

func TestAProgramWaitsForItsKindsAndSaysForWhich(t *testing.T) {
	var asked atomic.Int32
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/apis/example.com/v1", r.URL.Path)
		list := metav1.APIResourceList{GroupVersion: "example.com/v1"}
		if asked.Add(1) > 1 {
			list.APIResources = []metav1.APIResource{{Name: "things", Kind: "Thing"}}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list)
	}))
	t.Cleanup(served.Close)
	opts := program.NewOptions("tester", program.Ports{Metrics: "0", Health: "0"})
	opts.RESTConfig = &rest.Config{Host: served.URL}
	var log bytes.Buffer
	opts.SetLogger(&log)
	thing := schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Thing"}
	require.NoError(t, program.AwaitKinds(t.Context(), "tester", opts, thing))
	assert.EqualValues(t, 2, asked.Load())
	assert.Contains(t, log.String(), `"kind":"Thing.example.com"`)

	ended, end := context.WithCancel(t.Context())
	end()
	require.ErrorIs(t, program.AwaitKinds(ended, "tester", opts, thing.GroupVersion().WithKind("Other")), context.Canceled)
}
