package exposure

import (
	"slices"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What is written, values of the label object.
const (
	writtenStatus    = "status"
	writtenComponent = "component"
	writtenPod       = "pod"
)

// Metrics tell of the APIs that this replica watches (the leader watches all, others none) and count what it writes. A nil
// *Metrics tells nothing.
type Metrics struct {
	world  atomic.Pointer[world]
	apis   *prometheus.Desc
	writes *prometheus.CounterVec
}

// NewMetrics makes the metrics and registers them. It fails when some are registered already.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		apis: prometheus.NewDesc("datapower_operator_exposed_apis",
			"APIs of the watched namespaces by kind, condition (Routed, Monitored, Ready), its status (True, False, Unknown) and its reason; an API without a condition is not counted for it.",
			[]string{"kind", "condition", "status", "reason"}, nil),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "datapower_operator_exposed_api_writes_total",
			Help: "Writes about APIs by the object (status, component, pod) and result (success, error).",
		}, []string{"object", "result"}),
	}
	for _, collector := range []prometheus.Collector{m, m.writes} {
		if err := registry.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// observe makes the metrics tell of a world.
func (m *Metrics) observe(w *world) {
	if m != nil {
		m.world.Store(w)
	}
}

// wrote counts a write; what is gone meanwhile needs none.
func (m *Metrics) wrote(object string, err error) {
	if m == nil || apierrors.IsNotFound(err) {
		return
	}
	result := "success"
	if err != nil {
		result = "error"
	}
	m.writes.WithLabelValues(object, result).Inc()
}

// Describe implements [prometheus.Collector].
func (m *Metrics) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- m.apis }

// Collect implements [prometheus.Collector].
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	w := m.world.Load()
	if w == nil {
		return
	}
	type series struct {
		kind, condition string
		status          metav1.ConditionStatus
		reason          string
	}
	counts := map[series]int{}
	w.mu.RLock()
	for key, api := range w.apis {
		for _, c := range api.status.Conditions {
			counts[series{key.Kind, c.Type, bounded(c.Status), boundedReason(c.Reason)}]++
		}
	}
	w.mu.RUnlock()
	for s, count := range counts {
		metrics <- prometheus.MustNewConstMetric(m.apis, prometheus.GaugeValue, float64(count), s.kind, s.condition, string(s.status), s.reason)
	}
}

// bounded takes for unknown what is no status: where a definition has no schema, others may write anything.
func bounded(status metav1.ConditionStatus) metav1.ConditionStatus {
	if status == metav1.ConditionTrue || status == metav1.ConditionFalse {
		return status
	}
	return metav1.ConditionUnknown
}

func boundedReason(reason string) string {
	if slices.Contains(reasons, reason) {
		return reason
	}
	return otherReason
}
