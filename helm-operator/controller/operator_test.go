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

	"github.com/stretchr/testify/require"
	helmrelease "helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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
	// orphaned is what is found when the release is lost.
	orphaned []inventory.Ref
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
	o.Reconciler.orphans = func(context.Context, types.UID) ([]inventory.Ref, error) { return o.orphaned, nil }
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
	// onInformer is told of each kind that is to be watched.
	onInformer func(kind string) error
	// fail is what a look-up of an object ends with.
	fail error
}

func (c *serverCache) GetInformer(_ context.Context, obj client.Object, _ ...cache.InformerGetOption) (cache.Informer, error) {
	if c.onInformer != nil {
		return nil, c.onInformer(obj.GetObjectKind().GroupVersionKind().Kind)
	}
	return nil, nil
}

func (c *serverCache) Get(_ context.Context, name types.NamespacedName, obj client.Object, _ ...client.GetOption) error {
	if c.fail != nil {
		return c.fail
	}
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
