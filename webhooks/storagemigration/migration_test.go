package storagemigration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait; a passing test never needs it.
const (
	patience = 90 * time.Second
	tick     = 10 * time.Millisecond
)

var things = schema.GroupVersionResource{Group: "example.com", Version: "v2", Resource: "things"}

// definition has objects in v1 and v2, of which v2 is the storage version.
func definition(change ...func(*apiextensionsv1.CustomResourceDefinition)) *apiextensionsv1.CustomResourceDefinition {
	d := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "things.example.com", UID: "d-1", ResourceVersion: "7", Generation: 3},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: things.Group, Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: things.Resource},
			Versions:   []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true}, {Name: "v2", Served: true, Storage: true}},
			Conversion: &apiextensionsv1.CustomResourceConversion{Strategy: apiextensionsv1.WebhookConverter},
		},
		Status: apiextensionsv1.CustomResourceDefinitionStatus{StoredVersions: []string{"v1", "v2"}},
	}
	for _, c := range change {
		c(d)
	}
	return d
}

func TestAMigrationIsNeededWhileAnOldVersionMayBeStoredAndCanBeConverted(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*apiextensionsv1.CustomResourceDefinition)
		want   bool
	}{
		"an old version beside":     {func(*apiextensionsv1.CustomResourceDefinition) {}, true},
		"an old version alone":      {func(d *apiextensionsv1.CustomResourceDefinition) { d.Status.StoredVersions = []string{"v1"} }, true},
		"the storage version alone": {func(d *apiextensionsv1.CustomResourceDefinition) { d.Status.StoredVersions = []string{"v2"} }, false},
		"nothing was ever stored":   {func(d *apiextensionsv1.CustomResourceDefinition) { d.Status.StoredVersions = nil }, false},
		"nothing converts":          {func(d *apiextensionsv1.CustomResourceDefinition) { d.Spec.Conversion = nil }, false},
		"conversion renames only": {func(d *apiextensionsv1.CustomResourceDefinition) {
			d.Spec.Conversion.Strategy = apiextensionsv1.NoneConverter
		}, false},
		"there is no storage version": {func(d *apiextensionsv1.CustomResourceDefinition) { d.Spec.Versions[1].Storage = false }, false},
	} {
		assert.Equal(t, c.want, Needed(definition(c.change)), name)
	}
}

// cluster is an API server with things and their definition; it says what was written to it.
type cluster struct {
	*testing.T
	objects *fake.FakeMetadataClient
	mutex   sync.Mutex
	now     *apiextensionsv1.CustomResourceDefinition
	writes  []string
	metrics *Metrics
}

func newCluster(t *testing.T, names ...string) *cluster {
	scheme := runtime.NewScheme()
	require.NoError(t, metav1.AddMetaToScheme(scheme))
	var objects []runtime.Object
	for _, name := range names {
		objects = append(objects, thing(name, types.UID("u-"+name), "1"))
	}
	metrics, err := NewMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	c := &cluster{T: t, objects: fake.NewSimpleMetadataClient(scheme, objects...), now: definition(), metrics: metrics}
	c.onPatch(func(name string) error { return nil })
	return c
}

func thing(name string, uid types.UID, version string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{APIVersion: "example.com/v2", Kind: "Thing"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: name, UID: uid, ResourceVersion: version},
	}
}

// onPatch lets answer decide about each patch of a thing.
func (c *cluster) onPatch(answer func(name string) error) {
	c.objects.PrependReactor("patch", "things", func(a clienttesting.Action) (bool, runtime.Object, error) {
		patch := a.(clienttesting.PatchAction)
		c.wrote(fmt.Sprintf("%s/%s %s", patch.GetName(), patch.GetSubresource(), patch.GetPatch()))
		return true, &metav1.PartialObjectMetadata{}, answer(patch.GetName())
	})
}

func (c *cluster) wrote(what string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.writes = append(c.writes, what)
}

