package references

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

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
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/datapower-operator/datapower-operator/helm-operator/mapper"
)

var (
	secretKind    = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}
	configMapKind = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	gw            = types.NamespacedName{Namespace: "prod", Name: "gw"}
	web           = types.NamespacedName{Namespace: "prod", Name: "web"}
)

// world is the cache, the API server and the controller that a Tracker talks to.
type world struct {
	tracker *Tracker

	cached map[string]*metav1.PartialObjectMetadata
	live   map[string]*unstructured.Unstructured
	fail   error

	reads     []string
	watches   int
	informers []string
}

func newWorld() *world {
	w := &world{cached: map[string]*metav1.PartialObjectMetadata{}, live: map[string]*unstructured.Unstructured{}}
	w.tracker = NewTracker(metadataCache{world: w}, reader{w}, watcher{world: w})
	return w
}

// metadataCache is the cache.
type metadataCache struct {
	cache.Cache
	*world
}

// watcher is the controller.
type watcher struct {
	controller.Controller
	*world
}

func id(kind, namespace, name string) string { return kind + " " + namespace + "/" + name }

// Get gives metadata only.
func (w metadataCache) Get(_ context.Context, name types.NamespacedName, obj client.Object, _ ...client.GetOption) error {
	m, ok := obj.(*metav1.PartialObjectMetadata)
	if !ok {
		return fmt.Errorf("content of %T must not be cached", obj)
	}
	found := w.cached[id(m.Kind, name.Namespace, name.Name)]
	if found == nil {
		return apierrors.NewNotFound(schema.GroupResource{Resource: m.Kind}, name.Name)
	}
	found.DeepCopyInto(m)
	return w.fail
}

func (w metadataCache) GetInformer(_ context.Context, obj client.Object, _ ...cache.InformerGetOption) (cache.Informer, error) {
	w.informers = append(w.informers, obj.GetObjectKind().GroupVersionKind().Kind)
	return nil, w.fail
}

func (w watcher) Watch(source.Source) error {
	w.watches++
	return nil
}

// reader is the API server.
type reader struct{ *world }

func (r reader) Get(_ context.Context, name types.NamespacedName, obj client.Object, _ ...client.GetOption) error {
	kind := obj.GetObjectKind().GroupVersionKind().Kind
	r.reads = append(r.reads, id(kind, name.Namespace, name.Name))
	if r.fail != nil {
		return r.fail
	}
	found := r.live[id(kind, name.Namespace, name.Name)]
	if found == nil {
		return apierrors.NewNotFound(schema.GroupResource{Resource: kind}, name.Name)
	}
	found.DeepCopyInto(obj.(*unstructured.Unstructured))
	return nil
}

func (r reader) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("nothing needs to be listed")
}

// object is a Secret or ConfigMap of namespace prod.
func object(kind, name, version string, data map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"data": data}}
	u.SetAPIVersion("v1")
	u.SetKind(kind)
	u.SetNamespace("prod")
	u.SetName(name)
	u.SetUID(types.UID("uid-" + name))
	u.SetResourceVersion(version)
	return u
}

// store puts an object into the API server and into the cache.
func (w *world) store(u *unstructured.Unstructured) {
	w.live[id(u.GetKind(), u.GetNamespace(), u.GetName())] = u
	w.see(u)
}

// see puts an object into the cache only.
func (w *world) see(u *unstructured.Unstructured) {
	w.cached[id(u.GetKind(), u.GetNamespace(), u.GetName())] = &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: u.GetAPIVersion(), Kind: u.GetKind()},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: u.GetNamespace(), Name: u.GetName(), UID: u.GetUID(), ResourceVersion: u.GetResourceVersion(),
			OwnerReferences: u.GetOwnerReferences(), Labels: u.GetLabels(),
		},
	}
}

func secret(name string) mapper.Reference {
	return mapper.Reference{GroupVersionKind: secretKind, Name: name}
}

func configMap(name string) mapper.Reference {
	return mapper.Reference{GroupVersionKind: configMapKind, Name: name}
}

