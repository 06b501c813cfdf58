// Package metrics counts what the chart reconciler decides and does. Labels are bounded: kinds come
// from watches.yaml and charts, everything else from fixed lists.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// longest is what durations are told apart up to, in seconds.
const longest = 1800

var (
	decisions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "datapower_operator_reconcile_decisions_total",
		Help: "Decisions about releases by the kind of the custom resource, the state that was found and the cause.",
	}, []string{"kind", "state", "cause"})

	skips = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "datapower_operator_reconcile_skips_total",
		Help: "Reconciles that ended without a request because nothing had changed, by the kind of the custom resource.",
	}, []string{"kind"})

	corrections = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "datapower_operator_drift_corrections_total",
		Help: "Rendered objects that were made again or changed back, by the kind of the custom resource and of the object.",
	}, []string{"kind", "object_kind"})

	actions = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "datapower_operator_helm_action_duration_seconds",
		Help:    "Duration of Helm actions by the kind of the custom resource, the action and its result (success, error).",
		Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, longest},
	}, []string{"kind", "action", "result"})

	renders = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "datapower_operator_render_duration_seconds",
		Help:    "Duration of rendering a chart by the kind of the custom resource.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, longest},
	}, []string{"kind"})
)

// Collectors are all metrics of this package.
func Collectors() []prometheus.Collector {
	return []prometheus.Collector{decisions, skips, corrections, actions, renders, released}
}

func init() { metrics.Registry.MustRegister(Collectors()...) }

// Kind counts for one kind of custom resources.
type Kind string

// Decided counts a decision.
func (k Kind) Decided(state, cause string) { decisions.WithLabelValues(string(k), state, cause).Inc() }

// Skipped counts a reconcile that found nothing changed.
func (k Kind) Skipped() { skips.WithLabelValues(string(k)).Inc() }

// Corrected counts an object that was repaired.
func (k Kind) Corrected(objectKind string) { corrections.WithLabelValues(string(k), objectKind).Inc() }

// Acted records how long an action took.
func (k Kind) Acted(action string, took time.Duration, err error) {
	result := "success"
	if err != nil {
		result = "error"
	}
	actions.WithLabelValues(string(k), action, result).Observe(took.Seconds())
}

// Rendered records how long a render took.
func (k Kind) Rendered(took time.Duration) {
	renders.WithLabelValues(string(k)).Observe(took.Seconds())
}
