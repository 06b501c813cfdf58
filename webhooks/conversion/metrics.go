package conversion

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Outcomes of a conversion, values of the label outcome.
const (
	outcomeConverted = "converted"
	outcomeFailed    = "failed"
)

// unknownVersion stands for every version that is none of ours, so that callers cannot make series.
const unknownVersion = "unknown"

// Metrics count conversions. A nil *Metrics counts nothing.
type Metrics struct {
	objects  *prometheus.CounterVec
	duration prometheus.Histogram
}

// NewMetrics makes the metrics and registers them. It fails when metrics of these names are registered already.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		objects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "datapower_operator_conversion_objects_total",
			Help: "Objects converted between API versions, by outcome (converted, failed).",
		}, []string{"from", "to", "outcome"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "datapower_operator_conversion_review_duration_seconds",
			Help:    "Time to answer a ConversionReview.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
	}
	versions := []string{beta1, beta2, hub}
	for _, to := range versions {
		m.objects.WithLabelValues(unknownVersion, to, outcomeFailed)
		for _, from := range versions {
			if from != to {
				m.objects.WithLabelValues(from, to, outcomeConverted)
				m.objects.WithLabelValues(from, to, outcomeFailed)
			}
		}
	}
	for _, collector := range []prometheus.Collector{m.objects, m.duration} {
		if err := registry.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Metrics) converted(from, to string, err error) {
	if m == nil {
		return
	}
	if from == "" {
		from = unknownVersion
	}
	outcome := outcomeConverted
	if err != nil {
		outcome = outcomeFailed
	}
	m.objects.WithLabelValues(from, to, outcome).Inc()
}

func (m *Metrics) took(d time.Duration) {
	if m != nil {
		m.duration.Observe(d.Seconds())
	}
}
