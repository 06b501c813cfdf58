package monitor

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/sidecar/peering"
)

// work runs in a place of the pool. It starts only if that is still right, and writes the status before and after.
//
// When the process stops meanwhile, the status keeps saying that work is in progress, so that the successor does it
// again.
func (r *Reconciler) work(ctx context.Context, key types.NamespacedName) {
	e := r.lock(key)
	wake, start, err := r.step(ctx, e, true)
	if err != nil || !start {
		r.unlockAndWake(e, wake, err)
		return
	}
	working, cancel := context.WithCancel(ctx)
	e.cancel, e.began = cancel, r.Clock.Now()
	service := e.serviceOf()
	monitored := ptr.Deref(e.known.Spec.MonitorGatewayPeering, false) || len(service.Open) > 0
	e.mutex.Unlock()

	var report peering.Report
	if monitored {
		report = r.Worker.Work(working, service, journal{r, e})
	}
	cancel()

	e.mutex.Lock()
	e.cancel = nil
	e.state.Job = Idle
	if ctx.Err() != nil {
		e.mutex.Unlock()
		return
	}
	e.state.Ended, e.state.Finishing = true, false
	r.conclude(e, report, monitored)
	wake, _, err = r.step(ctx, e, false)
	r.unlockAndWake(e, wake, err)
}

// conclude takes over the result of work.
func (r *Reconciler) conclude(e *entry, report peering.Report, monitored bool) {
	now := r.Clock.Now()
	e.state.LookDue = now.Add(r.Policy.pause(0, r.random()))
	if !monitored {
		e.lastWork = &v1beta2.MonitorWork{Started: secondsOf(e.began), Completed: secondsOf(now), Result: resultNotMonitored}
		r.Metrics.worked(resultNotMonitored, now.Sub(e.began))
		return
	}
	e.lastWork = workOf(report, secondsOf(e.began), secondsOf(now))
	r.Metrics.worked(e.lastWork.Result, now.Sub(e.began))
	r.Metrics.found(report)
	r.judge(e, report)
	r.tellResets(e.known, report)
}

// look runs in a place of the pool.
func (r *Reconciler) look(ctx context.Context, key types.NamespacedName) {
	e := r.lock(key)
	var report peering.Report
	wanted := e.known != nil && e.service != "" && e.state.Job == Idle && e.state.Event.IsZero()
	if wanted {
		service := e.serviceOf()
		e.mutex.Unlock()
		report = r.Worker.Look(ctx, service)
		e.mutex.Lock()
	}
	e.state.Looking = false
	if ctx.Err() != nil {
		e.mutex.Unlock()
		return
	}
	switch {
	case e.state.Job != Idle || !e.state.Event.IsZero():
		// Work is on its way and will see more.
	case wanted && report.Stale() > 0:
		e.state.Urgent = true
		r.Metrics.looked(report)
	case wanted:
		r.Metrics.looked(report)
		r.judge(e, report)
	}
	wake, _, err := r.step(ctx, e, false)
	r.unlockAndWake(e, wake, err)
}

// judge takes over what a report says about health, and when to look again.
func (r *Reconciler) judge(e *entry, report peering.Report) {
	result := report.Result()
	if result == peering.ResultInterrupted {
		e.state.LookDue = time.Time{}
		return
	}
	if result == peering.ResultClean {
		e.findings = 0
	} else {
		e.findings++ // what a reset dropped may come back late, and bring a dead address back with it
	}
	e.state.LookDue = r.Clock.Now().Add(r.Policy.pause(e.findings, r.random()))
	e.health = ptr.To(healthOf(report))
	r.Metrics.unhealthy.set(e.key, unhealthyOf(e.key, report))
	r.tellProblems(e, report)
}

// unlockAndWake ends a job's hold of an entry.
func (r *Reconciler) unlockAndWake(e *entry, wake time.Time, err error) {
	key := e.key
	e.mutex.Unlock()
	if err != nil {
		r.Log.V(1).Info("the API server refused a step, trying again", "Monitor.Name", key.Name, "error", err.Error())
		wake = r.Clock.Now().Add(retrySoon)
	}
	r.wakeAt(key, wake)
}
