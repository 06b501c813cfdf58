// Package resourcemetrics tells, as metrics, how the DataPowerServices and DataPowerMonitors are and what the quotas of
// their namespaces leave. It reads the caches of the one replica that acts when it is scraped, so that a resource that is
// gone has no series, and no resource has two.
package resourcemetrics

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

const (
	// maxResources bounds how many resources of a kind have series of their own.
	maxResources = 2000
	// maxQuotaSeries bounds the series of quotas.
	maxQuotaSeries = 4000
	// readTimeout bounds the look into a cache.
	readTimeout = 5 * time.Second
	// defaultDebounce is what a DataPowerMonitor waits that does not say how long; the CRD fills it in.
	defaultDebounce = 10000
	// phaseUnknown stands for a resource without a phase.
	phaseUnknown = "Unknown"
)

// phases and conditions are all values of their labels.
var (
	phases     = []string{string(datapower.PhasePending), string(datapower.PhaseRunning), string(datapower.PhaseFailed), phaseUnknown}
	conditions = []string{datapower.ConditionReady, datapower.ConditionPending, datapower.ConditionError, datapower.ConditionWarning}
)

// Collector is a [prometheus.Collector]. Make it with [New].
type Collector struct {
	cached client.Reader
	acts   func() bool
	synced atomic.Bool

	resources, condition, pending, debounce, quota, omitted *prometheus.Desc
}

// New makes a collector that reads cached, and tells something only while acts says that this replica is the one that
// acts and after [Collector.Synced].
func New(cached client.Reader, acts func() bool) *Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("datapower_operator_"+name, help, labels, nil)
	}
	return &Collector{
		cached: cached, acts: acts,
		resources: desc("resources", "Resources of the watched namespaces by kind and phase; Unknown is one without a phase yet.", "kind", "phase"),
		condition: desc("service_condition",
			"1 while a condition of a DataPowerService is True, else 0. At most 2000 services have these series.", "namespace", "name", "condition"),
		pending: desc("monitor_work_pending_since_timestamp_seconds",
			"When the last pod event came for which work is pending, in seconds since 1970; absent while none is. At most 2000 monitors have this series.",
			"namespace", "name"),
		debounce: desc("monitor_debounce_seconds",
			"How long a DataPowerMonitor waits after the last pod event before it works. At most 2000 monitors have this series.", "namespace", "name"),
		quota: desc("namespace_quota",
			"Used and hard limits of the ResourceQuotas of namespaces with a DataPowerService, in the unit of the resource (cores, bytes, objects). At most 4000 series.",
			"namespace", "resourcequota", "resource", "type"),
		omitted: desc("series_omitted", "Resources or series that were left out of a metric because of its bound.", "metric"),
	}
}

// Synced tells that the caches are filled. Before, nothing is read from them: a read would begin to fill them.
func (c *Collector) Synced() { c.synced.Store(true) }

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.resources, c.condition, c.pending, c.debounce, c.quota, c.omitted} {
		descriptions <- d
	}
}

// Collect implements [prometheus.Collector]. What cannot be read has no series.
func (c *Collector) Collect(metrics chan<- prometheus.Metric) {
	if !c.acts() || !c.synced.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	var services v1beta3.DataPowerServiceList
	if err := c.cached.List(ctx, &services, client.UnsafeDisableDeepCopy); err != nil {
		return
	}
	c.services(metrics, services.Items)
	var monitors v1beta2.DataPowerMonitorList
	if err := c.cached.List(ctx, &monitors, client.UnsafeDisableDeepCopy); err == nil {
		c.monitors(metrics, monitors.Items)
	}
	var quotas corev1.ResourceQuotaList
	if err := c.cached.List(ctx, &quotas, client.UnsafeDisableDeepCopy); err == nil {
		c.quotas(metrics, quotas.Items, services.Items)
	}
}

