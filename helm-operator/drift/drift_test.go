package drift_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/helm-operator/drift"
)

func TestRulesAreReadFromAnAnnotation(t *testing.T) {
	tests := map[string]struct {
		text string
		want drift.Rules
	}{
		"nothing":           {"", nil},
		"only commas":       {" , ,", nil},
		"one rule":          {"StatefulSet:/spec/replicas", drift.Rules{{Kind: "StatefulSet", Paths: []string{"/spec/replicas"}}}},
		"every kind":        {"*:/metadata/annotations", drift.Rules{{Kind: "*", Paths: []string{"/metadata/annotations"}}}},
		"several rules":     {"A:/a, B:/b", drift.Rules{{Kind: "A", Paths: []string{"/a"}}, {Kind: "B", Paths: []string{"/b"}}}},
		"a colon in a path": {"A:/metadata/labels/a:b", drift.Rules{{Kind: "A", Paths: []string{"/metadata/labels/a:b"}}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := drift.Parse(test.text)
			require.NoError(t, err)
			assert.Equal(t, test.want, got)
		})
	}
}

func TestRulesThatMakeNoSenseAreRefused(t *testing.T) {
	for _, text := range []string{"StatefulSet", "StatefulSet:", "StatefulSet:spec.replicas", "StatefulSet:/", ":/spec", "A:/a,B"} {
		_, err := drift.Parse(text)
		assert.Error(t, err, text)
	}
	assert.Error(t, drift.IgnoreRule{Kind: "A"}.Validate(), "no path")
	assert.Error(t, drift.IgnoreRule{Paths: []string{"/a"}}.Validate(), "no kind")
	assert.ErrorContains(t, drift.IgnoreRule{Kind: "A", Paths: []string{"/a", "b"}}.Validate(), `"b"`)
	assert.NoError(t, drift.IgnoreRule{Kind: "A", Paths: []string{"/a", "/b/c"}}.Validate())
}

func TestARuleCoversItsFieldAndWhatIsBelow(t *testing.T) {
	rules := drift.Rules{{Kind: "A", Paths: []string{"/spec/replicas", "/data"}}, {Kind: "*", Paths: []string{"/metadata/labels"}}}
	for _, pointer := range []string{"/spec/replicas", "/data", "/data/key", "/data/key/deep", "/metadata/labels/x"} {
		assert.True(t, rules.Covers("A", pointer), pointer)
	}
	for _, pointer := range []string{"/spec", "/spec/replicasMax", "/database", "/metadata", ""} {
		assert.False(t, rules.Covers("A", pointer), pointer)
	}
	assert.False(t, rules.Covers("B", "/data"))
	assert.True(t, rules.Covers("B", "/metadata/labels"))
	assert.False(t, drift.Rules(nil).Covers("A", "/data"))
}

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal([]byte(text), &u.Object))
	return u
}

func TestIgnoredFieldsKeepTheirLiveValue(t *testing.T) {
	tests := map[string]struct{ pointer, desired, live, want string }{
		"another value":                 {"/spec/replicas", "{kind: A, spec: {replicas: 1}}", "{spec: {replicas: 5}}", "{kind: A, spec: {replicas: 5}}"},
		"a value that is not rendered":  {"/spec/replicas", "{kind: A, spec: {x: 1}}", "{spec: {replicas: 5}}", "{kind: A, spec: {x: 1}}"},
		"a value that is not live":      {"/spec/replicas", "{kind: A, spec: {replicas: 1, x: 1}}", "{spec: {}}", "{kind: A, spec: {x: 1}}"},
		"a whole map":                   {"/data", "{kind: A, data: {a: r, b: r}}", "{data: {a: l}}", "{kind: A, data: {a: l}}"},
		"a map that is larger":          {"/data", "{kind: A, data: {a: r}}", "{data: {a: l, c: l}}", "{kind: A, data: {a: l}}"},
		"a map in a map":                {"/data", "{kind: A, data: {m: {a: r, b: r}}}", "{data: {m: {a: l, c: l}}}", "{kind: A, data: {m: {a: l}}}"},
		"a map that became a text":      {"/data", "{kind: A, data: {a: r}}", "{data: text}", "{kind: A, data: text}"},
		"a field of a list's item":      {"/spec/list/1/image", "{kind: A, spec: {list: [{image: r}, {image: r}]}}", "{spec: {list: [{image: l}, {image: l}]}}", "{kind: A, spec: {list: [{image: r}, {image: l}]}}"},
		"a key with a slash":            {"/metadata/annotations/a.b~1c", "{kind: A, metadata: {annotations: {a.b/c: r}}}", "{metadata: {annotations: {a.b/c: l}}}", "{kind: A, metadata: {annotations: {a.b/c: l}}}"},
		"a key with a tilde":            {"/data/~01", "{kind: A, data: {~1: r}}", "{data: {~1: l}}", "{kind: A, data: {~1: l}}"},
		"an item that is not there":     {"/spec/list/7/image", "{kind: A, spec: {list: [{image: r}]}}", "{spec: {list: [{image: l}]}}", "{kind: A, spec: {list: [{image: r}]}}"},
		"a parent that is not rendered": {"/spec/a/b", "{kind: A, spec: {}}", "{spec: {a: {b: l}}}", "{kind: A, spec: {}}"},
		"a parent that is no map":       {"/spec/a/b", "{kind: A, spec: {a: text}}", "{spec: {a: {b: l}}}", "{kind: A, spec: {a: text}}"},
		"a parent that is not live":     {"/spec/a/b", "{kind: A, spec: {a: {b: r}}}", "{}", "{kind: A, spec: {a: {}}}"},
		"another kind":                  {"/spec/replicas", "{kind: B, spec: {replicas: 1}}", "{spec: {replicas: 5}}", "{kind: B, spec: {replicas: 1}}"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			desired, live := object(t, test.desired), object(t, test.live)
			drift.Rules{{Kind: "A", Paths: []string{test.pointer}}}.KeepLive(desired, live)
			assert.Equal(t, object(t, test.want), desired)
			assert.Equal(t, object(t, test.live), live, "the live object is only read")
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("StatefulSet:/spec/replicas,*:/a/0/b~1c")
	f.Add(":,/")
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := drift.Parse(text)
		if err != nil {
			return
		}
		desired := object(t, "{kind: StatefulSet, spec: {replicas: 1, a: [{b: c}]}}")
		rules.KeepLive(desired, object(t, "{spec: {replicas: 2, a: []}}"))
		for _, r := range rules {
			assert.NoError(t, r.Validate())
			assert.True(t, rules.Covers(r.Kind, r.Paths[0]))
		}
	})
}
