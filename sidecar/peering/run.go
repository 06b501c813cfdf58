package peering

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// run is one work or look at one service. One goroutine owns it; those that look at gateways only send results.
type run struct {
	worker  *Worker
	service Service
	journal Journal
	began   time.Time

	// ctx ends the looks that are still running at the end.
	ctx     context.Context
	cancel  context.CancelFunc
	looks   sync.WaitGroup
	results chan looked

	gateways map[session]Gateway
	// flying are looks without a result yet, late those that nobody waits for any more.
	flying, late map[session]bool
	offered      map[offerKey][]string
	// epoch counts the writes to gateways.
	epoch int

	pods    []Pod
	podsErr *Problem
	// views are of the latest look only, last are the latest of each gateway.
	views, last map[types.UID]View
	hidden      map[types.UID][]string
	errors      map[types.UID]Problem
	// silent counts the looks in a row that a gateway gave no answer at.
	silent map[types.UID]int
	// leaderless counts the looks in a row that a peering had no primary at.
	leaderless map[Key]int
	// apart counts the looks in a row that a gateway gave an answer at and was not linked with the others.
	apart map[Target]int

	decision Decision
	open     []Reset
	// openLooks counts the looks in a row that resets were open at.
	openLooks int
	attempts  map[Target]*attempt
	found     map[Target]map[netip.Addr]bool
	resets    map[types.UID][]ResetReport
}

// attempt is what was tried with one target.
type attempt struct {
	used map[string]bool
	// done counts resets that were begun, vain what failed before a reset could begin.
	done, vain int
	// problem is why nothing more is tried, or why the last try failed.
	problem Problem
	spent   bool
	// toggled says that no strategy is left but the administrative state.
	toggled bool
	// settling is the reset whose effect is awaited.
	settling *settling
}

// maxResets and maxVain bound what is tried with one target in one work.
const (
	maxResets = 6
	maxVain   = 5
)

// settling is a reset whose effect is awaited.
type settling struct {
	report ResetReport
	// stale are the addresses that have to go, linked those that have to come back.
	stale, linked []netip.Addr
	looks         int
	// unknown says that nobody knows whether the reset was done or is still to be done.
	unknown bool
	// quiet says that the reset is reported already.
	quiet bool
	// gone says that the stale addresses were gone at a look. If they are listed again, they have come back.
	gone bool
	// calm says that the gateway is linked again.
	calm bool
}

func (w *Worker) newRun(ctx context.Context, service Service, journal Journal) *run {
	r := &run{
		worker: w, service: service, journal: journal, began: w.clock.Now(), results: make(chan looked),
		gateways: map[session]Gateway{}, flying: map[session]bool{}, late: map[session]bool{}, offered: map[offerKey][]string{},
		views: map[types.UID]View{}, last: map[types.UID]View{}, hidden: map[types.UID][]string{}, errors: map[types.UID]Problem{},
		silent: map[types.UID]int{}, leaderless: map[Key]int{}, apart: map[Target]int{}, attempts: map[Target]*attempt{},
		found: map[Target]map[netip.Addr]bool{}, resets: map[types.UID][]ResetReport{},
		open: append([]Reset(nil), service.Open...),
	}
	r.ctx, r.cancel = context.WithCancel(ctx)
	return r
}

// close ends the looks that are still running and closes all connections.
func (r *run) close() {
	r.cancel()
	r.looks.Wait()
	for _, gateway := range r.gateways {
		gateway.Close()
	}
}

// state is what is known now.
func (r *run) state() State {
	state := State{
		Pods: r.pods, Views: r.views, Awaited: map[types.UID]bool{}, Settling: map[Target]bool{}, Spent: map[Target]bool{},
		Open: r.open, Unfinished: len(r.open) > 0 && r.openLooks < r.worker.policy.SettleLooks, Patient: map[Key]bool{},
		Toggled: map[Target]bool{}, GivenUp: map[Target]bool{},
	}
	for _, pod := range r.pods {
		state.Awaited[pod.UID] = r.awaited(pod)
	}
	for target, attempt := range r.attempts {
		if attempt.spent {
			state.Spent[target] = true
		}
		if attempt.toggled {
			state.Toggled[target] = true
		}
		if attempt.settling == nil {
			continue
		}
		state.Settling[target] = true
		if !attempt.settling.calm {
			state.Disturbed = append(state.Disturbed, target)
		}
	}
	for key, looks := range r.leaderless {
		state.Patient[key] = looks < r.worker.policy.FailoverLooks
	}
	for target, looks := range r.apart {
		state.GivenUp[target] = looks >= r.worker.policy.SettleLooks
	}
	return state
}

// awaited tells whether a gateway without an answer may still give one.
func (r *run) awaited(pod Pod) bool {
	if _, answered := r.views[pod.UID]; answered || !pod.active() || !pod.Ready || r.silent[pod.UID] >= r.worker.policy.AwaitLooks {
		return false
	}
	problem, failed := r.errors[pod.UID]
	return !failed || problem.mayPass()
}

func (r *run) attempt(target Target) *attempt {
	if r.attempts[target] == nil {
		r.attempts[target] = &attempt{used: map[string]bool{}}
	}
	return r.attempts[target]
}

