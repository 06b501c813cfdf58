package apply

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"pgregory.net/rapid"

	"github.com/datapower-operator/datapower-operator/helm-operator/drift"
)

// fields is an entry of managedFields.
func fields(manager, subresource, set string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{
		Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "apps/v1", Subresource: subresource,
		FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(set),
	}
}

const ourFields = `{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"main\"}":{".":{},"f:image":{},"f:name":{}}}}}}}`

func TestWhatPeoplesToolsAddIsSurplus(t *testing.T) {
	const proxy = `{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"proxy\"}":{".":{},"f:image":{},"f:name":{}}}}}}}`
	tests := map[string]struct {
		entries []metav1.ManagedFieldsEntry
		want    []string
	}{
		"nothing":                          {nil, nil},
		"a field":                          {[]metav1.ManagedFieldsEntry{fields("kubectl-edit", "", `{"f:spec":{"f:paused":{}}}`)}, []string{".spec.paused"}},
		"an item of a list, as one":        {[]metav1.ManagedFieldsEntry{fields("kubectl-patch", "", proxy)}, []string{`.spec.template.spec.containers[name="proxy"]`}},
		"a field of our own item":          {[]metav1.ManagedFieldsEntry{fields("kubectl-set", "", `{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"main\"}":{"f:tty":{}}}}}}}`)}, []string{`.spec.template.spec.containers[name="main"].tty`}},
		"data":                             {[]metav1.ManagedFieldsEntry{fields("k9s", "", `{"f:data":{"f:extra":{}}}`)}, []string{".data.extra"}},
		"of a controller":                  {[]metav1.ManagedFieldsEntry{fields("istio", "", proxy)}, nil},
		"of a tool and a controller alike": {[]metav1.ManagedFieldsEntry{fields("kubectl-edit", "", proxy), fields("istio", "", proxy)}, nil},
		"what we render too":               {[]metav1.ManagedFieldsEntry{fields("kubectl-client-side-apply", "", ourFields)}, nil},
		"metadata":                         {[]metav1.ManagedFieldsEntry{fields("kubectl-annotate", "", `{"f:metadata":{"f:annotations":{"f:a":{}}}}`)}, nil},
		"the status":                       {[]metav1.ManagedFieldsEntry{fields("kubectl-edit", "status", `{"f:status":{"f:x":{}}}`)}, nil},
		"the scale of kubectl":             {[]metav1.ManagedFieldsEntry{fields("kubectl", "scale", `{"f:spec":{"f:replicas":{}}}`)}, nil},
		"a rollout restart":                {[]metav1.ManagedFieldsEntry{fields("kubectl-rollout", "", `{"f:spec":{"f:template":{"f:metadata":{"f:annotations":{"f:r":{}}}}}}`)}, nil},
		"an entry without fields":          {[]metav1.ManagedFieldsEntry{{Manager: "kubectl-edit"}}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			u := &unstructured.Unstructured{Object: map[string]any{}}
			u.SetManagedFields(append([]metav1.ManagedFieldsEntry{fields(FieldManager, "", ourFields)}, test.entries...))
			got, err := surplus(u, DefaultIntruders)
			require.NoError(t, err)
			var paths []string
			for _, p := range got {
				paths = append(paths, p.String())
			}
			assert.Equal(t, test.want, paths)
		})
	}
}

func TestManagedFieldsThatCannotBeReadAreAnError(t *testing.T) {
	u := &unstructured.Unstructured{Object: map[string]any{}}
	u.SetManagedFields([]metav1.ManagedFieldsEntry{fields("kubectl-edit", "", `{"spec":{}}`)})
	_, err := surplus(u, DefaultIntruders)
	assert.ErrorContains(t, err, "kubectl-edit")
}

func TestIntrudersArePatternsOfFieldManagers(t *testing.T) {
	for manager, want := range map[string]bool{
		"kubectl": true, "kubectl-edit": true, "kubectl-client-side-apply": true, "helm": true, "k9s": true,
		"kubectl-rollout": false, "kube-controller-manager": false, "istio": false, "helm-controller": false, "": false,
		FieldManager: false, handoverManager: false,
	} {
		assert.Equal(t, want, intruder(manager, DefaultIntruders), manager)
	}
	assert.False(t, intruder("kubectl", nil), "nobody, when nobody is named")
	assert.True(t, intruder("argocd-controller", []string{"argocd*"}))
	assert.False(t, intruder("x", []string{"[broken"}))
}

