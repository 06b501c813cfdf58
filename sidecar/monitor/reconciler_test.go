package monitor

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/sidecar/peering"
)

// fakeWorker does what a test wants and remembers what it was asked.
type fakeWorker struct {
	mutex sync.Mutex
	works []peering.Service
	looks int
	work  func(context.Context, peering.Journal) peering.Report
}

func (w *fakeWorker) Work(ctx context.Context, service peering.Service, journal peering.Journal) peering.Report {
	w.mutex.Lock()
	w.works = append(w.works, service)
	work := w.work
	w.mutex.Unlock()
	if work == nil {
		return peering.Report{}
	}
	return work(ctx, journal)
}

func (w *fakeWorker) Look(context.Context, peering.Service) peering.Report {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.looks++
	return peering.Report{}
}

func (w *fakeWorker) count() int {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return len(w.works)
}

// bench is a reconciler with a fake API server, whose caches are never behind, and a clock that the test moves.
type bench struct {
	*testing.T
	*Reconciler
	client client.Client
	worker *fakeWorker
	clock  *clocktesting.FakePassiveClock
	told   *events.FakeRecorder
	lines  []string
}

var benchKey = types.NamespacedName{Namespace: "gateways", Name: "gw"}

func newBench(t *testing.T, change ...func(*v1beta2.DataPowerMonitor, *v1beta3.DataPowerService)) *bench {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientscheme.AddToScheme, v1beta2.AddToScheme, v1beta3.AddToScheme} {
		require.NoError(t, add(scheme))
	}
	meta := func(uid types.UID) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "gateways", Name: "gw", UID: uid, Generation: 1}
	}
	service := &v1beta3.DataPowerService{ObjectMeta: meta("service-uid")}
	monitor := &v1beta2.DataPowerMonitor{ObjectMeta: meta("monitor-uid"), Spec: v1beta2.DataPowerMonitorSpec{
		LifecycleDebounceMs: new(int32(10000)), MonitorGatewayPeering: new(true)}}
	for _, c := range change {
		c(monitor, service)
	}
	set := &appsv1.StatefulSet{ObjectMeta: meta("set-uid")}
	set.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(service, v1beta3.GroupVersion.WithKind("DataPowerService"))}
	b := &bench{T: t, worker: &fakeWorker{}, clock: clocktesting.NewFakePassiveClock(noon), told: events.NewFakeRecorder(100)}
	b.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(service, monitor, set).
		WithStatusSubresource(&v1beta2.DataPowerMonitor{}).WithReturnManagedFields().Build()
	metrics, err := NewMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	log := funcr.New(func(_, args string) { b.lines = append(b.lines, args) }, funcr.Options{})
	b.Reconciler = NewReconciler(Options{
		Client: b.client, Live: b.client, Recorder: b.told, Log: log, Worker: b.worker, Metrics: metrics, Clock: b.clock,
	})
	b.random = func() float64 { return 0.5 }
	ctx, cancel := context.WithCancel(logr.NewContext(context.Background(), log))
	var running sync.WaitGroup
	running.Go(func() { _ = b.pool.Start(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return b
}

func (b *bench) monitor() *v1beta2.DataPowerMonitor {
	b.Helper()
	monitor := &v1beta2.DataPowerMonitor{}
	require.NoError(b, b.client.Get(b.Context(), benchKey, monitor))
	return monitor
}

func (b *bench) reconcile() time.Duration {
	b.Helper()
	result, err := b.Reconcile(b.Context(), ctrl.Request{NamespacedName: benchKey})
	require.NoError(b, err)
	return result.RequeueAfter
}

func (b *bench) event(owner types.UID) {
	b.Helper()
	pod := runningPod()
	pod.OwnerReferences[0].UID = owner
	event, service, ok := newPodEvent(nil, pod, false, b.clock.Now())
	require.True(b, ok)
	b.inbox.put(types.NamespacedName{Namespace: "gateways", Name: service}, event)
}

// looked steps a new monitor until its first look is over.
func (b *bench) looked() {
	b.Helper()
	b.reconcile()
	b.eventually(func() bool {
		return b.monitor().Status.Phase == "Running" && len(b.monitor().Status.Conditions) == 3 && b.looks() > 0
	})
	b.eventually(func() bool { e := b.lock(benchKey); defer e.mutex.Unlock(); return !e.state.Looking })
}

func (b *bench) looks() int {
	b.worker.mutex.Lock()
	defer b.worker.mutex.Unlock()
	return b.worker.looks
}

func (b *bench) eventually(done func() bool) {
	b.Helper()
	require.Eventually(b, done, 20*time.Second, time.Millisecond)
}

func TestAnEventIsPersistedWaitedForAndWorkedOnOnce(t *testing.T) {
	b := newBench(t)
	b.looked()
	b.event("set-uid")
	assert.Equal(t, 10*time.Second, b.reconcile())
	status := b.monitor().Status
	assert.True(t, status.WorkPending)
	assert.Equal(t, "2026-01-02T12:00:00.000Z", status.LastEvent)
	require.Len(t, b.lines, 1)
	assert.Equal(t, `"level"=0 "msg"="Observed Pod event" "Monitor.Name"="gw" "Pod.Name"="gw-0" "Pod.Namespace"="gateways" `+
		`"Pod.UID"="pod-uid" "Pod.IP"="10.0.0.1" "Reason"="Created" "Message"="the pod is new"`, b.lines[0])

	b.clock.SetTime(after(9999 * time.Millisecond))
	b.reconcile()
	assert.Zero(t, b.worker.count())
	b.worker.work = func(context.Context, peering.Journal) peering.Report {
		during := b.monitor().Status
		assert.True(t, during.WorkInProgress)
		assert.False(t, during.WorkPending)
		assert.Empty(t, during.LastEvent)
		return peering.Report{}
	}
	b.clock.SetTime(after(10 * time.Second))
	b.reconcile()
	b.eventually(func() bool { w := b.monitor().Status.LastWork; return w != nil && w.Result == "Clean" })
	assert.False(t, b.monitor().Status.WorkInProgress)
	assert.Equal(t, 1, b.worker.count())
}

// Links that come back after the work may bring the address of a dead peer back.
func TestHealedPeeringsAreLookedAtAgainSoon(t *testing.T) {
	b := newBench(t)
	b.looked()
	b.worker.work = func(context.Context, peering.Journal) peering.Report {
		return peering.Report{Pods: []peering.PodReport{{
			Name: "gw-0", UID: "pod-uid", LookedAt: true, Resets: []peering.ResetReport{{
				Reset: peering.Reset{Pod: "gw-0", PodUID: "pod-uid", Domain: "apiconnect", Peering: "gwd", Strategy: "action:Reset"},
				Stale: []string{"10.0.0.9"}, Result: peering.ResultHealed,
			}},
		}}}
	}
	b.event("set-uid")
	b.reconcile()
	b.clock.SetTime(after(10 * time.Second))
	b.reconcile()
	b.eventually(func() bool {
		status := b.monitor().Status
		return status.LastWork != nil && status.LastWork.Result == "Healed" && !status.WorkInProgress
	})
	assert.Equal(t, DefaultPolicy.Retry, b.reconcile())
	assert.Equal(t, `"level"=0 "msg"="Reset the peering of a gateway" "Monitor.Name"="gw" "Pod.Name"="gw-0" "Pod.Namespace"="gateways" `+
		`"Pod.UID"="pod-uid" "Domain"="apiconnect" "Peering"="gwd" "Strategy"="action:Reset" "Stale"=["10.0.0.9"] "Result"="healed" `+
		`"Message"=""`, b.lines[len(b.lines)-1])
	looks := b.looks()
	b.clock.SetTime(after(10*time.Second + DefaultPolicy.Retry))
	b.reconcile()
	b.eventually(func() bool { return b.looks() == looks+1 })
	b.eventually(func() bool { return b.reconcile() == DefaultPolicy.Tick })
}

func TestPodsOfStrangersAreNoEvents(t *testing.T) {
	b := newBench(t)
	b.looked()
	before := b.monitor().ResourceVersion
	b.event("another-set")
	b.reconcile()
	assert.Equal(t, before, b.monitor().ResourceVersion)
	assert.Empty(t, b.lines)

	set := &appsv1.StatefulSet{}
	require.NoError(t, b.client.Get(t.Context(), benchKey, set))
	set.OwnerReferences = nil
	require.NoError(t, b.client.Update(t.Context(), set))
	b.event("set-uid")
	b.reconcile()
	assert.Equal(t, before, b.monitor().ResourceVersion, "a StatefulSet of that name which the service does not own")
}

func TestTheJournalSurvivesWhatOthersWrite(t *testing.T) {
	b := newBench(t)
	b.looked()
	first := peering.Reset{Pod: "gw-0", PodUID: "a", Domain: "d", Peering: "p", Strategy: peering.StrategyAdminState, Began: metav1.NewTime(noon)}
	second := first
	second.PodUID = "b"
	j := journal{b.Reconciler, b.lock(benchKey)}
	j.entry.mutex.Unlock()
	edit := func(debounce int32) {
		monitor := b.monitor()
		monitor.Spec.LifecycleDebounceMs = &debounce
		require.NoError(t, b.client.Update(t.Context(), monitor))
	}
	open := func() string { return fmt.Sprint(openResets(b.monitor().Status)) }
	edit(11000) // what the reconciler knows is old now
	require.NoError(t, j.Begin(t.Context(), first))
	require.NoError(t, j.Begin(t.Context(), first), "repeating does no harm")
	assert.Len(t, b.monitor().Status.Resets, 1)
	edit(12000)
	require.NoError(t, j.Begin(t.Context(), second))
	assert.Len(t, b.monitor().Status.Resets, 2, open())
	b.reconcile()
	assert.Len(t, b.monitor().Status.Resets, 2, "other writes leave it alone")
	edit(13000)
	require.NoError(t, j.End(t.Context(), first))
	require.NoError(t, j.End(t.Context(), first))
	assert.Equal(t, types.UID("b"), b.monitor().Status.Resets[0].PodUID)
	assert.Equal(t, int32(13000), *b.monitor().Spec.LifecycleDebounceMs)
	require.NoError(t, b.client.Delete(t.Context(), b.monitor()))
	require.Error(t, j.Begin(t.Context(), first), "without a monitor nothing is begun")
}

func TestSwitchingMonitoringOffEndsRunningWork(t *testing.T) {
	b := newBench(t)
	b.looked()
	begun := make(chan struct{})
	b.worker.work = func(ctx context.Context, _ peering.Journal) peering.Report {
		close(begun)
		<-ctx.Done()
		return peering.Report{Problems: []peering.Problem{{Reason: peering.ReasonInterrupted}}}
	}
	b.event("set-uid")
	b.reconcile()
	b.clock.SetTime(after(10 * time.Second))
	b.reconcile()
	<-begun
	monitor := b.monitor()
	monitor.Spec.MonitorGatewayPeering = new(false)
	require.NoError(t, b.client.Update(t.Context(), monitor))
	b.reconcile()
	b.eventually(func() bool { w := b.monitor().Status.LastWork; return w != nil && w.Result == "Interrupted" })
	assert.False(t, b.monitor().Status.WorkInProgress)
}

func TestAMonitorThatGoesAwayIsForgotten(t *testing.T) {
	b := newBench(t)
	b.looked()
	require.NoError(t, b.client.Delete(t.Context(), b.monitor()))
	b.event("set-uid")
	b.reconcile()
	assert.Empty(t, b.entries)
	assert.Empty(t, b.inbox.events)
}

func TestParkedSettingsAreTakenOverOnce(t *testing.T) {
	parked := func(metav1.Object) (v1beta2.DataPowerMonitorSpec, bool, error) {
		return v1beta2.DataPowerMonitorSpec{LifecycleDebounceMs: new(int32(5000)), PeeringRecoveryCheckIntervalMs: new(int32(3000))}, true, nil
	}
	own := func(monitor *v1beta2.DataPowerMonitor, service *v1beta3.DataPowerService) {
		monitor.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(service, v1beta3.GroupVersion.WithKind("DataPowerService"))}
		monitor.Spec.LifecycleDebounceMs = nil
	}
	t.Run("into the operator's monitor", func(t *testing.T) {
		b := newBench(t, own)
		b.Parked = parked
		b.looked()
		monitor := b.monitor()
		assert.Equal(t, int32(5000), *monitor.Spec.LifecycleDebounceMs)
		assert.NotEmpty(t, monitor.Annotations[ParkedDigestAnnotation])
		monitor.Spec.LifecycleDebounceMs = new(int32(7000))
		require.NoError(t, b.client.Update(t.Context(), monitor))
		b.reconcile()
		assert.Equal(t, int32(7000), *b.monitor().Spec.LifecycleDebounceMs, "what the user makes of them stays")
	})
	t.Run("but not over what somebody has set", func(t *testing.T) {
		b := newBench(t, own)
		monitor := b.monitor()
		monitor.Spec.LifecycleDebounceMs = new(int32(9000))
		require.NoError(t, b.client.Update(t.Context(), monitor, client.FieldOwner("kubectl-edit")))
		b.Parked = parked
		b.reconcile()
		assert.Equal(t, int32(9000), *b.monitor().Spec.LifecycleDebounceMs)
		assert.Equal(t, int32(3000), *b.monitor().Spec.PeeringRecoveryCheckIntervalMs, "the rest is taken over")
		assert.NotEmpty(t, b.monitor().Annotations[ParkedDigestAnnotation])
	})
	t.Run("never into a user's own monitor", func(t *testing.T) {
		b := newBench(t)
		b.Parked = parked
		b.reconcile()
		assert.Equal(t, int32(10000), *b.monitor().Spec.LifecycleDebounceMs)
		assert.Empty(t, b.monitor().Annotations)
	})
}
