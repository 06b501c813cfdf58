package oracle_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	deploymentKind = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	serviceKind    = schema.GroupVersionKind{Version: "v1", Kind: "Service"}
	configMapKind  = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
)

func TestTheSameResourceGetsTheSameObjectsAsFromTheStockReconciler(t *testing.T) {
	for name, spec := range map[string]map[string]any{
		"nothing is set":        nil,
		"values are set":        {"replicas": int64(5), "greeting": "it's a \"test\": #1", "port": int64(8443)},
		"an object is added":    {"extra": true},
		"unknown values remain": {"nobody": map[string]any{"reads": "this"}},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			rendered := map[string]map[string]any{}
			both(t, func(s *scene) {
				s.create("Demo", "twin", spec)
				s.deployed("Demo", "twin")
				objects := map[string]any{}
				for _, kind := range []schema.GroupVersionKind{deploymentKind, serviceKind, configMapKind} {
					objects[kind.Kind] = normalised(s.get(kind, "twin"))
				}
				if s.exists(configMapKind, "twin-extra") {
					objects["extra"] = normalised(s.get(configMapKind, "twin-extra"))
				}
				mu.Lock()
				defer mu.Unlock()
				rendered[s.name] = objects
			})
			if len(rendered) == 2 {
				assert.Equal(t, rendered[theirs.name], rendered[ours.name])
			}
		})
	}
}

// normalised is an object without what differs by design: identity, owner, and the marks that Helm
// and we put on what the chart rendered.
func normalised(u *unstructured.Unstructured) map[string]any {
	out := map[string]any{"name": u.GetName()}
	for key, value := range u.Object {
		if key != "metadata" && key != "status" {
			out[key] = value
		}
	}
	for _, address := range []string{"clusterIP", "clusterIPs"} {
		unstructured.RemoveNestedField(out, "spec", address)
	}
	return out
}

func TestAnUpgradeLeavesTheSameAsTheStockReconciler(t *testing.T) {
	both(t, func(s *scene) {
		s.create("Demo", "grows", map[string]any{"extra": true, "greeting": "one"})
		s.deployed("Demo", "grows")
		s.patch(s.kind("Demo"), "grows", `{"spec":{"extra":false,"greeting":"two"}}`)
		s.eventually("the extra object is gone", func() bool { return !s.exists(configMapKind, "grows-extra") })
		s.settle()
		greeting, _, err := unstructured.NestedString(s.get(configMapKind, "grows").Object, "data", "greeting")
		require.NoError(t, err)
		assert.Equal(t, "two", greeting)
		version, status := s.newest("grows")
		assert.Equal(t, 2, version)
		assert.Equal(t, "deployed", status)
	})
}
