package action_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chartutil"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/datapower-operator/datapower-operator/helm-operator/action"
	"github.com/datapower-operator/datapower-operator/helm-operator/apply"
	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
	"github.com/datapower-operator/datapower-operator/helm-operator/release"
	"github.com/datapower-operator/datapower-operator/helm-operator/render"
)

// workload is a Deployment between two ConfigMaps, in install order.
const workload = `apiVersion: v1
kind: ConfigMap
metadata: {name: a}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: gw}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: late}
`

var deployment = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}

func (w *world) reject(gvk schema.GroupVersionKind, name string) {
	w.server.Reject(gvk, "prod", name, apierrors.NewInvalid(gvk.GroupKind(), name, nil))
}

func TestAFirstInstallThatIsRefusedLeavesNothing(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	require.NoError(t, c.PreflightFirst(manifest(t, "a=1", "b=1")))
	w.reject(configMap, "b")
	_, err := c.Install(wanted("abc", configs("a=1", "b=1")))
	require.ErrorContains(t, err, "ConfigMap b")
	assert.Nil(t, w.server.Get(configMap, "prod", "a"))
	assert.Nil(t, w.server.Get(secret, "prod", "sh.helm.release.v1.gw.v1"))
	assert.Empty(t, w.history())
}

func TestAFirstInstallThatMeetsTroubleIsLeftForTheNextTry(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	require.NoError(t, c.PreflightFirst(manifest(t, "a=1", "b=1")))
	w.server.Reject(configMap, "prod", "b", apierrors.NewServiceUnavailable("etcd"))
	_, err := c.Install(wanted("abc", configs("a=1", "b=1")))
	require.Error(t, err)
	assert.Equal(t, "1", w.value("a"))
	assert.Equal(t, []string{"1 failed"}, w.history())
}

func TestAnInstallThatWasCheckedInFullIsNotTakenBack(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	require.NoError(t, c.Preflight(manifest(t, "a=1", "b=1"), nil))
	w.reject(configMap, "b")
	_, err := c.Install(wanted("abc", configs("a=1", "b=1")))
	require.Error(t, err)
	assert.Equal(t, []string{"1 failed"}, w.history())
}

func TestWhatCannotBeTakenBackKeepsItsRecord(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	require.NoError(t, c.PreflightFirst(manifest(t, "a=1", "b=1")))
	w.reject(configMap, "b")
	// The pending record, object a and the failed record are written; the deletion is not.
	w.server.Cut(3, false)
	_, err := c.Install(wanted("abc", configs("a=1", "b=1")))
	require.ErrorContains(t, err, "take back ConfigMap a")
	w.server.Mend()
	assert.Equal(t, []string{"1 failed"}, w.history())
}

func TestWhatActsIsTriedBeforeAnythingIsCreated(t *testing.T) {
	for name, refused := range map[string]struct {
		gvk  schema.GroupVersionKind
		name string
	}{
		"the workload": {deployment, "gw"}, "what comes after the workload": {configMap, "late"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.server.Refuse(refused.gvk, "prod", refused.name, apierrors.NewInvalid(refused.gvk.GroupKind(), refused.name, nil))
			require.ErrorContains(t, w.client().PreflightFirst(workload), refused.name)
			assert.Empty(t, w.server.Writes())
		})
	}
}

func TestWhatDoesNothingIsNotTriedBeforehand(t *testing.T) {
	w := newWorld(t)
	w.refuse("a")
	before := w.server.Requests()
	require.NoError(t, w.client().PreflightFirst(workload))
	assert.Equal(t, 3, w.server.Requests()-before, "a look and two dry runs")
}

func TestAnObjectOfSomebodyElseStopsAFirstInstall(t *testing.T) {
	w := newWorld(t)
	other := w.cr.DeepCopy()
	other.SetName("other")
	other.SetUID("uid-other")
	c, err := w.factory.For(t.Context(), other, action.Options{})
	require.NoError(t, err)
	_, err = c.Install(wanted("1", configs("a=1")))
	require.NoError(t, err)
	w.server.Writes()
	require.ErrorIs(t, w.client().PreflightFirst(manifest(t, "a=2")), apply.ErrForeign)
	assert.Empty(t, w.server.Writes())
}

