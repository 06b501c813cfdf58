package controller

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/datapower-operator/datapower-operator/helm-operator/apply"
	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper"
	"github.com/datapower-operator/datapower-operator/helm-operator/references"
	"github.com/datapower-operator/datapower-operator/helm-operator/status"
)

func TestAResourceThatIsGoneIsForgotten(t *testing.T) {
	w := newWorld(t)
	w.memos.get(gw, "uid-gw").digest = "seen"
	secret := mapper.Reference{GroupVersionKind: corev1.SchemeGroupVersion.WithKind("Secret"), Name: "s"}
	require.NoError(t, w.Reconciler.references.Register(context.Background(), gw, []mapper.Reference{secret}))
	result, err := w.reconcile()
	require.NoError(t, err)
	assert.Zero(t, result)
	assert.Empty(t, w.memos.get(gw, "uid-gw").digest)
}

func TestAResourceOutsideTheSelectorIsNotTouched(t *testing.T) {
	w := newWorld(t, resource())
	w.watch.Selector = labels.SelectorFromSet(labels.Set{"tier": "gold"})
	before := w.get()
	result, err := w.reconcile()
	require.NoError(t, err)
	assert.Zero(t, result)
	assert.Equal(t, before, w.get())
	assert.Empty(t, w.events)
}

func TestAResourceThatLeavesTheSelectorIsLetGo(t *testing.T) {
	w := newWorld(t, resource(func(u *unstructured.Unstructured) {
		u.SetFinalizers([]string{"example.test/x", Finalizer, LegacyFinalizer})
	}))
	w.memos.get(gw, "uid-gw").digest = "seen"
	w.watch.Selector = labels.SelectorFromSet(labels.Set{"tier": "gold"})
	_, err := w.reconcile()
	require.NoError(t, err)
	assert.Equal(t, []string{"example.test/x"}, w.get().GetFinalizers())
	assert.Empty(t, w.events)
	assert.False(t, w.memos.has(gw, "uid-gw"), "who comes back begins anew")

	other := w.get()
	other.SetFinalizers([]string{Finalizer}) // its new operator has come to it
	require.NoError(t, w.kube.Update(context.Background(), other))
	_, err = w.reconcile()
	require.NoError(t, err)
	assert.Equal(t, []string{Finalizer}, w.get().GetFinalizers())
}

func TestAResourceThatLeavesTheSelectorDuringAWriteIsLookedAtAgain(t *testing.T) {
	w := newWorld(t, resource(func(u *unstructured.Unstructured) { u.SetFinalizers([]string{Finalizer}) }))
	w.memos.get(gw, "uid-gw").digest = "seen"
	w.watch.Selector = labels.SelectorFromSet(labels.Set{"tier": "gold"})
	stale := w.get()
	newer := w.get()
	newer.SetLabels(map[string]string{"a": "b"})
	require.NoError(t, w.kube.Update(context.Background(), newer))
	result, err := w.letGo(context.Background(), stale)
	require.NoError(t, err)
	assert.Positive(t, result.RequeueAfter)
	assert.True(t, w.memos.has(gw, "uid-gw"))
}

func TestAResourceThatIsBeingDeletedWithoutOurFinalizerIsLeftAlone(t *testing.T) {
	w := newWorld(t, resource(func(u *unstructured.Unstructured) { u.SetFinalizers([]string{"example.test/other"}) }))
	require.NoError(t, w.kube.Delete(context.Background(), w.get()))
	before := w.get()
	_, err := w.reconcile()
	require.NoError(t, err)
	assert.Equal(t, before, w.get())
}

func TestAPausedResourceIsLeftAsItIs(t *testing.T) {
	w := newWorld(t, resource(annotated("datapower.ibm.com/pause", "true")))
	result, err := w.reconcile()
	require.NoError(t, err)
	assert.Zero(t, result.RequeueAfter, "until the annotation goes")
	got := w.get()
	assert.Equal(t, []string{Finalizer}, got.GetFinalizers())
	assert.Equal(t, map[string]string{"datapower.ibm.com/pause": "true"}, got.GetAnnotations())
	initialized, _, err := unstructured.NestedSlice(got.Object, "status", "conditions")
	require.NoError(t, err)
	require.Len(t, initialized, 1)
	assert.Equal(t, "Initialized", initialized[0].(map[string]any)["type"])
}

