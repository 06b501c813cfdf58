package monitor_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/test/gateway"
	"github.com/datapower-operator/datapower-operator/test/gateway/fleettest"
)

const debounce = 1500 * time.Millisecond

func TestMonitor(t *testing.T) {
	w := newWorld(t, 6, "--monitor-retry-interval=2s")
	w.metrics = freeAddress(t)
	w.startSidecar()
	for _, test := range []struct {
		name string
		run  func(*world)
	}{
		{"a deleted pod costs one work and leaves no trace", (*world).deletedPod},
		{"scaling down and up heals", (*world).scaling},
		{"a rolling restart heals", (*world).rollingRestart},
		{"all pods at once heal", (*world).allPods},
		{"a lost node heals", (*world).lostNode},
		{"one gateway that is broken does not keep the others from healing", (*world).brokenGateways},
		{"nothing is written while all is well", (*world).steadyState},
		{"a monitor without a service waits for it", (*world).noService},
		{"the settings of v1beta1 give the same timings", (*world).sampleTwelve},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(w.at(t)) })
	}
	t.Run("no secret is in the log", func(t *testing.T) {
		data, err := os.ReadFile(w.sidecar.log)
		require.NoError(t, err)
		assert.NotContains(t, string(data), "hunter2")
	})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

// scrape returns the lines of the sidecar's metrics that contain a text.
func (w *world) scrape(about string) string {
	w.Helper()
	response, err := http.Get("http://" + w.metrics + "/metrics")
	require.NoError(w, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(w, err)
	var found []string
	for line := range strings.Lines(string(body)) {
		if strings.Contains(line, about) && !strings.HasPrefix(line, "#") {
			found = append(found, line)
		}
	}
	return strings.Join(found, "")
}

// waitHealed waits for the healed state and reports how long after the last pod event it came.
func (s *service) waitHealed(replicas int) {
	s.Helper()
	fleettest.WaitHealed(s, s.fleet, s.namespace, name, replicas, patience)
	s.Logf("healed %s after the last event, with a debounce of %s", time.Since(s.lastEvent()).Round(time.Millisecond), s.debounce)
}

// waitedLongEnough requires that no work began sooner than the debounce after the last event before it.
func (s *service) waitedLongEnough() {
	s.Helper()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var last time.Time
	works := 0
	for i, status := range s.statuses {
		if at, err := time.Parse(time.RFC3339, status.LastEvent); err == nil {
			last = at
		}
		if status.WorkInProgress && i > 0 && !s.statuses[i-1].WorkInProgress {
			works++
			assert.GreaterOrEqual(s, s.arrivals[i].Sub(last), s.debounce)
		}
	}
	assert.Positive(s, works)
}

// lastEvent is the latest recorded lastEvent.
func (s *service) lastEvent() time.Time {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var last time.Time
	for _, status := range s.statuses {
		if at, err := time.Parse(time.RFC3339, status.LastEvent); err == nil && at.After(last) {
			last = at
		}
	}
	return last
}

func (w *world) deletedPod() {
	s := w.newService("deleted-pod", 3, debounce)
	s.idle()
	s.record()
	defer s.cordon(2)()
	old := s.instance(2).Address()
	begun := s.fleet.Requests().Last()
	seen := s.watchLinks()
	s.deletePod(2)
	s.until("another pod at another address", func() error {
		if instance := s.fleet.Instance(s.namespace, s.pod(2)); instance == nil || instance.Address() == old {
			return errWaiting
		}
		return nil
	})
	require.Error(s, s.fleet.Healed(s.namespace, name), "without the operator %s stays", old)
	s.waitHealed(3)
	s.idle()
	s.judge()
	s.primariesLast()
	s.healedAtOnce(s.pod(2), begun, seen())
	if s.quietTimes() == 1 { // else the machine is so busy that the new pod came after a pause
		assert.Equal(s, []string{"pending", "working", "idle"}, s.phases(), "exactly one work")
	}
	work := s.monitor().Status.LastWork
	assert.Equal(s, "Healed", work.Result)
	assert.Equal(s, int32(3), work.PodsLookedAt)
	assert.Equal(s, int32(4), work.StalePeersFound, "two gateways, two peerings each")
	assert.Equal(s, int32(4), work.ResetsDone)
	assert.Contains(s, work.Message, old)
	s.Logf("%d status writes, %d REST calls; %s", s.writes(), s.fleet.Requests().Last()-begun, work.Message)
	assert.NotEmpty(s, s.events("Normal PeeringReset: "+s.pod(0)))

	described := s.kubectl("describe", "dpm", name, "--namespace="+s.namespace)
	for _, text := range []string{"Result:", "Healed", "Pods Looked At:", "Stale Peers Found:", "PeeringHealthy", "PeeringReset"} {
		assert.Contains(s, described, text)
	}
	table := s.kubectl("get", "dpm", "--namespace="+s.namespace)
	assert.Regexp(s, `NAME +PHASE +LAST EVENT +WORK PENDING +WORK IN-PROGRESS +AGE\ngw +Running + false +false`, table)
	log := s.root.sidecar.lines(`"Observed Pod event"`)
	require.NotEmpty(s, log)
	for _, key := range []string{`"Monitor.Name":"gw"`, `"Pod.Name":"gw-2"`, `"Pod.Namespace":"deleted-pod"`, `"Pod.UID":"`, `"Pod.IP":"`, `"Reason":"`, `"Message":"`, `"level":"info"`} {
		assert.Contains(s, strings.Join(log, "\n"), key)
	}
	assert.Regexp(s, `result="healed",strategy="action"\} [1-9]`, s.scrape("datapower_operator_peering_resets_total"))
	assert.NotEmpty(s, s.scrape("datapower_operator_monitor_pod_events_total"))
}

// lines are the lines of the program's log that contain a text.
func (p *program) lines(about string) []string {
	var found []string
	for line := range strings.SplitSeq(p.tail(1_000_000), "\n") {
		if strings.Contains(line, about) {
			found = append(found, line)
		}
	}
	return found
}

func (w *world) scaling() {
	s := w.newService("scaling", 5, debounce)
	s.idle()
	s.record()
	s.edit(`{"spec":{"replicas":2}}`)
	s.waitHealed(2)
	s.idle()
	s.edit(`{"spec":{"replicas":5}}`)
	s.waitHealed(5)
	s.idle()
	s.judge()
}

func (w *world) rollingRestart() {
	s := w.newService("rolling", 3, debounce)
	s.idle()
	s.record()
	s.kubectl("rollout", "restart", "statefulset/"+name, "--namespace="+s.namespace)
	s.kubectl("rollout", "status", "statefulset/"+name, "--namespace="+s.namespace, "--timeout=60s")
	s.waitHealed(3)
	s.idle()
	s.judge()
}

func (w *world) allPods() {
	s := w.newService("all-pods", 3, debounce)
	s.idle()
	s.record()
	require.NoError(s, s.kube.DeleteAllOf(s.Context(), &corev1.Pod{}, client.InNamespace(s.namespace)))
	s.until("the first event", func() error {
		if len(s.phases()) == 0 {
			return errWaiting
		}
		return nil
	})
	s.waitHealed(3)
	s.idle()
	s.judge()
}

// lostNode silences a gateway as a node does that goes away, then deletes its pod as the node's eviction does.
func (w *world) lostNode() {
	s := w.newService("lost-node", 3, debounce)
	s.idle()
	s.record()
	defer s.cordon(1)()
	s.instance(1).SetFaults(gateway.Faults{Unreachable: true})
	pod := &corev1.Pod{}
	require.NoError(s, s.kube.Get(s.Context(), client.ObjectKey{Namespace: s.namespace, Name: s.pod(1)}, pod))
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == corev1.PodReady {
			pod.Status.Conditions[i].Status = corev1.ConditionFalse
			pod.Status.Conditions[i].Reason = "NodeLost"
		}
	}
	pod.Status.Reason = "NodeLost"
	require.NoError(s, s.kube.Status().Update(s.Context(), pod))
	s.until("the event", func() error {
		if len(s.phases()) == 0 {
			return errWaiting
		}
		return nil
	})
	require.NoError(s, s.kube.Delete(s.Context(), pod, client.GracePeriodSeconds(0)))
	s.waitHealed(3)
	s.idle()
	s.judge()
	s.primariesLast()
}