func (w *world) hash(t *testing.T, ref mapper.Reference) string {
	t.Helper()
	h, found, err := w.tracker.ContentHash(context.Background(), ref, "prod")
	require.NoError(t, err)
	require.True(t, found)
	return h
}

func (w *world) register(t *testing.T, cr types.NamespacedName, refs ...mapper.Reference) {
	t.Helper()
	require.NoError(t, w.tracker.Register(context.Background(), cr, refs))
}

// woken lists the custom resources that an event of an object reconciles.
func (w *world) woken(ref mapper.Reference, namespace string) []types.NamespacedName {
	var out []types.NamespacedName
	for _, r := range w.tracker.requests(key{gvk: ref.GroupVersionKind, namespace: namespace, name: ref.Name}) {
		out = append(out, r.NamespacedName)
	}
	return out
}

func TestTheHashIsOfTheContentAndNotOfTheMetadata(t *testing.T) {
	base := func() *unstructured.Unstructured {
		return object("Secret", "s", "1", map[string]any{"a": "x", "b": "y"})
	}
	want, err := contentHash(base())
	require.NoError(t, err)
	assert.Regexp(t, "^[0-9a-f]{16}$", want)
	tests := map[string]struct {
		change func(u *unstructured.Unstructured)
		same   bool
	}{
		"a label":              {func(u *unstructured.Unstructured) { u.SetLabels(map[string]string{"a": "b"}) }, true},
		"an annotation":        {func(u *unstructured.Unstructured) { u.SetAnnotations(map[string]string{"a": "b"}) }, true},
		"the resource version": {func(u *unstructured.Unstructured) { u.SetResourceVersion("2") }, true},
		"another object":       {func(u *unstructured.Unstructured) { u.SetUID("other") }, true},
		"another name":         {func(u *unstructured.Unstructured) { u.SetName("other") }, true},
		"a value":              {func(u *unstructured.Unstructured) { u.Object["data"] = map[string]any{"a": "x", "b": "z"} }, false},
		"a key":                {func(u *unstructured.Unstructured) { u.Object["data"] = map[string]any{"a": "x", "c": "y"} }, false},
		"a value less":         {func(u *unstructured.Unstructured) { u.Object["data"] = map[string]any{"a": "x"} }, false},
		"no data":              {func(u *unstructured.Unstructured) { delete(u.Object, "data") }, false},
		"binary data":          {func(u *unstructured.Unstructured) { u.Object["binaryData"] = map[string]any{"c": "eA=="} }, false},
		"values that moved between keys": {
			func(u *unstructured.Unstructured) { u.Object["data"] = map[string]any{"a": "y", "b": "x"} }, false,
		},
		"data that became binary": {func(u *unstructured.Unstructured) {
			u.Object["binaryData"] = u.Object["data"]
			delete(u.Object, "data")
		}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			u := base()
			test.change(u)
			got, err := contentHash(u)
			require.NoError(t, err)
			assert.Equal(t, test.same, got == want)
		})
	}
}

func TestContentIsReadOnceForEachVersion(t *testing.T) {
	w := newWorld()
	w.register(t, gw, secret("s"), configMap("c"))
	w.store(object("Secret", "s", "1", map[string]any{"a": "x"}))
	w.store(object("ConfigMap", "c", "1", map[string]any{"a": "x"}))
	first := w.hash(t, secret("s"))
	for range 3 {
		assert.Equal(t, first, w.hash(t, secret("s")))
	}
	assert.Equal(t, first, w.hash(t, configMap("c")), "the same content has the same hash")
	assert.Equal(t, []string{"Secret prod/s", "ConfigMap prod/c"}, w.reads)

	w.store(object("Secret", "s", "2", map[string]any{"a": "changed"}))
	assert.NotEqual(t, first, w.hash(t, secret("s")))
	assert.Len(t, w.reads, 3)

	w.store(object("Secret", "s", "3", map[string]any{"a": "x"}))
	assert.Equal(t, first, w.hash(t, secret("s")), "back again")
}

