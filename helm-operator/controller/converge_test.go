package controller

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	helmrelease "helm.sh/helm/v3/pkg/release"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestAResourceIsInstalledUpgradedAndUninstalled(t *testing.T) {
	o := newOperator(t)
	o.want("a=1", "b=1")
	assert.Zero(t, o.settles())
	assert.Equal(t, "a=1 b=1", o.data())
	assert.Equal(t, "1 deployed", o.history())
	assert.Equal(t, "True UpToDate: release gw revision 1, chart demo-1.0.0", o.told("Deployed"))
	assert.Equal(t, []string{"InstallSuccessful"}, o.reasons())

	o.want("a=2", "c=1")
	assert.Zero(t, o.settles())
	assert.Equal(t, "a=2 c=1", o.data())
	assert.Equal(t, "2 deployed, 1 superseded", o.history())
	assert.Equal(t, []string{"UpgradeSuccessful"}, o.reasons())

	require.NoError(t, o.kube.Delete(context.Background(), o.get()))
	_, err := o.reconcile()
	require.NoError(t, err)
	assert.Empty(t, o.data())
	assert.Empty(t, o.server.List(secretKind, "prod", labels.Everything()))
	assert.True(t, apierrors.IsNotFound(o.kube.Get(context.Background(), gw, resource())), "the finalizer is gone")
	assert.Equal(t, []string{"UninstallSuccessful"}, o.reasons())
}

func TestNothingIsAskedWhileNothingChanged(t *testing.T) {
	for name, between := range map[string]func(*operator){
		"in one process":  func(*operator) {},
		"after a restart": (*operator).restart,
	} {
		t.Run(name, func(t *testing.T) {
			o := newOperator(t)
			o.want("a=1", "b=1")
			o.settles()
			o.settles()
			between(o)
			asked, version := o.server.Requests(), o.get().GetResourceVersion()
			o.settles()
			o.settles()
			assert.Equal(t, asked, o.server.Requests())
			assert.Equal(t, version, o.get().GetResourceVersion(), "no status write either")
		})
	}
}

func TestWhatChangedWhileNobodyLookedIsRepaired(t *testing.T) {
	for name, between := range map[string]func(*operator){
		"in one process":  func(*operator) {},
		"after a restart": (*operator).restart,
	} {
		t.Run(name, func(t *testing.T) {
			o := newOperator(t)
			o.want("a=1", "b=1")
			o.settles()
			o.reasons()
			edited := o.server.Get(configMapKind, "prod", "a")
			require.NoError(t, unstructured.SetNestedField(edited.Object, "rogue", "data", "key"))
			edited.SetManagedFields(nil)
			o.server.Put(edited)
			o.server.Remove(configMapKind, "prod", "b")
			between(o)
			o.settles()
			assert.Equal(t, "a=1 b=1", o.data())
			assert.Equal(t, "1 deployed", o.history())
			assert.Equal(t, []string{"DriftCorrected", "DriftCorrected"}, o.reasons())
		})
	}
}

func TestWhatTheServerRefusesChangesNothingAndHealsWhenCorrected(t *testing.T) {
	o := newOperator(t)
	o.want("a=1", "b=1")
	o.settles()
	o.refuse("b")
	o.want("a=2", "b=2")
	assert.Equal(t, 10*time.Second, o.settles())
	assert.Equal(t, "a=1 b=1", o.data())
	assert.Equal(t, "1 deployed", o.history())
	assert.Contains(t, o.told("ReleaseFailed"), "ConfigMap b")
	assert.Contains(t, o.told("Deployed"), "False UpgradeError")

	o.wait(5 * time.Second)
	assert.Equal(t, 5*time.Second, o.settles(), "it is not tried before its time")
	o.wait(5 * time.Second)
	assert.Equal(t, 40*time.Second, o.settles())

	o.accept("b")
	o.want("a=3", "b=3")
	assert.Zero(t, o.settles(), "other inputs need not wait")
	assert.Equal(t, "a=3 b=3", o.data())
	assert.Contains(t, o.told("ReleaseFailed"), "False")
}

