package dependents

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/operator-framework/operator-lib/handler"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/datapower-operator/datapower-operator/helm-operator/apply"
	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
)

var (
	demo      = schema.GroupVersionKind{Group: "example.test", Version: "v1", Kind: "Demo"}
	configMap = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	service   = schema.GroupVersionKind{Version: "v1", Kind: "Service"}
)

// world is the cache and the controller that a Watcher talks to.
type world struct {
	objects   []*metav1.PartialObjectMetadata
	fail      error
	watches   int
	informers []string
}

type metadataCache struct {
	cache.Cache
	*world
}

type watching struct {
	controller.Controller
	*world
}

func (w metadataCache) GetInformer(_ context.Context, obj client.Object, _ ...cache.InformerGetOption) (cache.Informer, error) {
	w.informers = append(w.informers, obj.GetObjectKind().GroupVersionKind().Kind)
	return nil, w.fail
}

func (w metadataCache) Get(_ context.Context, name types.NamespacedName, obj client.Object, _ ...client.GetOption) error {
	if w.fail != nil {
		return w.fail
	}
	for _, o := range w.objects {
		if o.Kind == obj.GetObjectKind().GroupVersionKind().Kind && o.Namespace == name.Namespace && o.Name == name.Name {
			o.DeepCopyInto(obj.(*metav1.PartialObjectMetadata))
			return nil
		}
	}
	return apierrors.NewNotFound(schema.GroupResource{}, name.Name)
}

func (w metadataCache) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	o := client.ListOptions{}
	o.ApplyOptions(opts)
	into := list.(*metav1.PartialObjectMetadataList)
	for _, m := range w.objects {
		if m.Kind+"List" == into.Kind && m.Namespace == o.Namespace && o.LabelSelector.Matches(labelSet(m.Labels)) {
			into.Items = append(into.Items, *m)
		}
	}
	return w.fail
}

type labelSet map[string]string

func (l labelSet) Has(key string) bool              { _, ok := l[key]; return ok }
func (l labelSet) Get(key string) string            { return l[key] }
func (l labelSet) Lookup(key string) (string, bool) { v, ok := l[key]; return v, ok }

func (w watching) Watch(source.Source) error {
	w.watches++
	return nil
}

func newWatcher(events bool, objects ...*metav1.PartialObjectMetadata) (*Watcher, *world) {
	w := &world{objects: objects}
	return NewWatcher(metadataCache{world: w}, watching{world: w}, demo, events), w
}

func metadata(gvk schema.GroupVersionKind, namespace, name string, changes ...func(*metav1.PartialObjectMetadata)) *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, ResourceVersion: "1"}}
	m.SetGroupVersionKind(gvk)
	for _, change := range changes {
		change(m)
	}
	return m
}

func ownedBy(apiVersion, kind, name string) func(*metav1.PartialObjectMetadata) {
	return func(m *metav1.PartialObjectMetadata) {
		m.OwnerReferences = append(m.OwnerReferences,
			metav1.OwnerReference{APIVersion: apiVersion, Kind: kind, Name: name, Controller: ptr.To(true)})
	}
}

func annotated(kind, name string) func(*metav1.PartialObjectMetadata) {
	return func(m *metav1.PartialObjectMetadata) {
		m.Annotations = map[string]string{handler.TypeAnnotation: kind, handler.NamespacedNameAnnotation: name}
	}
}

func unstructuredOf(namespace string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{}}
	u.SetGroupVersionKind(configMap)
	u.SetNamespace(namespace)
	u.SetName("x")
	return u
}

func refsOf(kinds ...schema.GroupVersionKind) []inventory.Ref {
	var out []inventory.Ref
	for _, gvk := range kinds {
		out = append(out, inventory.Ref{GroupVersionKind: gvk, Namespace: "prod", Name: "x"})
	}
	return out
}

