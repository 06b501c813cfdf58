package apply

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/kube"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/datapower-operator/datapower-operator/helm-operator/drift"
	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
)

func TestNewObjectsAreCreatedWithMarksAndFieldOwner(t *testing.T) {
	w := newWorld(t)
	list := w.build(config("a", "one") + config("b", "two"))
	asHelmDoes(t, list)
	res, err := w.Create(list)
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b"}, names(res.Created))
	assert.Empty(t, res.Updated)

	u := w.server.Get(configMap, "prod", "a")
	require.NotNil(t, u)
	assert.Equal(t, map[string]string{inventory.OwnerUIDLabel: "uid-gw"}, u.GetLabels(), "Helm's own label is gone")
	assert.Empty(t, u.GetAnnotations())
	assert.Equal(t, gw().Reference(), u.GetOwnerReferences()[0])
	require.Len(t, u.GetManagedFields(), 1)
	assert.Equal(t, "datapower-helm-operator", u.GetManagedFields()[0].Manager)

	require.Len(t, w.Changes, 2)
	assert.Equal(t, Created, w.Changes[0].Verb)
	assert.Equal(t, ref(configMap, "a"), w.Changes[0].Ref)
	assert.Equal(t, inventory.Fingerprint(metadataOf(u)), inventory.Fingerprint(w.Changes[0].Live))
}

func TestACreateOfNothingIsWhatHelmCallsNothing(t *testing.T) {
	_, err := newWorld(t).Create(nil)
	assert.ErrorIs(t, err, kube.ErrNoObjectsVisited)
}

func TestAnUpdateChangesCreatesAndDeletes(t *testing.T) {
	w := newWorld(t)
	before := config("same", "x") + config("changed", "old") + config("gone", "x") +
		"---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: kept\n  annotations: {helm.sh/resource-policy: keep}\n"
	_, err := w.Create(w.build(before))
	require.NoError(t, err)
	w.server.Writes()
	w.Changes = nil

	res, err := w.Update(w.build(before), w.build(config("same", "x")+config("changed", "new")+config("added", "x")), false)
	require.NoError(t, err)
	assert.Equal(t, []string{"added"}, names(res.Created))
	assert.Equal(t, []string{"same", "changed"}, names(res.Updated))
	assert.Equal(t, []string{"gone"}, names(res.Deleted))
	assert.Equal(t, []string{"apply ConfigMap changed", "apply ConfigMap added", "delete ConfigMap gone"}, w.server.Writes())
	assert.Equal(t, map[string]any{"key": "new"}, w.data("changed"))
	assert.NotNil(t, w.server.Get(configMap, "prod", "kept"))

	assert.Equal(t, "changed ConfigMap changed (data.key), created ConfigMap added, deleted ConfigMap gone", Describe(w.Changes, 9))
	assert.Equal(t, Unchanged, w.Changes[0].Verb)
}

func TestAnUpdateTouchesOnlyWhatTheChartRenders(t *testing.T) {
	w := newWorld(t)
	manifest := config("a", "rendered")
	_, err := w.Create(w.build(manifest))
	require.NoError(t, err)
	live := w.server.Get(configMap, "prod", "a")
	require.NoError(t, unstructured.SetNestedField(live.Object, "theirs", "data", "other"))
	live.SetAnnotations(map[string]string{"mesh": "yes"})
	w.server.Put(live)

	_, err = w.Update(w.build(manifest), w.build(config("a", "new")), false)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"key": "new", "other": "theirs"}, w.data("a"))
	assert.Equal(t, map[string]string{"mesh": "yes"}, w.server.Get(configMap, "prod", "a").GetAnnotations())
}

func TestAnUpdateGivesUpFieldsThatTheChartNoLongerRenders(t *testing.T) {
	w := newWorld(t)
	before := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {one: x, two: x}\n"
	_, err := w.Create(w.build(before))
	require.NoError(t, err)
	_, err = w.Update(w.build(before), w.build("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {one: x}\n"), false)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"one": "x"}, w.data("a"))
}

