package program

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheRoleIsInEachLineOfTheLog(t *testing.T) {
	var out bytes.Buffer
	opts := parsed(t, nil)
	logger := opts.SetLogger(&out).WithName("a").WithValues("key", "value")
	logger.Info("first")
	opts.replica.set(Leader)
	logger.Info("second", "more", 1)
	opts.replica.set(Standalone)
	logger.Error(assert.AnError, "third")

	var roles []any
	for line := range strings.Lines(out.String()) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields), line)
		assert.Equal(t, "value", fields["key"])
		roles = append(roles, fields["replica_role"])
	}
	assert.Equal(t, []any{"follower", "leader", "standalone"}, roles)
}

func TestEachWatchOfAControllerIsNoNews(t *testing.T) {
	for level, want := range map[string]int{"info": 0, "debug": 1} {
		var out bytes.Buffer
		logger := parsed(t, map[string]string{"LOG_LEVEL": level}).SetLogger(&out)
		logger.Info("Starting EventSource", "source", "kind source: *v1.Pod")
		logger.Info("Starting Controller")
		assert.Equal(t, want, strings.Count(out.String(), `"level":"debug"`), level)
		assert.Equal(t, want, strings.Count(out.String(), "Starting EventSource"), level)
		assert.Contains(t, out.String(), "Starting Controller", level)
	}
}

func TestAManagerBesideDoesNotChangeTheProgramsRole(t *testing.T) {
	opts := parsed(t, nil)
	second := opts.Beside("-more")
	second.replica.set(Leader)
	assert.Equal(t, Follower, opts.Replica().Role())
	assert.False(t, opts.Replica().Acts())
	assert.Equal(t, "datapower-tester-more", second.LeaderElectionID)
	assert.Equal(t, "0", second.MetricsBindAddress)
	assert.Equal(t, "0", second.HealthProbeBindAddress)
	assert.Equal(t, "datapower-tester", opts.LeaderElectionID)
}

func TestTheRoleIsAMetricThatEndsNoOther(t *testing.T) {
	replica := NewReplica()
	metrics := NewReplicaMetrics("tester", replica)
	says := func(role string) {
		t.Helper()
		require.NoError(t, testutil.CollectAndCompare(metrics, strings.NewReader(`
# HELP datapower_operator_replica_role 1 for the present role of the replica: leader, follower, or standalone without leader election. Join it to other series by namespace, pod and container.
# TYPE datapower_operator_replica_role gauge
datapower_operator_replica_role{replica_role="`+role+`"} 1
`), "datapower_operator_replica_role"))
	}
	says("follower")
	replica.set(Leader)
	says("leader")
}

func TestACollectorTakesThePlaceOfItsPredecessor(t *testing.T) {
	registry := prometheus.NewRegistry()
	require.NoError(t, Replace(registry, NewReplicaMetrics("one", NewReplica())))
	second := NewReplica()
	second.set(Standalone)
	require.NoError(t, Replace(registry, NewReplicaMetrics("two", second)))
	count, err := testutil.GatherAndCount(registry, "datapower_operator_replica_role")
	require.NoError(t, err)
	assert.Equal(t, 1, count)
}

func TestTheLevelOfTheLogChangesWhileTheProgramRuns(t *testing.T) {
	var out bytes.Buffer
	opts := parsed(t, map[string]string{"LOG_LEVEL": "error"})
	logger := opts.SetLogger(&out)
	handler := opts.metricsOptions().ExtraHandlers[LogLevelPath]
	logger.Info("hidden")
	assert.Empty(t, out.String())

	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodPut, LogLevelPath, strings.NewReader(`{"level":"debug"}`)))
	require.Equal(t, http.StatusOK, answer.Code, answer.Body)
	logger.V(1).Info("shown")
	assert.Contains(t, out.String(), "shown")
	assert.NotContains(t, out.String(), "hidden")

	answer = httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, LogLevelPath, nil))
	assert.JSONEq(t, `{"level":"debug"}`, answer.Body.String())
}

func TestTheLevelOfTheLogIsChangedOverTLSOnly(t *testing.T) {
	opts := parsed(t, nil, "--metrics-bind-address=:8080", "--metrics-secure=false")
	assert.Empty(t, opts.metricsOptions().ExtraHandlers, "nobody is asked who he is")
}
