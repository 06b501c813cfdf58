package apply

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/release"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
)

func stringReader(s string) io.Reader { return strings.NewReader(s) }

// Events tell of deletions; they must not tell of deletions that never were.
func TestWhatIsLeftAloneIsNotReportedAsDeleted(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"it is another resource's": func(w *world) { w.put(config("a", "x"), ownedBy(other())) },
		"it is nobody's":           func(w *world) { w.put(config("a", "x")) },
		"it is gone already":       func(*world) {},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			change(w)
			_, errs := w.Delete(w.build(config("a", "x")))
			require.Empty(t, errs)
			assert.Empty(t, Describe(w.Changes, 9))
		})
	}
}

// Helm updates to an empty target and deletes what is left over; only its Create refuses nothing.
func TestAnUpdateToNothingDeletesEverything(t *testing.T) {
	w := newWorld(t)
	_, err := w.Create(w.build(config("a", "x")))
	require.NoError(t, err)
	res, err := w.Update(w.build(config("a", "x")), nil, false)
	require.NoError(t, err)
	assert.Equal(t, []string{"a"}, names(res.Deleted))
	assert.Nil(t, w.server.Get(configMap, "prod", "a"))
}

// Helm's install creates what a chart has in crds/ first and goes on when the answer is AlreadyExists. With any other
// answer a chart with crds/ could not be installed where the CRD exists: for the second resource of a kind, never.
func TestACustomResourceDefinitionThatExistsIsRecognisedAsSuch(t *testing.T) {
	w := newWorld(t)
	crd := "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.test}\n"
	w.put(crd)
	_, err := w.Create(w.build(crd))
	require.Error(t, err)
	assert.True(t, apierrors.IsAlreadyExists(err), err.Error())
	gvk := schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
	assert.Empty(t, w.server.Get(gvk, "", "things.example.test").GetLabels(), "and it is left alone")
}

// Helm looks at the live object: a user who marks it after the install wants it kept, too.
func TestAnObjectThatAUserMarkedToBeKeptIsKept(t *testing.T) {
	w := newWorld(t)
	_, err := w.Create(w.build(config("a", "x") + config("b", "x")))
	require.NoError(t, err)
	live := w.server.Get(configMap, "prod", "a")
	live.SetAnnotations(map[string]string{"helm.sh/resource-policy": "keep"})
	w.server.Put(live)
	_, err = w.Update(w.build(config("a", "x")+config("b", "x")), w.build(config("b", "x")), false)
	require.NoError(t, err)
	kept := w.server.Get(configMap, "prod", "a")
	require.NotNil(t, kept)
	assert.Empty(t, kept.GetOwnerReferences(), "or it would go with its owner")
}

// What an earlier resource of the same name left because it was to be kept stands in the way of its successor otherwise,
// and nobody ever takes it away.
func TestASuccessorTakesOverWhatItsPredecessorWasToKeep(t *testing.T) {
	kept := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: prod, annotations: {helm.sh/resource-policy: keep}}\ndata: {key: x}\n"
	successor := gw()
	successor.UID = "uid-successor"
	namesake := successor
	namesake.Kind = "Other"
	elsewhere := successor
	elsewhere.Namespace = "elsewhere"
	for name, test := range map[string]struct {
		owner Owner
		taken bool
	}{
		"the successor":                          {successor, true},
		"a resource of another name":             {other(), false},
		"a resource of another kind of its name": {namesake, false},
		"a resource of another namespace":        {elsewhere, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			_, err := w.Create(w.build(kept))
			require.NoError(t, err)
			w.Client.owner = test.owner
			left, err := w.Remaining(t.Context(), w.build(kept))
			require.NoError(t, err)
			assert.Zero(t, left, "it is not the successor's before it is taken over")
			list := w.build(kept)
			require.Equal(t, test.taken, w.Preflight(list, nil) == nil)
			_, err = w.Create(list)
			if !test.taken {
				require.ErrorIs(t, err, ErrForeign)
				assert.Equal(t, "uid-gw", w.server.Get(configMap, "prod", "a").GetLabels()[inventory.OwnerUIDLabel])
				return
			}
			require.NoError(t, err)
			assert.Equal(t, "uid-successor", w.server.Get(configMap, "prod", "a").GetLabels()[inventory.OwnerUIDLabel])
		})
	}
}

// What is inherited was not made by this release, so its removal from the chart is no reason to delete it.
func TestWhatAPredecessorLeftIsNotDeletedUnlessItWasTakenOver(t *testing.T) {
	w := newWorld(t)
	elsewhere := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: elsewhere}\n"
	_, err := w.Create(w.build(elsewhere))
	require.NoError(t, err)
	w.Client.owner.UID = "uid-successor"
	_, errs := w.Delete(w.build(elsewhere))
	require.Empty(t, errs)
	assert.NotNil(t, w.server.Get(configMap, "elsewhere", "a"))
}

// fieldpath.Set.All goes on after the loop's body returned, which Go answers with a panic: nobody may leave a loop over
// it early. Any field that a tool added and a controller added something below of would bring the reconcile down.
func TestWhatAToolAddedAndAControllerFilledStays(t *testing.T) {
	u := &unstructured.Unstructured{Object: map[string]any{}}
	u.SetManagedFields([]metav1.ManagedFieldsEntry{
		fields("kubectl-edit", "", `{"f:spec":{"f:strategy":{".":{},"f:type":{}}}}`),
		fields("controller", "", `{"f:spec":{"f:strategy":{"f:rollingUpdate":{".":{},"f:maxSurge":{}}}}}`),
	})
	require.NotPanics(t, func() {
		got, err := surplus(u, DefaultIntruders)
		require.NoError(t, err)
		require.Len(t, got, 1)
		assert.Equal(t, ".spec.strategy.type", got[0].String())
	})
}

// A chart may have hooks of one kind and name in two namespaces.
func TestAHookThatRanIsNotTakenForItsNamesakeElsewhere(t *testing.T) {
	hook := func(namespace string) string {
		return "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: hook\n  annotations: {helm.sh/hook: pre-install}\n" + namespace
	}
	const here, elsewhere = "", "  namespace: elsewhere\n"
	for name, c := range map[string]struct {
		done, want string
	}{
		"the release's namespace is not named": {here, "elsewhere"},
		"the release's namespace is named":     {"  namespace: prod\n", "elsewhere"},
		"another namespace":                    {elsewhere, "prod"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.SkipHooks([]*release.Hook{{Kind: "ConfigMap", Name: "hook", Manifest: hook(c.done)}})
			rest := w.withoutDone(w.build(hook(here) + hook(elsewhere)))
			require.Len(t, rest, 1)
			assert.Equal(t, c.want, rest[0].Namespace)
		})
	}
}
