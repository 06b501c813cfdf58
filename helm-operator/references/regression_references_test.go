package references

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper"
)

// Every reconcile registers its references anew. Register first takes the old ones away and forgets the hashes of
// objects that nobody else names, so each reconcile reads each Secret again: idle is not free.
func TestRegisteringTheSameAgainKeepsWhatIsKnown(t *testing.T) {
	w := newWorld()
	w.store(object("Secret", "s", "1", map[string]any{"a": "x"}))
	for range 3 {
		w.register(t, gw, secret("s"))
		w.hash(t, secret("s"))
	}
	assert.Equal(t, []string{"Secret prod/s"}, w.reads)
}

// A monitor that lost its owner reference but carries the owner mark is still the service's. Taken for the user's, it
// leaves the chart, is deleted as ours (ownership looks at the mark) and comes back without the user's edits.
func TestAnObjectThatCarriesTheOwnerMarkIsItsOwners(t *testing.T) {
	w := newWorld()
	u := object("Secret", "s", "1", nil)
	u.SetLabels(map[string]string{inventory.OwnerUIDLabel: "uid-gw"})
	w.store(u)
	owner, found, err := w.tracker.Owner(context.Background(), secret("s"), "prod")
	require.NoError(t, err)
	require.True(t, found)
	assert.Equal(t, "uid-gw", owner)
}

// stuck is a cache in which one kind never syncs, as when the operator may not list it.
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

// Register holds the lock that every reconcile and every event needs while it waits for a first list.
func TestAKindThatNeverSyncsHoldsUpNobodyElse(t *testing.T) {
	s := &stuck{metadataCache: metadataCache{world: newWorld()}, entered: make(chan struct{}), release: make(chan struct{})}
	tracker := NewTracker(s, reader{s.world}, watcher{world: s.world})
	require.NoError(t, tracker.Register(context.Background(), web, []mapper.Reference{secret("s")}))
	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		assert.NoError(t, tracker.Register(context.Background(), gw, []mapper.Reference{configMap("c")}))
	}()
	<-s.entered
	done := make(chan struct{})
	go func() {
		defer close(done)
		assert.NoError(t, tracker.Register(context.Background(), web, []mapper.Reference{secret("s")}))
		tracker.requests(key{gvk: secretKind, namespace: "prod", name: "s"})
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
	assert.True(t, free, "another resource waited for a kind that it does not name")
}
