package controller

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
)

// What is deployed is kept right while the chart refuses a new spec, as it is while a reference is missing or an
// upgrade waits.
func TestDriftIsRepairedWhileTheChartRefusesTheSpec(t *testing.T) {
	o := newOperator(t)
	o.want("a=1", "b=1")
	o.settles()
	o.want("a=refused", "b=1")
	o.settles()
	o.server.Remove(configMapKind, "prod", "b")
	o.settles()
	assert.Equal(t, "a=1 b=1", o.data())
	assert.Contains(t, o.told("Irreconcilable"), "True RenderError")
}

// Helm refuses to upgrade a release whose newest record says uninstalled ("has no deployed releases"). It is met when
// hibernation that waits for the objects to go is ended early, and after helm uninstall --keep-history.
func TestAnUninstalledReleaseThatHadSeveralRevisionsIsInstalledAgain(t *testing.T) {
	o := newOperator(t)
	o.want("a=1")
	o.settles()
	o.want("a=2")
	o.settles()
	require.NoError(t, o.helm().Uninstall(true))
	assert.Equal(t, "2 uninstalled, 1 superseded", o.history())
	assert.Zero(t, o.settles())
	assert.Equal(t, "a=2", o.data())
	assert.Contains(t, o.told("Deployed"), "True")
}

// The mark of the release Secrets must be as old as the look at them: a newer one covers what changed in between, and
// the event of that change finds all settled.
func TestARevisionThatVanishesDuringTheLastLookIsNotMissed(t *testing.T) {
	o := newOperator(t)
	for _, entry := range []string{"a=1", "a=2"} {
		o.want(entry)
		o.settles()
	}
	o.wait(time.Hour)
	o.server.Remove(configMapKind, "prod", "a")
	lists := 0
	o.caches.onList = func() {
		if lists++; lists == 2 { // the first is the look whether all is settled, the second is the last one
			o.server.Remove(secretKind, "prod", "sh.helm.release.v1.gw.v2")
		}
	}
	o.settles()
	require.GreaterOrEqual(t, lists, 2)
	o.caches.onList = nil
	o.wait(time.Hour)
	o.settles() // the event of the deletion
	assert.Contains(t, o.history(), "2 deployed")
}

// Nothing reconciles a second kind's resource of the same name when the first is gone.
func TestANameThatIsTakenIsTriedAgain(t *testing.T) {
	o := newOperator(t)
	o.want("a=1")
	o.settles()
	o.useChart("other")
	o.restart()
	assert.Positive(t, o.settles(), "no event of ours tells when the name becomes free")
}

// A cache that can't be asked says nothing of an object. Taken for missing, it would be made again, and with it all that
// somebody else may have put in its place.
func TestACacheThatFailsIsNoReasonToRepair(t *testing.T) {
	for name, between := range map[string]func(*operator){
		"in one process":           func(*operator) {},
		"after a restart":          (*operator).restart,
		"when the spec is refused": func(o *operator) { o.want("a=refused") },
	} {
		t.Run(name, func(t *testing.T) {
			o := newOperator(t)
			o.want("a=1")
			o.settles()
			o.wait(time.Hour)
			o.settles()
			between(o)
			o.reasons()
			o.caches.fail = errors.New("the cache is not started")
			o.server.Writes() // forgets what was written so far
			_, err := o.reconcile()
			require.ErrorIs(t, err, o.caches.fail)
			assert.Empty(t, o.server.Writes())
			assert.NotContains(t, o.reasons(), "DriftCorrected")
			o.caches.fail = nil
			o.settles()
			assert.Equal(t, "a=1", o.data())
		})
	}
}

// Its labels were changed and it was deleted before this process came to the first of the two.
func TestAResourceThatIsDeletedAsItLeavesTheSelectorIsUninstalled(t *testing.T) {
	o := newOperator(t)
	o.want("a=1")
	o.settles()
	o.watch.Selector = labels.SelectorFromSet(labels.Set{"tier": "gold"})
	require.NoError(t, o.kube.Delete(context.Background(), o.get()))
	_, err := o.reconcile()
	require.NoError(t, err)
	assert.Empty(t, o.data())
	assert.True(t, apierrors.IsNotFound(o.kube.Get(context.Background(), gw, resource())), "the finalizer is gone")
}

// Two kinds may share a chart: its name does not tell whose a release is.
func TestTheReleaseOfAnotherKindWithTheSameChartIsLeftAlone(t *testing.T) {
	o := newOperator(t)
	o.want("a=1")
	o.settles()
	o.watch.Kind = "Other" // as the controller of another kind sees the release of its resource's namesake
	o.restart()
	p := o.pass(o.get())
	actions, err := p.helm(context.Background())
	require.NoError(t, err)
	want, err := p.want(context.Background())
	require.NoError(t, err)
	again, err := p.step(context.Background(), actions, want)
	require.NoError(t, err)
	assert.False(t, again)
	assert.Equal(t, "ReleaseNameTaken", condition(p, "Irreconcilable").Reason)
	done, err := p.uninstall(context.Background(), actions, false)
	require.NoError(t, err)
	assert.True(t, done)
	assert.Equal(t, "a=1", o.data())
	assert.Equal(t, "1 deployed", o.history())
}