func TestAnEventReconcilesTheResourceThatTheObjectBelongsTo(t *testing.T) {
	gw := []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: "prod", Name: "gw"}}}
	tests := map[string]struct {
		object *metav1.PartialObjectMetadata
		want   []reconcile.Request
	}{
		"by its owner reference":                     {metadata(configMap, "prod", "x", ownedBy("example.test/v1", "Demo", "gw")), gw},
		"by an owner reference of an older version":  {metadata(configMap, "prod", "x", ownedBy("example.test/v1beta1", "Demo", "gw")), gw},
		"by its annotations, from another namespace": {metadata(configMap, "elsewhere", "x", annotated("Demo.example.test", "prod/gw")), gw},
		"by its annotations, from the cluster":       {metadata(configMap, "", "x", annotated("Demo.example.test", "prod/gw")), gw},
		"an owner of another kind":                   {metadata(configMap, "prod", "x", ownedBy("example.test/v1", "Other", "gw")), nil},
		"an owner of another group":                  {metadata(configMap, "prod", "x", ownedBy("other.test/v1", "Demo", "gw")), nil},
		"an owner of the core group":                 {metadata(configMap, "prod", "x", ownedBy("v1", "Demo", "gw")), nil},
		"an owner with a broken version":             {metadata(configMap, "prod", "x", ownedBy("a/b/c", "Demo", "gw")), nil},
		"annotations of another kind":                {metadata(configMap, "prod", "x", annotated("Other.example.test", "prod/gw")), nil},
		"annotations of another group":               {metadata(configMap, "prod", "x", annotated("Demo.other.test", "prod/gw")), nil},
		"annotations without a namespace":            {metadata(configMap, "prod", "x", annotated("Demo.example.test", "gw")), nil},
		"no marks":                                   {metadata(configMap, "prod", "x"), nil},
		"an owner that does not control it": {metadata(configMap, "prod", "x", func(m *metav1.PartialObjectMetadata) {
			m.OwnerReferences = []metav1.OwnerReference{{APIVersion: "example.test/v1", Kind: "Demo", Name: "gw"}}
		}), nil},
		"another controller, whatever the annotations say": {
			metadata(configMap, "prod", "x", annotated("Demo.example.test", "prod/gw"), ownedBy("v1", "Node", "n")), nil,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w, _ := newWatcher(true)
			assert.Equal(t, test.want, w.owners(test.object))
		})
	}
}

func TestMarksThatTheWriterSetsAreUnderstood(t *testing.T) {
	owner := apply.Owner{GroupVersionKind: demo, Namespace: "prod", Name: "gw", UID: "uid-gw"}
	for name, namespace := range map[string]string{"an object beside its owner": "prod", "an object elsewhere": "elsewhere"} {
		t.Run(name, func(t *testing.T) {
			u := unstructuredOf(namespace)
			require.NoError(t, owner.Mark(u, true))
			m := metadata(configMap, namespace, "x")
			m.OwnerReferences, m.Annotations, m.Labels = u.GetOwnerReferences(), u.GetAnnotations(), u.GetLabels()
			w, _ := newWatcher(true)
			assert.Equal(t, []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: "prod", Name: "gw"}}},
				w.owners(m))
		})
	}
}

func TestOnlyEventsThatMayBeDriftPass(t *testing.T) {
	w, _ := newWatcher(true)
	of := func(names ...string) (out []reconcile.Request) {
		for _, name := range names {
			out = append(out, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "prod", Name: name}})
		}
		return out
	}
	before := metadata(service, "prod", "x", ownedBy("example.test/v1", "Demo", "gw"), func(m *metav1.PartialObjectMetadata) { m.Generation = 1 })
	update := func(change func(*metav1.PartialObjectMetadata)) []reconcile.Request {
		after := before.DeepCopy()
		after.ResourceVersion = "2"
		change(after)
		return w.requests(before, after)
	}
	assert.Empty(t, w.requests(nil, before), "what was created by a reconcile is verified")
	assert.Equal(t, of("gw"), w.requests(before, nil))
	assert.Empty(t, update(func(*metav1.PartialObjectMetadata) {}), "the status")
	assert.Equal(t, of("gw"), update(func(m *metav1.PartialObjectMetadata) { m.Generation = 2 }))
	assert.Equal(t, of("gw"), update(func(m *metav1.PartialObjectMetadata) { m.Labels = map[string]string{"a": "b"} }))
	assert.Equal(t, of("gw"), update(func(m *metav1.PartialObjectMetadata) { m.UID = "recreated" }))
	assert.Equal(t, of("gw"), update(func(m *metav1.PartialObjectMetadata) { m.DeletionTimestamp = ptr.To(metav1.NewTime(time.Unix(1, 0))) }))
	assert.Equal(t, of("gw"), update(func(m *metav1.PartialObjectMetadata) { m.OwnerReferences = nil }), "its owner's mark was removed")
	assert.Equal(t, of("gw", "other"), update(func(m *metav1.PartialObjectMetadata) { m.OwnerReferences[0].Name = "other" }))
}

func TestEachKindIsWatchedOnce(t *testing.T) {
	w, world := newWatcher(true)
	require.NoError(t, w.Ensure(context.Background(), refsOf(configMap, service, configMap)))
	require.NoError(t, w.Ensure(context.Background(), refsOf(service)))
	assert.Equal(t, 2, world.watches)
	assert.Contains(t, world.informers, "ConfigMap")
	assert.Contains(t, world.informers, "Service")
}