func TestAPauseOfSomeTimeNotesItsEnd(t *testing.T) {
	w := newWorld(t, resource(annotated("datapower.ibm.com/pause", "1h")))
	result, err := w.reconcile()
	require.NoError(t, err)
	assert.Equal(t, time.Hour, result.RequeueAfter)
	assert.Equal(t, map[string]string{
		"datapower.ibm.com/pause": "1h", "datapower.ibm.com/pause-expiration": "2026-11-20T13:00:00Z",
	}, w.get().GetAnnotations())

	w.clock.SetTime(noon.Add(45 * time.Minute))
	result, err = w.reconcile()
	require.NoError(t, err)
	assert.Equal(t, 15*time.Minute, result.RequeueAfter, "the wait does not start again")
}

func TestTheFinalizerIsSetOnce(t *testing.T) {
	tests := map[string]struct{ before, after []string }{
		"none yet":                  {nil, []string{Finalizer}},
		"others'":                   {[]string{"example.test/x"}, []string{"example.test/x", Finalizer}},
		"ours":                      {[]string{Finalizer}, []string{Finalizer}},
		"that of an older operator": {[]string{LegacyFinalizer}, []string{LegacyFinalizer}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, resource(func(u *unstructured.Unstructured) { u.SetFinalizers(test.before) }))
			p := w.pass(w.get())
			require.NoError(t, p.ensureFinalizer(context.Background()))
			assert.Equal(t, test.after, w.get().GetFinalizers())
		})
	}
}

func TestAFinalizerIsNotSetOverAnotherChange(t *testing.T) {
	w := newWorld(t, resource())
	p := w.pass(w.get())
	newer := w.get()
	newer.SetLabels(map[string]string{"a": "b"})
	require.NoError(t, w.kube.Update(context.Background(), newer))
	err := p.ensureFinalizer(context.Background())
	assert.True(t, apierrors.IsConflict(err), "%v", err)
}

func TestTheNextReconcileIsDueWhenAskedOrPeriodically(t *testing.T) {
	tests := map[string]struct {
		requeue, watch, annotation time.Duration
		least, most                time.Duration
	}{
		"never":                              {0, 0, 0, 0, 0},
		"after the watch's period":           {0, time.Hour, 0, time.Hour, 66 * time.Minute},
		"after the resource's own period":    {0, time.Hour, time.Minute, time.Minute, 66 * time.Second},
		"when a wait is over":                {time.Second, time.Hour, 0, time.Second, time.Second},
		"when a wait is over, whatever else": {time.Second, 0, time.Hour, time.Second, time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.watch.ReconcilePeriod = test.watch
			for range 20 {
				p := w.pass(resource())
				p.requeue, p.control.Period = test.requeue, test.annotation
				result, err := p.result(nil)
				require.NoError(t, err)
				assert.GreaterOrEqual(t, result.RequeueAfter, test.least)
				assert.LessOrEqual(t, result.RequeueAfter, test.most)
			}
		})
	}
}

func TestAFailureLeavesTheNextReconcileToTheQueue(t *testing.T) {
	w := newWorld(t)
	p := w.pass(resource())
	p.requeue = time.Minute
	cause := errors.New("no connection")
	result, err := p.result(cause)
	assert.ErrorIs(t, err, cause)
	assert.Zero(t, result)
}

func TestAHeldResourceTellsWhyAndIsNotTriedAgain(t *testing.T) {
	w := newWorld(t)
	p := w.pass(resource())
	require.NoError(t, p.held(&mapper.HoldError{Reason: "ReferenceNotFound", Message: `Secret "s" not found`}))
	for _, conditionType := range []string{status.Irreconcilable, status.Deployed} {
		c := condition(p, conditionType)
		assert.Equal(t, "ReferenceNotFound", c.Reason)
		assert.Equal(t, `Secret "s" not found`, c.Message)
		assert.EqualValues(t, 7, c.ObservedGeneration)
	}
	assert.Equal(t, metav1.ConditionTrue, condition(p, status.Irreconcilable).Status)
	assert.Equal(t, metav1.ConditionFalse, condition(p, status.Deployed).Status)
	assert.EqualValues(t, 7, p.status.ObservedGeneration)
	require.Len(t, w.events, 1)
	assert.Equal(t, corev1.EventTypeWarning, w.events[0].eventType)
	assert.Equal(t, `Secret "s" not found`, w.events[0].note)
}

func TestAHoldThatAnotherProgramTellsMakesNoEvent(t *testing.T) {
	w := newWorld(t)
	p := w.pass(resource())
	require.NoError(t, p.held(&mapper.HoldError{Reason: "ReferenceNotFound", Message: "m", Told: true}))
	assert.Equal(t, metav1.ConditionTrue, condition(p, status.Irreconcilable).Status)
	assert.Empty(t, w.events)
}

func TestAClusterThatCannotBeAskedIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	p := w.pass(resource())
	p.set(status.Deployed, metav1.ConditionTrue, "UpToDate", "")
	cause := errors.New("no connection")
	require.ErrorIs(t, p.held(cause), cause)
	assert.Equal(t, "ClusterError", condition(p, status.Irreconcilable).Reason)
	assert.Equal(t, metav1.ConditionTrue, condition(p, status.Deployed).Status, "what is deployed is still deployed")
	assert.Zero(t, p.status.ObservedGeneration)
}

func TestAFailedActionIsReportedCountedAndWaitsLongerEachTime(t *testing.T) {
	w := newWorld(t)
	want := &wanted{digest: "now"}
	for n, wait := range map[int]time.Duration{1: 10 * time.Second, 2: 40 * time.Second, 5: 10 * time.Minute} {
		p := w.pass(resource())
		p.memo.failure = failure{digest: "now", attempts: n - 1}
		require.NoError(t, p.failed(want, "Upgrade", errors.New("spec.ports[0].port: invalid")))
		assert.Equal(t, wait, p.requeue)
		attempts, last := p.memo.failure.of("now")
		assert.Equal(t, n, attempts)
		assert.Equal(t, noon, last)
		failed := condition(p, status.ReleaseFailed)
		assert.Equal(t, metav1.ConditionTrue, failed.Status)
		assert.Equal(t, "UpgradeError", failed.Reason)
		assert.Equal(t, "spec.ports[0].port: invalid", failed.Message)
		assert.Equal(t, metav1.ConditionFalse, condition(p, status.Deployed).Status)
		assert.EqualValues(t, 7, p.status.ObservedGeneration)
	}
	assert.Len(t, w.events, 1, "the same failure is told once")
}

func TestBeingInSyncClearsWhatWasWrong(t *testing.T) {
	w := newWorld(t)
	p := w.pass(resource())
	require.NoError(t, p.failed(&wanted{digest: "now"}, "Install", errors.New("no")))
	require.NoError(t, p.held(&mapper.HoldError{Reason: "R", Message: "m"}))
	p = w.pass(resource())
	p.status.DeployedRelease = &status.DeployedRelease{Name: "gw", Revision: 3, Chart: "demo-1.0.0"}
	p.reportInSync()
	assert.Equal(t, metav1.ConditionTrue, condition(p, status.Deployed).Status)
	assert.Equal(t, "release gw revision 3, chart demo-1.0.0", condition(p, status.Deployed).Message)
	assert.Equal(t, metav1.ConditionFalse, condition(p, status.ReleaseFailed).Status)
	assert.Equal(t, metav1.ConditionFalse, condition(p, status.Irreconcilable).Status)
	assert.EqualValues(t, 7, p.status.ObservedGeneration)

	w.events = nil
	require.NoError(t, w.pass(resource()).held(&mapper.HoldError{Reason: "R", Message: "m"}))
	assert.Len(t, w.events, 1, "what comes back after all was well is told again")
}

func TestWhatWasLeftByAnActionIsVerified(t *testing.T) {
	w := newWorld(t)
	p := w.pass(resource())
	kept, gone := inventory.Ref{Name: "kept"}, inventory.Ref{Name: "gone"}
	p.memo.verified[gone] = "before"
	live := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{UID: "u", ResourceVersion: "5"}}
	p.verify([]apply.Change{{Ref: kept, Verb: apply.Unchanged, Live: live}, {Ref: gone, Verb: apply.Deleted}})
	assert.Equal(t, map[inventory.Ref]string{kept: inventory.Fingerprint(live)}, p.memo.verified)
}

func TestTheStatusIsWrittenOnceForAChange(t *testing.T) {
	w := newWorld(t, resource())
	p := w.pass(w.get())
	p.set(status.Deployed, metav1.ConditionTrue, "UpToDate", "")
	require.NoError(t, p.writeStatus(context.Background()))
	version := w.get().GetResourceVersion()
	require.NoError(t, p.writeStatus(context.Background()))
	assert.Equal(t, version, w.get().GetResourceVersion())

	stale := resource() // the cache does not show the write yet
	again := w.pass(stale)
	again.set(status.Deployed, metav1.ConditionTrue, "UpToDate", "")
	require.NoError(t, again.writeStatus(context.Background()))
	assert.Equal(t, version, w.get().GetResourceVersion(), "what was written is remembered")
}

func TestACancelledReconcileStillTellsWhatItDid(t *testing.T) {
	w := newWorld(t, resource())
	p := w.pass(w.get())
	p.set(status.Deployed, metav1.ConditionFalse, "UpgradeError", "interrupted")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.NoError(t, p.writeStatus(ctx))
	conditions, _, err := unstructured.NestedSlice(w.get().Object, "status", "conditions")
	require.NoError(t, err)
	assert.Len(t, conditions, 1)
}