// A foreground deletion lets the garbage collector take what the resource owns, its release Secrets among it, before the
// operator comes to uninstall. What can't be owned is left then.
func TestWhatTheGarbageCollectorLeavesOfALostReleaseIsDeleted(t *testing.T) {
	for name, between := range map[string]func(*operator){
		"in one process":  func(*operator) {},
		"after a restart": (*operator).restart,
	} {
		t.Run(name, func(t *testing.T) {
			o := newOperator(t)
			o.want("a=1", "b=1")
			o.settles()
			for _, secret := range o.server.List(secretKind, "prod", labels.Everything()) {
				o.server.Remove(secretKind, "prod", secret.GetName())
			}
			strange := o.server.Get(configMapKind, "prod", "b")
			strange.SetName("c")
			strange.SetUID("")
			strange.SetOwnerReferences(nil)
			strange.SetLabels(map[string]string{inventory.OwnerUIDLabel: "uid-other"})
			o.server.Put(strange)
			for _, name := range []string{"a", "c"} {
				o.orphaned = append(o.orphaned, inventory.Ref{GroupVersionKind: configMapKind, Namespace: "prod", Name: name})
			}
			between(o)
			o.reasons()
			require.NoError(t, o.kube.Delete(context.Background(), o.get()))
			_, err := o.reconcile()
			require.NoError(t, err)
			assert.Equal(t, "b=1 c=1", o.data(), "what is not the resource's stays, and what is not asked for")
			assert.True(t, apierrors.IsNotFound(o.kube.Get(context.Background(), gw, resource())), "the finalizer is gone")
			assert.Equal(t, []string{"OrphansDeleted"}, o.reasons())
		})
	}
}

func TestNobodyLooksForOrphansOfAReleaseThatIsThere(t *testing.T) {
	for name, prepare := range map[string]func(*operator){
		"deployed": func(o *operator) {
			o.want("a=1")
			o.settles()
			o.want("a=2")
			o.settles()
		},
		"never deployed": func(o *operator) {
			o.want("a=refused")
			o.settles()
		},
		"hibernating": func(o *operator) {
			o.want("a=1")
			o.settles()
			o.annotate(map[string]string{"datapower.ibm.com/hibernate": "true"})
			o.settles()
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOperator(t)
			prepare(o)
			o.Reconciler.orphans = func(context.Context, types.UID) ([]inventory.Ref, error) {
				require.Fail(t, "a look at every kind")
				return nil, nil
			}
			require.NoError(t, o.kube.Delete(context.Background(), o.get()))
			_, err := o.reconcile()
			require.NoError(t, err)
			assert.Empty(t, o.data())
			assert.True(t, apierrors.IsNotFound(o.kube.Get(context.Background(), gw, resource())), "the finalizer is gone")
		})
	}
}

// lagging is a cache that still shows a resource.
type lagging struct {
	client.Reader
	shown *unstructured.Unstructured
}

func (l lagging) Get(_ context.Context, _ client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	l.shown.DeepCopyInto(into.(*unstructured.Unstructured))
	return nil
}

// A cache that lags shows a resource that was let go as one without a release, like one whose release was lost.
func TestNobodyLooksForOrphansOfAResourceThatWasLetGo(t *testing.T) {
	o := newOperator(t)
	o.want("a=1")
	o.settles()
	require.NoError(t, o.kube.Delete(context.Background(), o.get()))
	shown := o.get()
	_, err := o.reconcile()
	require.NoError(t, err)
	o.reasons()
	o.Reconciler.resources = lagging{Reader: o.kube, shown: shown}
	o.Reconciler.orphans = func(context.Context, types.UID) ([]inventory.Ref, error) {
		require.Fail(t, "a look at every kind")
		return nil, nil
	}
	_, err = o.reconcile()
	require.NoError(t, err)
	assert.Empty(t, o.reasons())
}

// An informer that is started after a write takes what happened in between for the state to begin with: no event, and no
// repair.
func TestWhatIsWrittenIsWatchedBefore(t *testing.T) {
	o := newOperator(t)
	var unseen []string
	o.caches.onInformer = func(kind string) error {
		if kind == configMapKind.Kind {
			unseen = append(unseen, o.server.Writes()...)
		}
		return nil
	}
	o.want("a=1")
	o.settles()
	assert.Equal(t, "a=1", o.data())
	assert.NotContains(t, unseen, "apply ConfigMap a")
}

func TestNothingIsInstalledThatCannotBeWatched(t *testing.T) {
	o := newOperator(t)
	cause := errors.New("may not list ConfigMaps")
	o.caches.onInformer = func(kind string) error {
		if kind == configMapKind.Kind {
			return cause
		}
		return nil
	}
	o.want("a=1")
	_, err := o.reconcile()
	require.ErrorIs(t, err, cause)
	assert.Empty(t, o.data())
	assert.Contains(t, o.told("Irreconcilable"), "True ClusterError")
	assert.Contains(t, o.told("Irreconcilable"), cause.Error())
	o.caches.onInformer = nil
	o.settles()
	assert.Equal(t, "a=1", o.data())
}