// brokenGateways breaks one gateway of each of several services in its own way: the rest heals, and users learn who did
// not, and why.
func (w *world) brokenGateways() {
	cases := []struct {
		name   string
		faults gateway.Faults
		reason string
	}{
		{"hangs", gateway.Faults{Hang: true}, "GatewayUnreachable"},
		{"says-500", gateway.Faults{ServerErrors: -1}, "GatewayError"},
		{"lies", gateway.Faults{LyingReset: true}, "StillStale"},
		{"no-way", gateway.Faults{NoResetAction: true, RefuseWrites: true}, "ResetFailed"},
	}
	var services []*service
	for _, test := range cases {
		services = append(services, w.newService(test.name, 3, debounce))
	}
	for i, s := range services {
		s.idle()
		defer s.cordon(2)()
		s.instance(1).SetFaults(cases[i].faults)
	}
	w.Run("all", func(t *testing.T) {
		for _, test := range cases {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				(&service{world: w.at(t), namespace: test.name, debounce: debounce}).brokenGateway(test.reason)
			})
		}
	})
}

// lists tells whether a gateway has a row with an address.
func (s *service) lists(ordinal int, address string) bool {
	for _, member := range s.instance(ordinal).Members() {
		for _, row := range member.Rows() {
			if row.Address == address {
				return true
			}
		}
	}
	return false
}

