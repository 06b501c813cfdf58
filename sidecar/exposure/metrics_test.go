package exposure

import (
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

func TestTheMetricsCountAPIsByWhatTheirConditionsSay(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	m, err := NewMetrics(registry)
	require.NoError(t, err)
	const name = "datapower_operator_exposed_apis"
	count, err := testutil.GatherAndCount(registry, name)
	require.NoError(t, err)
	assert.Zero(t, count, "nothing is known yet")

	w := newWorld(oda.Settings{Gateway: "gw"})
	m.observe(w)
	api := func(name, conditions string) {
		w.setAPI(object(t, `
apiVersion: oda.tmforum.org/v1
kind: ExposedAPI
metadata: {namespace: components, name: `+name+`, uid: u-`+name+`}
spec: {apiType: openapi, implementation: s, path: /`+name+`, port: 80}
status: {conditions: [`+conditions+`]}`))
	}
	api("new", "")
	api("a", "{type: Routed, status: 'True', reason: Routed}, {type: Ready, status: 'False', reason: NoReadyEndpoint}")
	api("b", "{type: Routed, status: 'True', reason: Routed}, {type: Deployed, status: 'True', reason: UpToDate}")
	api("c", "{type: Routed, status: 'False', reason: PathConflict}")
	api("d", "{type: Routed, status: 'Perhaps', reason: WrittenByHand}")
	assert.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP datapower_operator_exposed_apis APIs of the watched namespaces by kind, condition (Routed, Monitored, Ready) and its status (True, False, Unknown); an API without a condition is not counted for it.
# TYPE datapower_operator_exposed_apis gauge
datapower_operator_exposed_apis{condition="Ready",kind="ExposedAPI",status="False"} 1
datapower_operator_exposed_apis{condition="Routed",kind="ExposedAPI",status="False"} 1
datapower_operator_exposed_apis{condition="Routed",kind="ExposedAPI",status="True"} 2
datapower_operator_exposed_apis{condition="Routed",kind="ExposedAPI",status="Unknown"} 1
`), name))
}

func TestTheMetricsCountWrites(t *testing.T) {
	m, err := NewMetrics(prometheus.NewPedanticRegistry())
	require.NoError(t, err)
	for range 2 {
		m.wrote(writtenStatus, nil)
	}
	m.wrote(writtenStatus, apierrors.NewNotFound(schema.GroupResource{}, "a"))
	m.wrote(writtenPod, errors.New("refused"))
	for labels, want := range map[[2]string]float64{
		{writtenStatus, "success"}: 2, {writtenStatus, "error"}: 0, {writtenPod, "error"}: 1, {writtenPod, "success"}: 0,
	} {
		assert.Equal(t, want, testutil.ToFloat64(m.writes.WithLabelValues(labels[0], labels[1])), labels)
	}
	var none *Metrics
	assert.NotPanics(t, func() { none.wrote(writtenPod, nil); none.observe(nil) })
}