func TestAnotherObjectOfTheSameNameAndVersionIsReadAnew(t *testing.T) {
	w := newWorld()
	w.register(t, gw, secret("s"))
	w.store(object("Secret", "s", "1", map[string]any{"a": "x"}))
	first := w.hash(t, secret("s"))
	again := object("Secret", "s", "1", map[string]any{"a": "other"})
	again.SetUID("recreated")
	w.store(again)
	assert.NotEqual(t, first, w.hash(t, secret("s")))
}

func TestAnObjectThatTheCacheDoesNotKnowYetIsFound(t *testing.T) {
	w := newWorld()
	w.register(t, gw, secret("s"))
	u := object("Secret", "s", "1", map[string]any{"a": "x"})
	w.live[id("Secret", "prod", "s")] = u
	want, err := contentHash(u)
	require.NoError(t, err)
	assert.Equal(t, want, w.hash(t, secret("s")))
	w.see(u)
	assert.Equal(t, want, w.hash(t, secret("s")))
	assert.Len(t, w.reads, 1, "the version that was read is known")
}

func TestTheAPIServerIsRightWhenTheCacheIsOld(t *testing.T) {
	w := newWorld()
	w.register(t, gw, secret("s"))
	w.see(object("Secret", "s", "1", nil))
	newer := object("Secret", "s", "2", map[string]any{"a": "new"})
	w.live[id("Secret", "prod", "s")] = newer
	want, err := contentHash(newer)
	require.NoError(t, err)
	assert.Equal(t, want, w.hash(t, secret("s")))
}

func TestAMissingObjectIsNotFoundAndNoError(t *testing.T) {
	w := newWorld()
	_, found, err := w.tracker.ContentHash(context.Background(), secret("s"), "prod")
	require.NoError(t, err)
	assert.False(t, found)

	w.see(object("Secret", "gone", "1", nil)) // deleted, but the cache has not heard
	_, found, err = w.tracker.ContentHash(context.Background(), secret("gone"), "prod")
	require.NoError(t, err)
	assert.False(t, found)
}

func TestADeletedObjectIsForgotten(t *testing.T) {
	w := newWorld()
	w.register(t, gw, secret("s"))
	w.store(object("Secret", "s", "1", map[string]any{"a": "x"}))
	w.hash(t, secret("s"))
	delete(w.live, id("Secret", "prod", "s"))
	delete(w.cached, id("Secret", "prod", "s"))
	_, found, err := w.tracker.ContentHash(context.Background(), secret("s"), "prod")
	require.NoError(t, err)
	assert.False(t, found)
}

func TestAFailureIsNoAbsence(t *testing.T) {
	cause := errors.New("no connection")
	w := newWorld()
	w.store(object("Secret", "s", "1", map[string]any{"password": "aHVudGVyMg=="}))
	w.fail = cause
	_, _, err := w.tracker.ContentHash(context.Background(), secret("s"), "prod")
	require.ErrorIs(t, err, cause)
	assert.NotContains(t, err.Error(), "aHVudGVyMg==")
	_, _, err = w.tracker.Owner(context.Background(), secret("s"), "prod")
	assert.ErrorIs(t, err, cause)
	delete(w.cached, id("Secret", "prod", "s"))
	_, _, err = w.tracker.ContentHash(context.Background(), secret("s"), "prod")
	assert.ErrorIs(t, err, cause, "of the API server too")
}

func TestAnEventWakesWhoNamesTheObject(t *testing.T) {
	w := newWorld()
	w.register(t, gw, secret("shared"), secret("own"), configMap("shared"))
	w.register(t, web, secret("shared"))
	assert.ElementsMatch(t, []types.NamespacedName{gw, web}, w.woken(secret("shared"), "prod"))
	assert.Equal(t, []types.NamespacedName{gw}, w.woken(secret("own"), "prod"))
	assert.Equal(t, []types.NamespacedName{gw}, w.woken(configMap("shared"), "prod"), "another kind of the same name")
	assert.Empty(t, w.woken(secret("shared"), "elsewhere"), "another namespace")
	assert.Empty(t, w.woken(secret("stranger"), "prod"))
}

