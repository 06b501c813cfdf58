package storagemigration

import "github.com/prometheus/client_golang/prometheus"

// Outcomes for one object, values of the label outcome.
const (
	outcomeRewritten = "rewritten"
	outcomeGone      = "gone"
	outcomeFailed    = "failed"
)

// Metrics tell how a migration goes on. A nil *Metrics counts nothing.
type Metrics struct {
	objects *prometheus.CounterVec
	pending prometheus.Gauge
}

// NewMetrics makes the metrics and registers them. It fails when metrics of these names are registered already.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		objects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "datapower_operator_storage_migration_objects_total",
			Help: "Objects looked at while migrating to the storage version, by outcome (rewritten, gone, failed).",
		}, []string{"outcome"}),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "datapower_operator_storage_migration_pending",
			Help: "1 while objects may be stored in an old version.",
		}),
	}
	for _, outcome := range []string{outcomeRewritten, outcomeGone, outcomeFailed} {
		m.objects.WithLabelValues(outcome)
	}
	for _, collector := range []prometheus.Collector{m.objects, m.pending} {
		if err := registry.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Metrics) object(outcome string) {
	if m != nil {
		m.objects.WithLabelValues(outcome).Inc()
	}
}

func (m *Metrics) needed(needed bool) {
	if m == nil {
		return
	}
	value := 0.0
	if needed {
		value = 1
	}
	m.pending.Set(value)
}
