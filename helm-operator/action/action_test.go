package action_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	helmrelease "helm.sh/helm/v3/pkg/release"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/datapower-operator/datapower-operator/helm-operator/action"
	"github.com/datapower-operator/datapower-operator/helm-operator/apply"
	"github.com/datapower-operator/datapower-operator/helm-operator/apply/testdata/fakeapi"
	"github.com/datapower-operator/datapower-operator/helm-operator/drift"
	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
	"github.com/datapower-operator/datapower-operator/helm-operator/release"
	"github.com/datapower-operator/datapower-operator/helm-operator/render"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	configMap = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	secret    = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}
)

// world is one custom resource, prod/gw, and the API server that its release is written to.
type world struct {
	*testing.T
	server  *fakeapi.Server
	factory *action.Factory
	cr      *unstructured.Unstructured
}

func newWorld(t *testing.T) *world {
	t.Helper()
	server := fakeapi.New(t)
	caps := action.NewCapabilities(&apiServer{version: "v1.31.2"}, clocktesting.NewFakePassiveClock(time.Now()))
	factory, err := action.NewFactory(server.Config(), server.Mapper(), caps)
	require.NoError(t, err)
	cr := &unstructured.Unstructured{Object: map[string]any{}}
	cr.SetGroupVersionKind(schema.GroupVersionKind{Group: "example.test", Version: "v1", Kind: "Demo"})
	cr.SetNamespace("prod")
	cr.SetName("gw")
	cr.SetUID("uid-gw")
	return &world{T: t, server: server, factory: factory, cr: cr}
}

// client is one reconcile's.
func (w *world) client(options ...action.Options) *action.Client {
	w.Helper()
	o := action.Options{}
	for _, given := range options {
		o = given
	}
	c, err := w.factory.For(context.Background(), w.cr, o)
	require.NoError(w, err)
	return c
}

// demo is a chart that renders a ConfigMap for each entry of the value configs.
const demo = `{{- range $name, $value := .Values.configs }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ $name }}
  {{- if hasPrefix "kept" $name }}
  annotations: {helm.sh/resource-policy: keep}
  {{- end }}
data:
  key: {{ $value | quote }}
{{- end }}
`

// hooked is a hook that is a ConfigMap, so that Helm need not wait for it.
const hooked = `apiVersion: v1
kind: ConfigMap
metadata:
  name: hook
  annotations: {helm.sh/hook: "pre-install,pre-upgrade"}
data: {}
`

func chartOf(templates ...string) *chart.Chart {
	c := &chart.Chart{Metadata: &chart.Metadata{APIVersion: "v2", Name: "demo", Version: "1.0.0"}}
	for i, text := range templates {
		c.Templates = append(c.Templates, &chart.File{Name: fmt.Sprintf("templates/%d.yaml", i), Data: []byte(text)})
	}
	return c
}

// configs are values with entries name=value.
func configs(entries ...string) map[string]any {
	m := map[string]any{}
	for _, e := range entries {
		name, value, _ := strings.Cut(e, "=")
		m[name] = value
	}
	return map[string]any{"configs": m}
}

func wanted(digest string, values map[string]any, templates ...string) action.Release {
	if len(templates) == 0 {
		templates = []string{demo}
	}
	return action.Release{Chart: chartOf(templates...), Values: values, Digest: digest, MaxHistory: 3}
}

func (w *world) install(digest string, entries ...string) *helmrelease.Release {
	w.Helper()
	rel, err := w.client().Install(wanted(digest, configs(entries...)))
	require.NoError(w, err)
	return rel
}

func (w *world) upgrade(digest string, entries ...string) *helmrelease.Release {
	w.Helper()
	rel, err := w.client().Upgrade(wanted(digest, configs(entries...)))
	require.NoError(w, err)
	return rel
}

// history is the release's, "3 deployed" first.
func (w *world) history() []string {
	w.Helper()
	h, _, err := release.Read(w.client().Storage(), "gw")
	require.NoError(w, err)
	var out []string
	for _, r := range h {
		out = append(out, fmt.Sprintf("%d %s", r.Version, r.Status))
	}
	return out
}

// value of a ConfigMap's key, "" when there is no such ConfigMap.
func (w *world) value(name string) string {
	w.Helper()
	u := w.server.Get(configMap, "prod", name)
	if u == nil {
		return ""
	}
	v, _, err := unstructured.NestedString(u.Object, "data", "key")
	require.NoError(w, err)
	return v
}

func (w *world) refuse(name string) {
	w.server.Refuse(configMap, "prod", name, apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, name, nil))
}

