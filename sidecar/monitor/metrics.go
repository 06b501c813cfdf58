package monitor

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"github.com/datapower-operator/datapower-operator/sidecar/datapower"
	"github.com/datapower-operator/datapower-operator/sidecar/peering"
)

// maxUnhealthySeries bounds the series of the gauge that names gateways.
const maxUnhealthySeries = 1000

// Metrics are this package's metrics. Their labels take a bounded number of values.
type Metrics struct {
	podEvents    *prometheus.CounterVec
	debounce     prometheus.Histogram
	lateness     prometheus.Histogram
	workDuration prometheus.Histogram
	workRuns     *prometheus.CounterVec
	lookRuns     *prometheus.CounterVec
	stalePeers   prometheus.Counter
	resets       *prometheus.CounterVec
	requests     *prometheus.CounterVec
	requestTime  *prometheus.HistogramVec
	unhealthy    *unhealthyGauge
}

// NewMetrics makes the metrics and registers them. It fails when some are registered already.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "datapower_operator_" + name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "datapower_operator_" + name, Help: help, Buckets: buckets})
	}
	seconds := []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}
	m := &Metrics{
		podEvents: counter("monitor_pod_events_total", "Events of gateway pods, by what changed.", "change"),
		debounce: histogram("monitor_debounce_wait_seconds",
			"Time from the first pod event to the work that answers it.", seconds),
		lateness: histogram("monitor_timer_lateness_seconds", "How long after its deadline the end of a wait was noticed.",
			[]float64{0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}),
		workDuration: histogram("monitor_work_duration_seconds", "Duration of a monitor's work.", seconds),
		workRuns:     counter("monitor_work_runs_total", "Works of monitors, by result.", "result"),
		lookRuns:     counter("monitor_looks_total", "Looks without work, by result.", "result"),
		stalePeers: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "datapower_operator_peering_stale_peers_found_total",
			Help: "Stale peers that work found, an address once for each gateway and peering that lists it.",
		}),
		resets:   counter("peering_resets_total", "Resets of gateways' peerings, by strategy and result.", "strategy", "result"),
		requests: counter("gateway_requests_total", "Calls of gateways' REST management interfaces, by result.", "operation", "result"),
		requestTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "datapower_operator_gateway_request_duration_seconds",
			Help: "Duration of calls of gateways' REST management interfaces, repetitions included.", Buckets: seconds,
		}, []string{"operation"}),
		unhealthy: newUnhealthyGauge(),
	}
	// What has not happened yet is 0, so that the first time is an increase.
	for _, strategy := range []string{actionLabel, peering.StrategyAdminState} {
		for _, result := range resetResults {
			m.resets.WithLabelValues(strategy, string(result))
		}
	}
	for _, collector := range []prometheus.Collector{
		m.podEvents, m.debounce, m.lateness, m.workDuration, m.workRuns, m.lookRuns, m.stalePeers, m.resets, m.requests,
		m.requestTime, m.unhealthy,
	} {
		if err := registry.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Metrics) observed(event PodEvent) {
	for _, change := range event.Changes {
		m.podEvents.WithLabelValues(string(change)).Inc()
	}
}

func (m *Metrics) waited(wait time.Duration) { m.debounce.Observe(wait.Seconds()) }

func (m *Metrics) late(by time.Duration) { m.lateness.Observe(by.Seconds()) }

func (m *Metrics) worked(result string, duration time.Duration) {
	m.workRuns.WithLabelValues(result).Inc()
	m.workDuration.Observe(duration.Seconds())
}

func (m *Metrics) looked(report peering.Report) {
	m.lookRuns.WithLabelValues(resultWords[report.Result()]).Inc()
}

func (m *Metrics) found(report peering.Report) { m.stalePeers.Add(float64(report.Found())) }

func (m *Metrics) reset(reset peering.ResetReport) {
	m.resets.WithLabelValues(strategyLabel(reset.Strategy), string(reset.Result)).Inc()
}

// resetResults are all results that a reset can have.
var resetResults = []peering.Result{
	peering.ResultHealed, peering.ResultFailed, peering.ResultNoEffect, peering.ResultUnknown, peering.ResultRestored, peering.ResultInterrupted,
}

// actionLabel stands for all actions.
const actionLabel = "action"

