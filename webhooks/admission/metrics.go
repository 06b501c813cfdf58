package admission

import (
	"errors"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// Metrics count admission requests. Make them with [NewMetrics].
type Metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// NewMetrics registers the metrics, or returns those that the registry has already. It fails when the registry has
// other metrics of these names.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	requests, err := registered(registry, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "datapower_operator_admission_requests_total",
		Help: "Admission requests by verdict: allowed, patched, refused, or failed when the request could not be judged.",
	}, []string{"webhook", "kind", "version", "verdict"}))
	if err != nil {
		return nil, err
	}
	duration, err := registered(registry, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "datapower_operator_admission_duration_seconds",
		Help:    "How long it took to judge admission requests.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 2, 15),
	}, []string{"webhook", "kind"}))
	m := &Metrics{requests: requests, duration: duration}
	m.begin()
	return m, err
}

// begin makes all series: what has not happened yet is 0, so that the first time is an increase.
func (m *Metrics) begin() {
	for _, kind := range Kinds() {
		for _, webhook := range []string{defaulterName, validatorName} {
			for _, version := range append(slices.Clone(kind.Versions), unknownVersion) {
				for _, verdict := range verdicts {
					m.requests.WithLabelValues(webhook, kind.Name, version, verdict)
				}
			}
		}
	}
}

// unknownVersion stands for every version that a kind does not have.
const unknownVersion = "unknown"

// registered registers a collector, or returns the one of this name that is registered already.
func registered[C prometheus.Collector](registry prometheus.Registerer, collector C) (C, error) {
	err := registry.Register(collector)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if existing, ok := already.ExistingCollector.(C); ok {
			return existing, nil
		}
	}
	return collector, err
}

func (m *Metrics) observe(webhook string, kind Kind, version string, response admission.Response, took time.Duration) {
	if !kind.known(version) {
		version = unknownVersion // not the caller's word: it could be any
	}
	m.requests.WithLabelValues(webhook, kind.Name, version, verdict(response)).Inc()
	m.duration.WithLabelValues(webhook, kind.Name).Observe(took.Seconds())
}