// interrupt leaves the newest revision as a killed process would.
func (w *world) interrupt(status helmrelease.Status) {
	w.Helper()
	s := w.client().Storage()
	rel, err := s.Last("gw")
	require.NoError(w, err)
	rel.Info.Status = status
	require.NoError(w, s.Update(rel))
}

func ref(name string) inventory.Ref {
	return inventory.Ref{GroupVersionKind: configMap, Namespace: "prod", Name: name}
}

func TestAnInstallWritesTheObjectsAndARevision(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	rel, err := c.Install(wanted("abc", configs("a=1", "b=2")))
	require.NoError(t, err)
	assert.Equal(t, 1, rel.Version)
	assert.Equal(t, "1", w.value("a"))
	assert.Equal(t, "2", w.value("b"))
	assert.Equal(t, "created ConfigMap a, created ConfigMap b", apply.Describe(c.Changes(), 9))
	assert.Equal(t, []string{"1 deployed"}, w.history())

	record := w.server.Get(secret, "prod", "sh.helm.release.v1.gw.v1")
	require.NotNil(t, record)
	assert.Equal(t, "abc", record.GetLabels()[release.DigestLabel])
	assert.Equal(t, "uid-gw", record.GetLabels()[inventory.OwnerUIDLabel], "caches select by it")
	assert.Equal(t, "helm", record.GetLabels()["owner"], "helm list shows it")
	owner := metav1.GetControllerOf(record)
	require.NotNil(t, owner)
	assert.EqualValues(t, "uid-gw", owner.UID)
}

func TestTheStoredManifestIsWhatHelmTemplatePrints(t *testing.T) {
	w := newWorld(t)
	rel := w.install("abc", "a=1")
	want, err := render.Render(render.Request{
		Chart: chartOf(demo), Values: configs("a=1"), Capabilities: chartutil.DefaultCapabilities,
		Release: chartutil.ReleaseOptions{Name: "gw", Namespace: "prod", Revision: 1, IsInstall: true},
	})
	require.NoError(t, err)
	assert.Equal(t, want.Manifest, rel.Manifest)
	assert.NotContains(t, rel.Manifest, inventory.OwnerUIDLabel)
}

func TestAnUpgradeChangesAddsAndRemoves(t *testing.T) {
	w := newWorld(t)
	w.install("1", "same=1", "changed=1", "gone=1", "kept-one=1")
	c := w.client()
	rel, err := c.Upgrade(wanted("2", configs("same=1", "changed=2", "added=1")))
	require.NoError(t, err)
	assert.Equal(t, 2, rel.Version)
	assert.Equal(t, "2", rel.Labels[release.DigestLabel])
	assert.Equal(t, "2", w.value("changed"))
	assert.Equal(t, "1", w.value("added"))
	assert.Empty(t, w.value("gone"))
	assert.Equal(t, "1", w.value("kept-one"))
	assert.Equal(t, "created ConfigMap added, changed ConfigMap changed (data.key), deleted ConfigMap gone", apply.Describe(c.Changes(), 9))
	assert.Equal(t, []string{"2 deployed", "1 superseded"}, w.history())
}

func TestTheHistoryIsBounded(t *testing.T) {
	w := newWorld(t)
	w.install("0", "a=0")
	for i := 1; i < 6; i++ {
		w.upgrade(fmt.Sprint(i), fmt.Sprintf("a=%d", i))
	}
	assert.Equal(t, []string{"6 deployed", "5 superseded", "4 superseded"}, w.history())
}

func TestAFailedInstallIsTakenUpByTheNext(t *testing.T) {
	w := newWorld(t)
	w.refuse("b")
	_, err := w.client().Install(wanted("1", configs("a=1", "b=1")))
	require.ErrorContains(t, err, "ConfigMap b")
	assert.Equal(t, []string{"1 failed"}, w.history())
	assert.Equal(t, "1", w.value("a"))

	w.server.Refuse(configMap, "prod", "b", nil)
	w.install("2", "a=2", "b=2")
	assert.Equal(t, []string{"2 deployed", "1 failed"}, w.history())
	assert.Equal(t, "2", w.value("a"))
}

func TestAnInterruptedInstallIsTakenUpOnceUnlocked(t *testing.T) {
	w := newWorld(t)
	w.install("1", "a=1")
	w.interrupt(helmrelease.StatusPendingInstall)
	s := w.client().Storage()
	rel, err := s.Last("gw")
	require.NoError(t, err)
	require.NoError(t, release.Unlock(s, rel))
	w.install("1", "a=1")
	assert.Equal(t, []string{"2 deployed", "1 failed"}, w.history())
}

