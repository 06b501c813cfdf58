package peering

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/datapower-operator/datapower-operator/sidecar/datapower"
)

// The administrative state is looked at so often after disabling, with such a wait between two looks, and enabling is tried
// so often.
const (
	dropLooks   = 20
	dropWait    = 100 * time.Millisecond
	enableTries = 3
)

// act finishes what is open and does the resets that are due, one after the other.
func (r *run) act(ctx context.Context) {
	for _, open := range r.decision.Ended {
		r.conclude(ctx, open)
	}
	for _, open := range r.decision.Restores {
		r.restore(ctx, open)
	}
	for {
		r.decision = Decide(r.state())
		if len(r.decision.Resets) == 0 || ctx.Err() != nil {
			return
		}
		r.reset(ctx, r.decision.Resets[0])
	}
}

// conclude ends a reset of which nothing is left to do.
func (r *run) conclude(ctx context.Context, open Reset) {
	if !r.end(ctx, open) {
		return
	}
	if !slices.Contains(r.service.Open, open) { // its report is made
		return
	}
	r.ended(ResetReport{Reset: open, Result: ResultRestored, Message: "nothing of it was left to do"})
	r.await(&settling{report: ResetReport{Reset: open}, unknown: true})
}

// restore enables a peering that a reset left disabled.
func (r *run) restore(ctx context.Context, open Reset) {
	pod, _ := podByUID(r.pods, open.PodUID)
	gateway := r.gateways[sessionOf(pod)]
	if gateway == nil || ctx.Err() != nil {
		return
	}
	r.epoch++
	err := enable(ctx, gateway, open)
	delete(r.views, pod.UID) // it says what was before
	if err != nil {
		r.attempt(open.target()).problem = problemOf(pod, err)
		return
	}
	r.ended(ResetReport{Reset: open, Result: ResultRestored, Message: "the peering was left disabled, and is enabled again"})
	effect := &settling{report: ResetReport{Reset: open}}
	if before := r.attempt(open.target()).settling; before != nil {
		effect.stale, effect.linked = before.stale, before.linked
	}
	r.await(effect)
	r.end(ctx, open)
}

// await makes other gateways wait until one that is reported already is linked again.
func (r *run) await(effect *settling) {
	if reset := effect.report.Reset; slices.ContainsFunc(r.pods, func(pod Pod) bool { return pod.UID == reset.PodUID }) {
		effect.quiet = true
		r.attempt(reset.target()).settling = effect
	}
}

// begin has the journal take a reset.
func (r *run) begin(ctx context.Context, reset Reset) bool {
	if err := r.journal.Begin(ctx, reset); err != nil {
		attempt := r.attempt(reset.target())
		attempt.vain++
		attempt.problem = Problem{
			Reason: ReasonJournal, Message: fmt.Sprintf("recording the reset in the DataPowerMonitor: %v", err),
			Remedy: "The operator tries again by itself; if it stays so, check its permission to write the status of DataPowerMonitors",
		}
		return false
	}
	return true
}

// end has the journal drop a reset. When it cannot, the reset stays open and a later look ends it.
func (r *run) end(ctx context.Context, reset Reset) bool {
	err := r.journal.End(ctx, reset)
	r.open = slices.DeleteFunc(r.open, func(open Reset) bool { return open.target() == reset.target() })
	if err != nil {
		r.open = append(r.open, reset)
	}
	return err == nil
}