func (c *Collector) services(metrics chan<- prometheus.Metric, services []v1beta3.DataPowerService) {
	count(c, metrics, "DataPowerService", services, func(s *v1beta3.DataPowerService) datapower.Phase { return s.Status.Phase })
	for _, s := range bounded(c, metrics, "service_condition", services, maxResources, byName[*v1beta3.DataPowerService]) {
		for _, condition := range conditions {
			value := 0.0
			if meta.IsStatusConditionTrue(s.Status.Conditions, condition) {
				value = 1
			}
			gauge(metrics, c.condition, value, s.Namespace, s.Name, condition)
		}
	}
}

func (c *Collector) monitors(metrics chan<- prometheus.Metric, monitors []v1beta2.DataPowerMonitor) {
	count(c, metrics, "DataPowerMonitor", monitors, func(m *v1beta2.DataPowerMonitor) datapower.Phase { return m.Status.Phase })
	for _, m := range bounded(c, metrics, "monitor_debounce_seconds", monitors, maxResources, byName[*v1beta2.DataPowerMonitor]) {
		wait := int32(defaultDebounce)
		if m.Spec.LifecycleDebounceMs != nil {
			wait = *m.Spec.LifecycleDebounceMs
		}
		gauge(metrics, c.debounce, float64(wait)/1000, m.Namespace, m.Name)
		if since, err := time.Parse(time.RFC3339, m.Status.LastEvent); err == nil && m.Status.WorkPending {
			gauge(metrics, c.pending, float64(since.UnixMilli())/1000, m.Namespace, m.Name)
		}
	}
}

// quotaSeries is a limit, or what is used of it.
type quotaSeries struct {
	namespace, quota, resource, kind string
	value                            float64
}

func (c *Collector) quotas(metrics chan<- prometheus.Metric, quotas []corev1.ResourceQuota, services []v1beta3.DataPowerService) {
	ours := map[string]bool{}
	for i := range services {
		ours[services[i].Namespace] = true
	}
	var series []quotaSeries
	for i := range quotas {
		q := &quotas[i]
		if !ours[q.Namespace] {
			continue
		}
		for kind, list := range map[string]corev1.ResourceList{"hard": q.Status.Hard, "used": q.Status.Used} {
			for resource, quantity := range list {
				series = append(series, quotaSeries{q.Namespace, q.Name, string(resource), kind, quantity.AsApproximateFloat64()})
			}
		}
	}
	kept := bounded(c, metrics, "namespace_quota", series, maxQuotaSeries, func(a, b *quotaSeries) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.quota, b.quota),
			cmp.Compare(a.resource, b.resource), cmp.Compare(a.kind, b.kind))
	})
	for _, s := range kept {
		gauge(metrics, c.quota, s.value, s.namespace, s.quota, s.resource, s.kind)
	}
}

// count counts resources by phase; each phase has a series.
func count[T any](c *Collector, metrics chan<- prometheus.Metric, kind string, all []T, phaseOf func(*T) datapower.Phase) {
	counts := map[string]int{}
	for i := range all {
		phase := string(phaseOf(&all[i]))
		if !slices.Contains(phases, phase) {
			phase = phaseUnknown
		}
		counts[phase]++
	}
	for _, phase := range phases {
		gauge(metrics, c.resources, float64(counts[phase]), kind, phase)
	}
}

func gauge(metrics chan<- prometheus.Metric, desc *prometheus.Desc, value float64, labels ...string) {
	metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

func byName[T client.Object](a, b T) int {
	return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
}

// bounded returns the first of all in their order, and tells how many it left out.
func bounded[T any](c *Collector, metrics chan<- prometheus.Metric, metric string, all []T, limit int, order func(a, b *T) int) []*T {
	sorted := make([]*T, 0, len(all))
	for i := range all {
		sorted = append(sorted, &all[i])
	}
	slices.SortFunc(sorted, order)
	if over := len(sorted) - limit; over > 0 {
		gauge(metrics, c.omitted, float64(over), "datapower_operator_"+metric)
		return sorted[:limit]
	}
	return sorted
}
