package monitor

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/sidecar/peering"
)

func podReport(name string, change func(*peering.PodReport)) peering.PodReport {
	report := peering.PodReport{Name: name, UID: types.UID(name), LookedAt: true,
		Peerings: []peering.PeeringReport{{Domain: "apiconnect", Name: "gwd"}}}
	if change != nil {
		change(&report)
	}
	return report
}

func TestHealth(t *testing.T) {
	unreachable := peering.Problem{Reason: peering.ReasonUnreachable, Message: "no answer.", Remedy: "Look at the pod."}
	passing := peering.Problem{Reason: peering.ReasonPodNotReady, Message: "it starts", Passing: true}
	tests := map[string]struct {
		pods    []peering.PodReport
		status  metav1.ConditionStatus
		reason  string
		message string
		phase   datapower.Phase
	}{
		"all is well": {
			pods: []peering.PodReport{podReport("gw-0", nil), podReport("gw-1", nil)}, status: "True", reason: "NoStalePeers",
			message: "looked at 2 of 2 gateways; gw-0: 1 peering in order; gw-1: 1 peering in order", phase: datapower.PhaseRunning,
		},
		"nobody is there": {status: "Unknown", reason: "NoPods", message: "looked at 0 of 0 gateways", phase: datapower.PhaseRunning},
		"stale peers without an explanation": {
			pods:   []peering.PodReport{podReport("gw-0", func(p *peering.PodReport) { p.Peerings[0].Stale = []string{"10.0.0.9"} })},
			status: "False", reason: "StalePeers", phase: datapower.PhaseFailed,
			message: "looked at 1 of 1 gateways; gw-0: apiconnect/gwd has stale peers 10.0.0.9",
		},
		"a gateway that does not answer comes first": {
			pods: []peering.PodReport{podReport("gw-0", nil), podReport("gw-1", func(p *peering.PodReport) {
				p.LookedAt, p.Peerings, p.Problems = false, nil, []peering.Problem{passing, unreachable}
			})},
			status: "Unknown", reason: "GatewayUnreachable", phase: datapower.PhaseFailed,
			message: "looked at 1 of 2 gateways; gw-1: PodNotReady: it starts, GatewayUnreachable: no answer (Look at the pod); gw-0: 1 peering in order",
		},
		"what passes by itself is nobody's failure": {
			pods: []peering.PodReport{podReport("gw-0", func(p *peering.PodReport) {
				p.LookedAt, p.Peerings, p.Problems = false, nil, []peering.Problem{passing}
			})},
			status: "Unknown", reason: "PodNotReady", phase: datapower.PhaseRunning,
			message: "looked at 0 of 1 gateways; gw-0: PodNotReady: it starts",
		},
		"a link that is down between live gateways": {
			pods: []peering.PodReport{podReport("gw-0", func(p *peering.PodReport) { p.Peerings[0].Down = []string{"10.0.0.2"} })}, status: "False",
			reason: "LinkDown", message: "looked at 1 of 1 gateways; gw-0: apiconnect/gwd has no link to 10.0.0.2", phase: datapower.PhaseFailed,
		},
		"a gateway that starts and is not linked yet": {
			pods: []peering.PodReport{podReport("gw-0", func(p *peering.PodReport) {
				p.Problems = []peering.Problem{{Reason: peering.ReasonLinkDown, Domain: "apiconnect", Peering: "gwd", Message: "no link", Passing: true}}
			})},
			status: "False", reason: "WaitingForPods", phase: datapower.PhaseRunning,
			message: "looked at 1 of 1 gateways; gw-0: apiconnect/gwd LinkDown: no link",
		},
		"stale peers of two peerings, and why they stay": {
			pods: []peering.PodReport{podReport("gw-0", func(p *peering.PodReport) {
				p.Peerings[0].Stale = []string{"10.0.0.9"}
				for _, name := range []string{"gwd", "tms"} {
					p.Problems = append(p.Problems, peering.Problem{Reason: peering.ReasonStillStale, Domain: "apiconnect", Peering: name,
						Message: "it still lists 10.0.0.9", Remedy: "Restart the pod."})
				}
				p.Problems = append(p.Problems, unreachable)
			})},
			status: "False", reason: "StillStale", phase: datapower.PhaseFailed,
			message: "looked at 1 of 1 gateways; gw-0: apiconnect/gwd apiconnect/tms StillStale: it still lists 10.0.0.9 (Restart the pod), " +
				"GatewayUnreachable: no answer (Look at the pod)",
		},
		"a peering without quorum": {
			pods: []peering.PodReport{podReport("gw-0", func(p *peering.PodReport) {
				p.Problems = []peering.Problem{{Reason: peering.ReasonQuorumLost, Domain: "apiconnect", Peering: "gwd", Message: "no primary"}}
			})},
			status: "False", reason: "QuorumLost", phase: datapower.PhaseFailed,
			message: "looked at 1 of 1 gateways; gw-0: apiconnect/gwd QuorumLost: no primary",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			health := healthOf(peering.Report{Pods: test.pods})
			assert.Equal(t, test.status, health.Status)
			assert.Equal(t, test.reason, health.Reason)
			assert.Equal(t, test.message, health.Message)
			status := render(v1beta2.DataPowerMonitorStatus{}, Decision{},
				facts{name: "gw", service: true, monitoring: true, health: &health, now: noon})
			assert.Equal(t, test.phase, status.Phase)
		})
	}
}

