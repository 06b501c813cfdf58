// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	helmmetrics "github.com/datapower-operator/datapower-operator/helm-operator/metrics"
	"github.com/datapower-operator/datapower-operator/internal/program"
	"github.com/datapower-operator/datapower-operator/sidecar/exposure"
	"github.com/datapower-operator/datapower-operator/sidecar/leader"
	"github.com/datapower-operator/datapower-operator/sidecar/monitor"
	"github.com/datapower-operator/datapower-operator/sidecar/resourcemetrics"
	"github.com/datapower-operator/datapower-operator/webhooks/admission"
	"github.com/datapower-operator/datapower-operator/webhooks/conversion"
	"github.com/datapower-operator/datapower-operator/webhooks/pki"
	"github.com/datapower-operator/datapower-operator/webhooks/storagemigration"
)

// group are metrics that the same programs register.
type group struct {
	title string
	// tellers says which programs and replicas have the series.
	tellers string
	metrics []metric
}

// metric is what the code says of one.
type metric struct {
	name, help, kind string
	labels           []string
	buckets          []float64
}

// source makes the metrics of a group.
type source struct {
	title, tellers string
	register       func(prometheus.Registerer) error
}

const (
	onLeader   = "the leader only"
	everywhere = "every replica"
	helm       = "helm-operator"
	sidecar    = "sidecar"
	both       = helm + " and " + sidecar
)

var sources = []source{
	{"The program", both + ", " + everywhere, func(r prometheus.Registerer) error {
		return r.Register(program.NewReplicaMetrics("", program.NewReplica()))
	}},
	{"The leader's label", both + ", " + onLeader, func(r prometheus.Registerer) error { return r.Register(leader.NewFailures()) }},
	{"Charts and releases", helm + ", " + onLeader, func(r prometheus.Registerer) error {
		for _, collector := range helmmetrics.Collectors() {
			if err := r.Register(collector); err != nil {
				return err
			}
		}
		return nil
	}},
	{"Resources and quotas", sidecar + ", " + onLeader, func(r prometheus.Registerer) error {
		return r.Register(resourcemetrics.New(nil, nil))
	}},
	{"Monitors and peering", sidecar + ", " + onLeader, made(monitor.NewMetrics)},
	{"Exposed APIs", sidecar + ", " + onLeader, made(exposure.NewMetrics)},
	{"Admission", sidecar + ", " + everywhere, made(admission.NewMetrics)},
	{"Conversion", "the conversion webhook's Deployment, every replica; " + sidecar + " with --conversion=process", made(conversion.NewMetrics)},
	{"Storage migration", sidecar + ", the holder of the Lease datapower-sidecar-conversion only", made(storagemigration.NewMetrics)},
	{"Certificates", sidecar + ": certificate ca and leaf " + onLeader + ", served " + everywhere + "; " + helm + ": use metrics, served, " + everywhere, made(pki.NewMetrics)},
}

func made[M any](create func(prometheus.Registerer) (M, error)) func(prometheus.Registerer) error {
	return func(registry prometheus.Registerer) error {
		_, err := create(registry)
		return err
	}
}

// recorder is a registry that keeps what it is given.
type recorder struct {
	*prometheus.Registry
	collectors []prometheus.Collector
}

// Register implements [prometheus.Registerer].
func (r *recorder) Register(c prometheus.Collector) error {
	r.collectors = append(r.collectors, c)
	return r.Registry.Register(c)
}

// collect asks all sources.
func collect() ([]group, error) {
	var groups []group
	for _, s := range sources {
		r := &recorder{Registry: prometheus.NewRegistry()}
		if err := s.register(r); err != nil {
			return nil, fmt.Errorf("%s: %w", s.title, err)
		}
		g := group{title: s.title, tellers: s.tellers}
		for _, collector := range r.collectors {
			found, err := describe(collector)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.title, err)
			}
			g.metrics = append(g.metrics, found...)
		}
		slices.SortFunc(g.metrics, func(a, b metric) int { return strings.Compare(a.name, b.name) })
		groups = append(groups, g)
	}
	return groups, nil
}

// described is the text of a description; it has no other form.
var described = regexp.MustCompile(`^Desc\{fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*")(?:, unit: "[^"]*")?, constLabels: \{.*\}, variableLabels: \{(.*)\}\}$`)

// describe lists the metrics of a collector.
func describe(collector prometheus.Collector) ([]metric, error) {
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		collector.Describe(descriptions)
	}()
	var metrics []metric
	var failure error
	for description := range descriptions {
		parts := described.FindStringSubmatch(description.String())
		if parts == nil {
			failure = fmt.Errorf("cannot read %s", description)
			continue
		}
		m := metric{}
		for text, into := range map[string]*string{parts[1]: &m.name, parts[2]: &m.help} {
			var err error
			if *into, err = strconv.Unquote(text); err != nil {
				failure = fmt.Errorf("cannot read %s: %w", description, err)
			}
		}
		if parts[3] != "" {
			m.labels = strings.Split(parts[3], ",")
		}
		m.kind, m.buckets = kindOf(collector, m.labels)
		metrics = append(metrics, m)
	}
	return metrics, failure
}

// kindOf finds the type of a collector's metrics out. Collectors of our own make gauges.
func kindOf(collector prometheus.Collector, labels []string) (string, []float64) {
	values := make([]string, len(labels))
	switch c := collector.(type) {
	case *prometheus.CounterVec:
		return "counter", nil
	case *prometheus.GaugeVec:
		return "gauge", nil
	case *prometheus.HistogramVec:
		if m, ok := c.WithLabelValues(values...).(prometheus.Metric); ok {
			return kindOfMetric(m)
		}
	case prometheus.Metric:
		return kindOfMetric(c)
	}
	return "gauge", nil
}

func kindOfMetric(m prometheus.Metric) (string, []float64) {
	var written dto.Metric
	if err := m.Write(&written); err != nil {
		return "unknown", nil
	}
	switch {
	case written.Counter != nil:
		return "counter", nil
	case written.Histogram != nil:
		var bounds []float64
		for _, bucket := range written.Histogram.Bucket {
			bounds = append(bounds, bucket.GetUpperBound())
		}
		return "histogram", bounds
	}
	return "gauge", nil
}