func (s *service) brokenGateway(reason string) {
	old := s.instance(2).Address()
	s.record()
	s.deletePod(2)
	s.until("the other gateway is healed", func() error {
		if instance := s.fleet.Instance(s.namespace, s.pod(2)); instance == nil || instance.Address() == old || s.lists(0, old) {
			return errWaiting
		}
		return nil
	})
	s.Logf("the other gateway healed %s after the last event", time.Since(s.lastEvent()).Round(time.Millisecond))
	s.until("the work's result", func() error {
		status := s.monitor().Status
		if status.LastWork == nil || status.WorkPending || status.WorkInProgress || status.LastWork.Result != "Failed" ||
			s.health().Reason != reason {
			return fmt.Errorf("%w: %+v", errWaiting, status)
		}
		return nil
	})
	assert.True(s, s.lists(1, old))
	health := s.health()
	s.Logf("%s: %s", health.Reason, health.Message)
	assert.NotEqual(s, metav1.ConditionTrue, health.Status)
	assert.Contains(s, health.Message, s.pod(1)+": ")
	assert.Equal(s, "Failed", string(s.monitor().Status.Phase))
	assert.Contains(s, s.kubectl("describe", "dpm", name, "--namespace="+s.namespace), s.pod(1)+": ")
	s.until("an event", func() error {
		if told := strings.Join(s.events("Warning "+reason), "\n"); !strings.Contains(told, s.pod(1)) {
			return fmt.Errorf("%w: %s", errWaiting, told)
		}
		return nil
	})
	assert.Contains(s, s.scrape("datapower_operator_peering_unhealthy_gateways"),
		fmt.Sprintf("namespace=%q,pod=%q,reason=%q", s.namespace, s.pod(1), reason))

	s.instance(1).SetFaults(gateway.Faults{})
	s.idle()
	require.NoError(s, s.fleet.Healed(s.namespace, name), "once it is mended, the operator comes back by itself")
	assert.NotContains(s, s.scrape("datapower_operator_peering_unhealthy_gateways"), fmt.Sprintf("namespace=%q", s.namespace))
}

func (w *world) steadyState() {
	s := w.newService("steady", 3, debounce)
	s.idle()
	before := s.monitor().ResourceVersion
	s.root.sidecar.kill()
	asked := s.fleet.Requests().Last()
	s.startSidecar()
	s.until("a look by the new process", func() error {
		for _, request := range s.fleet.Requests().Since(asked) {
			if strings.HasPrefix(request.Instance, s.namespace+"/") && strings.Contains(request.Path, "GatewayPeeringStatus") {
				return nil
			}
		}
		return errWaiting
	})
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: s.pod(0)}}
	require.NoError(s, s.kube.Patch(s.Context(), pod,
		client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"touched":"yes"}}}`))))
	time.Sleep(time.Second)
	assert.Equal(s, before, s.monitor().ResourceVersion, "neither the look nor the annotation is written")
}

func (w *world) noService() {
	s := &service{world: w, namespace: "lonely", debounce: debounce}
	require.NoError(s, s.kube.Create(s.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}))
	require.NoError(s, s.kube.Create(s.Context(), &v1beta2.DataPowerMonitor{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}))
	s.until("the reason", func() error {
		if status := s.monitor().Status; status.Phase != "Pending" || len(status.Conditions) == 0 || status.Conditions[0].Reason != "ServiceNotFound" {
			return fmt.Errorf("%w: %+v", errWaiting, status)
		}
		return nil
	})
}

// sampleTwelve has the settings of a published v1beta1 service, as the conversion parks them, and a monitor that the
// operator makes.
func (w *world) sampleTwelve() {
	s := w.declareWithout("sample-twelve", `{"image":"docker.io/ibmcom/datapower-monitor:latest","lifecycleDebounceMs":10000,"peeringRecoveryCheckIntervalMs":1000}`)
	s.until("the monitor with its settings", func() error {
		monitor := &v1beta2.DataPowerMonitor{}
		err := s.kube.Get(s.Context(), client.ObjectKey{Namespace: s.namespace, Name: name}, monitor)
		if err != nil || monitor.Annotations["datapower.ibm.com/v1beta1-settings-digest"] == "" {
			return errWaiting
		}
		return nil
	})
	monitor := s.monitor()
	assert.True(s, metav1.IsControlledBy(monitor, s.object()), "made by the operator")
	assert.Equal(s, int32(10000), *monitor.Spec.LifecycleDebounceMs)
	assert.Equal(s, int32(1000), *monitor.Spec.PeeringRecoveryCheckIntervalMs)
	assert.False(s, *monitor.Spec.MonitorGatewayPeering)

	fleettest.WaitHealed(s, s.fleet, s.namespace, name, 3, patience)
	s.record()
	s.deletePod(0)
	s.until("a work", func() error {
		if phases := s.phases(); len(phases) < 3 || phases[len(phases)-1] != "idle" {
			return errWaiting
		}
		return nil
	})
	s.debounce = 10 * time.Second
	s.waitedLongEnough()

	// What the user makes of them stays.
	require.NoError(s, s.kube.Patch(s.Context(), monitor,
		client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"lifecycleDebounceMs":2000}}`))))
	s.until("a work without monitoring", func() error {
		status := s.monitor().Status
		if status.LastWork == nil || status.LastWork.Result != "NotMonitored" || status.WorkPending || status.WorkInProgress {
			return errWaiting
		}
		return nil
	})
	assert.Equal(s, int32(2000), *s.monitor().Spec.LifecycleDebounceMs)
	assert.Zero(s, len(s.events("Reset")))
}
