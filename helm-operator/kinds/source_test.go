package kinds

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// informer keeps the handler that is registered.
type informer struct {
	cache.Informer
	handler toolscache.ResourceEventHandler
	err     error
}

func (i *informer) AddEventHandler(h toolscache.ResourceEventHandler) (toolscache.ResourceEventHandlerRegistration, error) {
	i.handler = h
	return nil, i.err
}

// one has one informer, which need not be in sync.
type one struct {
	cache.Informers
	*informer
	err error
}

func (o one) GetInformer(_ context.Context, _ client.Object, opts ...cache.InformerGetOption) (cache.Informer, error) {
	var options cache.InformerGetOptions
	for _, opt := range opts {
		opt(&options)
	}
	if options.BlockUntilSynced == nil || *options.BlockUntilSynced {
		return nil, errors.New("this would wait for the list")
	}
	return o.informer, o.err
}

func named(name, version string) *metav1.PartialObjectMetadata {
	m := metadataOf(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"})
	m.Name, m.ResourceVersion = name, version
	return m
}

// request is an event in the form of a request, so that the queue tells it.
func request(before, after *metav1.PartialObjectMetadata) []reconcile.Request {
	text := func(m *metav1.PartialObjectMetadata) string {
		if m == nil {
			return "nothing"
		}
		return m.Name + m.ResourceVersion
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: text(before), Name: text(after)}}}
}

func TestEventsAreQueuedFromTheMomentThatStartReturns(t *testing.T) {
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer queue.ShutDown()
	i := &informer{}
	require.NoError(t, Source(one{informer: i}, named("", ""), request).Start(context.Background(), queue))
	require.NotNil(t, i.handler, "connected")
	next := func() string {
		require.Equal(t, 1, queue.Len())
		r, _ := queue.Get()
		queue.Done(r)
		return r.Namespace + " becomes " + r.Name
	}
	i.handler.OnAdd(named("listed", "1"), true)
	assert.Zero(t, queue.Len(), "what is there already is no event")
	i.handler.OnAdd(named("a", "1"), false)
	assert.Equal(t, "nothing becomes a1", next())
	i.handler.OnUpdate(named("a", "1"), named("a", "2"))
	assert.Equal(t, "a1 becomes a2", next())
	i.handler.OnDelete(named("a", "2"))
	assert.Equal(t, "a2 becomes nothing", next())
	i.handler.OnDelete(toolscache.DeletedFinalStateUnknown{Key: "a", Obj: named("a", "2")})
	assert.Equal(t, "a2 becomes nothing", next())
}

func TestASourceThatCannotBeConnectedFails(t *testing.T) {
	cause := errors.New("no such kind")
	for name, informers := range map[string]one{
		"no informer": {informer: &informer{}, err: cause},
		"no handler":  {informer: &informer{err: cause}},
	} {
		t.Run(name, func(t *testing.T) {
			err := Source(informers, named("", ""), request).Start(context.Background(), nil)
			require.ErrorIs(t, err, cause)
			assert.ErrorContains(t, err, "ConfigMap")
		})
	}
}