func TestDriftIsRepairedWhileAnUpgradeWaits(t *testing.T) {
	o := newOperator(t)
	o.want("a=1", "b=1")
	o.settles()
	o.refuse("b")
	o.want("a=2", "b=2")
	o.settles()
	o.server.Remove(configMapKind, "prod", "a")
	assert.Positive(t, o.settles())
	assert.Equal(t, "a=1 b=1", o.data())
}

func TestAReleaseThatAKilledProcessLeftIsTakenUp(t *testing.T) {
	for _, status := range []helmrelease.Status{
		helmrelease.StatusPendingInstall, helmrelease.StatusPendingUpgrade, helmrelease.StatusPendingRollback,
		helmrelease.StatusUninstalling, helmrelease.StatusUnknown,
	} {
		t.Run(string(status), func(t *testing.T) {
			o := newOperator(t)
			o.want("a=1")
			o.settles()
			o.want("a=2", "b=2")
			o.settles()
			o.leave(status)
			o.restart()
			o.settles()
			assert.Equal(t, "a=2 b=2", o.data())
			assert.True(t, strings.HasPrefix(o.history(), "3 deployed, "), o.history())
			assert.NotContains(t, o.history(), string(status))
			assert.Contains(t, o.told("Deployed"), "True")
		})
	}
}

func TestWhatAnInterruptedUpgradeBroughtGoesWhenTheSpecChangedMeanwhile(t *testing.T) {
	o := newOperator(t)
	o.want("a=1")
	o.settles()
	o.want("a=2", "b=2")
	o.settles()
	o.leave(helmrelease.StatusPendingUpgrade)
	s := o.helm().Storage()
	first, err := s.Get("gw", 1)
	require.NoError(t, err)
	first.Info.Status = helmrelease.StatusDeployed // it is superseded only when the upgrade is through
	require.NoError(t, s.Update(first))
	o.restart()
	o.want("a=3")
	o.settles()
	assert.Equal(t, "a=3", o.data())
}

func TestTwoDeployedRevisionsBecomeOne(t *testing.T) {
	o := newOperator(t)
	o.want("a=1")
	o.settles()
	o.want("a=2")
	o.settles()
	s := o.helm().Storage()
	first, err := s.Get("gw", 1)
	require.NoError(t, err)
	first.Info.Status = helmrelease.StatusDeployed
	require.NoError(t, s.Update(first))
	o.wait(time.Hour)
	o.server.Remove(configMapKind, "prod", "a") // a reason to look
	o.settles()
	assert.Equal(t, "2 deployed, 1 superseded", o.history())
}

func TestAReleaseOfAnotherChartIsLeftAlone(t *testing.T) {
	o := newOperator(t)
	o.want("a=1")
	o.settles()
	o.useChart("other")
	o.restart()
	o.want("a=2")
	o.settles()
	assert.Equal(t, "a=1", o.data())
	assert.Contains(t, o.told("Irreconcilable"), "True ReleaseNameTaken: release belongs to chart demo")

	require.NoError(t, o.kube.Delete(context.Background(), o.get()))
	_, err := o.reconcile()
	require.NoError(t, err)
	assert.Equal(t, "a=1", o.data(), "and so it is when the resource goes")
}

func TestAnObjectOfSomebodyElseIsNotTakenOver(t *testing.T) {
	o := newOperator(t)
	theirs := &unstructured.Unstructured{Object: map[string]any{"data": map[string]any{"key": "theirs"}}}
	theirs.SetGroupVersionKind(configMapKind)
	theirs.SetNamespace("prod")
	theirs.SetName("b")
	o.server.Put(theirs)
	o.want("a=1", "b=1")
	assert.Positive(t, o.settles())
	assert.Equal(t, "b=theirs", o.data())
	assert.Contains(t, o.told("ReleaseFailed"), "ConfigMap b")
	require.NoError(t, o.kube.Delete(context.Background(), o.get()))
	_, err := o.reconcile()
	require.NoError(t, err)
	assert.Equal(t, "b=theirs", o.data())
}