func TestTextsStayReadable(t *testing.T) {
	var report peering.Report
	for i := range 500 {
		report.Pods = append(report.Pods, podReport(fmt.Sprintf("gw-%d", i), func(p *peering.PodReport) {
			p.Problems = []peering.Problem{{Reason: peering.ReasonGatewayError, Message: strings.Repeat("日本語\n", 1000)}}
			for range 100 {
				p.Peerings[0].Stale = append(p.Peerings[0].Stale, "10.0.0.1")
			}
		}))
	}
	for _, text := range []string{healthOf(report).Message, workOf(report, metav1.Time{}, metav1.Time{}).Message} {
		assert.Less(t, len(text), 8<<10)
		assert.True(t, utf8.ValidString(text))
		assert.Contains(t, text, " more")
		assert.NotContains(t, text, "\n")
	}
}

func TestLastWorkTellsWhatWasDone(t *testing.T) {
	report := peering.Report{Pods: []peering.PodReport{podReport("gw-0", func(p *peering.PodReport) {
		p.Peerings[0].Found = []string{"10.0.0.9"}
		p.Resets = []peering.ResetReport{{
			Reset:  peering.Reset{Pod: "gw-0", Domain: "apiconnect", Peering: "gwd", Strategy: "action:Reset"},
			Result: peering.ResultHealed,
		}}
	}), podReport("gw-1", nil)}}
	began, ended := metav1.NewTime(noon), metav1.NewTime(after(1e9))
	assert.Equal(t, &v1beta2.MonitorWork{
		Started: began, Completed: ended, Result: "Healed", PodsLookedAt: 2, StalePeersFound: 1, ResetsDone: 1,
		Message: "gw-0: apiconnect/gwd had stale peers 10.0.0.9; gw-0: reset of apiconnect/gwd by action:Reset: healed",
	}, workOf(report, began, ended))
}