// generating is a mapper that wants Secrets.
type generating struct {
	mapper.None
	secrets []mapper.GeneratedSecret
}

func (g generating) Generated(*unstructured.Unstructured) ([]mapper.GeneratedSecret, error) {
	return g.secrets, nil
}

func TestSecretsAreGeneratedOnceAndNeverChanged(t *testing.T) {
	w := newWorld(t)
	w.mapper = generating{secrets: []mapper.GeneratedSecret{{Name: "phrase", Key: "passphrase", Length: 32}}}
	require.NoError(t, w.pass(resource()).ensureGenerated(context.Background()))
	s := &corev1.Secret{}
	require.NoError(t, w.kube.Get(context.Background(), types.NamespacedName{Namespace: "prod", Name: "phrase"}, s))
	text := string(s.Data["passphrase"])
	assert.Regexp(t, "^[A-Za-z0-9]{32}$", text)
	assert.Equal(t, "uid-gw", s.Labels[inventory.OwnerUIDLabel])
	assert.EqualValues(t, "uid-gw", metav1.GetControllerOf(s).UID)
	require.Len(t, w.events, 1)
	assert.Contains(t, w.events[0].note, "phrase")
	assert.NotContains(t, w.events[0].note, text)

	require.NoError(t, w.pass(resource()).ensureGenerated(context.Background()))
	again := &corev1.Secret{}
	require.NoError(t, w.kube.Get(context.Background(), types.NamespacedName{Namespace: "prod", Name: "phrase"}, again))
	assert.Equal(t, s, again)
	assert.Len(t, w.events, 1)
}

func TestASecretThatSomebodyProvidedIsUsed(t *testing.T) {
	provided := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "phrase"}, Data: map[string][]byte{"passphrase": []byte("theirs")},
	}
	for name, cached := range map[string]bool{"and the cache knows it": true, "and the cache does not know it yet": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, provided.DeepCopy())
			if !cached {
				w.Reconciler.references = references.NewTracker(metadataCache{kube: newWorld(t).kube}, w.kube, watching{})
			}
			w.mapper = generating{secrets: []mapper.GeneratedSecret{{Name: "phrase", Key: "passphrase", Length: 32}}}
			require.NoError(t, w.pass(resource()).ensureGenerated(context.Background()))
			s := &corev1.Secret{}
			require.NoError(t, w.kube.Get(context.Background(), types.NamespacedName{Namespace: "prod", Name: "phrase"}, s))
			assert.Equal(t, "theirs", string(s.Data["passphrase"]))
			assert.Empty(t, s.Labels)
			assert.Empty(t, w.events)
		})
	}
}

func TestRandomTextHasItsLengthAndNeverRepeats(t *testing.T) {
	form := regexp.MustCompile("^[A-Za-z0-9]*$")
	seen := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(16, 64).Draw(t, "length")
		text, err := randomText(n)
		require.NoError(t, err)
		require.Len(t, text, n)
		require.Regexp(t, form, text)
		require.False(t, seen[text])
		seen[text] = true
	})
	empty, err := randomText(0)
	require.NoError(t, err)
	assert.Empty(t, empty)
}

func TestEventsSayWhatTheyWereGiven(t *testing.T) {
	w := newWorld(t)
	p := w.pass(resource())
	p.event(corev1.EventTypeNormal, "InstallSuccessful", "Install", "created 100% of it")
	assert.Equal(t, []event{{corev1.EventTypeNormal, "InstallSuccessful", "Install", "created 100% of it"}}, w.events)
}

func TestNotesFitIntoAnEvent(t *testing.T) {
	w := newWorld(t)
	p := w.pass(resource())
	p.event(corev1.EventTypeWarning, "R", "A", strings.Repeat("x", 5000))
	require.Len(t, w.events, 1)
	assert.LessOrEqual(t, len(w.events[0].note), 1024)
	assert.True(t, strings.HasSuffix(w.events[0].note, "x..."))
}

func TestDescriptionsOfNothingAreGiven(t *testing.T) {
	assert.Equal(t, "nothing to change", describe(nil, "nothing to change"))
	change := apply.Change{Verb: apply.Created, Ref: inventory.Ref{GroupVersionKind: schema.GroupVersionKind{Kind: "Service"}, Name: "gw"}}
	assert.Equal(t, "created Service gw", describe([]apply.Change{change}, "nothing to change"))
}
