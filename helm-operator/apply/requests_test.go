package apply

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/resource"

	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
)

// asked counts the requests that do makes.
func (w *world) asked(do func()) int {
	before := w.server.Requests()
	do()
	return w.server.Requests() - before
}

// exists asks as Helm's actions do.
func exists(t require.TestingT, info *resource.Info) bool {
	_, err := resource.NewHelper(info.Client, info.Mapping).Get(info.Namespace, info.Name)
	if !apierrors.IsNotFound(err) {
		require.NoError(t, err)
	}
	return err == nil
}

func TestHelmIsToldWhatThePreflightFoundWithoutARequest(t *testing.T) {
	for name, find := range map[string]func(*world, string) error{
		"a dry run": func(w *world, m string) error { return w.Preflight(w.build(m), nil) },
		"a look":    func(w *world, m string) error { return w.Look(w.build(m)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.put(config("there", "x"), ownedBy(gw()))
			manifest := config("there", "x") + config("absent", "x")
			require.NoError(t, find(w, manifest))
			list := w.build(manifest)
			assert.Zero(t, w.asked(func() {
				assert.True(t, exists(t, list[0]))
				assert.False(t, exists(t, list[1]))
			}))
			other := w.build(config("other", "x"))
			assert.Equal(t, 1, w.asked(func() { assert.False(t, exists(t, other[0])) }), "of this nothing is known")

			_, err := w.Create(list)
			require.NoError(t, err)
			assert.Equal(t, 1, w.asked(func() { assert.True(t, exists(t, list[1])) }), "what was found does not outlive a write")
		})
	}
}

func TestWhatHelmIsToldDoesNotHideAnObjectFromTheWriter(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.Look(w.build(config("a", "ours"))))
	w.put(config("a", "theirs"))
	live, err := getLive(w.build(config("a", "ours"))[0])
	require.NoError(t, err)
	assert.NotNil(t, live)
}

func TestAFailedLookIsNoAnswer(t *testing.T) {
	w := newWorld(t)
	w.server.Refuse(configMap, "prod", "a", apierrors.NewForbidden(resourceOf("configmaps"), "a", nil))
	require.Error(t, w.Preflight(w.build(config("a", "x")), nil))
	w.put(config("a", "theirs"))
	list := w.build(config("a", "x"))
	assert.Equal(t, 1, w.asked(func() { assert.True(t, exists(t, list[0])) }))
}

func TestALookFindsWhatIsSomebodyElses(t *testing.T) {
	for name, test := range existing {
		if test.known {
			continue
		}
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.put(config("a", "theirs"), test.mark)
			err := w.Look(w.build(config("a", "ours") + config("b", "ours")))
			if test.refused {
				assert.ErrorIs(t, err, ErrForeign)
			} else {
				assert.NoError(t, err)
			}
			assert.Empty(t, w.server.Writes())
		})
	}
}

func TestAnInstallAsksOnceForEachObjectAndWritesItOnce(t *testing.T) {
	w := newWorld(t)
	manifest := config("a", "x") + config("b", "x")
	assert.Equal(t, 4, w.asked(func() {
		require.NoError(t, w.Look(w.build(manifest)))
		_, err := w.Create(w.build(manifest))
		require.NoError(t, err)
	}))
}

func TestWhatIsSettledAndDoesNotChangeIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	before := config("same", "x") + config("changed", "x") + config("suspect", "x")
	_, err := w.Create(w.build(before))
	require.NoError(t, err)
	w.server.Writes()
	w.Changes = nil
	drifted := w.server.Get(configMap, "prod", "suspect")
	require.NoError(t, unstructured.SetNestedField(drifted.Object, "rogue", "data", "key"))
	w.server.Put(drifted)
	w.Settle(w.build(before), func(r inventory.Ref) bool { return r.Name != "suspect" })

	after := config("same", "x") + config("changed", "y") + config("suspect", "x") + config("new", "x")
	target := w.build(after)
	asHelmDoes(t, target)
	known := map[inventory.Ref]bool{ref(configMap, "same"): true, ref(configMap, "changed"): true, ref(configMap, "suspect"): true}
	// Two existing objects are tried and looked at, the new one is tried; then all three are written.
	assert.Equal(t, 5+3, w.asked(func() {
		require.NoError(t, w.Preflight(w.build(after), known))
		res, err := w.Update(w.build(before), target, false)
		require.NoError(t, err)
		assert.ElementsMatch(t, []string{"same", "changed", "suspect"}, names(res.Updated), "Helm counts the untouched, too")
		assert.Equal(t, []string{"new"}, names(res.Created))
	}))
	assert.Equal(t, []string{"apply ConfigMap changed", "apply ConfigMap suspect", "apply ConfigMap new"}, w.server.Writes())
	assert.Len(t, w.Changes, 3)
	assert.Equal(t, map[string]any{"key": "x"}, w.data("suspect"))
}

func TestNothingIsSettledAfterUnsettling(t *testing.T) {
	w := newWorld(t)
	manifest := config("a", "x")
	_, err := w.Create(w.build(manifest))
	require.NoError(t, err)
	w.Settle(w.build(manifest), func(inventory.Ref) bool { return true })
	update := func() {
		_, err := w.Update(w.build(manifest), w.build(manifest), false)
		require.NoError(t, err)
	}
	assert.Zero(t, w.asked(update))
	w.Unsettle()
	assert.Positive(t, w.asked(update))
}

