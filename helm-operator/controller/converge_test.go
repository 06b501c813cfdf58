package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	helmrelease "helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/datapower-operator/datapower-operator/helm-operator/action"
	"github.com/datapower-operator/datapower-operator/helm-operator/apply/testdata/fakeapi"
	"github.com/datapower-operator/datapower-operator/helm-operator/chart"
	"github.com/datapower-operator/datapower-operator/helm-operator/dependents"
	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
	"github.com/datapower-operator/datapower-operator/helm-operator/release"
	"github.com/datapower-operator/datapower-operator/helm-operator/values"
)

var (
	configMapKind = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	secretKind    = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}
)

// template renders a ConfigMap for each entry of spec.configs and refuses the value "refused".
const template = `{{- range $name, $value := .Values.configs }}
{{- if eq $value "refused" }}{{ fail (printf "spec.configs.%s: refused" $name) }}{{ end }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ $name }}
data:
  key: {{ $value | quote }}
{{- end }}
`

// operator is a world whose releases live in an API server in memory. Its caches are never late and it has no events:
// what depends on them is tested in test/integration/helmoperator.
type operator struct {
	*world
	server  *fakeapi.Server
	caches  *serverCache
	factory *action.Factory
}

func newOperator(t *testing.T) *operator {
	t.Helper()
	o := &operator{world: newWorld(t), server: fakeapi.New(t)}
	scheme := runtime.NewScheme()
	require.NoError(t, corev1.AddToScheme(scheme))
	o.kube = fake.NewClientBuilder().WithScheme(scheme).WithRESTMapper(o.server.Mapper()).WithStatusSubresource(resource()).
		WithObjects(resource(func(u *unstructured.Unstructured) { u.SetFinalizers([]string{Finalizer}) })).Build()
	o.client, o.Reconciler.resources = o.kube, o.kube
	var err error
	o.factory, err = action.NewFactory(o.server.Config(), o.server.Mapper(), action.NewCapabilities(kubernetes{}, o.clock))
	require.NoError(t, err)
	o.actions = o.factory
	o.overrides, err = values.ParseOverrides(nil, nil)
	require.NoError(t, err)
	o.caches = &serverCache{server: o.server}
	o.dependents = dependents.NewWatcher(o.caches, watching{}, demo, true)
	o.useChart("demo")
	return o
}

func (o *operator) useChart(name string) {
	o.Helper()
	dir := o.TempDir()
	require.NoError(o, os.Mkdir(filepath.Join(dir, "templates"), 0o700))
	for file, text := range map[string]string{
		"Chart.yaml": "apiVersion: v2\nname: " + name + "\nversion: 1.0.0\n", "templates/all.yaml": template,
	} {
		require.NoError(o, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
	}
	var err error
	o.chart, err = chart.Load(dir)
	require.NoError(o, err)
}

// restart forgets what a process knows.
func (o *operator) restart() { o.memos = memos{} }

// kubernetes answers discovery.
type kubernetes struct{ discovery.DiscoveryInterface }

func (kubernetes) ServerVersion() (*version.Info, error) {
	return &version.Info{GitVersion: "v1.31.2", Major: "1", Minor: "31"}, nil
}

func (kubernetes) ServerGroupsAndResources() ([]*metav1.APIGroup, []*metav1.APIResourceList, error) {
	return []*metav1.APIGroup{{Versions: []metav1.GroupVersionForDiscovery{{GroupVersion: "v1", Version: "v1"}}}}, nil, nil
}

// serverCache is a cache of metadata that is always up to date.
type serverCache struct {
	cache.Cache
	server *fakeapi.Server
	onList func()
}

func (*serverCache) GetInformer(context.Context, client.Object, ...cache.InformerGetOption) (cache.Informer, error) {
	return nil, nil
}

func (c *serverCache) Get(_ context.Context, name types.NamespacedName, obj client.Object, _ ...client.GetOption) error {
	u := c.server.Get(obj.GetObjectKind().GroupVersionKind(), name.Namespace, name.Name)
	if u == nil || u.GetLabels()[inventory.OwnerUIDLabel] == "" {
		return apierrors.NewNotFound(schema.GroupResource{}, name.Name)
	}
	return metadataInto(u, obj.(*metav1.PartialObjectMetadata))
}

func (c *serverCache) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if c.onList != nil {
		c.onList()
	}
	o := client.ListOptions{}
	o.ApplyOptions(opts)
	into := list.(*metav1.PartialObjectMetadataList)
	for _, u := range c.server.List(secretKind, o.Namespace, o.LabelSelector) {
		m := metav1.PartialObjectMetadata{}
		if err := metadataInto(u, &m); err != nil {
			return err
		}
		into.Items = append(into.Items, m)
	}
	return nil
}

