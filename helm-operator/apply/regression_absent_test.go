package apply

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Preflight notes that an object is absent, and the forced write that follows looks at nothing. Helm itself looks again
// just before (TakeOwnership) and passes what it found as original, which must not make it known.
func TestAnObjectThatAppearsAfterThePreflightIsNotTakenOver(t *testing.T) {
	w := newWorld(t)
	manifest := config("a", "ours")
	require.NoError(t, w.Preflight(w.build(manifest), nil))
	before := w.put(config("a", "theirs"))
	_, err := w.UpdateThreeWayMerge(w.build(manifest), w.build(manifest), false)
	require.ErrorIs(t, err, ErrForeign)
	assert.Equal(t, before, w.server.Get(configMap, "prod", "a"))
}
