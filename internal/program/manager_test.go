package program

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

type syncFunc func(context.Context) bool

func (f syncFunc) WaitForCacheSync(ctx context.Context) bool { return f(ctx) }

func TestReadinessFollowsTheCaches(t *testing.T) {
	request := httptest.NewRequest(http.MethodGet, "/readyz", nil)

	require.NoError(t, cachesSynced(syncFunc(func(context.Context) bool { return true }))(request))

	unsynced := syncFunc(func(ctx context.Context) bool {
		<-ctx.Done() // a cache that never syncs blocks until the check gives up
		return false
	})
	require.ErrorIs(t, cachesSynced(unsynced)(request), ErrCachesNotSynced)
}

func TestTheGivenRESTConfigIsCopiedAndNamed(t *testing.T) {
	given := &rest.Config{Host: "https://api.example"}
	got, err := (&Options{RESTConfig: given}).restConfig("tester")
	require.NoError(t, err)
	assert.Equal(t, "https://api.example", got.Host)
	assert.Contains(t, got.UserAgent, "tester")
	assert.Empty(t, given.UserAgent, "the caller's configuration stays as it was")
}
