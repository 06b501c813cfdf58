package peering

import (
	"cmp"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// State is what a decision is made from.
type State struct {
	// Pods are all pods of the service.
	Pods []Pod
	// Views are what gateways said at this look, by the UID of their pods. Who gave no answer has none.
	Views map[types.UID]View
	// Awaited are pods without a view that may still answer, so that the primary is not reset before them.
	Awaited map[types.UID]bool
	// Disturbed are targets that were reset and are not linked again yet.
	Disturbed []Target
	// Settling are targets whose last reset has still to show its effect.
	Settling map[Target]bool
	// Spent are targets that cannot be reset any more.
	Spent map[Target]bool
	// Open are resets that the journal has and that are not running. Unfinished says that all others wait for them.
	Open       []Reset
	Unfinished bool
	// Patient are peerings without a primary that are given time for a failover.
	Patient map[Key]bool
	// Toggled are targets for which no strategy is left but disabling them.
	Toggled map[Target]bool
	// GivenUp are targets that nobody waits for any more to link with the others.
	GivenUp map[Target]bool
}

// Decision is what is due.
type Decision struct {
	// Restores are peerings that a reset left disabled, and that have to be enabled.
	Restores []Reset
	// Ended are open resets of which nothing is left to do.
	Ended []Reset
	// Resets are due now. The first one is next, and after it another decision is due.
	Resets []Step
	// Waits are stale peerings that are not due, and why.
	Waits []Wait
	// Stale are the stale peers by target, in the order of addresses.
	Stale map[Target][]netip.Addr
	// Down are live pods' addresses without a link, by target, in the order of addresses.
	Down map[Target][]netip.Addr
	// Apart are targets that are not linked with all active members of their peering, Unlinked those of them that have no
	// link to its primary.
	Apart, Unlinked map[Target]bool
	// Lost are peerings without a quorum.
	Lost map[Key]Quorum
	// Strange are targets whose rows nothing can be decided of, and why.
	Strange map[Target]string
}

// Step is a reset that is due.
type Step struct {
	Target
	// Stale are the addresses that are the reason.
	Stale []netip.Addr
	// Primary says that somebody takes the pod for the primary.
	Primary bool
}

// Wait is a stale peering that is not reset now.
type Wait struct {
	Target
	Reason Reason
	// Message says why, as a clause.
	Message string
	// ForPods says that a pod has to change first, of which an event tells.
	ForPods bool
}

// Decide tells what is due. It changes nothing.
func Decide(state State) Decision {
	decision := Decision{
		Stale: map[Target][]netip.Addr{}, Down: map[Target][]netip.Addr{},
		Apart: map[Target]bool{}, Unlinked: map[Target]bool{}, Lost: map[Key]Quorum{}, Strange: map[Target]string{},
	}
	decision.finish(state)
	groups := groupsOf(state)
	for _, g := range groups {
		decision.compare(state, g)
	}
	for _, g := range groups {
		decision.schedule(state, g)
	}
	decision.order(state)
	return decision
}

// finish decides about open resets.
func (d *Decision) finish(state State) {
	for _, reset := range state.Open {
		pod, exists := podByUID(state.Pods, reset.PodUID)
		view, known := state.Views[reset.PodUID]
		switch {
		case !exists:
			d.Ended = append(d.Ended, reset) // with the pod, its running configuration is gone
		case !known || pod.Terminating:
		case reset.Strategy == StrategyAdminState && view[Key{reset.Domain, reset.Peering}].Disabled:
			d.Restores = append(d.Restores, reset)
		default:
			d.Ended = append(d.Ended, reset)
		}
	}
}

// compare finds stale peers, links that are down, and rows of which nothing can be said.
func (d *Decision) compare(state State, g group) {
	if !g.hasQuorum() && len(g.members) > 0 {
		d.Lost[g.key] = g.quorum
	}
	for _, pod := range g.apart {
		target := Target{pod.UID, g.key}
		d.Apart[target] = true
		if !g.active[pod.UID] {
			d.Unlinked[target] = true
		}
	}
	for _, pod := range g.members {
		view, known := state.Views[pod.UID]
		if !known {
			continue
		}
		target := Target{pod.UID, g.key}
		member := view[g.key]
		if reason := g.strange(pod, member); reason != "" {
			d.Strange[target] = reason
			continue
		}
		for _, row := range member.Rows {
			switch {
			case row.Up:
			case g.owners[row.Address] == pod.UID: // it is apart, or there is no primary
			case g.owners[row.Address] != "":
				d.Down[target] = append(d.Down[target], row.Address)
			default:
				d.Stale[target] = append(d.Stale[target], row.Address)
			}
		}
	}
}

// schedule decides which stale peerings of a group are due.
func (d *Decision) schedule(state State, g group) {
	var steps []Step
	primariesOnly := true
	for _, pod := range g.members {
		target := Target{pod.UID, g.key}
		if len(d.Stale[target]) == 0 || state.Spent[target] {
			continue
		}
		step := Step{Target: target, Stale: d.Stale[target], Primary: g.claimed[pod.UID]}
		primariesOnly = primariesOnly && step.Primary
		steps = append(steps, step)
	}
	for _, step := range steps {
		wait := g.obstacle(state, step, primariesOnly)
		if wait.Reason == "" {
			d.Resets = append(d.Resets, step)
			continue
		}
		wait.Target = step.Target
		d.Waits = append(d.Waits, wait)
	}
}

// obstacle tells why a step has to wait. An empty reason means that it is due.
func (g group) obstacle(state State, step Step, primariesOnly bool) Wait {
	if wait := g.waitForPods(state); wait.Reason != "" {
		return wait
	}
	if state.Unfinished || leftDisabled(state, step.PodUID, step.Key) {
		return Wait{Reason: ReasonPeeringDisabled, Message: "an earlier reset has to be finished first"}
	}
	if state.Toggled[step.Target] && len(state.Open) > 0 {
		return Wait{Reason: ReasonPeeringDisabled, Message: "it would have to be disabled for that, and another one could not be enabled again yet"}
	}
	if state.Settling[step.Target] {
		return Wait{Reason: ReasonStillStale, Message: "its reset has to show an effect first"}
	}
	for _, disturbed := range state.Disturbed {
		if disturbed.PodUID != step.PodUID {
			return Wait{Reason: ReasonStillStale, Message: "another gateway has to link again first"}
		}
	}
	if step.Primary && !primariesOnly {
		return Wait{Reason: ReasonStillStale, Message: "the primary is reset after all others"}
	}
	if step.Primary {
		for _, pod := range g.members {
			if state.Awaited[pod.UID] {
				return Wait{Reason: ReasonStillStale, Message: "the primary is reset after all others, and the gateway in pod " + pod.Name + " has not answered yet"}
			}
		}
	}
	if wait := g.mayLose(state, step.PodUID); wait.Reason != "" {
		return wait
	}
	return g.waitForLinks(state)
}

// order sorts the due resets: pods that are being worked on first, replicas before primaries, then by name; in a peering
// without a primary the youngest pod first.
func (d *Decision) order(state State) {
	names := map[types.UID]Pod{}
	for _, pod := range state.Pods {
		names[pod.UID] = pod
	}
	begun := map[types.UID]bool{}
	for _, target := range state.Disturbed {
		begun[target.PodUID] = true
	}
	slices.SortStableFunc(d.Resets, func(a, b Step) int {
		_, lostA := d.Lost[a.Key]
		_, lostB := d.Lost[b.Key]
		older := 0
		if lostA && lostB {
			older = names[b.PodUID].Created.Compare(names[a.PodUID].Created)
		}
		return cmp.Or(
			boolFirst(begun[a.PodUID], begun[b.PodUID]), boolFirst(!a.Primary, !b.Primary), older,
			cmp.Compare(names[a.PodUID].Name, names[b.PodUID].Name), a.Key.compare(b.Key),
		)
	})
}

// boolFirst orders what is true before what is not.
func boolFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func podByUID(pods []Pod, uid types.UID) (Pod, bool) {
	for _, pod := range pods {
		if pod.UID == uid {
			return pod, true
		}
	}
	return Pod{}, false
}