func (c *cluster) Get(context.Context, string, metav1.GetOptions) (*apiextensionsv1.CustomResourceDefinition, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.now.DeepCopy(), nil
}

func (c *cluster) Patch(_ context.Context, name string, _ types.PatchType, data []byte, _ metav1.PatchOptions, subresources ...string) (*apiextensionsv1.CustomResourceDefinition, error) {
	c.wrote(fmt.Sprintf("%s/%s %s", name, subresources[0], data))
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var patch struct {
		Metadata struct{ ResourceVersion string }
		Status   struct{ StoredVersions []string }
	}
	require.NoError(c, json.Unmarshal(data, &patch))
	if patch.Metadata.ResourceVersion != c.now.ResourceVersion {
		return nil, apierrors.NewConflict(schema.GroupResource{}, name, errors.New("changed"))
	}
	c.now.Status.StoredVersions = patch.Status.StoredVersions
	return c.now.DeepCopy(), nil
}

func (c *cluster) options() Options {
	return Options{Objects: c.objects, Definitions: c, PerSecond: 1000, PageSize: 2, Metrics: c.metrics, Log: logr.Discard()}
}

func (c *cluster) migrate(d *apiextensionsv1.CustomResourceDefinition) error {
	return New(c.options()).migrate(c.Context(), d)
}

func (c *cluster) counted(outcome string) float64 {
	return testutil.ToFloat64(c.metrics.objects.WithLabelValues(outcome))
}

const pruned = `things.example.com/status {"metadata":{"resourceVersion":"7"},"status":{"storedVersions":["v2"]}}`

func TestEveryObjectIsRewrittenAndThenTheOldVersionIsPruned(t *testing.T) {
	c := newCluster(t, "a", "b")
	require.NoError(t, c.migrate(definition()))
	assert.Equal(t, []string{
		`a/status {"metadata":{"resourceVersion":"1","uid":"u-a"}}`, `b/status {"metadata":{"resourceVersion":"1","uid":"u-b"}}`, pruned,
	}, c.writes)
	assert.EqualValues(t, 2, c.counted(outcomeRewritten))
}

func TestAnObjectThatWasChangedMeanwhileIsLookedAtAgain(t *testing.T) {
	c := newCluster(t, "a")
	asked := 0
	c.onPatch(func(name string) error {
		if asked++; asked > 1 {
			return nil
		}
		require.NoError(t, c.objects.Tracker().Update(things, thing("a", "u-a", "2"), "prod"))
		return apierrors.NewConflict(things.GroupResource(), name, errors.New("changed"))
	})
	require.NoError(t, c.migrate(definition()))
	assert.Equal(t, []string{
		`a/status {"metadata":{"resourceVersion":"1","uid":"u-a"}}`, `a/status {"metadata":{"resourceVersion":"2","uid":"u-a"}}`, pruned,
	}, c.writes)
}

func TestAnObjectThatWentOrIsAnotherNeedsNoRewriting(t *testing.T) {
	for name, answer := range map[string]func(*cluster) error{
		"it went": func(*cluster) error { return apierrors.NewNotFound(things.GroupResource(), "a") },
		"it is another": func(c *cluster) error {
			require.NoError(t, c.objects.Tracker().Update(things, thing("a", "u-new", "9"), "prod"))
			return apierrors.NewConflict(things.GroupResource(), "a", errors.New("another UID"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, "a")
			c.onPatch(func(string) error { return answer(c) })
			require.NoError(t, c.migrate(definition()))
			assert.Len(t, c.writes, 2)
			assert.Equal(t, pruned, c.writes[1])
			assert.EqualValues(t, 1, c.counted(outcomeGone))
		})
	}
}

