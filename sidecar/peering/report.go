package peering

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// finish makes the report of everything that was seen and done.
func (r *run) finish(ctx context.Context) Report {
	report := Report{Began: r.began, Ended: r.worker.clock.Now()}
	if r.podsErr != nil {
		report.Problems = append(report.Problems, *r.podsErr)
	}
	if ctx.Err() != nil {
		report.Problems = append(report.Problems, Problem{
			Reason: ReasonInterrupted, Message: "the operator was told to stop", Remedy: "The next leader goes on with it", Passing: true,
		})
	}
	known := map[types.UID]bool{}
	for _, pod := range r.pods {
		known[pod.UID] = true
		report.Pods = append(report.Pods, r.podReport(pod))
	}
	for uid, resets := range r.resets { // of pods that are gone meanwhile
		if !known[uid] {
			report.Pods = append(report.Pods, PodReport{Name: resets[0].Pod, UID: uid, Resets: resets, Gone: true})
		}
	}
	slices.SortFunc(report.Pods, func(a, b PodReport) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
	})
	for _, key := range slices.SortedFunc(maps.Keys(r.decision.Lost), Key.compare) {
		report.Problems = append(report.Problems, r.lost(key))
	}
	return report
}

// lost is the problem of a peering without quorum.
func (r *run) lost(key Key) Problem {
	quorum := r.decision.Lost[key]
	message := "it has no primary that its members are linked to"
	if quorum.Primary != "" {
		message = "its primary is in pod " + quorum.Primary
	}
	passing := slices.ContainsFunc(r.pods, func(pod Pod) bool { return !pod.Ready || !pod.active() })
	return Problem{
		Reason: ReasonQuorumLost, Domain: key.Domain, Peering: key.Peering, Passing: passing,
		Message: "no quorum: " + count(quorum.Active, quorum.Members) + " are active, and " + message, Remedy: remedyQuorum,
	}
}

func (r *run) podReport(pod Pod) PodReport {
	report := PodReport{Name: pod.Name, UID: pod.UID, IP: pod.IP, Resets: r.resets[pod.UID]}
	view, looked := r.last[pod.UID]
	for _, key := range slices.SortedFunc(maps.Keys(view), Key.compare) {
		report.Peerings = append(report.Peerings, r.peeringReport(pod, key, view[key]))
	}
	if problem := podProblem(pod); problem.Reason != "" {
		report.Problems = append(report.Problems, problem)
		return report
	}
	problem, failed := r.errors[pod.UID]
	switch {
	case failed:
		report.Problems = append(report.Problems, problem)
	case !looked:
		report.Problems = append(report.Problems, r.noAnswer(pod))
	case r.silent[pod.UID] > 1: // it has answered before, and is late now
		report.Problems = append(report.Problems, r.noAnswer(pod))
	default:
		report.LookedAt = true
	}
	for _, domain := range r.hidden[pod.UID] {
		report.Problems = append(report.Problems, Problem{
			Reason: ReasonNotAuthorized, Domain: domain, Message: "the gateway hides the peerings of domain " + domain + " from the user, or the domain is disabled",
			Remedy: "Give the operator a user with accessLevel privileged in spec.users of the DataPowerService",
		})
	}
	for _, key := range slices.SortedFunc(maps.Keys(view), Key.compare) {
		report.Problems = append(report.Problems, r.peeringProblems(pod, key)...)
	}
	return report
}

func (r *run) noAnswer(pod Pod) Problem {
	if !pod.Ready {
		return Problem{Reason: ReasonPodNotReady, Message: "the pod is not ready, and its gateway has not answered yet", Remedy: remedyPods, Passing: true}
	}
	return Problem{
		Reason: ReasonUnreachable, Message: "the gateway has not answered in time",
		Remedy: "Check that the gateway is alive and not overloaded",
	}
}

func (r *run) peeringReport(pod Pod, key Key, member Member) PeeringReport {
	target := Target{pod.UID, key}
	report := PeeringReport{
		Domain: key.Domain, Name: key.Peering, AdminDisabled: member.Disabled && !leftDisabled(State{Open: r.open}, pod.UID, key),
		Stale: texts(r.decision.Stale[target]), Down: texts(r.decision.Down[target]),
		Found: texts(slices.SortedFunc(maps.Keys(r.found[target]), netip.Addr.Compare)),
	}
	for _, row := range member.Rows {
		report.Members = append(report.Members, row.Address.String())
	}
	address, _ := parseAddress(pod.IP)
	own, _ := member.own(address)
	report.Primary = own.Primary
	if len(report.Found) == 0 { // a look finds without settling
		report.Found = report.Stale
	}
	return report
}

