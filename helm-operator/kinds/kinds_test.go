package kinds_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/helm-operator/kinds"
)

var (
	configMap = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	service   = schema.GroupVersionKind{Version: "v1", Kind: "Service"}
)

// informers counts how often each kind was started and waited for.
type informers struct {
	cache.Informers
	started, waited []string
	startErr        error
	waitErr         error
}

func (i *informers) GetInformer(_ context.Context, obj client.Object, opts ...cache.InformerGetOption) (cache.Informer, error) {
	var o cache.InformerGetOptions
	for _, opt := range opts {
		opt(&o)
	}
	kind := obj.GetObjectKind().GroupVersionKind().Kind
	if o.BlockUntilSynced != nil && !*o.BlockUntilSynced {
		i.started = append(i.started, kind)
		return nil, i.startErr
	}
	i.waited = append(i.waited, kind)
	return nil, i.waitErr
}

func newStarter() (*kinds.Starter, *informers, *[]string) {
	i, watched := &informers{}, &[]string{}
	return kinds.NewStarter(i, func(m *metav1.PartialObjectMetadata) error {
		*watched = append(*watched, m.Kind)
		return nil
	}), i, watched
}

func TestEachKindIsWatchedAndWaitedForOnce(t *testing.T) {
	s, i, watched := newStarter()
	require.NoError(t, s.Ensure(context.Background(), configMap, service, configMap))
	require.NoError(t, s.Ensure(context.Background(), service))
	require.NoError(t, s.Ensure(context.Background()))
	assert.Equal(t, []string{"ConfigMap", "Service"}, *watched)
	assert.Equal(t, []string{"ConfigMap", "Service"}, i.started)
	assert.Equal(t, []string{"ConfigMap", "Service"}, i.waited)
}

func TestAllListsAreUnderWayBeforeTheFirstIsWaitedFor(t *testing.T) {
	s, i, _ := newStarter()
	i.waitErr = errors.New("not yet")
	require.ErrorContains(t, s.Ensure(context.Background(), configMap, service), "watch ConfigMap: not yet")
	assert.Equal(t, []string{"ConfigMap", "Service"}, i.started)
	assert.Equal(t, []string{"ConfigMap"}, i.waited)
	i.waitErr = nil
	require.NoError(t, s.Ensure(context.Background(), configMap, service))
	assert.Equal(t, []string{"ConfigMap", "Service"}, i.started, "nothing is started twice")
}

func TestAKindThatCannotBeStartedIsTriedAgain(t *testing.T) {
	s, i, _ := newStarter()
	i.startErr = errors.New("no such kind")
	require.ErrorContains(t, s.Ensure(context.Background(), configMap), "watch ConfigMap: no such kind")
	i.startErr = nil
	require.NoError(t, s.Ensure(context.Background(), configMap))
}

func TestAWatchThatFailsIsReported(t *testing.T) {
	cause := errors.New("the controller is gone")
	s := kinds.NewStarter(&informers{}, func(*metav1.PartialObjectMetadata) error { return cause })
	assert.ErrorIs(t, s.Ensure(context.Background(), configMap), cause)
}