// reset does one reset, unless there is no way, or its reason has gone away. In the end, the pod has no view any more, or
// the target is settling, spent or waiting, so another decision follows.
func (r *run) reset(ctx context.Context, step Step) {
	attempt := r.attempt(step.Target)
	pod, _ := podByUID(r.pods, step.PodUID)
	offered, err := r.offers(ctx, pod, step.Key.Domain)
	if err != nil {
		r.vain(attempt, pod, problemOf(pod, err))
		return
	}
	way, found := choose(r.worker.policy.Actions, offered, attempt.used)
	if !found || attempt.done >= maxResets {
		attempt.spent = true
		if attempt.problem.Reason == "" {
			attempt.problem = Problem{Reason: ReasonNoWayToReset, Message: "no strategy is left to reset it"}
		}
		return
	}
	if attempt.toggled = way.action == nil; attempt.toggled && len(r.open) > 0 {
		return // it waits now
	}
	step, due := r.confirm(ctx, pod, step)
	if !due {
		delete(r.views, pod.UID)
		return
	}
	reset := Reset{
		Pod: pod.Name, PodUID: pod.UID, Domain: step.Key.Domain, Peering: step.Key.Peering, Strategy: way.name,
		Began: metav1.NewTime(r.worker.clock.Now().Truncate(time.Second)),
	}
	if !r.begin(ctx, reset) {
		r.vain(attempt, pod, attempt.problem)
		return
	}
	attempt.used[way.name] = true
	attempt.done++
	r.epoch++
	report := ResetReport{Reset: reset, Primary: step.Primary, Stale: texts(step.Stale)}
	linked := r.linksOf(pod, step.Key)
	outcome := r.do(ctx, r.gateways[sessionOf(pod)], way, reset)
	r.after(ctx, attempt, pod, report, outcome, &settling{stale: step.Stale, linked: linked})
}

// vain notes that a reset could not begin.
func (r *run) vain(attempt *attempt, pod Pod, problem Problem) {
	attempt.problem = problem
	if attempt.vain++; attempt.vain >= maxVain || !problem.mayPass() && problem.Reason != ReasonJournal {
		attempt.spent = true
	}
	delete(r.views, pod.UID)
}

// linksOf returns the addresses that a gateway is linked to.
func (r *run) linksOf(pod Pod, key Key) []netip.Addr {
	var linked []netip.Addr
	for _, row := range r.views[pod.UID][key].Rows {
		if row.Up {
			linked = append(linked, row.Address)
		}
	}
	return linked
}

// confirm reads the gateway's rows and the pods once more and decides again. It tells whether the step is still due.
func (r *run) confirm(ctx context.Context, pod Pod, step Step) (Step, bool) {
	view, err := readDomain(ctx, r.gateways[sessionOf(pod)], step.Key.Domain)
	if err != nil {
		r.failed(pod, err)
		return step, false
	}
	pods, err := r.worker.pods.Live(ctx, r.service)
	if err != nil {
		r.podsUnknown(err)
		return step, false
	}
	r.podsErr = nil
	if live, exists := podByUID(pods, pod.UID); !exists || live.IP != pod.IP || !live.active() {
		return step, false
	}
	fresh := maps.Clone(r.views[pod.UID])
	maps.DeleteFunc(fresh, func(key Key, _ Member) bool { return key.Domain == step.Key.Domain })
	maps.Copy(fresh, view)
	state := r.state()
	state.Pods = pods
	state.Views = maps.Clone(r.views)
	state.Views[pod.UID] = fresh
	for uid := range state.Views {
		if now, exists := podByUID(pods, uid); exists {
			if before, _ := podByUID(r.pods, uid); before.IP != now.IP {
				delete(state.Views, uid) // another gateway
			}
		}
	}
	for _, due := range Decide(state).Resets {
		if due.Target == step.Target {
			r.views[pod.UID] = fresh
			return due, true
		}
	}
	return step, false
}

// outcome is how the writes of a reset ended.
type outcome struct {
	// err is nil when the gateway says that it is done.
	err error
	// open says that the peering may be disabled still, unknown that nobody knows whether the reset was done.
	open, unknown bool
}

// do resets a peering.
func (r *run) do(ctx context.Context, gateway Gateway, way strategy, reset Reset) outcome {
	if way.action == nil {
		return r.toggle(ctx, gateway, reset)
	}
	_, err := gateway.Action(ctx, reset.Domain, way.action.Body(reset.Domain, reset.Peering))
	return outcome{err: err, unknown: err != nil && !refused(err)}
}

