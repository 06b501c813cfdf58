package peering

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// Quorum counts the members of a peering.
type Quorum struct {
	// Members have the peering; Active of them are linked to the primary.
	Members, Active int
	// Primary is the name of the primary's pod, empty when there is none.
	Primary string
}

// needed is how many active members a valid quorum has.
func needed(members int) int { return members/2 + 1 }

// group is one peering over all gateways of a service.
type group struct {
	key Key
	// members are the running pods that have the peering, or may have it because they gave no answer.
	members []Pod
	// owners are the pods that live addresses belong to.
	owners map[netip.Addr]types.UID
	// elsewhere says that members are known by other addresses than those of their pods.
	elsewhere bool
	// claimed are pods that somebody takes for the primary, active the members that are linked to the one that most do.
	claimed, active map[types.UID]bool
	primary         Pod
	quorum          Quorum
	// apart are members that answer and are not linked with all active ones.
	apart []Pod
	// leaving are pods that terminate: their gateways are members until they are gone.
	leaving []Pod
}

// active tells whether a pod's gateway is one to look at.
func (p Pod) active() bool { return p.Running && !p.Terminating && p.IP != "" }

// leaving tells whether a pod's gateway may still run, and will end.
func (p Pod) leaving() bool { return p.Running && p.Terminating && p.IP != "" }

// groupsOf makes the groups of all peerings that any gateway has, by domain and name.
func groupsOf(state State) []group {
	found := map[Key]bool{}
	for _, view := range state.Views {
		for key := range view {
			found[key] = true
		}
	}
	var groups []group
	for key := range found {
		groups = append(groups, groupOf(state, key))
	}
	slices.SortFunc(groups, func(a, b group) int { return a.key.compare(b.key) })
	return groups
}

func groupOf(state State, key Key) group {
	g := group{key: key, owners: map[netip.Addr]types.UID{}, claimed: map[types.UID]bool{}, active: map[types.UID]bool{}}
	for _, pod := range state.Pods {
		address, ok := parseAddress(pod.IP)
		if !ok {
			continue
		}
		g.owners[address] = pod.UID
		member, has := state.Views[pod.UID][key]
		if local := member.Local; local.IsValid() && local != address {
			g.owners[local] = pod.UID
			g.elsewhere = true
		}
		if pod.leaving() {
			g.leaving = append(g.leaving, pod)
		}
		_, known := state.Views[pod.UID]
		belongs := !member.Disabled || leftDisabled(state, pod.UID, key)
		if pod.active() && (!known || (has && belongs)) {
			g.members = append(g.members, pod)
		}
	}
	slices.SortFunc(g.members, func(a, b Pod) int { return cmp.Compare(a.Name, b.Name) })
	g.findPrimary(state)
	g.findApart(state)
	return g
}

// leftDisabled tells whether it may be a reset that disabled a peering. Its member comes back.
func leftDisabled(state State, uid types.UID, key Key) bool {
	return slices.ContainsFunc(state.Open, func(open Reset) bool { return open.target() == Target{uid, key} })
}

// findPrimary finds the primary that most members are linked to, so that one gateway that errs does not count for all.
func (g *group) findPrimary(state State) {
	for _, pod := range g.members {
		for _, row := range state.Views[pod.UID][g.key].Rows {
			if owner := g.owners[row.Address]; row.Primary && owner != "" {
				g.claimed[owner] = true
			}
		}
	}
	for _, pod := range state.Pods {
		if !g.claimed[pod.UID] {
			continue
		}
		active := g.linkedTo(state, pod)
		if len(active) > len(g.active) {
			g.active, g.primary = active, pod
		}
	}
	g.quorum = Quorum{Members: len(g.members), Active: len(g.active), Primary: g.primary.Name}
}

// linkedTo returns the members that are linked to a primary, itself among them: those that say so, and those without an
// answer of whom somebody linked says so.
func (g *group) linkedTo(state State, primary Pod) map[types.UID]bool {
	linked := map[types.UID]bool{}
	seen := map[types.UID]bool{}
	for _, pod := range g.members {
		member, known := state.Views[pod.UID][g.key]
		address, _ := parseAddress(pod.IP)
		own, listed := member.own(address)
		switch {
		case !known, !listed, !own.Up:
			if known && pod.UID == primary.UID {
				return nil // it does not take itself for the primary
			}
			continue
		case pod.UID == primary.UID && !own.Primary:
			return nil
		case !g.follows(member, primary.UID):
			continue
		}
		linked[pod.UID] = true
		for _, row := range member.Rows {
			if row.Up {
				seen[g.owners[row.Address]] = true
			}
		}
	}
	for _, pod := range g.members {
		if _, known := state.Views[pod.UID]; !known && seen[pod.UID] {
			linked[pod.UID] = true
		}
	}
	return linked
}