// peeringProblems are what is wrong with one peering of one pod at the end.
func (r *run) peeringProblems(pod Pod, key Key) []Problem {
	target := Target{pod.UID, key}
	var problems []Problem
	if leftDisabled(State{Open: r.open}, pod.UID, key) {
		problems = append(problems, r.stillOpen(target))
	}
	if reason := r.decision.Strange[target]; reason != "" {
		problems = append(problems, Problem{
			Reason: ReasonBadAnswer, Message: "nothing can be said of its members: " + reason,
			Remedy: "Give the peering a local address that is the pod's, for example by a host alias that the gateway sets at its start",
		}.at(key))
	}
	if len(r.decision.Stale[target]) > 0 {
		problems = append(problems, r.stillStale(target).at(key))
	}
	if r.decision.Unlinked[target] {
		problems = append(problems, Problem{
			Reason: ReasonLinkDown, Message: "no link to the primary",
			Remedy:  "See whether network policies let the gateways reach each other, and the gateway's log; restart the pod if it stays so",
			Passing: !pod.Ready,
		}.at(key))
	}
	if down := r.decision.Down[target]; len(down) > 0 {
		problems = append(problems, Problem{
			Reason: ReasonLinkDown, Message: "no link to " + strings.Join(texts(down), ", ") + ", the address of a pod",
			Remedy:  "See whether network policies let the gateways reach each other, and whether those gateways have the peering enabled",
			Passing: slices.ContainsFunc(down, r.ownerChanges),
		}.at(key))
	}
	return problems
}

// ownerChanges tells whether the pod of an address is not ready or terminates.
func (r *run) ownerChanges(address netip.Addr) bool {
	return slices.ContainsFunc(r.pods, func(pod Pod) bool {
		parsed, ok := parseAddress(pod.IP)
		return ok && parsed == address && (!pod.Ready || !pod.active())
	})
}

// stillOpen is the problem of a peering that a reset may have left disabled.
func (r *run) stillOpen(target Target) Problem {
	message := "it may still be disabled after a reset"
	if attempt := r.attempts[target]; attempt != nil && attempt.problem.Message != "" {
		message += ": " + attempt.problem.Message
	}
	return Problem{
		Reason: ReasonPeeringDisabled, Message: message,
		Remedy: "The operator tries again by itself; enable the peering by hand or restart the pod if it takes too long",
	}.at(target.Key)
}

// stillStale is the problem of a peering that still lists stale peers.
func (r *run) stillStale(target Target) Problem {
	listed := "it still lists " + strings.Join(texts(r.decision.Stale[target]), ", ")
	attempt := r.attempts[target]
	if attempt != nil && attempt.spent {
		problem := attempt.problem
		problem.Message = listed + ", and " + problem.Message
		if problem.Remedy == "" {
			problem.Remedy = "Remove the stale peers by hand in the gateway's web interface, or restart the pod; tell the operator the " +
				"name of the gateway's action if it has one"
		}
		return problem
	}
	for _, wait := range r.decision.Waits {
		if wait.Target == target {
			return waitProblem(listed, wait)
		}
	}
	if attempt != nil && attempt.problem.Reason != "" {
		problem := attempt.problem
		problem.Message = listed + ": " + problem.Message
		return problem
	}
	return Problem{Reason: ReasonStillStale, Message: listed, Remedy: "The operator looks again with the next pod event or at its next regular look"}
}

func waitProblem(listed string, wait Wait) Problem {
	remedy := map[Reason]string{
		ReasonWaitingForPods: remedyPods, ReasonQuorumLost: remedyQuorum,
		ReasonQuorumAtRisk: "Bring the other members up: each running pod of the service must be linked to the primary",
	}[wait.Reason]
	return Problem{
		Reason: wait.Reason, Message: listed + " and is not reset, because " + wait.Message, Passing: wait.ForPods,
		Remedy: cmp.Or(remedy, "The operator looks again with the next pod event or at its next regular look"),
	}
}
