package controller

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	helmrelease "helm.sh/helm/v3/pkg/release"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
	"github.com/datapower-operator/datapower-operator/helm-operator/metrics"
)

// renders counts the renders of a kind of the test's own.
func (o *operator) renders() uint64 {
	o.Helper()
	o.metrics = metrics.Kind(o.Name())
	families, err := ctrlmetrics.Registry.Gather()
	require.NoError(o, err)
	for _, f := range families {
		if f.GetName() != "datapower_operator_render_duration_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == o.Name() {
				return m.GetHistogram().GetSampleCount()
			}
		}
	}
	return 0
}

// reject refuses the writes of a ConfigMap, but not its dry runs.
func (o *operator) reject(name string) {
	o.server.Reject(configMapKind, "prod", name, apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, name, nil))
}

func (o *operator) record(version string) *unstructured.Unstructured {
	return o.server.Get(secretKind, "prod", "sh.helm.release.v1.gw.v"+version)
}

func TestARestartRendersNothingAndAsksNothing(t *testing.T) {
	o := newOperator(t)
	o.renders()
	o.want("a=1", "b=1")
	o.settles()
	o.restart()
	rendered, asked := o.renders(), o.server.Requests()
	assert.EqualValues(t, 1, rendered, "for the install")
	assert.Zero(t, o.settles())
	assert.Equal(t, rendered, o.renders())
	assert.Equal(t, asked, o.server.Requests())
}

func TestAReleaseOfAnOlderOperatorIsRenderedOnceAndThenKnown(t *testing.T) {
	for name, annotations := range map[string]map[string]string{
		"without a list of its objects": nil, "with a list that can't be read": {inventory.Annotation: "what?"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOperator(t)
			o.renders()
			o.want("a=1", "b=1")
			o.settles()
			record := o.record("1")
			record.SetAnnotations(annotations)
			o.server.Put(record)
			o.restart()
			asked := o.server.Requests()
			assert.Zero(t, o.settles())
			assert.Equal(t, "1 deployed", o.history())
			assert.Equal(t, "a=1 b=1", o.data())
			if annotations == nil {
				assert.Equal(t, asked+1, o.server.Requests(), "only the history that this test looks at")
				assert.EqualValues(t, 2, o.renders())
			}
		})
	}
}

func TestAfterARestartAnUpgradeKnowsWhatNeedNotBeTouched(t *testing.T) {
	for name, between := range map[string]func(*operator){
		"in one process": func(*operator) {}, "after a restart": (*operator).restart,
	} {
		t.Run(name, func(t *testing.T) {
			o := newOperator(t)
			o.want("a=1", "b=1")
			o.settles()
			o.server.Writes()
			between(o)
			o.want("a=1", "b=2")
			o.settles()
			assert.Equal(t, "a=1 b=2", o.data())
			assert.NotContains(t, o.server.Writes(), "apply ConfigMap a")
		})
	}
}

func TestAnUpgradeRepairsWhatDriftedThoughTheChartDoesNotChangeIt(t *testing.T) {
	o := newOperator(t)
	o.want("a=1", "b=1", "c=1")
	o.settles()
	edited := o.server.Get(configMapKind, "prod", "a")
	require.NoError(t, unstructured.SetNestedField(edited.Object, "rogue", "data", "key"))
	edited.SetManagedFields(nil)
	o.server.Put(edited)
	o.server.Remove(configMapKind, "prod", "c")
	o.want("a=1", "b=2", "c=1")
	_, err := o.reconcile()
	require.NoError(t, err)
	assert.Equal(t, "a=1 b=2 c=1", o.data(), "at once, not by a repair that follows")
}

// The failed upgrade changed a, and the way back was barred there: what a is by now is known, but it is not what the
// deployed revision has.
func TestWhatAFailedUpgradeLeftIsNotTakenForSettled(t *testing.T) {
	o := newOperator(t)
	o.want("a=1", "b=1", "c=1")
	o.settles()
	o.reject("c")
	o.want("a=1", "b=2", "c=2")
	assert.Positive(t, o.settles())
	o.leave(helmrelease.StatusFailed)
	b := o.server.Get(configMapKind, "prod", "b")
	require.NoError(t, unstructured.SetNestedField(b.Object, "2", "data", "key"))
	o.server.Put(b)
	ref := inventory.Ref{GroupVersionKind: configMapKind, Namespace: "prod", Name: "b"}
	live, found, err := o.dependents.Get(t.Context(), ref)
	require.NoError(t, err)
	require.True(t, found)
	o.memos.get(gw, "uid-gw").verified[ref] = inventory.Fingerprint(live)

	o.server.Reject(configMapKind, "prod", "c", nil)
	o.want("a=1", "b=1", "c=3")
	o.settles()
	assert.Equal(t, "a=1 b=1 c=3", o.data())
}

func TestAFirstInstallThatIsRefusedLeavesNothingAndIsNotTriedBlindlyAgain(t *testing.T) {
	for name, between := range map[string]func(*operator){
		"in one process": func(*operator) {}, "after a restart": (*operator).restart,
	} {
		t.Run(name, func(t *testing.T) {
			o := newOperator(t)
			o.refuse("b")
			o.want("a=1", "b=1")
			wait := o.settles()
			assert.Positive(t, wait)
			assert.Empty(t, o.data())
			assert.Empty(t, o.history())
			assert.Contains(t, o.told("ReleaseFailed"), "ConfigMap b")
			assert.Contains(t, o.told("Deployed"), "False InstallError")
			assert.Nil(t, o.record("1"))

			o.server.Writes()
			between(o)
			o.wait(wait)
			assert.Positive(t, o.settles())
			assert.Empty(t, o.server.Writes(), "it is checked in full by now")

			o.accept("b")
			o.want("a=2", "b=2")
			assert.Zero(t, o.settles())
			assert.Equal(t, "a=2 b=2", o.data())
			assert.Equal(t, "1 deployed", o.history())
		})
	}
}

func TestAFirstInstallNeverTakesOverWhatIsThere(t *testing.T) {
	o := newOperator(t)
	theirs := &unstructured.Unstructured{Object: map[string]any{"data": map[string]any{"key": "theirs"}}}
	theirs.SetGroupVersionKind(configMapKind)
	theirs.SetNamespace("prod")
	theirs.SetName("b")
	o.server.Put(theirs)
	o.server.Writes()
	o.want("a=1", "b=1")
	assert.Positive(t, o.settles())
	assert.Equal(t, "b=theirs", o.data())
	assert.Empty(t, o.server.Writes())
	assert.Contains(t, o.told("ReleaseFailed"), "does not belong to this resource")
}

func TestAnInstallAsksForEachThingOnce(t *testing.T) {
	o := newOperator(t)
	o.want("a=1", "b=1", "c=1")
	asked := o.server.Requests()
	o.settles()
	assert.Equal(t, 1+3+1+3+1, o.server.Requests()-asked, "the history; a look at each object; the record; the objects; the record")
}

func TestAnUpgradeAsksOnlyForWhatChanges(t *testing.T) {
	o := newOperator(t)
	o.want("a=1", "b=1", "c=1")
	o.settles()
	o.want("a=1", "b=2", "c=1")
	asked := o.server.Requests()
	o.settles()
	assert.Equal(t, 1+2+1+1+2, o.server.Requests()-asked, "the history; a trial and a look at b; the record; b; both records")
}
