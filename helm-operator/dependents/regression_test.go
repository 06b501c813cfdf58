package dependents

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// stuck is a cache in which ConfigMaps never sync, as when the operator may not list them.
type stuck struct {
	metadataCache
	entered, release chan struct{}
}

func (s *stuck) GetInformer(_ context.Context, obj client.Object, opts ...cache.InformerGetOption) (cache.Informer, error) {
	var o cache.InformerGetOptions
	for _, opt := range opts {
		opt(&o)
	}
	waits := o.BlockUntilSynced == nil || *o.BlockUntilSynced
	if waits && obj.GetObjectKind().GroupVersionKind().Kind == "ConfigMap" {
		close(s.entered)
		<-s.release
	}
	return nil, nil
}

// Every reconcile of the kind ensures that release Secrets are watched. If that waited for another kind's first list,
// one chart that renders a kind which the operator may not list would stop all resources.
func TestAKindThatNeverSyncsHoldsUpNobodyElse(t *testing.T) {
	s := &stuck{metadataCache: metadataCache{world: &world{}}, entered: make(chan struct{}), release: make(chan struct{})}
	w := NewWatcher(s, watching{world: s.world}, demo, true)
	_, err := w.Release(context.Background(), "prod", "uid-gw")
	require.NoError(t, err)
	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		assert.NoError(t, w.Ensure(context.Background(), refsOf(configMap)))
	}()
	<-s.entered
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := w.Release(context.Background(), "prod", "uid-gw")
		assert.NoError(t, err)
	}()
	free := false
	select {
	case <-done:
		free = true
	case <-time.After(2 * time.Second): // only a test that fails gets here
	}
	close(s.release)
	<-waiting
	<-done
	assert.True(t, free, "another resource waited for a kind that its chart does not render")
}

// When the wait for a first list ends in an error, the next call must wait again, not report a cache as complete that
// is empty: every object would look missing.
func TestAKindIsWatchedOnceItIsInTheCache(t *testing.T) {
	world := &world{}
	failing := &failingWait{metadataCache: metadataCache{world: world}, err: context.DeadlineExceeded}
	w := NewWatcher(failing, watching{world: world}, demo, true)
	require.Error(t, w.Ensure(context.Background(), refsOf(configMap)))
	require.Error(t, w.Ensure(context.Background(), refsOf(configMap)), "it is still not in the cache")
	failing.err = nil
	assert.NoError(t, w.Ensure(context.Background(), refsOf(configMap)))
	assert.Equal(t, 1, world.watches, "and it is not watched twice")
}

// failingWait starts informers but fails to wait for them.
type failingWait struct {
	metadataCache
	err error
}

func (f *failingWait) GetInformer(_ context.Context, _ client.Object, opts ...cache.InformerGetOption) (cache.Informer, error) {
	var o cache.InformerGetOptions
	for _, opt := range opts {
		opt(&o)
	}
	if o.BlockUntilSynced != nil && !*o.BlockUntilSynced {
		return nil, nil
	}
	return nil, f.err
}