func metadataInto(u *unstructured.Unstructured, m *metav1.PartialObjectMetadata) error {
	data, err := json.Marshal(u.Object)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, m); err != nil {
		return err
	}
	inventory.Compact(m)
	return nil
}

// want sets the entries name=value of spec.configs.
func (o *operator) want(entries ...string) {
	o.Helper()
	configs := map[string]any{}
	for _, e := range entries {
		name, value, _ := strings.Cut(e, "=")
		configs[name] = value
	}
	u := o.get()
	u.SetGeneration(u.GetGeneration() + 1)
	u.Object["spec"] = map[string]any{"configs": configs}
	require.NoError(o, o.kube.Update(context.Background(), u))
}

func (o *operator) annotate(annotations map[string]string) {
	o.Helper()
	u := o.get()
	u.SetAnnotations(annotations)
	require.NoError(o, o.kube.Update(context.Background(), u))
}

// settles reconciles until nothing is due soon, with time passing, and returns the wait until the next try.
func (o *operator) settles() time.Duration {
	o.Helper()
	for range 5 {
		result, err := o.reconcile()
		require.NoError(o, err)
		if result.RequeueAfter == 0 || result.RequeueAfter > soon {
			return result.RequeueAfter
		}
		o.wait(result.RequeueAfter)
	}
	require.Fail(o, "the resource is reconciled for ever")
	return 0
}

// soon is longer than what the operator waits for its caches, and shorter than what it waits after a failure.
const soon = 4 * time.Second

// wait lets time go by.
func (o *operator) wait(d time.Duration) { o.clock.SetTime(o.clock.Now().Add(d)) }

// data is the content of all ConfigMaps, "a=1 b=2".
func (o *operator) data() string {
	o.Helper()
	var out []string
	for _, name := range []string{"a", "b", "c"} {
		if u := o.server.Get(configMapKind, "prod", name); u != nil {
			value, _, err := unstructured.NestedString(u.Object, "data", "key")
			require.NoError(o, err)
			out = append(out, name+"="+value)
		}
	}
	return strings.Join(out, " ")
}

func (o *operator) helm() *action.Client {
	o.Helper()
	c, err := o.factory.For(context.Background(), o.get(), action.Options{})
	require.NoError(o, err)
	return c
}

// history of the release, newest first.
func (o *operator) history() string {
	o.Helper()
	h, _, err := release.Read(o.helm().Storage(), "gw")
	require.NoError(o, err)
	var out []string
	for _, r := range h {
		out = append(out, fmt.Sprintf("%d %s", r.Version, r.Status))
	}
	return strings.Join(out, ", ")
}

// leave gives the newest revision a status, as a killed process would leave it.
func (o *operator) leave(status helmrelease.Status) {
	o.Helper()
	s := o.helm().Storage()
	rel, err := s.Last("gw")
	require.NoError(o, err)
	rel.Info.Status = status
	require.NoError(o, s.Update(rel))
}

// told is status, reason and message of a condition.
func (o *operator) told(conditionType string) string {
	o.Helper()
	list, _, err := unstructured.NestedSlice(o.get().Object, "status", "conditions")
	require.NoError(o, err)
	for _, item := range list {
		if c := item.(map[string]any); c["type"] == conditionType {
			return fmt.Sprintf("%v %v: %v", c["status"], c["reason"], c["message"])
		}
	}
	return ""
}

func (o *operator) refuse(name string) {
	o.server.Refuse(configMapKind, "prod", name, apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, name, nil))
}

func (o *operator) accept(name string) { o.server.Refuse(configMapKind, "prod", name, nil) }

func (o *operator) reasons() []string {
	var out []string
	for _, e := range o.events {
		out = append(out, e.reason)
	}
	o.events = nil
	return out
}

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
	o.server.Reject(configMapKind, "prod", "b", apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, "b", nil))
	o.want("a=1", "b=1")
	assert.Positive(t, o.settles())
	assert.Equal(t, "a=1", o.data())
	assert.Equal(t, "1 failed", o.history())
	o.want("c=1")
	assert.Zero(t, o.settles())
	assert.Equal(t, "c=1", o.data())
}
