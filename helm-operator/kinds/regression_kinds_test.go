package kinds_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A source that is handed to a controller starts a goroutine which asks for the informer every ten seconds until it gets
// one. While a kind is not there, a reconcile must not add another one, each of which would handle each event later.
func TestAKindIsWatchedOnceHoweverOftenItCouldNotBeStarted(t *testing.T) {
	s, i, watched := newStarter()
	i.startErr = errors.New("no such kind")
	for range 3 {
		require.Error(t, s.Ensure(context.Background(), configMap))
	}
	i.startErr = nil
	require.NoError(t, s.Ensure(context.Background(), configMap))
	assert.Equal(t, []string{"ConfigMap"}, *watched)
}