func TestAFailedUpgradeIsRolledBackWithAllItBrought(t *testing.T) {
	w := newWorld(t)
	w.install("1", "a=1", "z=1")
	w.refuse("z")
	c := w.client()
	_, err := c.Upgrade(wanted("2", configs("a=2", "brought=2", "z=2")))
	require.ErrorContains(t, err, "ConfigMap z")
	assert.Equal(t, "2", w.value("a"), "Helm applies in order")
	assert.Equal(t, []string{"2 failed", "1 deployed"}, w.history())

	w.server.Refuse(configMap, "prod", "z", nil)
	require.NoError(t, c.Rollback(1, 3))
	assert.Equal(t, "1", w.value("a"))
	assert.Empty(t, w.value("brought"))
	assert.Equal(t, []string{"3 deployed", "2 failed", "1 superseded"}, w.history())
	last, err := w.client().Storage().Last("gw")
	require.NoError(t, err)
	assert.Equal(t, "1", last.Labels[release.DigestLabel], "its inputs are those of revision 1")
}

func TestARollbackToNothingIsAnError(t *testing.T) {
	w := newWorld(t)
	w.install("1", "a=1")
	assert.ErrorContains(t, w.client().Rollback(7, 3), "roll back to revision 7")
}

func TestAnUninstallRemovesObjectsAndRecords(t *testing.T) {
	w := newWorld(t)
	w.install("1", "a=1", "kept-one=1")
	w.upgrade("2", "a=2", "kept-one=1")
	theirs := w.server.Get(configMap, "prod", "a").DeepCopy()
	theirs.SetName("bystander")
	theirs.SetUID("")
	theirs.SetLabels(nil)
	theirs.SetOwnerReferences(nil)
	w.server.Put(theirs)

	c := w.client()
	require.NoError(t, c.Uninstall(false))
	assert.Empty(t, w.value("a"))
	assert.Equal(t, "1", w.value("kept-one"))
	assert.Equal(t, "2", w.value("bystander"))
	assert.Empty(t, w.history())
	assert.Equal(t, "deleted ConfigMap a", apply.Describe(c.Changes(), 9))
}

func TestAnUninstallMayKeepTheRecordUntilAllIsGone(t *testing.T) {
	w := newWorld(t)
	rel := w.install("1", "a=1")
	require.NoError(t, w.client().Uninstall(true))
	assert.Empty(t, w.value("a"))
	assert.Equal(t, []string{"1 uninstalled"}, w.history())
	left, err := w.client().Remaining(context.Background(), rel.Manifest)
	require.NoError(t, err)
	assert.Zero(t, left)
	require.NoError(t, w.client().Uninstall(false))
	assert.Empty(t, w.history())
}

func TestAnUninstallOfNothingIsNoError(t *testing.T) {
	assert.NoError(t, newWorld(t).client().Uninstall(false))
}

func TestAnUninstallThatWasInterruptedGoesOn(t *testing.T) {
	w := newWorld(t)
	w.install("1", "a=1", "b=1")
	w.interrupt(helmrelease.StatusUninstalling)
	w.server.Remove(configMap, "prod", "a")
	require.NoError(t, w.client().Uninstall(false))
	assert.Empty(t, w.value("b"))
	assert.Empty(t, w.history())
}

func TestAnUninstallThatIsRefusedIsAnErrorAndKeepsTheRecord(t *testing.T) {
	w := newWorld(t)
	w.install("1", "a=1")
	w.server.Refuse(configMap, "prod", "a", apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "a", nil))
	require.ErrorContains(t, w.client().Uninstall(false), "uninstall")
	assert.Len(t, w.history(), 1)
}