func TestAdditionsOfPeopleAreRemovedAndNamed(t *testing.T) {
	w := newWorld(t)
	manifest := config("a", "x")
	_, err := w.Create(w.build(manifest))
	require.NoError(t, err)
	intrude(t, w)
	changes, err := w.Repair(w.build(manifest))
	require.NoError(t, err)
	assert.Equal(t, "changed ConfigMap a (data.extra, data.more/with~signs)", Describe(changes, 9))
	assert.Equal(t, map[string]any{"key": "x"}, w.data("a"))
	require.Len(t, changes, 1)
	assert.Equal(t, w.server.Get(configMap, "prod", "a").GetResourceVersion(), changes[0].Live.ResourceVersion, "what was verified is the result")
}

// intrude adds two entries to the data of ConfigMap a as kubectl edit would.
func intrude(t *testing.T, w *world) {
	t.Helper()
	live := w.server.Get(configMap, "prod", "a")
	require.NoError(t, unstructured.SetNestedMap(live.Object,
		map[string]any{"key": "x", "extra": "e", "more/with~signs": "m"}, "data"))
	live.SetManagedFields(append(live.GetManagedFields(),
		fields("kubectl-edit", "", `{"f:data":{"f:extra":{},"f:more/with~signs":{}}}`)))
	w.server.Put(live)
}

func TestAdditionsMayBeIgnored(t *testing.T) {
	for name, configure := range map[string]func(*world){
		"by rule":                   func(w *world) { w.Ignored = drift.Rules{{Kind: "*", Paths: []string{"/data"}}} },
		"because nobody intrudes":   func(w *world) { w.Intruders = nil },
		"because it is a preflight": nil,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			manifest := config("a", "x")
			_, err := w.Create(w.build(manifest))
			require.NoError(t, err)
			intrude(t, w)
			if configure == nil {
				require.NoError(t, w.Preflight(w.build(manifest), nil))
			} else {
				configure(w)
				_, err = w.Repair(w.build(manifest))
				require.NoError(t, err)
			}
			assert.Len(t, w.data("a"), 3)
		})
	}
}

func TestARemovalThatIsRefusedIsReported(t *testing.T) {
	w := newWorld(t)
	manifest := config("a", "x")
	_, err := w.Create(w.build(manifest))
	require.NoError(t, err)
	intrude(t, w)
	w.server.Refuse(configMap, "prod", "a", apierrors.NewConflict(resourceOf("configmaps"), "a", nil))
	_, err = w.Repair(w.build(manifest))
	assert.ErrorContains(t, err, "ConfigMap a")
}

func TestRemovingFromTheEndNeverMovesWhatFollows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "length")
		doomed := rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), 0, n, rapid.ID).Draw(t, "doomed")
		var pointers []string
		for _, i := range doomed {
			pointers = append(pointers, fmt.Sprintf("/spec/list/%d", i))
		}
		slices.SortFunc(pointers, laterFirst)

		var list, want []int
		for i := range n {
			list = append(list, i)
			if !slices.Contains(doomed, i) {
				want = append(want, i)
			}
		}
		for _, p := range pointers {
			var i int
			_, err := fmt.Sscanf(p, "/spec/list/%d", &i)
			require.NoError(t, err)
			require.Less(t, i, len(list))
			list = slices.Delete(list, i, i+1)
		}
		require.ElementsMatch(t, want, list)
	})
}

func TestPointersAreOrderedTheSameWayInBothDirections(t *testing.T) {
	pointer := rapid.StringMatching(`(/(a|b|0|1|2|10)){1,4}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := pointer.Draw(t, "a"), pointer.Draw(t, "b"), pointer.Draw(t, "c")
		require.Equal(t, sign(laterFirst(a, b)), -sign(laterFirst(b, a)))
		require.Equal(t, a == b, laterFirst(a, b) == 0)
		if laterFirst(a, b) <= 0 && laterFirst(b, c) <= 0 {
			require.LessOrEqual(t, laterFirst(a, c), 0, "an order is transitive")
		}
	})
}

func sign(n int) int { return max(-1, min(1, n)) }
