package action_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
)

// Helm's upgrade takes the last release's values when it is given none, so clearing a spec changes nothing, while the
// new revision's digest says that it did. Upgrade needs ResetValues.
func TestClearingTheValuesGoesBackToTheChartsDefaults(t *testing.T) {
	w := newWorld(t)
	w.install("1", "a=1")
	rel, err := w.client().Upgrade(wanted("2", map[string]any{}))
	require.NoError(t, err)
	assert.Empty(t, rel.Config)
	assert.NotContains(t, rel.Manifest, "ConfigMap")
}

// An object with the resource policy keep stays when it leaves the chart, and Helm's uninstall keeps it, too. Delete,
// which removes what earlier revisions left, must not undo that.
func TestObjectsToBeKeptSurviveTheRemovalOfLeftovers(t *testing.T) {
	w := newWorld(t)
	first := w.install("1", "a=1", "kept-one=1")
	w.upgrade("2", "a=1")
	require.Equal(t, "1", w.value("kept-one"))
	require.NoError(t, w.client().Delete(first.Manifest, map[inventory.Ref]bool{ref("kept-one"): true}))
	assert.Equal(t, "1", w.value("kept-one"))
}

// Helm deletes a hook before it creates it again (hook-delete-policy before-hook-creation is the default). A hook that
// is passed over because it ran already must be passed over there, too: a ServiceAccount or ConfigMap that later hooks
// need is gone otherwise.
func TestAHookThatRanAlreadyIsLeftInPlace(t *testing.T) {
	w := newWorld(t)
	_, err := w.client().Install(wanted("1", configs("a=1"), demo, hookOnly))
	require.NoError(t, err)
	require.NotNil(t, w.server.Get(configMap, "prod", "hook"))
	w.interrupt(helmrelease.StatusFailed)
	rel, err := w.client().Storage().Last("gw")
	require.NoError(t, err)
	c := w.client()
	c.SkipHooks(rel.Hooks)
	_, err = c.Install(wanted("1", configs("a=1"), demo, hookOnly))
	require.NoError(t, err)
	assert.NotNil(t, w.server.Get(configMap, "prod", "hook"))
}

const hookOnly = `apiVersion: v1
kind: ConfigMap
metadata:
  name: hook
  annotations: {helm.sh/hook: pre-install}
data: {}
`
