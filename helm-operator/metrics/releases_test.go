package metrics

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
)

// fresh gives a test releases of its own.
func fresh(t *testing.T) *prometheus.Registry {
	t.Helper()
	before := released
	released = newReleases()
	t.Cleanup(func() { released = before })
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(released))
	return registry
}

func name(n string) types.NamespacedName { return types.NamespacedName{Namespace: "ns", Name: n} }

func TestAReleaseHasOneStateAndItsRevision(t *testing.T) {
	registry := fresh(t)
	k := Kind("DataPowerService")
	k.Released(name("a"), Release{State: Pending})
	k.Released(name("a"), Release{State: Deployed, Revision: 3})
	k.Released(name("b"), Release{State: Failed})
	Kind("ExposedAPI").Released(name("a"), Release{State: Uninstalled})
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP datapower_operator_release_revision Revision of the release that is deployed; absent when none is. At most 2000 resources of a kind have this series.
# TYPE datapower_operator_release_revision gauge
datapower_operator_release_revision{kind="DataPowerService",name="a",namespace="ns"} 3
# HELP datapower_operator_release_state 1 for the state of the release of a custom resource: Pending, Deployed, Failed, Irreconcilable or Uninstalled. At most 2000 resources of a kind have this series.
# TYPE datapower_operator_release_state gauge
datapower_operator_release_state{kind="DataPowerService",name="a",namespace="ns",state="Deployed"} 1
datapower_operator_release_state{kind="DataPowerService",name="b",namespace="ns",state="Failed"} 1
datapower_operator_release_state{kind="ExposedAPI",name="a",namespace="ns",state="Uninstalled"} 1
`)))
	k.Gone(name("a"))
	k.Gone(name("b"))
	Kind("ExposedAPI").Gone(name("a"))
	count, err := testutil.GatherAndCount(registry)
	require.NoError(t, err)
	assert.Zero(t, count, "what is gone has no series")
}

func TestReleasesAreBoundedByKind(t *testing.T) {
	registry := fresh(t)
	for i := range maxReleases + 3 {
		Kind("DataPowerService").Released(name(fmt.Sprintf("gw%05d", i)), Release{State: Deployed, Revision: 1})
	}
	Kind("ExposedAPI").Released(name("api"), Release{State: Deployed, Revision: 1})
	count, err := testutil.GatherAndCount(registry, "datapower_operator_release_state")
	require.NoError(t, err)
	assert.Equal(t, maxReleases+1, count)
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP datapower_operator_series_omitted Resources or series that were left out of a metric because of its bound.
# TYPE datapower_operator_series_omitted gauge
datapower_operator_series_omitted{metric="datapower_operator_release_state"} 3
`), "datapower_operator_series_omitted"))
}
