package inventory_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
)

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	var o map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(text), &o))
	return o
}

func TestChangedFieldsAreNamed(t *testing.T) {
	const before = `
metadata: {name: gw, labels: {app: gw}, resourceVersion: "1", generation: 1, uid: a, creationTimestamp: x, managedFields: [{manager: m}]}
spec:
  replicas: 3
  template:
    spec:
      containers:
      - {name: main, image: "gw:1", env: [{name: A, value: "1"}]}
      - {name: proxy, image: "mesh:1"}
data: {}
status: {ready: 1}
`
	tests := map[string]struct {
		edit func(o map[string]any)
		want []string
	}{
		"nothing":                  {func(map[string]any) {}, nil},
		"a number":                 {func(o map[string]any) { set(o, float64(4), "spec", "replicas") }, []string{"spec.replicas"}},
		"a field of a list's item": {func(o map[string]any) { container(o, 0)["image"] = "gw:2" }, []string{"spec.template.spec.containers[0].image"}},
		"a field of an inner list": {func(o map[string]any) { container(o, 0)["env"].([]any)[0].(map[string]any)["value"] = "2" }, []string{"spec.template.spec.containers[0].env[0].value"}},
		"two fields, in order":     {func(o map[string]any) { container(o, 1)["image"] = "x"; set(o, float64(4), "spec", "replicas") }, []string{"spec.replicas", "spec.template.spec.containers[1].image"}},
		"an item less":             {func(o map[string]any) { set(o, []any{container(o, 0)}, "spec", "template", "spec", "containers") }, []string{"spec.template.spec.containers"}},
		"a field more":             {func(o map[string]any) { set(o, "x", "spec", "paused") }, []string{"spec.paused"}},
		"a field less":             {func(o map[string]any) { delete(o["spec"].(map[string]any), "replicas") }, []string{"spec.replicas"}},
		"a map more":               {func(o map[string]any) { set(o, map[string]any{"a": "b"}, "spec", "strategy") }, []string{"spec.strategy"}},
		"a map that became a text": {func(o map[string]any) { set(o, "text", "spec", "template") }, []string{"spec.template"}},
		"a list that became a map": {func(o map[string]any) { set(o, map[string]any{}, "spec", "template", "spec", "containers") }, []string{"spec.template.spec.containers"}},
		"a label":                  {func(o map[string]any) { set(o, "x", "metadata", "labels", "app") }, []string{"metadata.labels.app"}},
		"an annotation":            {func(o map[string]any) { set(o, map[string]any{"a": "b"}, "metadata", "annotations") }, []string{"metadata.annotations"}},
		"a top-level field":        {func(o map[string]any) { set(o, "x", "data", "key") }, []string{"data.key"}},
		"the status":               {func(o map[string]any) { set(o, float64(2), "status", "ready") }, nil},
		"the server's bookkeeping": {func(o map[string]any) {
			o["metadata"] = map[string]any{"name": "gw", "labels": map[string]any{"app": "gw"}, "resourceVersion": "2", "generation": float64(9), "uid": "b"}
		}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			after := object(t, before)
			test.edit(after)
			assert.Equal(t, test.want, inventory.ChangedPaths(object(t, before), after))
			assert.Equal(t, test.want, inventory.ChangedPaths(after, object(t, before)), "in either direction")
		})
	}
}

func set(o map[string]any, value any, path ...string) {
	for _, key := range path[:len(path)-1] {
		o = o[key].(map[string]any)
	}
	o[path[len(path)-1]] = value
}

func container(o map[string]any, i int) map[string]any {
	return o["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)["containers"].([]any)[i].(map[string]any)
}

func TestAFieldThatOnlyStatusLooksLikeIsNamed(t *testing.T) {
	before, after := object(t, "spec: {status: a, uid: b}"), object(t, "spec: {status: x, uid: y}")
	assert.Equal(t, []string{"spec.status", "spec.uid"}, inventory.ChangedPaths(before, after))
}

func TestPathsOfSecretsCarryNoValues(t *testing.T) {
	before, after := object(t, "data: {password: b2xk}"), object(t, "data: {password: bmV3}")
	assert.Equal(t, []string{"data.password"}, inventory.ChangedPaths(before, after))
}

func TestComparingChangesNothing(t *testing.T) {
	before, after := object(t, "metadata: {uid: a}\nstatus: {x: y}"), object(t, "metadata: {uid: b}\nstatus: {}")
	inventory.ChangedPaths(before, after)
	assert.Equal(t, object(t, "metadata: {uid: a}\nstatus: {x: y}"), before)
	assert.Equal(t, object(t, "metadata: {uid: b}\nstatus: {}"), after)
}

// tree generates the content of an object below "spec".
func tree() *rapid.Generator[any] {
	scalar := rapid.OneOf(
		rapid.Map(rapid.SampledFrom([]string{"", "a", "b"}), func(s string) any { return s }),
		rapid.Map(rapid.Int64Range(0, 3), func(n int64) any { return n }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
	)
	var node func(depth int) *rapid.Generator[any]
	node = func(depth int) *rapid.Generator[any] {
		if depth == 0 {
			return scalar
		}
		return rapid.OneOf(scalar,
			rapid.Map(rapid.SliceOfN(node(depth-1), 1, 3), func(l []any) any { return l }),
			rapid.Map(rapid.MapOfN(rapid.StringMatching("[a-d]"), node(depth-1), 1, 3), func(m map[string]any) any { return m }))
	}
	return node(4)
}

func TestEqualObjectsHaveNoChangedPaths(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := map[string]any{"spec": tree().Draw(t, "spec"), "status": tree().Draw(t, "status")}
		require.Empty(t, inventory.ChangedPaths(o, runtime.DeepCopyJSON(o)))
	})
}

func TestASingleChangedLeafGivesExactlyItsPath(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := map[string]any{"spec": tree().Draw(t, "spec")}
		after := runtime.DeepCopyJSON(before)
		paths := leaves(after, "")
		chosen := rapid.SampledFrom(paths).Draw(t, "leaf")
		chosen.set("something else")
		require.Equal(t, []string{chosen.path}, inventory.ChangedPaths(before, after))
	})
}

type leaf struct {
	path string
	set  func(any)
}

func leaves(node any, path string) []leaf {
	var out []leaf
	visit := func(child any, childPath string, set func(any)) {
		switch child.(type) {
		case map[string]any, []any:
			out = append(out, leaves(child, childPath)...)
		default:
			out = append(out, leaf{childPath, set})
		}
	}
	switch node := node.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(node)) { // rapid repeats draws
			childPath := key
			if path != "" {
				childPath = path + "." + key
			}
			visit(node[key], childPath, func(v any) { node[key] = v })
		}
	case []any:
		for i := range node {
			visit(node[i], fmt.Sprintf("%s[%d]", path, i), func(v any) { node[i] = v })
		}
	}
	return out
}
