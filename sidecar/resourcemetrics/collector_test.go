package resourcemetrics

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

func cached(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1beta2.AddToScheme, v1beta3.AddToScheme} {
		require.NoError(t, add(scheme))
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
}

func named(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
}

func objects() []client.Object {
	ready := &v1beta3.DataPowerService{ObjectMeta: named("ns", "ready"), Status: v1beta3.DataPowerServiceStatus{
		Phase: datapower.PhaseRunning, Conditions: []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue}, {Type: "Warning", Status: metav1.ConditionFalse}},
	}}
	waiting := &v1beta2.DataPowerMonitor{ObjectMeta: named("ns", "waiting"), Spec: v1beta2.DataPowerMonitorSpec{LifecycleDebounceMs: ptr.To[int32](2500)},
		Status: v1beta2.DataPowerMonitorStatus{Phase: datapower.PhaseRunning, LastEvent: "2026-11-21T06:00:00.5Z", WorkPending: true}}
	done := &v1beta2.DataPowerMonitor{ObjectMeta: named("ns", "done"), Status: v1beta2.DataPowerMonitorStatus{LastEvent: "2026-11-21T06:00:00Z"}}
	quota := &corev1.ResourceQuota{ObjectMeta: named("ns", "q"), Status: corev1.ResourceQuotaStatus{
		Hard: corev1.ResourceList{"requests.memory": resource.MustParse("1Gi")}, Used: corev1.ResourceList{"requests.memory": resource.MustParse("512Mi")}}}
	others := &corev1.ResourceQuota{ObjectMeta: named("other", "q"), Status: quota.Status}
	return []client.Object{ready, &v1beta3.DataPowerService{ObjectMeta: named("ns", "new")}, waiting, done, quota, others}
}

const told = `
# HELP datapower_operator_monitor_debounce_seconds How long a DataPowerMonitor waits after the last pod event before it works. At most 2000 monitors have this series.
# TYPE datapower_operator_monitor_debounce_seconds gauge
datapower_operator_monitor_debounce_seconds{name="done",namespace="ns"} 10
datapower_operator_monitor_debounce_seconds{name="waiting",namespace="ns"} 2.5
# HELP datapower_operator_monitor_work_pending_since_timestamp_seconds When the last pod event came for which work is pending, in seconds since 1970; absent while none is. At most 2000 monitors have this series.
# TYPE datapower_operator_monitor_work_pending_since_timestamp_seconds gauge
datapower_operator_monitor_work_pending_since_timestamp_seconds{name="waiting",namespace="ns"} 1.7952408005e+09
# HELP datapower_operator_namespace_quota Used and hard limits of the ResourceQuotas of namespaces with a DataPowerService, in the unit of the resource (cores, bytes, objects). At most 4000 series.
# TYPE datapower_operator_namespace_quota gauge
datapower_operator_namespace_quota{namespace="ns",resource="requests.memory",resourcequota="q",type="hard"} 1.073741824e+09
datapower_operator_namespace_quota{namespace="ns",resource="requests.memory",resourcequota="q",type="used"} 5.36870912e+08
# HELP datapower_operator_resources Resources of the watched namespaces by kind and phase; Unknown is one without a phase yet.
# TYPE datapower_operator_resources gauge
datapower_operator_resources{kind="DataPowerMonitor",phase="Failed"} 0
datapower_operator_resources{kind="DataPowerMonitor",phase="Pending"} 0
datapower_operator_resources{kind="DataPowerMonitor",phase="Running"} 1
datapower_operator_resources{kind="DataPowerMonitor",phase="Unknown"} 1
datapower_operator_resources{kind="DataPowerService",phase="Failed"} 0
datapower_operator_resources{kind="DataPowerService",phase="Pending"} 0
datapower_operator_resources{kind="DataPowerService",phase="Running"} 1
datapower_operator_resources{kind="DataPowerService",phase="Unknown"} 1
# HELP datapower_operator_service_condition 1 while a condition of a DataPowerService is True, else 0. At most 2000 services have these series.
# TYPE datapower_operator_service_condition gauge
datapower_operator_service_condition{condition="Error",name="new",namespace="ns"} 0
datapower_operator_service_condition{condition="Error",name="ready",namespace="ns"} 0
datapower_operator_service_condition{condition="Pending",name="new",namespace="ns"} 0
datapower_operator_service_condition{condition="Pending",name="ready",namespace="ns"} 0
datapower_operator_service_condition{condition="Ready",name="new",namespace="ns"} 0
datapower_operator_service_condition{condition="Ready",name="ready",namespace="ns"} 1
datapower_operator_service_condition{condition="Warning",name="new",namespace="ns"} 0
datapower_operator_service_condition{condition="Warning",name="ready",namespace="ns"} 0
`

func TestWhatIsToldOfResources(t *testing.T) {
	acts := true
	c := New(cached(t, objects()...), func() bool { return acts })
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(c))

	count, err := testutil.GatherAndCount(registry)
	require.NoError(t, err)
	assert.Zero(t, count, "caches are not read before they are filled")
	c.Synced()
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(told)))
	acts = false
	count, err = testutil.GatherAndCount(registry)
	require.NoError(t, err)
	assert.Zero(t, count, "a follower tells nothing")
}

func TestSeriesAreBounded(t *testing.T) {
	var many []client.Object
	for i := range maxResources + 5 {
		many = append(many, &v1beta3.DataPowerService{ObjectMeta: named("ns", fmt.Sprintf("gw%05d", i))})
	}
	c := New(cached(t, many...), func() bool { return true })
	c.Synced()
	assert.Equal(t, maxResources*len(conditions), testutil.CollectAndCount(c, "datapower_operator_service_condition"))
	require.NoError(t, testutil.CollectAndCompare(c, strings.NewReader(`
# HELP datapower_operator_series_omitted Resources or series that were left out of a metric because of its bound.
# TYPE datapower_operator_series_omitted gauge
datapower_operator_series_omitted{metric="datapower_operator_service_condition"} 5
`), "datapower_operator_series_omitted"))
}

func TestQuotasAreKeptSmall(t *testing.T) {
	quota := &corev1.ResourceQuota{ObjectMeta: named("ns", "q"),
		Spec:   corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"pods": resource.MustParse("1")}},
		Status: corev1.ResourceQuotaStatus{Hard: corev1.ResourceList{"pods": resource.MustParse("1")}}}
	quota.Annotations = map[string]string{"a": "b"}
	slim, err := slimQuota(quota)
	require.NoError(t, err)
	assert.Equal(t, &corev1.ResourceQuota{ObjectMeta: named("ns", "q"), Status: quota.Status}, slim)
}
