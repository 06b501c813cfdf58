package monitor

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// errReplaced says that another monitor has the name now. A step that meets it is repeated.
var errReplaced = errors.New("the monitor was replaced")

// defaultDebounce stands in for an absent lifecycleDebounceMs; the schema's default makes that rare.
const defaultDebounce = 10 * time.Second

// step takes an entry one step further: look, decide, write, act. placed tells that it runs in a place of the pool; it
// then tells whether work has to start there. wake is when to step again. The entry is locked.
func (r *Reconciler) step(ctx context.Context, e *entry, placed bool) (wake time.Time, start bool, err error) {
	if placed {
		e.state.Job = Idle
	}
	for attempt := 1; ; attempt++ {
		wake, start, err = r.tryStep(ctx, e, placed)
		again := apierrors.IsConflict(err) || errors.Is(err, errReplaced)
		if !again || attempt == writeAttempts {
			return wake, start, err
		}
		if err := r.reread(ctx, e); err != nil && client.IgnoreNotFound(err) != nil && !errors.Is(err, errReplaced) {
			return time.Time{}, false, err
		}
	}
}

func (r *Reconciler) tryStep(ctx context.Context, e *entry, placed bool) (wake time.Time, start bool, err error) {
	exists, err := r.refresh(ctx, e)
	if err != nil {
		return time.Time{}, false, err
	}
	if !exists {
		r.leave(e)
		return time.Time{}, false, nil
	}
	service, err := r.linkedService(ctx, e)
	if err != nil {
		return time.Time{}, false, err
	}
	if err := r.acceptEvents(ctx, e, service); err != nil {
		return time.Time{}, false, err
	}
	now := r.Clock.Now()
	state, decision := Next(e.state, now, e.seen(), placed, r.Policy.EventWrites)
	if seen := e.seen(); !seen.Service || !seen.Monitoring {
		r.Metrics.unhealthy.set(e.key, nil)
	}
	if err := r.persist(ctx, e, decision, now); err != nil {
		return time.Time{}, false, err
	}
	if decision.Start && state.First.IsZero() && !e.state.First.IsZero() && !e.state.Restored {
		r.Metrics.waited(now.Sub(e.state.First))
	}
	state.Written = e.state.Written
	e.state = state
	r.act(e, decision)
	return decision.Wake, decision.Start, nil
}

// refresh takes over the newest state of the monitor, and tells whether it exists.
func (r *Reconciler) refresh(ctx context.Context, e *entry) (exists bool, err error) {
	cached := &v1beta2.DataPowerMonitor{}
	if err := r.Client.Get(ctx, e.key, cached); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return false, nil
		}
		return false, fmt.Errorf("reading the monitor: %w", err)
	}
	if e.known != nil && e.known.UID != cached.UID {
		// Another monitor of the same name, for the same pods: running work goes on, and the new monitor keeps its
		// journal. Nothing else of the old one matters.
		e.state = State{Job: e.state.Job, Finishing: e.state.Finishing, Looking: e.state.Looking}
		e.health, e.lastWork, e.told, e.findings = nil, nil, told{}, 0
	}
	e.known = newer(e.known, cached)
	if e.generation != e.known.Generation {
		e.generation, e.state.LookDue, e.findings = e.known.Generation, time.Time{}, 0
	}
	return e.known.DeletionTimestamp == nil, nil
}

// linkedService returns the DataPowerService of the monitor's name, nil when there is none that stays.
func (r *Reconciler) linkedService(ctx context.Context, e *entry) (*v1beta3.DataPowerService, error) {
	service := &v1beta3.DataPowerService{}
	err := r.Client.Get(ctx, e.key, service)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading the service: %w", err)
	}
	if err != nil || service.DeletionTimestamp != nil {
		service = nil
	}
	var uid types.UID
	if service != nil {
		uid = service.UID
	}
	if uid != e.service {
		if e.service != "" && e.cancel != nil {
			e.cancel() // the work is about pods of another service
		}
		e.service, e.state.LookDue, e.findings = uid, time.Time{}, 0
	}
	return service, nil
}

// seen is what [Next] looks at.
func (e *entry) seen() Seen {
	spec, status := e.known.Spec, e.known.Status
	debounce := defaultDebounce
	if spec.LifecycleDebounceMs != nil {
		debounce = time.Duration(*spec.LifecycleDebounceMs) * time.Millisecond
	}
	return Seen{
		Debounce: debounce, Monitoring: ptr.Deref(spec.MonitorGatewayPeering, false), Service: e.service != "",
		Pending: status.WorkPending, InProgress: status.WorkInProgress, LastEvent: status.LastEvent,
		OpenResets: len(status.Resets) > 0,
	}
}

// persist writes the status that is wanted, if it must be written now.
func (r *Reconciler) persist(ctx context.Context, e *entry, d Decision, now time.Time) error {
	spec := e.known.Spec
	insecure := spec.RestManagement != nil && spec.RestManagement.TLS != nil &&
		ptr.Deref(spec.RestManagement.TLS.InsecureSkipVerify, false)
	wanted := render(e.known.Status, d, facts{
		name: e.key.Name, generation: e.known.Generation,
		service: e.service != "", monitoring: ptr.Deref(spec.MonitorGatewayPeering, false), insecure: insecure,
		health: e.health, lastWork: e.lastWork, now: now,
	})
	if !needsWrite(e.known.Status, wanted, d.Lazy) {
		e.health, e.lastWork = nil, nil
		return nil
	}
	before := e.known.Status
	e.state.Written = now // also when it fails: its answer may be lost
	written, err := r.write(ctx, e.known, wanted)
	if err != nil {
		return err
	}
	e.known, e.health, e.lastWork = written, nil, nil
	r.tellTransitions(written, before)
	return nil
}

// act does what was decided. The status is written.
func (r *Reconciler) act(e *entry, d Decision) {
	if d.Late >= 0 {
		r.Metrics.late(d.Late)
	}
	if d.Cancel && e.cancel != nil {
		e.cancel()
	}
	key := e.key
	if d.Submit {
		r.pool.submitWork(func(ctx context.Context) { r.work(ctx, key) })
	}
	if d.Look {
		r.pool.submitLook(func(ctx context.Context) { r.look(ctx, key) })
	}
}

// leave ends what belongs to a monitor that is gone.
func (r *Reconciler) leave(e *entry) {
	r.inbox.take(e.key)
	if e.cancel != nil {
		e.cancel()
	}
	r.Metrics.unhealthy.set(e.key, nil)
	if e.state.Job != Working && !e.state.Looking {
		r.forget(e)
	}
}

// secondsOf is a time as a status has it.
func secondsOf(at time.Time) metav1.Time { return metav1.NewTime(at).Rfc3339Copy() }