func TestTheInventoryNamesEveryObjectWithItsNamespace(t *testing.T) {
	refs, err := newWorld(t).client().Inventory(`
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: b, namespace: other}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: c}
`)
	require.NoError(t, err)
	assert.Equal(t, []inventory.Ref{
		ref("a"), {GroupVersionKind: configMap, Namespace: "other", Name: "b"},
		{GroupVersionKind: schema.GroupVersionKind{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole"}, Name: "c"},
	}, refs)
}

func TestAKindThatTheServerDoesNotKnowIsAnErrorUnlessTolerated(t *testing.T) {
	const manifest = "apiVersion: gone.test/v1\nkind: Gone\nmetadata: {name: x}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
	c := newWorld(t).client()
	_, err := c.Inventory(manifest)
	require.ErrorContains(t, err, "Gone")
	c.TolerateUnknownKinds()
	refs, err := c.Inventory(manifest)
	require.NoError(t, err)
	assert.Equal(t, []inventory.Ref{ref("a")}, refs)
}

func manifest(t *testing.T, entries ...string) string {
	t.Helper()
	out, err := render.Render(render.Request{Chart: chartOf(demo), Values: configs(entries...), Capabilities: chartutil.DefaultCapabilities})
	require.NoError(t, err)
	return out.Manifest
}

func TestPreflightFindsWhatAnInstallWouldNotSurvive(t *testing.T) {
	w := newWorld(t)
	theirs := &unstructured.Unstructured{Object: map[string]any{}}
	theirs.SetGroupVersionKind(configMap)
	theirs.SetNamespace("prod")
	theirs.SetName("a")
	w.server.Put(theirs)
	require.ErrorIs(t, w.client().Preflight(manifest(t, "a=1"), nil), apply.ErrForeign)
	assert.NoError(t, w.client().Preflight(manifest(t, "a=1"), []inventory.Ref{ref("a")}), "the release had it before")
	assert.NoError(t, w.client().Preflight(manifest(t, "b=1"), nil))
	w.refuse("b")
	assert.ErrorContains(t, w.client().Preflight(manifest(t, "b=1"), nil), "ConfigMap b")
	assert.Empty(t, w.server.Writes())
}

func TestOnlyTheNamedObjectsAreRepaired(t *testing.T) {
	w := newWorld(t)
	w.install("1", "a=1", "b=1")
	for _, name := range []string{"a", "b"} {
		w.server.Remove(configMap, "prod", name)
	}
	changes, err := w.client().Repair(manifest(t, "a=1", "b=1"), map[inventory.Ref]inventory.Finding{ref("b"): inventory.Missing})
	require.NoError(t, err)
	assert.Equal(t, "created ConfigMap b", apply.Describe(changes, 9))
	assert.Empty(t, w.value("a"))
	assert.Equal(t, []string{"1 deployed"}, w.history(), "a repair makes no revision")
}

func TestOnlyTheNamedObjectsAreDeleted(t *testing.T) {
	w := newWorld(t)
	w.install("1", "a=1", "b=1")
	require.NoError(t, w.client().Delete(manifest(t, "a=1", "b=1"), map[inventory.Ref]bool{ref("a"): true, ref("b"): false, ref("c"): true}))
	assert.Empty(t, w.value("a"))
	assert.Equal(t, "1", w.value("b"))
}

func TestDriftRulesReachTheWriter(t *testing.T) {
	w := newWorld(t)
	w.install("1", "a=1")
	c := w.client(action.Options{Ignored: drift.Rules{{Kind: "ConfigMap", Paths: []string{"/data/key"}}}})
	_, err := c.Repair(manifest(t, "a=2"), map[inventory.Ref]inventory.Finding{ref("a"): inventory.Suspect})
	require.NoError(t, err)
	assert.Equal(t, "1", w.value("a"))
}

func TestAnnotationsOfTheResourceSteerTheActions(t *testing.T) {
	w := newWorld(t)
	w.cr.SetAnnotations(map[string]string{
		"helm.sdk.operatorframework.io/install-disable-hooks":   "true",
		"helm.sdk.operatorframework.io/install-description":     "made by hand",
		"helm.sdk.operatorframework.io/upgrade-disable-hooks":   "true",
		"helm.sdk.operatorframework.io/upgrade-description":     "changed by hand",
		"helm.sdk.operatorframework.io/upgrade-force":           "true",
		"helm.sdk.operatorframework.io/rollback-force":          "false",
		"helm.sdk.operatorframework.io/uninstall-disable-hooks": "true",
	})
	rel, err := w.client().Install(wanted("1", configs("a=1"), demo, hooked))
	require.NoError(t, err)
	assert.Equal(t, "made by hand", rel.Info.Description)
	assert.Nil(t, w.server.Get(configMap, "prod", "hook"))
	rel, err = w.client().Upgrade(wanted("2", configs("a=2"), demo, hooked))
	require.NoError(t, err)
	assert.Equal(t, "changed by hand", rel.Info.Description)
	assert.Nil(t, w.server.Get(configMap, "prod", "hook"))
	require.NoError(t, w.client().Rollback(1, 3))
	require.NoError(t, w.client().Uninstall(false))
}

func TestTheFactoryTellsWhatTemplatesMayKnow(t *testing.T) {
	w := newWorld(t)
	caps, err := w.factory.Capabilities()
	require.NoError(t, err)
	assert.Equal(t, "v1.31.2", caps.KubeVersion.Version)
}