// existing are objects that are there before a release wants to write them.
var existing = map[string]struct {
	mark    func(*unstructured.Unstructured)
	known   bool // a former manifest of the release has it
	refused bool
}{
	"ours":                                          {ownedBy(gw()), false, false},
	"ours by its label":                             {labelled("uid-gw"), false, false},
	"nobody's and new to the release":               {func(*unstructured.Unstructured) {}, false, true},
	"nobody's and known to the release":             {func(*unstructured.Unstructured) {}, true, false},
	"another resource's":                            {ownedBy(other()), false, true},
	"another resource's, though known":              {ownedBy(other()), true, true},
	"another resource's by its label, though known": {labelled("uid-other"), true, true},
}

func TestObjectsOfOthersAreNeverTakenOver(t *testing.T) {
	for name, test := range existing {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			before := w.put(config("a", "theirs"), test.mark)
			manifest, original := config("a", "ours"), ""
			if test.known {
				original = manifest
			}
			_, err := w.Update(w.build(original), w.build(manifest), true)
			if !test.refused {
				require.NoError(t, err)
				assert.Equal(t, map[string]any{"key": "ours"}, w.data("a"))
				assert.Equal(t, gw().Reference(), w.server.Get(configMap, "prod", "a").GetOwnerReferences()[0])
				return
			}
			require.ErrorIs(t, err, ErrForeign)
			assert.ErrorContains(t, err, "ConfigMap a")
			assert.Equal(t, before, w.server.Get(configMap, "prod", "a"), "it is as it was")
			assert.Empty(t, w.Changes)
		})
	}
}

func TestTheRefusalTellsWhoseTheObjectIs(t *testing.T) {
	w := newWorld(t)
	w.put(config("a", "theirs"), ownedBy(other()))
	w.put(config("b", "theirs"))
	_, err := w.Create(w.build(config("a", "x")))
	assert.ErrorContains(t, err, "its owner is Demo other")
	_, err = w.Create(w.build(config("b", "x")))
	assert.ErrorContains(t, err, "delete or rename it")
}

func TestPreflightFindsWhatWouldFailAndWritesNothing(t *testing.T) {
	for name, test := range existing {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			before := w.put(config("a", "theirs"), test.mark)
			known := map[inventory.Ref]bool{ref(configMap, "a"): test.known}
			err := w.Preflight(w.build(config("a", "ours")+config("b", "ours")), known)
			if test.refused {
				assert.ErrorIs(t, err, ErrForeign)
			} else {
				assert.NoError(t, err)
			}
			assert.Equal(t, before, w.server.Get(configMap, "prod", "a"))
			assert.Nil(t, w.server.Get(configMap, "prod", "b"))
			assert.Empty(t, w.server.Writes())
			assert.Empty(t, w.Changes)
		})
	}
}

// invalid is how an API server refuses an object.
func invalid(kind, name string) *apierrors.StatusError {
	return apierrors.NewInvalid(schema.GroupKind{Kind: kind}, name, nil)
}

func TestPreflightReportsEveryObjectThatIsRefused(t *testing.T) {
	w := newWorld(t)
	w.server.Refuse(configMap, "prod", "a", invalid("ConfigMap", "a"))
	w.server.Refuse(configMap, "prod", "c", invalid("ConfigMap", "c"))
	err := w.Preflight(w.build(config("a", "x")+config("b", "x")+config("c", "x")), nil)
	assert.ErrorContains(t, err, "apply ConfigMap a")
	assert.ErrorContains(t, err, "apply ConfigMap c")
	assert.NotContains(t, err.Error(), "ConfigMap b")
}

func TestPreflightAllowsANamespaceThatTheChartBrings(t *testing.T) {
	w := newWorld(t)
	w.server.Refuse(configMap, "prod", "a", apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "prod"))
	assert.NoError(t, w.Preflight(w.build(config("a", "x")), nil))
}

func TestARepairBringsBackWhatIsMissingOrChanged(t *testing.T) {
	w := newWorld(t)
	manifest := config("same", "x") + config("changed", "x") + config("missing", "x") + config("unmarked", "x")
	_, err := w.Create(w.build(manifest))
	require.NoError(t, err)
	changed := w.server.Get(configMap, "prod", "changed")
	require.NoError(t, unstructured.SetNestedField(changed.Object, "edited", "data", "key"))
	w.server.Put(changed)
	w.server.Remove(configMap, "prod", "missing")
	stripped := w.server.Get(configMap, "prod", "unmarked")
	stripped.SetLabels(nil)
	stripped.SetOwnerReferences(nil)
	w.server.Put(stripped)

	changes, err := w.Repair(w.build(manifest))
	require.NoError(t, err)
	assert.Equal(t, "changed ConfigMap changed (data.key), created ConfigMap missing, "+
		"changed ConfigMap unmarked (metadata.labels, metadata.ownerReferences)", Describe(changes, 9))
	assert.Equal(t, map[string]any{"key": "x"}, w.data("changed"))
	assert.Equal(t, ours, gw().ownershipOf(w.server.Get(configMap, "prod", "unmarked")))
	for _, change := range changes {
		live := w.server.Get(configMap, "prod", change.Ref.Name)
		assert.Equal(t, inventory.Fingerprint(metadataOf(live)), inventory.Fingerprint(change.Live), change.Ref.Name)
	}
}