func TestWhatWasCreatedIsTakenBackNewestFirst(t *testing.T) {
	w := newWorld(t)
	w.put(config("before", "x"), ownedBy(gw()))
	_, err := w.Create(w.build(config("before", "y") + config("a", "x") + config("b", "x")))
	require.NoError(t, err)
	w.server.Writes()
	require.NoError(t, w.TakeBack())
	assert.Equal(t, []string{"delete ConfigMap b", "delete ConfigMap a"}, w.server.Writes())
	assert.NotNil(t, w.server.Get(configMap, "prod", "before"))
	assert.Empty(t, w.Changes)
	assert.Zero(t, w.asked(func() { require.NoError(t, w.TakeBack()) }), "once is enough")
}

func TestWhatTookThePlaceOfACreatedObjectIsNotTakenBack(t *testing.T) {
	w := newWorld(t)
	_, err := w.Create(w.build(config("a", "x") + config("gone", "x")))
	require.NoError(t, err)
	w.server.Remove(configMap, "prod", "gone")
	w.server.Remove(configMap, "prod", "a")
	w.put(config("a", "theirs"))
	require.NoError(t, w.TakeBack())
	assert.Equal(t, map[string]any{"key": "theirs"}, w.data("a"))
}

func TestWhatCannotBeTakenBackIsAnErrorAndRemembered(t *testing.T) {
	w := newWorld(t)
	_, err := w.Create(w.build(config("a", "x") + config("b", "x")))
	require.NoError(t, err)
	w.server.Cut(0, false)
	require.Error(t, w.TakeBack())
	w.server.Mend()
	assert.Len(t, w.Changes, 2)
	require.NoError(t, w.TakeBack())
	assert.Nil(t, w.server.Get(configMap, "prod", "a"))
}

func TestARefusalWouldComeAgainAndATroubleWouldNot(t *testing.T) {
	gr := resourceOf("configmaps")
	for err, want := range map[error]bool{
		apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, "a", nil): true,
		apierrors.NewForbidden(gr, "a", errors.New("quota")):                true,
		apierrors.NewBadRequest("no"):                                       true,
		fmt.Errorf("apply: %w", apierrors.NewNotFound(gr, "a")):             true,
		fmt.Errorf("apply: %w", ErrForeign):                                 true,
		apierrors.NewConflict(gr, "a", errors.New("changed")):               false,
		apierrors.NewTooManyRequests("later", 1):                            false,
		apierrors.NewUnauthorized("token"):                                  false,
		apierrors.NewInternalError(errors.New("etcd")):                      false,
		apierrors.NewServiceUnavailable("starting"):                         false,
		errors.New("connection refused"):                                    false,
	} {
		assert.Equal(t, want, Refused(err), err)
	}
	assert.False(t, Refused(nil))
}

func TestObjectsThatStartNothingAreInert(t *testing.T) {
	for kind, want := range map[string]bool{
		"v1 ConfigMap": true, "v1 Secret": true, "v1 ServiceAccount": true, "v1 Service": true,
		"networking.k8s.io/v1 NetworkPolicy": true, "policy/v1 PodDisruptionBudget": true,
		"rbac.authorization.k8s.io/v1 Role": true, "rbac.authorization.k8s.io/v1 RoleBinding": true,
		"apps/v1 StatefulSet": false, "apps/v1 Deployment": false, "batch/v1 Job": false, "v1 Pod": false,
		"v1 PersistentVolumeClaim": false, "v1 Namespace": false, "example.test/v1 Service": false,
	} {
		apiVersion, name, _ := strings.Cut(kind, " ")
		u := &unstructured.Unstructured{Object: map[string]any{}}
		info := &resource.Info{Object: u, Mapping: &meta.RESTMapping{GroupVersionKind: schema.FromAPIVersionAndKind(apiVersion, name)}}
		assert.Equal(t, want, Inert(info), kind)
	}
	balanced := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"type": "LoadBalancer"}}}
	service := &meta.RESTMapping{GroupVersionKind: schema.GroupVersionKind{Version: "v1", Kind: "Service"}}
	assert.False(t, Inert(&resource.Info{Object: balanced, Mapping: service}))
}

// What a manifest is parsed to is shared by all that is built from it, and Helm edits what it gets.
func TestWhatHelmWritesIntoAnObjectStaysInTheListItGot(t *testing.T) {
	w := newWorld(t)
	manifest := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {tier: gold}}\n"
	first := w.build(manifest)
	asHelmDoes(t, first)
	second := w.build(manifest)[0]
	u, ok := second.Object.(*unstructured.Unstructured)
	require.True(t, ok)
	assert.Equal(t, map[string]string{"tier": "gold"}, u.GetLabels())
	assert.Empty(t, u.GetAnnotations())
	assert.Equal(t, "prod", second.Namespace)
}

func TestAListIsTakenApart(t *testing.T) {
	w := newWorld(t)
	mapper, ok := w.server.Mapper().(*meta.DefaultRESTMapper)
	require.True(t, ok)
	mapper.Add(schema.GroupVersionKind{Version: "v1", Kind: "List"}, meta.RESTScopeRoot) // as discovery's mapper does
	list := w.build("apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n")
	assert.Equal(t, []string{"a", "b"}, names(list))
	_, err := w.Create(list)
	require.NoError(t, err)
	assert.NotNil(t, w.server.Get(configMap, "prod", "b"))
}