// settle compares the latest look with what resets should have done, and notes what it found.
func (r *run) settle() {
	if r.openLooks++; len(r.open) == 0 {
		r.openLooks = 0
	}
	r.decision = Decide(r.state())
	for target, stale := range r.decision.Stale {
		if r.found[target] == nil {
			r.found[target] = map[netip.Addr]bool{}
		}
		for _, address := range stale {
			r.found[target][address] = true
		}
	}
	leaderless := map[Key]int{}
	for key, quorum := range r.decision.Lost {
		if quorum.Primary == "" {
			leaderless[key] = r.leaderless[key] + 1
		}
	}
	r.leaderless = leaderless
	r.countApart()
	for _, target := range slices.SortedFunc(maps.Keys(r.attempts), Target.compare) {
		if attempt := r.attempts[target]; attempt.settling != nil {
			r.settleOne(target, attempt)
		}
	}
}

// countApart counts the looks of gateways that are not linked with the others.
func (r *run) countApart() {
	maps.DeleteFunc(r.apart, func(target Target, _ int) bool {
		_, answered := r.views[target.PodUID]
		return answered && !r.decision.Apart[target]
	})
	for target := range r.decision.Apart {
		r.apart[target]++
	}
}

// settleOne tells how a reset ended, if that can be told.
func (r *run) settleOne(target Target, attempt *attempt) {
	s := attempt.settling
	s.looks++
	late := s.looks >= r.worker.policy.SettleLooks
	pod, exists := podByUID(r.pods, target.PodUID)
	if !exists || !pod.active() {
		r.settled(attempt, ResultUnknown, "the pod is gone or terminates")
		if exists && pod.leaving() && !late {
			s.quiet, attempt.settling = true, s // it may still link
		}
		return
	}
	view, known := r.views[target.PodUID]
	switch {
	case !known:
		if late {
			r.settled(attempt, ResultUnknown, "the gateway gives no answer any more")
		}
		return
	case view[target.Key].Disabled && leftDisabled(State{Open: r.open}, target.PodUID, target.Key):
		if late {
			r.settled(attempt, ResultFailed, "the peering could not be enabled again yet")
		}
		return
	}
	left := r.decision.Stale[target]
	gone := !contains(left, s.stale)
	if s.quiet && s.unknown {
		gone = len(left) == 0
	}
	s.gone = s.gone || gone
	linked := r.linked(pod, view[target.Key], s.linked) && len(r.decision.Down[target]) == 0 && !r.decision.Apart[target]
	s.calm = linked && (s.gone || !s.unknown)
	switch {
	case s.quiet && (late || s.calm), s.gone && (linked || late):
		r.settled(attempt, ResultHealed, "")
		if s.gone {
			attempt.used = map[string]bool{}
		}
	case s.quiet:
	case late:
		attempt.problem = Problem{
			Reason: ReasonStillStale, Message: "the reset by " + s.report.Strategy + " had no effect: stale peers are still listed",
			Remedy: "See the gateway's log, and reset the peering by hand or restart the pod",
		}
		r.settled(attempt, ResultNoEffect, "the stale peers are still listed")
	}
}

// linked tells whether a gateway is linked to the primary and to addresses that it was linked to before, as far as they
// are still those of pods.
func (r *run) linked(pod Pod, member Member, before []netip.Addr) bool {
	address, _ := parseAddress(pod.IP)
	if own, found := member.own(address); !found || !own.Up {
		return false
	}
	for _, address := range before {
		if row, found := member.row(address); (!found || !row.Up) && r.isLive(address) {
			return false
		}
	}
	return true
}

func (r *run) isLive(address netip.Addr) bool {
	for _, pod := range r.pods {
		if parsed, ok := parseAddress(pod.IP); ok && parsed == address && pod.active() {
			return true
		}
	}
	return false
}

// settled ends a reset.
func (r *run) settled(attempt *attempt, result Result, message string) {
	s := attempt.settling
	attempt.settling = nil
	if s.quiet {
		return
	}
	s.report.Result, s.report.Message = result, message
	r.ended(s.report)
}

// ended reports a reset.
func (r *run) ended(report ResetReport) {
	report.Ended = r.worker.clock.Now()
	r.resets[report.PodUID] = append(r.resets[report.PodUID], report)
	r.worker.observer.ResetEnded(r.service, report)
}

// contains tells whether any of the wanted addresses is among all.
func contains(all, wanted []netip.Addr) bool {
	for _, address := range all {
		for _, one := range wanted {
			if address == one {
				return true
			}
		}
	}
	return false
}

// done tells whether another look is of no use: nothing runs, and what is not in order needs a pod to change.
func (r *run) done() bool {
	for _, attempt := range r.attempts {
		if attempt.settling != nil {
			return false
		}
	}
	for _, open := range r.open {
		if pod, exists := podByUID(r.pods, open.PodUID); !exists || pod.active() {
			if problem, failed := r.errors[open.PodUID]; !failed || problem.mayPass() {
				return false
			}
		}
	}
	for _, pod := range r.pods {
		if r.awaited(pod) {
			return false
		}
	}
	for _, wait := range r.decision.Waits {
		if !wait.ForPods {
			return false
		}
	}
	return len(r.decision.Resets) == 0 && !r.unsettled()
}

// unsettled tells whether links or primaries are missing that no pod event would tell of.
func (r *run) unsettled() bool {
	allReady := true
	for _, pod := range r.pods {
		allReady = allReady && pod.Ready && pod.active()
	}
	if !allReady {
		return false
	}
	return len(r.decision.Down) > 0 || len(r.decision.Lost) > 0 || len(r.decision.Unlinked) > 0
}
