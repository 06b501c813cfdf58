package status_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/helm-operator/status"
)

// The API server answers a precondition for a resource that is gone or replaced with a conflict ("uid mismatch: ... no
// existing object was found"), not with NotFound.
func TestAResourceThatIsGoneNeedsNoStatus(t *testing.T) {
	after := status.Status{ObservedGeneration: 7}
	require.NoError(t, status.Write(context.Background(), newWorld(), resource(nil), status.Status{}, after))
}

func TestAResourceThatWasReplacedNeedsNoStatus(t *testing.T) {
	later := resource(nil)
	later.SetUID("uid-2")
	w := newWorld(later)
	after := status.Status{ObservedGeneration: 7}
	require.NoError(t, status.Write(context.Background(), w, resource(nil), status.Status{}, after))
	_, written := w.get(t).Object["status"]
	require.False(t, written)
}
