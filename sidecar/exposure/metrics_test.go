package exposure

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
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
# HELP datapower_operator_exposed_apis APIs of the watched namespaces by kind, condition (Routed, Monitored, Ready), its status (True, False, Unknown) and its reason; an API without a condition is not counted for it.
# TYPE datapower_operator_exposed_apis gauge
datapower_operator_exposed_apis{condition="Ready",kind="ExposedAPI",reason="NoReadyEndpoint",status="False"} 1
datapower_operator_exposed_apis{condition="Routed",kind="ExposedAPI",reason="PathConflict",status="False"} 1
datapower_operator_exposed_apis{condition="Routed",kind="ExposedAPI",reason="Routed",status="True"} 2
datapower_operator_exposed_apis{condition="Routed",kind="ExposedAPI",reason="Other",status="Unknown"} 1
`), name))
}

func TestEachReasonIsTold(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "reasons.go", nil, 0)
	require.NoError(t, err)
	var declared []string
	ast.Inspect(file, func(node ast.Node) bool {
		spec, is := node.(*ast.ValueSpec)
		if is && strings.HasPrefix(spec.Names[0].Name, "Reason") {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			declared = append(declared, value)
		}
		return true
	})
	assert.ElementsMatch(t, declared, reasons)
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