// strategyLabel leaves out the name of an action, which an administrator configures.
func strategyLabel(strategy string) string {
	if strings.HasPrefix(strategy, peering.StrategyActionPrefix) {
		return actionLabel
	}
	return peering.StrategyAdminState
}

// Called counts a call of a gateway; it is meant for [datapower.Options].Observe.
func (m *Metrics) Called(call datapower.Call) {
	m.requests.WithLabelValues(call.Operation, callResult(call.Err)).Inc()
	m.requestTime.WithLabelValues(call.Operation).Observe(call.Duration.Seconds())
}

// callResult is the result of a call as a label.
func callResult(err error) string {
	for _, known := range []struct {
		err  error
		word string
	}{
		{datapower.ErrCertificate, "certificate"}, {datapower.ErrUnauthorized, "unauthorized"},
		{datapower.ErrNotFound, "not-found"}, {datapower.ErrUnsupported, "unsupported"},
		{datapower.ErrActionFailed, "action-failed"}, {datapower.ErrActionPending, "action-pending"},
		{datapower.ErrAnswerTooLarge, "too-large"}, {datapower.ErrMalformed, "malformed"},
		{datapower.ErrUnreachable, "unreachable"},
	} {
		if errors.Is(err, known.err) {
			return known.word
		}
	}
	if err != nil {
		return "error"
	}
	return "ok"
}

// unhealthyGateway is one series of the gauge.
type unhealthyGateway struct{ namespace, service, pod, reason string }

// unhealthyOf lists the problems of a report that do not pass by themselves, and stale peers without a problem.
func unhealthyOf(key types.NamespacedName, report peering.Report) []unhealthyGateway {
	var found []unhealthyGateway
	add := func(pod, reason string) {
		gateway := unhealthyGateway{key.Namespace, key.Name, pod, reason}
		if !slices.Contains(found, gateway) {
			found = append(found, gateway)
		}
	}
	for _, problem := range report.Problems {
		if !problem.Passing {
			add("", string(problem.Reason))
		}
	}
	for _, pod := range report.Pods {
		for _, problem := range pod.Problems {
			if !problem.Passing {
				add(pod.Name, string(problem.Reason))
			}
		}
		if slices.ContainsFunc(pod.Peerings, func(p peering.PeeringReport) bool { return len(p.Stale) > 0 }) {
			add(pod.Name, ReasonStale)
		}
	}
	return found
}

// unhealthyGauge names the gateways that are not in order, and no others.
type unhealthyGauge struct {
	description *prometheus.Desc

	mutex    sync.Mutex
	gateways map[types.NamespacedName][]unhealthyGateway
}

func newUnhealthyGauge() *unhealthyGauge {
	return &unhealthyGauge{
		description: prometheus.NewDesc("datapower_operator_peering_unhealthy_gateways",
			"1 for each gateway whose peering is not in order and each reason; the pod is empty for a reason of the whole service. "+
				"At most 1000 are named.",
			[]string{"namespace", "service", "pod", "reason"}, nil),
		gateways: map[types.NamespacedName][]unhealthyGateway{},
	}
}

func (g *unhealthyGauge) set(key types.NamespacedName, gateways []unhealthyGateway) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if len(gateways) == 0 {
		delete(g.gateways, key)
		return
	}
	g.gateways[key] = gateways
}

// Describe implements [prometheus.Collector].
func (g *unhealthyGauge) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- g.description
}

// Collect implements [prometheus.Collector].
func (g *unhealthyGauge) Collect(metrics chan<- prometheus.Metric) {
	for _, gateway := range g.list() {
		metrics <- prometheus.MustNewConstMetric(g.description, prometheus.GaugeValue, 1,
			gateway.namespace, gateway.service, gateway.pod, gateway.reason)
	}
}

// list returns at most maxUnhealthySeries gateways, always the same ones.
func (g *unhealthyGauge) list() []unhealthyGateway {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	var all []unhealthyGateway
	for _, gateways := range g.gateways {
		all = append(all, gateways...)
	}
	slices.SortFunc(all, func(a, b unhealthyGateway) int {
		return cmp.Or(strings.Compare(a.namespace, b.namespace), strings.Compare(a.service, b.service),
			strings.Compare(a.pod, b.pod), strings.Compare(a.reason, b.reason))
	})
	return all[:min(len(all), maxUnhealthySeries)]
}