// refused tells whether a gateway refused a write, so that it surely did nothing.
func refused(err error) bool {
	var answered *datapower.APIError
	if errors.Is(err, datapower.ErrUnsupported) || errors.Is(err, datapower.ErrActionFailed) || errors.Is(err, datapower.ErrOptions) ||
		errors.Is(err, datapower.ErrCertificate) {
		return true
	}
	return errors.As(err, &answered) && answered.Status < http.StatusInternalServerError
}

// toggle disables a peering and enables it again.
func (r *run) toggle(ctx context.Context, gateway Gateway, reset Reset) outcome {
	err := gateway.SetAdminState(ctx, reset.Domain, reset.Peering, datapower.Disabled)
	if err != nil && refused(err) {
		return outcome{err: err}
	}
	if err == nil {
		r.awaitDrop(ctx, gateway, reset)
	}
	// From here on it may be disabled, also when the answer was lost: the request may still arrive.
	late := err != nil
	bounded := ctx
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(context.WithoutCancel(ctx), r.worker.policy.RestoreTimeout)
		defer cancel()
	}
	if enableErr := enable(bounded, gateway, reset); enableErr != nil {
		return outcome{err: errors.Join(err, enableErr), open: true, unknown: true}
	}
	return outcome{err: err, open: late, unknown: late}
}

// awaitDrop waits until a disabled peering has no links any more.
func (r *run) awaitDrop(ctx context.Context, gateway Gateway, reset Reset) {
	for range dropLooks {
		rows, err := gateway.PeeringStatus(ctx, reset.Domain)
		if err != nil || !slices.ContainsFunc(rows, func(row datapower.PeeringStatus) bool { return row.Name == reset.Peering && row.Up() }) {
			return
		}
		if !r.worker.sleep(ctx, dropWait) {
			return
		}
	}
}

// errDisabled says that a peering is still disabled.
var errDisabled = errors.New("the peering is still disabled")

// enable enables a peering and makes sure of it. A peering that is gone needs nothing.
func enable(ctx context.Context, gateway Gateway, reset Reset) error {
	var err error
	for range enableTries {
		if ctx.Err() != nil {
			break
		}
		setErr := gateway.SetAdminState(ctx, reset.Domain, reset.Peering, datapower.Enabled)
		state, readErr := adminState(ctx, gateway, reset)
		if readErr == nil && state != datapower.Disabled {
			return nil
		}
		if err = errors.Join(setErr, readErr); err == nil {
			err = errDisabled
		}
	}
	if err == nil {
		err = ctx.Err()
	}
	return fmt.Errorf("enabling %s again: %w", reset.target().Key.named(), err)
}

// adminState reads the administrative state of a peering, empty when it is gone.
func adminState(ctx context.Context, gateway Gateway, reset Reset) (datapower.AdminState, error) {
	objects, err := gateway.GatewayPeerings(ctx, reset.Domain)
	if err != nil {
		return "", err
	}
	for _, object := range objects {
		if object.Name == reset.Peering {
			return object.AdminState, nil
		}
	}
	return "", nil
}

// after notes how a reset ended, as far as that is known now.
func (r *run) after(ctx context.Context, attempt *attempt, pod Pod, report ResetReport, outcome outcome, effect *settling) {
	if outcome.open {
		r.open = append(r.open, report.Reset)
	} else if ctx.Err() == nil {
		r.end(ctx, report.Reset)
	}
	effect.report, effect.unknown = report, outcome.unknown
	switch {
	case ctx.Err() != nil:
		report.Result, report.Message = ResultInterrupted, "the operator was told to stop"
		r.ended(report)
	case outcome.err == nil:
		attempt.settling = effect
	case outcome.unknown:
		attempt.problem = problemOf(pod, outcome.err)
		attempt.settling = effect
	default:
		attempt.problem = problemOf(pod, outcome.err)
		attempt.problem.Message = "reset by " + report.Strategy + ": " + attempt.problem.Message
		if attempt.problem.Reason == ReasonGatewayError || attempt.problem.Reason == ReasonBadAnswer {
			attempt.problem.Reason = ReasonResetFailed
		}
		report.Result, report.Message = ResultFailed, outcome.err.Error()
		r.ended(report)
		r.await(effect)
		delete(r.views, pod.UID)
	}
}