func TestNothingIsPrunedWhileAnObjectCannotBeRewritten(t *testing.T) {
	c := newCluster(t, "a", "b")
	c.onPatch(func(name string) error {
		if name == "b" {
			return apierrors.NewForbidden(things.GroupResource(), name, errors.New("no right"))
		}
		return nil
	})
	err := c.migrate(definition())
	require.ErrorContains(t, err, "rewriting things prod/b: ")
	assert.True(t, apierrors.IsForbidden(err))
	assert.NotContains(t, c.writes, pruned)
	assert.EqualValues(t, 1, c.counted(outcomeFailed))
}

func TestAListThatExpiresStartsAnew(t *testing.T) {
	c := newCluster(t)
	lists := 0
	c.objects.PrependReactor("list", "things", func(clienttesting.Action) (bool, runtime.Object, error) {
		list := &metav1.List{Items: []runtime.RawExtension{}}
		switch lists++; lists {
		case 1:
			list.Continue = "page2"
		case 2:
			return true, nil, apierrors.NewResourceExpired("too old")
		}
		return true, list, nil
	})
	require.NoError(t, c.migrate(definition()))
	assert.Equal(t, 3, lists)
	assert.Equal(t, []string{pruned}, c.writes)
}

func TestWhatChangedInTheDefinitionMakesTheWorkWorthless(t *testing.T) {
	for name, change := range map[string]func(*apiextensionsv1.CustomResourceDefinition){
		"another generation":      func(d *apiextensionsv1.CustomResourceDefinition) { d.Generation++ },
		"another definition":      func(d *apiextensionsv1.CustomResourceDefinition) { d.UID = "d-2" },
		"another storage version": func(d *apiextensionsv1.CustomResourceDefinition) { d.Spec.Versions[1].Name = "v3" },
	} {
		c := newCluster(t, "a")
		change(c.now)
		require.ErrorIs(t, c.migrate(definition()), ErrChanged, name)
		assert.Len(t, c.writes, 1, "the object alone")
	}
}

func TestAMigrationThatWasCutOffIsFinishedByTheNextProcess(t *testing.T) {
	c := newCluster(t, "a", "b")
	ctx, die := context.WithCancel(t.Context())
	c.onPatch(func(name string) error {
		die() // after the write, before the next
		return nil
	})
	first := New(c.options())
	first.Notify(definition())
	require.NoError(t, first.Start(ctx))
	assert.Equal(t, []string{"v1", "v2"}, c.now.Status.StoredVersions, "not before all are rewritten")
	assert.EqualValues(t, 1, testutil.ToFloat64(c.metrics.pending))

	c.onPatch(func(string) error { return nil })
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	next := New(c.options())
	ended := make(chan error, 1)
	go func() { ended <- next.Start(ctx) }()
	next.Notify(definition())
	require.Eventually(t, func() bool {
		d, err := c.Get(ctx, "", metav1.GetOptions{})
		return err == nil && len(d.Status.StoredVersions) == 1
	}, patience, tick)
	next.Notify(c.now)
	assert.Zero(t, testutil.ToFloat64(c.metrics.pending))
	stop()
	require.NoError(t, <-ended)
	assert.Subset(t, c.writes, []string{`b/status {"metadata":{"resourceVersion":"1","uid":"u-b"}}`, pruned})
}

func TestATryThatFailsIsFollowedByAnother(t *testing.T) {
	c := newCluster(t, "a")
	asked := 0
	c.onPatch(func(name string) error {
		if asked++; asked == 1 {
			return apierrors.NewInternalError(errors.New("etcd"))
		}
		return nil
	})
	ctx, stop := context.WithCancel(t.Context())
	m := New(c.options())
	ended := make(chan error, 1)
	go func() { ended <- m.Start(ctx) }()
	m.Notify(definition())
	require.Eventually(t, func() bool {
		d, err := c.Get(ctx, "", metav1.GetOptions{})
		return err == nil && len(d.Status.StoredVersions) == 1
	}, patience, tick)
	stop()
	require.NoError(t, <-ended)
	assert.Equal(t, 2, asked)
}