func TestRegisteringReplacesWhatWasNamedBefore(t *testing.T) {
	w := newWorld()
	w.register(t, gw, secret("before"), secret("both"))
	w.register(t, web, secret("before"))
	w.register(t, gw, secret("both"), secret("now"))
	assert.Equal(t, []types.NamespacedName{web}, w.woken(secret("before"), "prod"))
	assert.Equal(t, []types.NamespacedName{gw}, w.woken(secret("both"), "prod"))
	assert.Equal(t, []types.NamespacedName{gw}, w.woken(secret("now"), "prod"))
}

func TestAResourceThatIsGoneLeavesNothingBehind(t *testing.T) {
	w := newWorld()
	w.register(t, gw, secret("s"), configMap("c"))
	w.register(t, web, secret("s"))
	w.store(object("Secret", "s", "1", nil))
	w.store(object("ConfigMap", "c", "1", nil))
	w.hash(t, secret("s"))
	w.hash(t, configMap("c"))
	w.register(t, gw)
	assert.Equal(t, []types.NamespacedName{web}, w.woken(secret("s"), "prod"))
	assert.Empty(t, w.woken(configMap("c"), "prod"))
	w.register(t, web)
	assert.Empty(t, w.tracker.users)
	assert.Empty(t, w.tracker.uses)
	assert.Empty(t, w.tracker.hashes, "content hashes of what nobody names are not kept")
}

func TestNamingAnObjectTwiceWakesOnce(t *testing.T) {
	w := newWorld()
	w.register(t, gw, secret("s"), secret("s"))
	assert.Equal(t, []types.NamespacedName{gw}, w.woken(secret("s"), "prod"))
	w.register(t, gw)
	assert.Empty(t, w.woken(secret("s"), "prod"))
}

func TestEachKindIsWatchedOnce(t *testing.T) {
	w := newWorld()
	w.register(t, gw, secret("a"), secret("b"), configMap("c"))
	w.register(t, web, secret("a"))
	assert.Equal(t, 2, w.watches)
}

func TestAKindThatCannotBeWatchedIsAnErrorAndTriedAgain(t *testing.T) {
	w := newWorld()
	w.fail = errors.New("no such kind")
	require.ErrorContains(t, w.tracker.Register(context.Background(), gw, []mapper.Reference{secret("a")}), "watch Secret")
	w.fail = nil
	w.register(t, gw, secret("a"))
	assert.Equal(t, []types.NamespacedName{gw}, w.woken(secret("a"), "prod"))
}

func TestTheOwnerIsTheControllingOne(t *testing.T) {
	owned := func(controller *bool) *unstructured.Unstructured {
		u := object("Secret", "s", "1", nil)
		u.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "Demo", Name: "gw", UID: "uid-gw", Controller: controller}})
		return u
	}
	tests := map[string]struct {
		object *unstructured.Unstructured
		want   string
		found  bool
	}{
		"none":                         {object("Secret", "s", "1", nil), "", true},
		"a controlling one":            {owned(ptr.To(true)), "uid-gw", true},
		"one that does not control it": {owned(nil), "", true},
		"no object":                    {nil, "", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			if test.object != nil {
				w.store(test.object)
			}
			owner, found, err := w.tracker.Owner(context.Background(), secret("s"), "prod")
			require.NoError(t, err)
			assert.Equal(t, test.want, owner)
			assert.Equal(t, test.found, found)
			assert.Empty(t, w.reads, "metadata comes from the cache")
		})
	}
}

func TestRegisteringAndEventsMayMeet(t *testing.T) {
	w := newWorld()
	w.register(t, gw, secret("s"))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			cr := types.NamespacedName{Namespace: "prod", Name: fmt.Sprint(i)}
			for range 20 {
				assert.NoError(t, w.tracker.Register(context.Background(), cr, []mapper.Reference{secret("s")}))
				w.tracker.requests(key{gvk: secretKind, namespace: "prod", name: "s"})
			}
			assert.NoError(t, w.tracker.Register(context.Background(), cr, nil))
		})
	}
	wg.Wait()
	assert.Equal(t, []types.NamespacedName{gw}, w.woken(secret("s"), "prod"))
}