func TestWithoutEventsKindsAreCachedAndNotWatched(t *testing.T) {
	w, world := newWatcher(false)
	require.NoError(t, w.Ensure(context.Background(), refsOf(configMap)))
	assert.Zero(t, world.watches)
	assert.Contains(t, world.informers, "ConfigMap")
}

func TestAKindThatCannotBeWatchedIsNamed(t *testing.T) {
	w, world := newWatcher(true)
	world.fail = errors.New("no such kind")
	assert.ErrorContains(t, w.Ensure(context.Background(), refsOf(configMap)), "watch ConfigMap")
	_, err := w.Release(context.Background(), "prod", "uid-gw")
	assert.ErrorContains(t, err, "watch Secret")
}

func TestADependentIsLookedUpInTheCache(t *testing.T) {
	w, _ := newWatcher(true, metadata(configMap, "prod", "x", func(m *metav1.PartialObjectMetadata) { m.UID = "uid-x" }))
	m, found, err := w.Get(context.Background(), refsOf(configMap)[0])
	require.NoError(t, err)
	require.True(t, found)
	assert.EqualValues(t, "uid-x", m.UID)
	_, found, err = w.Get(context.Background(), refsOf(service)[0])
	require.NoError(t, err)
	assert.False(t, found)
}

func TestACacheThatFailsDoesNotMakeADependentMissing(t *testing.T) {
	w, world := newWatcher(true, metadata(configMap, "prod", "x"))
	world.fail = errors.New("the cache is not started")
	_, _, err := w.Get(context.Background(), refsOf(configMap)[0])
	require.ErrorIs(t, err, world.fail)
	assert.ErrorContains(t, err, "look up ConfigMap x")
}

// revision is the Secret of a release revision.
func revision(name, namespace, version string, labels map[string]string) *metav1.PartialObjectMetadata {
	return metadata(secretGVK, namespace, name, func(m *metav1.PartialObjectMetadata) {
		m.ResourceVersion, m.Labels = version, labels
	})
}

func TestTheReleaseMarkChangesWithEveryRevision(t *testing.T) {
	ours := map[string]string{inventory.OwnerUIDLabel: "uid-gw", "owner": "helm"}
	first, second := revision("gw.v1", "prod", "10", ours), revision("gw.v2", "prod", "11", ours)
	mark := func(objects ...*metav1.PartialObjectMetadata) string {
		w, _ := newWatcher(true, objects...)
		stored, err := w.Release(context.Background(), "prod", "uid-gw")
		m := stored.Mark
		require.NoError(t, err)
		return m
	}
	base := mark(first, second)
	assert.Equal(t, base, mark(second, first), "whatever the order of the cache")
	assert.NotEqual(t, base, mark(first), "a revision less")
	assert.NotEqual(t, base, mark(first, second, revision("gw.v3", "prod", "12", ours)), "a revision more")
	assert.NotEqual(t, base, mark(first, revision("gw.v2", "prod", "13", ours)), "a revision that changed")
	for name, stranger := range map[string]*metav1.PartialObjectMetadata{
		"of another resource":  revision("x", "prod", "1", map[string]string{inventory.OwnerUIDLabel: "uid-other", "owner": "helm"}),
		"of another namespace": revision("x", "elsewhere", "1", ours),
		"that is no release":   revision("x", "prod", "1", map[string]string{inventory.OwnerUIDLabel: "uid-gw"}),
	} {
		assert.Equal(t, base, mark(first, second, stranger), "a Secret "+name)
	}
	assert.Empty(t, mark())
}

func TestTheNewestRevisionIsReadFromTheLabels(t *testing.T) {
	labelled := func(version, status, digest string) *metav1.PartialObjectMetadata {
		return revision("gw.v"+version, "prod", version, map[string]string{
			inventory.OwnerUIDLabel: "uid-gw", "owner": "helm", "version": version, "status": status,
			"helm.sdk.operatorframework.io/inputs-digest": digest,
		})
	}
	tests := map[string]struct {
		objects []*metav1.PartialObjectMetadata
		want    Revision
	}{
		"no release":                  {nil, Revision{}},
		"one revision":                {[]*metav1.PartialObjectMetadata{labelled("1", "deployed", "abc")}, Revision{Version: 1, Status: "deployed", Digest: "abc"}},
		"the newest, not the last":    {[]*metav1.PartialObjectMetadata{labelled("10", "failed", "b"), labelled("9", "deployed", "a")}, Revision{Version: 10, Status: "failed", Digest: "b"}},
		"a version that is no number": {[]*metav1.PartialObjectMetadata{labelled("x", "deployed", "a")}, Revision{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w, _ := newWatcher(true, test.objects...)
			got, err := w.Release(context.Background(), "prod", "uid-gw")
			require.NoError(t, err)
			assert.Equal(t, test.want, got.Latest)
		})
	}
}