func TestConditionsOfTheMonitor(t *testing.T) {
	base := facts{name: "gw", generation: 7, service: true, monitoring: true, now: noon}
	conditions := func(f facts) string {
		var texts []string
		for _, c := range render(v1beta2.DataPowerMonitorStatus{}, Decision{}, f).Conditions {
			assert.Equal(t, int64(7), c.ObservedGeneration)
			texts = append(texts, fmt.Sprintf("%s=%s %s", c.Type, c.Status, c.Reason))
		}
		return strings.Join(texts, ", ")
	}
	assert.Equal(t, "Ready=True Watching, Warning=False NoWarning, PeeringHealthy=Unknown NotLookedAtYet", conditions(base))
	without := base
	without.service = false
	assert.Equal(t, "Ready=False ServiceNotFound, Warning=False NoWarning, PeeringHealthy=Unknown ServiceNotFound", conditions(without))
	off := base
	off.monitoring, off.insecure = false, true
	assert.Equal(t, "Ready=True Watching, Warning=False NoWarning, PeeringHealthy=Unknown NotMonitored", conditions(off))
	insecure := base
	insecure.insecure = true
	assert.Equal(t, "Ready=True Watching, Warning=True InsecureSkipVerify, PeeringHealthy=Unknown NotLookedAtYet", conditions(insecure))
}

func TestWhatIsWrittenWhen(t *testing.T) {
	f := facts{name: "gw", service: true, monitoring: true, now: noon}
	pending := Decision{Pending: true, LastEvent: text(0)}
	current := render(v1beta2.DataPowerMonitorStatus{}, pending, f)
	f.now = after(1e12)
	assert.False(t, needsWrite(current, render(current, pending, f), false), "nothing changed, so no time does")

	moved := render(current, Decision{Pending: true, LastEvent: text(1e9)}, f)
	assert.True(t, needsWrite(current, moved, false))
	assert.False(t, needsWrite(current, moved, true), "lastEvent alone can wait")
	assert.True(t, needsWrite(current, render(current, Decision{}, f), true), "the end of the wait cannot")

	current.Conditions = append(current.Conditions, metav1.Condition{Type: "Foreign"})
	assert.False(t, needsWrite(current, render(current, pending, f), false), "what others write is theirs")

	current.Resets = []v1beta2.PeeringReset{{Pod: "gw-0"}}
	assert.NotEmpty(t, render(current, pending, f).Resets, "the journal stays")
	f.service = false
	assert.Empty(t, render(current, Decision{}, f).Resets, "without a service there is nothing to finish")
	assert.NotEmpty(t, render(current, Decision{InProgress: true}, f).Resets, "but running work ends its own entries")
}

func TestTheGaugeNamesOnlyGatewaysThatAreNotInOrder(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	metrics, err := NewMetrics(registry)
	require.NoError(t, err)
	_, err = NewMetrics(registry)
	require.Error(t, err, "twice")
	key := types.NamespacedName{Namespace: "gateways", Name: "gw"}
	report := peering.Report{Pods: []peering.PodReport{podReport("gw-0", nil), podReport("gw-1", func(p *peering.PodReport) {
		p.Problems = []peering.Problem{
			{Reason: peering.ReasonUnreachable}, {Reason: peering.ReasonUnreachable, Domain: "a"}, {Reason: peering.ReasonPodNotReady, Passing: true},
		}
	})}}
	metrics.unhealthy.set(key, unhealthyOf(key, report))
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP datapower_operator_peering_unhealthy_gateways 1 for each gateway whose peering is not in order and each reason; the pod is empty for a reason of the whole service. At most 1000 are named.
# TYPE datapower_operator_peering_unhealthy_gateways gauge
datapower_operator_peering_unhealthy_gateways{namespace="gateways",pod="gw-1",reason="GatewayUnreachable",service="gw"} 1
`), "datapower_operator_peering_unhealthy_gateways"))
	metrics.unhealthy.set(key, nil)
	assert.Zero(t, testutil.CollectAndCount(metrics.unhealthy))
	for i := range 2 * maxUnhealthySeries {
		name := types.NamespacedName{Name: fmt.Sprint(i)}
		metrics.unhealthy.set(name, unhealthyOf(name, report))
	}
	assert.Equal(t, maxUnhealthySeries, testutil.CollectAndCount(metrics.unhealthy))
	metrics.reset(peering.ResetReport{Reset: peering.Reset{Strategy: "action:Whatever"}, Result: peering.ResultHealed})
	assert.InDelta(t, 1, testutil.ToFloat64(metrics.resets.WithLabelValues("action", "healed")), 0)
}