// follows tells whether a member lists a pod as its primary, with a link.
func (g *group) follows(member Member, primary types.UID) bool {
	return slices.ContainsFunc(member.Rows, func(row Row) bool {
		return row.Primary && row.Up && g.owners[row.Address] == primary
	})
}

// findApart finds the members that answer and are not linked with all active ones. Of a peering without a primary nothing
// can be said.
func (g *group) findApart(state State) {
	if g.primary.UID == "" {
		return
	}
	for _, pod := range g.members {
		view, known := state.Views[pod.UID]
		member := view[g.key]
		if !known || member.Disabled || g.strange(pod, member) != "" {
			continue
		}
		if !g.active[pod.UID] || !g.knowsActive(pod, member) {
			g.apart = append(g.apart, pod)
		}
	}
}

// knowsActive tells whether a member is linked with all other active ones.
func (g *group) knowsActive(pod Pod, member Member) bool {
	linked := map[types.UID]bool{pod.UID: true}
	for _, row := range member.Rows {
		if row.Up {
			linked[g.owners[row.Address]] = true
		}
	}
	for uid := range g.active {
		if !linked[uid] {
			return false
		}
	}
	return true
}

func (g group) hasQuorum() bool {
	return g.primary.UID != "" && len(g.active) >= needed(len(g.members))
}

// strange tells why nothing can be decided of a member's rows, or "".
func (g group) strange(pod Pod, member Member) string {
	if len(member.Strange) > 0 {
		return "it lists a member by " + member.Strange[0] + ", which is no IP address"
	}
	if len(member.Rows) == 0 {
		return "" // it has just been enabled
	}
	address, _ := parseAddress(pod.IP)
	if _, found := member.own(address); !found {
		return "it does not list itself by the address " + pod.IP + " of its pod, so its other addresses say nothing either"
	}
	return ""
}

// waitForPods tells whether a pod could still account for an address.
func (g group) waitForPods(state State) Wait {
	for _, pod := range state.Pods {
		_, parsed := parseAddress(pod.IP)
		switch {
		case pod.Terminating && g.claimed[pod.UID] && pod.UID == g.primary.UID:
			return Wait{Reason: ReasonWaitingForPods, Message: "the primary's pod " + pod.Name + " terminates", ForPods: true}
		case pod.Terminating:
		case !parsed:
			return Wait{Reason: ReasonWaitingForPods, Message: "pod " + pod.Name + " has no address yet", ForPods: true}
		case g.elsewhere && pod.active() && state.Views[pod.UID] == nil:
			message := "the gateway in pod " + pod.Name + " has not told the local address of its peering"
			return Wait{Reason: ReasonWaitingForPods, Message: message, ForPods: !pod.Ready}
		}
	}
	return Wait{}
}

// mayLose tells whether the links of a member may be dropped. An empty reason means yes.
func (g group) mayLose(state State, uid types.UID) Wait {
	members, active := len(g.members)+len(g.leaving), len(g.active)
	if g.primary.UID == "" && state.Patient[g.key] {
		return Wait{Reason: ReasonQuorumLost, Message: "it has no primary, and may still choose one"}
	}
	if !g.active[uid] {
		return Wait{}
	}
	var wait Wait
	switch {
	case active < needed(members):
		wait = Wait{Reason: ReasonQuorumLost, Message: count(active, members) + " are active, which is no quorum"}
	case members > 2 && active-1 < needed(members):
		wait = Wait{Reason: ReasonQuorumAtRisk, Message: count(active, members) + " are active, and a reset would leave no quorum for a moment"}
	default:
		return Wait{}
	}
	wait.ForPods = slices.ContainsFunc(g.members, func(pod Pod) bool { return !pod.Ready && !g.active[pod.UID] })
	if len(g.leaving) > 0 {
		wait.Reason, wait.ForPods = ReasonWaitingForPods, true
		wait.Message = "pod " + g.leaving[0].Name + " terminates, and without its gateway a reset would leave no quorum for a moment"
	}
	return wait
}

// waitForLinks tells whether a member that is apart may still link with the others. It may have been reset a moment ago, by
// a process that is dead meanwhile too.
func (g group) waitForLinks(state State) Wait {
	for _, pod := range g.apart {
		if !state.GivenUp[Target{pod.UID, g.key}] {
			return Wait{Reason: ReasonStillStale, Message: "the gateway in pod " + pod.Name + " has still to link with the others"}
		}
	}
	return Wait{}
}

// count writes how many of the members.
func count(active, members int) string { return fmt.Sprintf("%d of %d members", active, members) }