func TestARepairGoesOnAfterAFailure(t *testing.T) {
	w := newWorld(t)
	w.server.Refuse(configMap, "prod", "a", invalid("ConfigMap", "a"))
	changes, err := w.Repair(w.build(config("a", "x") + config("b", "x")))
	assert.ErrorContains(t, err, "apply ConfigMap a")
	assert.Equal(t, "created ConfigMap b", Describe(changes, 9))
	assert.Equal(t, changes, w.Changes)
}

func TestARepairOfASecretNamesTheFieldAndNotItsValue(t *testing.T) {
	w := newWorld(t)
	manifest := "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {password: b2xk}\n"
	_, err := w.Create(w.build(manifest))
	require.NoError(t, err)
	live := w.server.Get(secret, "prod", "s")
	require.NoError(t, unstructured.SetNestedField(live.Object, "bmV3", "data", "password"))
	w.server.Put(live)
	changes, err := w.Repair(w.build(manifest))
	require.NoError(t, err)
	assert.Equal(t, "changed Secret s (data.password)", Describe(changes, 9))
}

func TestOnlyTheOwnersObjectsAreDeleted(t *testing.T) {
	tests := map[string]struct {
		mark func(*unstructured.Unstructured)
		gone bool
	}{
		"ours":               {ownedBy(gw()), true},
		"ours by its label":  {labelled("uid-gw"), true},
		"nobody's":           {func(*unstructured.Unstructured) {}, false},
		"another resource's": {ownedBy(other()), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.put(config("a", "x"), test.mark)
			_, errs := w.Delete(w.build(config("a", "x")))
			require.Empty(t, errs)
			assert.Equal(t, test.gone, w.server.Get(configMap, "prod", "a") == nil)
		})
	}
}

func TestDeletingWhatIsGoneIsNoError(t *testing.T) {
	w := newWorld(t)
	_, errs := w.Delete(w.build(config("a", "x")))
	assert.Empty(t, errs)
}

func TestADeletionGoesOnAfterAFailure(t *testing.T) {
	w := newWorld(t)
	w.put(config("a", "x"), ownedBy(gw()))
	w.put(config("b", "x"), ownedBy(gw()))
	w.server.Refuse(configMap, "prod", "a", apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "a", nil))
	res, errs := w.Delete(w.build(config("a", "x") + config("b", "x")))
	require.Len(t, errs, 1)
	assert.ErrorContains(t, errs[0], "delete ConfigMap a")
	assert.Equal(t, []string{"b"}, names(res.Deleted))
	assert.Nil(t, w.server.Get(configMap, "prod", "b"))
}

func replicas(t *testing.T, w *world) any {
	t.Helper()
	u := w.server.Get(deployment, "prod", "gw")
	require.NotNil(t, u)
	n, _, err := unstructured.NestedFieldNoCopy(u.Object, "spec", "replicas")
	require.NoError(t, err)
	return n
}

func TestReplicasSurviveBeingHandedToAnAutoscaler(t *testing.T) {
	w := newWorld(t)
	before, after := deploy("  replicas: 4"), deploy()
	_, err := w.Create(w.build(before))
	require.NoError(t, err)
	_, err = w.Update(w.build(before), w.build(after), false)
	require.NoError(t, err)
	assert.EqualValues(t, 4, replicas(t, w), "giving the field up must not reset it")

	_, err = w.Update(w.build(after), w.build(deploy("  replicas: 2")), false)
	require.NoError(t, err)
	assert.EqualValues(t, 2, replicas(t, w), "the chart takes the field back")
}