func TestAHibernatingResourceHasNoObjectsAndWakesUp(t *testing.T) {
	o := newOperator(t)
	o.want("a=1")
	o.settles()
	o.annotate(map[string]string{"datapower.ibm.com/hibernate": "true"})
	o.settles()
	assert.Empty(t, o.data())
	assert.Contains(t, o.told("Deployed"), "False Hibernated")
	o.annotate(nil)
	o.settles()
	assert.Equal(t, "a=1", o.data())
	assert.Contains(t, o.told("Deployed"), "True UpToDate")
}

func TestAPausedReleaseIsLeftAsItIs(t *testing.T) {
	o := newOperator(t)
	o.want("a=1")
	o.settles()
	o.annotate(map[string]string{"datapower.ibm.com/pause": "true"})
	o.want("a=2")
	o.server.Remove(configMapKind, "prod", "a")
	o.settles()
	assert.Empty(t, o.data())
	o.annotate(nil)
	o.settles()
	assert.Equal(t, "a=2", o.data())
}

func TestAChartThatRefusesTheValuesIsReportedInItsWords(t *testing.T) {
	o := newOperator(t)
	o.want("a=refused")
	assert.Zero(t, o.settles(), "only another spec helps")
	assert.Equal(t, "True RenderError: chart refuses the values: spec.configs.a: refused", o.told("Irreconcilable"))
	assert.Empty(t, o.history())
	o.want("a=1")
	o.settles()
	assert.Contains(t, o.told("Irreconcilable"), "False")
	assert.Equal(t, "a=1", o.data())
}

func TestNewInputsThatRenderTheSameMakeNoRevision(t *testing.T) {
	o := newOperator(t)
	o.want("a=1")
	o.settles()
	u := o.get()
	u.SetGeneration(u.GetGeneration() + 1)
	require.NoError(t, unstructured.SetNestedField(u.Object, "x", "spec", "unused"))
	require.NoError(t, o.kube.Update(context.Background(), u))
	o.settles()
	assert.Equal(t, "1 deployed", o.history())
	observed, _, err := unstructured.NestedInt64(o.get().Object, "status", "observedGeneration")
	require.NoError(t, err)
	assert.Equal(t, o.get().GetGeneration(), observed)
}

// Somebody deletes the Secret of the newest revision: what is left is superseded.
func TestAReleaseThatLostItsNewestRevisionIsDeployedAgain(t *testing.T) {
	o := newOperator(t)
	o.want("a=1")
	o.settles()
	o.want("a=2")
	o.settles()
	o.server.Remove(secretKind, "prod", "sh.helm.release.v1.gw.v2")
	assert.Zero(t, o.settles())
	assert.Contains(t, o.history(), "2 deployed")
	assert.Equal(t, "a=2", o.data())
	o.leave(helmrelease.StatusSuperseded)
	assert.Zero(t, o.settles())
	assert.Contains(t, o.history(), "3 deployed")
}

func TestWhatARollbackCouldNotUndoIsSetRightByTheNextUpgrade(t *testing.T) {
	o := newOperator(t)
	o.want("a=1", "c=1")
	o.settles()
	o.reasons()
	o.server.Reject(configMapKind, "prod", "c", apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, "c", nil))
	o.want("a=2", "b=2", "c=2")
	assert.Positive(t, o.settles())
	assert.Equal(t, "a=1 b=2 c=1", o.data(), "the way back is barred at c")
	o.server.Reject(configMapKind, "prod", "c", nil)
	o.want("a=3", "c=3")
	o.settles()
	assert.Equal(t, "a=3 c=3", o.data())
	assert.True(t, strings.HasSuffix(strings.SplitN(o.history(), ",", 2)[0], "deployed"), o.history())
}

func TestAnInstallThatFailsHalfwayLeavesNothingWhenTheSpecChanges(t *testing.T) {
	o := newOperator(t)
	o.server.Reject(configMapKind, "prod", "b", apierrors.NewInternalError(errors.New("no answer")))
	o.want("a=1", "b=1")
	assert.Positive(t, o.settles())
	assert.Equal(t, "a=1", o.data())
	assert.Equal(t, "1 failed", o.history())
	o.want("c=1")
	assert.Zero(t, o.settles())
	assert.Equal(t, "c=1", o.data())
}
