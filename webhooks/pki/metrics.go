package pki

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics tell of the certificates of one use. Make them with [NewMetrics].
type Metrics struct {
	expiry *prometheus.GaugeVec
	renew  *prometheus.GaugeVec
	writes *prometheus.CounterVec
	failed *prometheus.GaugeVec
}

// NewMetrics registers the metrics, or returns those that the registry has already: every use is a label. It fails when
// the registry has other metrics of these names.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	expiry, err := registered(registry, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "datapower_operator_certificate_expiry_timestamp_seconds",
		Help: "When a certificate ends, in seconds since 1970. certificate is ca or leaf; served is the leaf that this replica serves.",
	}, []string{"use", "certificate"}))
	if err != nil {
		return nil, err
	}
	renew, err := registered(registry, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "datapower_operator_certificate_renewal_timestamp_seconds",
		Help: "When a certificate is due for renewal, about two thirds into its life, in seconds since 1970. certificate is ca, leaf or served.",
	}, []string{"use", "certificate"}))
	if err != nil {
		return nil, err
	}
	writes, err := registered(registry, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "datapower_operator_certificate_writes_total",
		Help: "Writes to the Secrets of certificates by step of the rotation.",
	}, []string{"use", "step"}))
	if err != nil {
		return nil, err
	}
	failed, err := registered(registry, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "datapower_operator_certificate_failing",
		Help: "1 while the certificates cannot be kept, else 0.",
	}, []string{"use"}))
	return &Metrics{expiry: expiry, renew: renew, writes: writes, failed: failed}, err
}

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

// Kept takes over what a [Keeper] answered.
func (m *Metrics) Kept(use string, kept Kept, err error) {
	set(m.expiry, use, "ca", kept.CAExpiry)
	set(m.expiry, use, "leaf", kept.LeafExpiry)
	set(m.renew, use, "ca", kept.CARenewal)
	set(m.renew, use, "leaf", kept.LeafRenewal)
	for _, step := range kept.Wrote {
		m.writes.WithLabelValues(use, string(step)).Inc()
	}
	failed := 0.0
	if err != nil {
		failed = 1
	}
	m.failed.WithLabelValues(use).Set(failed)
}

// Served takes over what a server serves.
func (m *Metrics) Served(use string, serving *Serving) {
	if leaf := serving.Leaf(); leaf != nil {
		set(m.expiry, use, "served", leaf.NotAfter)
		set(m.renew, use, "served", RenewAt(leaf))
	}
}

func set(gauge *prometheus.GaugeVec, use, certificate string, at time.Time) {
	if !at.IsZero() {
		gauge.WithLabelValues(use, certificate).Set(float64(at.Unix()))
	}
}