func TestAReleaseThatWasRenderedBeforeIsTheSameRelease(t *testing.T) {
	w, twice := newWorld(t), newWorld(t)
	given := wanted("abc", configs("a=1", "b=2"))
	rendered, err := render.Render(render.Request{Chart: chartOf(demo), Values: configs("a=1", "b=2"), Capabilities: chartutil.DefaultCapabilities})
	require.NoError(t, err)
	given.Chart, given.Rendered = rendered.Rendered(given.Chart), rendered
	got, err := w.client().Install(given)
	require.NoError(t, err)
	want := twice.install("abc", "a=1", "b=2")
	assert.Equal(t, want.Manifest, got.Manifest)
	assert.Equal(t, want.Config, got.Config)
	assert.Equal(t, want.Chart.Metadata, got.Chart.Metadata)
	assert.Equal(t, "2", w.value("b"))
	assert.Equal(t, twice.history(), w.history())

	given = wanted("def", configs("a=2"))
	rendered.Manifest = manifest(t, "a=2")
	given.Chart, given.Rendered = rendered.Rendered(given.Chart), rendered
	_, err = w.client().Upgrade(given)
	require.NoError(t, err)
	assert.Equal(t, "2", w.value("a"))
	assert.Empty(t, w.value("b"))
}

func TestADeployedRevisionListsItsObjects(t *testing.T) {
	w := newWorld(t)
	w.install("1", "a=1", "b=1")
	record := w.server.Get(secret, "prod", "sh.helm.release.v1.gw.v1")
	refs, err := inventory.Decode(record.GetAnnotations()[inventory.Annotation])
	require.NoError(t, err)
	assert.Equal(t, []inventory.Ref{ref("a"), ref("b")}, refs)
	w.upgrade("2", "a=1")
	assert.Empty(t, w.server.Get(secret, "prod", "sh.helm.release.v1.gw.v1").GetAnnotations()[inventory.Annotation], "old ones don't")
	assert.NotEmpty(t, w.server.Get(secret, "prod", "sh.helm.release.v1.gw.v2").GetAnnotations()[inventory.Annotation])
}

func TestAnUpgradeLeavesAloneWhatIsSettled(t *testing.T) {
	w := newWorld(t)
	w.install("1", "a=1", "b=1")
	w.server.Writes()
	c := w.client()
	require.NoError(t, c.Settle(manifest(t, "a=1", "b=1"), func(inventory.Ref) bool { return true }))
	before := w.server.Requests()
	_, err := c.Upgrade(wanted("2", configs("a=1", "b=2")))
	require.NoError(t, err)
	assert.Equal(t, 1+5, w.server.Requests()-before, "the history; the new record, b twice, both records")
	assert.Equal(t, "2", w.value("b"))
	assert.Equal(t, "changed ConfigMap b (data.key)", apply.Describe(c.Changes(), 9))
}

func TestARollbackLeavesNothingAlone(t *testing.T) {
	w := newWorld(t)
	w.install("1", "a=1", "b=1")
	c := w.client()
	require.NoError(t, c.Settle(manifest(t, "a=1", "b=1"), func(inventory.Ref) bool { return true }))
	w.reject(configMap, "c")
	_, err := c.Upgrade(wanted("2", configs("a=1", "b=2", "c=1")))
	require.Error(t, err)
	w.server.Reject(configMap, "prod", "c", nil)
	w.server.Remove(configMap, "prod", "a")
	require.NoError(t, c.Rollback(1, 3))
	assert.Equal(t, "1", w.value("a"))
	assert.Equal(t, "1", w.value("b"))
}

func TestAHistoryIsAskedForAnewByEachRead(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	h, _, err := c.Read()
	require.NoError(t, err)
	assert.Empty(t, h)
	w.install("1", "a=1") // by another client
	h, records, err := c.Read()
	require.NoError(t, err)
	require.Len(t, records, 1)
	deployed, ok := h.Deployed()
	require.True(t, ok)
	assert.Equal(t, release.Revision{Version: 1, Status: "deployed", Digest: "1", Chart: "demo", Owner: "Demo.example.test",
		Time: deployed.Time, Description: "Install complete"}, deployed)
}
