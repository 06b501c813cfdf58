package monitor

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/sidecar/peering"
)

// Worker looks after the peering of one service. [*peering.Worker] is the real one.
type Worker interface {
	// Work resets the peerings that list stale peers. It returns soon after ctx has ended.
	Work(ctx context.Context, service peering.Service, journal peering.Journal) peering.Report
	// Look reads only.
	Look(ctx context.Context, service peering.Service) peering.Report
}

// ParkedSettings returns the spec that the datapowerMonitor settings of a v1beta1 DataPowerService ask for, and whether
// there are any. Its errors name no values.
type ParkedSettings func(service metav1.Object) (v1beta2.DataPowerMonitorSpec, bool, error)

// Options are what a Reconciler needs. All but Parked, Policy and Clock are required.
type Options struct {
	// Client reads from caches and writes to the API server; Live reads from the API server.
	Client client.Client
	Live   client.Reader
	// Recorder tells users of what happens.
	Recorder events.EventRecorder
	// Log gets the lines about pod events.
	Log logr.Logger
	// Worker does the work.
	Worker Worker
	// Parked finds settings of v1beta1; nil means that there are none.
	Parked ParkedSettings
	// Metrics count; made by [NewMetrics].
	Metrics *Metrics
	// Policy bounds.
	Policy Policy
	// Clock says what time it is.
	Clock clock.PassiveClock
}

// Reconciler watches the pods of every service that has a DataPowerMonitor, and keeps the monitors' status true. Make it
// with [NewReconciler].
type Reconciler struct {
	Options

	pool   *pool
	inbox  inbox
	random func() float64

	mutex   sync.Mutex
	entries map[types.NamespacedName]*entry
	queue   workqueue.TypedRateLimitingInterface[reconcile.Request] // nil until the controller starts
}

// entry is the memory of one monitor. Everything that must survive is in the monitor's status.
type entry struct {
	key types.NamespacedName

	mutex sync.Mutex
	// gone tells that the entry is no longer in the map.
	gone bool
	// known is the newest state of the monitor that this process has seen; nil before the first.
	known *v1beta2.DataPowerMonitor
	state State
	// generation and service are those of the last step: a change of either asks for a look.
	generation int64
	service    types.UID
	// cancel ends the running work.
	cancel context.CancelFunc
	// health and lastWork are results that are not persisted yet.
	health   *metav1.Condition
	lastWork *v1beta2.MonitorWork
	// began is when the running work began, findings how many works and looks in a row found something.
	began    time.Time
	findings int
	// told are the problems that users know of.
	told told
}

// NewReconciler makes a Reconciler.
func NewReconciler(options Options) *Reconciler {
	if options.Clock == nil {
		options.Clock = clock.RealClock{}
	}
	if options.Parked == nil {
		options.Parked = func(metav1.Object) (v1beta2.DataPowerMonitorSpec, bool, error) {
			return v1beta2.DataPowerMonitorSpec{}, false, nil
		}
	}
	options.Policy = options.Policy.withDefaults()
	return &Reconciler{
		Options: options, pool: newPool(options.Policy.Workers, options.Policy.Lookers),
		random: rand.Float64, entries: map[types.NamespacedName]*entry{},
	}
}

// Reconcile steps one monitor: it takes over pod events, times that have passed and changes of spec and service. The
// error is that of the API server; controller-runtime then tries again.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	e := r.lock(req.NamespacedName)
	defer e.mutex.Unlock()
	wake, _, err := r.step(ctx, e, false)
	if err == nil {
		err = r.applyParked(ctx, e)
	}
	if err != nil || wake.IsZero() {
		// A monitor that went away a moment ago is no error: the cache will tell.
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	return ctrl.Result{RequeueAfter: max(wake.Sub(r.Clock.Now()), time.Nanosecond)}, nil
}

// lock returns the locked entry of a monitor, and makes it if need be.
func (r *Reconciler) lock(key types.NamespacedName) *entry {
	for {
		r.mutex.Lock()
		e := r.entries[key]
		if e == nil {
			e = &entry{key: key}
			r.entries[key] = e
		}
		r.mutex.Unlock()
		e.mutex.Lock()
		if !e.gone {
			return e
		}
		e.mutex.Unlock()
	}
}

// forget drops the entry of a monitor that is gone. The entry is locked.
func (r *Reconciler) forget(e *entry) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	e.gone = true
	delete(r.entries, e.key)
}

// wakeAt asks for a step at a time, zero for none.
func (r *Reconciler) wakeAt(key types.NamespacedName, at time.Time) {
	r.mutex.Lock()
	queue := r.queue
	r.mutex.Unlock()
	if queue != nil && !at.IsZero() {
		queue.AddAfter(reconcile.Request{NamespacedName: key}, max(at.Sub(r.Clock.Now()), time.Nanosecond))
	}
}

// retrySoon is the pause before another try after the API server refused a step of the pool.
const retrySoon = time.Second

// serviceOf is what the worker is told.
func (e *entry) serviceOf() peering.Service {
	interval := time.Duration(0)
	if ms := e.known.Spec.PeeringRecoveryCheckIntervalMs; ms != nil {
		interval = time.Duration(*ms) * time.Millisecond
	}
	return peering.Service{
		Namespace: e.key.Namespace, Name: e.key.Name, UID: e.service,
		RecoveryInterval: interval, Open: openResets(e.known.Status),
	}
}

// reread replaces what is known of the monitor by what the API server has. The entry is locked.
func (r *Reconciler) reread(ctx context.Context, e *entry) error {
	live := &v1beta2.DataPowerMonitor{}
	if err := r.Live.Get(ctx, e.key, live); err != nil {
		return fmt.Errorf("reading the monitor: %w", err)
	}
	if e.known != nil && live.UID != e.known.UID {
		return fmt.Errorf("reading the monitor: %w", errReplaced)
	}
	e.known = live
	return nil
}