func TestReplicasThatWereNeverTheChartsAreLeftAlone(t *testing.T) {
	w := newWorld(t)
	manifest := deploy()
	_, err := w.Create(w.build(manifest))
	require.NoError(t, err)
	scaled := w.server.Get(deployment, "prod", "gw")
	require.NoError(t, unstructured.SetNestedField(scaled.Object, int64(6), "spec", "replicas"))
	w.server.Put(scaled)
	w.server.Writes()
	_, err = w.Update(w.build(manifest), w.build(deploy()), false)
	require.NoError(t, err)
	assert.EqualValues(t, 6, replicas(t, w))
	assert.Empty(t, w.server.Writes(), "nothing to hand over, nothing to write")
}

func TestPreflightHandsNothingOver(t *testing.T) {
	w := newWorld(t)
	_, err := w.Create(w.build(deploy("  replicas: 4")))
	require.NoError(t, err)
	w.server.Writes()
	require.NoError(t, w.Preflight(w.build(deploy()), nil))
	assert.Empty(t, w.server.Writes())
}

func TestIgnoredFieldsAreSetOnceAndThenLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.Ignored = drift.Rules{{Kind: "ConfigMap", Paths: []string{"/data/key"}}}
	_, err := w.Create(w.build(config("a", "first")))
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"key": "first"}, w.data("a"))
	live := w.server.Get(configMap, "prod", "a")
	require.NoError(t, unstructured.SetNestedField(live.Object, "theirs", "data", "key"))
	w.server.Put(live)
	_, err = w.Repair(w.build(config("a", "second")))
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"key": "theirs"}, w.data("a"))
}

func TestWhatIsLeftOfAReleaseIsCounted(t *testing.T) {
	w := newWorld(t)
	w.put(config("ours", "x"), ownedBy(gw()))
	w.put(config("nobodys", "x"))
	w.put(config("theirs", "x"), ownedBy(other()))
	keep := "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: kept\n  annotations: {helm.sh/resource-policy: keep}\n"
	w.put(keep+"  namespace: prod\n", labelled("uid-gw"))
	list := w.build(config("ours", "x") + config("nobodys", "x") + config("theirs", "x") + config("gone", "x") + keep)
	left, err := w.Remaining(context.Background(), list)
	require.NoError(t, err)
	assert.Equal(t, 1, left)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = w.Remaining(ctx, list)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestKindsThatAreGoneMayBeTolerated(t *testing.T) {
	manifest := config("a", "x") + "---\napiVersion: gone.test/v1\nkind: Gone\nmetadata: {name: g}\n"
	w := newWorld(t)
	_, err := w.Build(stringReader(manifest), false)
	require.Error(t, err)
	w.TolerateUnknownKinds = true
	assert.Equal(t, []string{"a"}, names(w.build(manifest)))
}

func TestClusterScopedObjectsAreWrittenAndDeleted(t *testing.T) {
	w := newWorld(t)
	manifest := "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\nrules: []\n"
	_, err := w.Create(w.build(manifest))
	require.NoError(t, err)
	u := w.server.Get(clusterRole, "", "r")
	require.NotNil(t, u)
	assert.Empty(t, u.GetOwnerReferences())
	assert.Equal(t, "prod/gw", u.GetAnnotations()[ownerName])
	_, errs := w.Delete(w.build(manifest))
	require.Empty(t, errs)
	assert.Nil(t, w.server.Get(clusterRole, "", "r"))
}

// An object may be replaced by another of its name between the look at it and the write.
func TestAnObjectThatTookThePlaceOfOursIsNotTouched(t *testing.T) {
	for name, act := range map[string]func(w *world) error{
		"by an update": func(w *world) error {
			_, err := w.Update(w.build(config("a", "old")), w.build(config("a", "new")), false)
			return err
		},
		"by a repair": func(w *world) error {
			_, err := w.Repair(w.build(config("a", "new")))
			return err
		},
		"by a deletion": func(w *world) error {
			_, errs := w.Delete(w.build(config("a", "old")))
			return errors.Join(errs...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.put(config("a", "old"), ownedBy(gw()))
			w.server.Swap(object(t, config("a", "theirs")))
			err := act(w)
			if name == "by a deletion" {
				require.NoError(t, err, "ours is gone, and that was the aim")
			} else {
				assert.True(t, apierrors.IsConflict(err), "%v", err)
			}
			assert.Equal(t, map[string]any{"key": "theirs"}, w.data("a"))
			assert.Empty(t, Describe(w.Changes, 9))
		})
	}
}
