package monitor

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/sidecar/peering"
)

// Condition types of a DataPowerMonitor beside Ready and Warning.
const (
	// ConditionPeeringHealthy is True while every gateway's peerings list live gateways only, False while one is known
	// not to, and Unknown while nobody can tell. Its message tells pod by pod.
	ConditionPeeringHealthy = "PeeringHealthy"
)

// Reasons that this package gives. The reason of PeeringHealthy may also be that of a [peering.Problem].
const (
	// ReasonWatching is the reason of Ready=True.
	ReasonWatching = "Watching"
	// ReasonServiceNotFound: there is no DataPowerService of the monitor's name.
	ReasonServiceNotFound = "ServiceNotFound"
	// ReasonInsecure is the reason of Warning=True: the gateways' certificates are not verified.
	ReasonInsecure = "InsecureSkipVerify"
	// ReasonNoWarning is the reason of Warning=False.
	ReasonNoWarning = "NoWarning"
	// ReasonHealthy is the reason of PeeringHealthy=True.
	ReasonHealthy = "NoStalePeers"
	// ReasonStale is the reason of PeeringHealthy=False when no problem explains the stale peers.
	ReasonStale = "StalePeers"
	// ReasonNotMonitored: monitorGatewayPeering is off.
	ReasonNotMonitored = "NotMonitored"
	// ReasonNotLookedAt: the gateways have not been looked at yet.
	ReasonNotLookedAt = "NotLookedAtYet"
	// ReasonNoPods: the service has no pods.
	ReasonNoPods = "NoPods"
)

// calmReasons are the reasons of PeeringHealthy that are nobody's failure: what is missing comes by itself.
var calmReasons = []string{
	ReasonHealthy, ReasonNotMonitored, ReasonNotLookedAt, ReasonNoPods, ReasonServiceNotFound,
	string(peering.ReasonPodNotReady), string(peering.ReasonWaitingForPods), string(peering.ReasonInterrupted),
}

// healthOf makes the condition PeeringHealthy of a report.
func healthOf(report peering.Report) metav1.Condition {
	health := metav1.Condition{Type: ConditionPeeringHealthy, Status: metav1.ConditionTrue, Reason: ReasonHealthy}
	problem, hasProblem := worst(report.AllProblems())
	switch {
	case report.Stale() > 0:
		health.Status, health.Reason = metav1.ConditionFalse, ReasonStale
	case hasProblem && isKnownBad(report):
		health.Status = metav1.ConditionFalse
	case !hasProblem && hasDownLinks(report):
		health.Status, health.Reason = metav1.ConditionFalse, string(peering.ReasonLinkDown)
	case hasProblem:
		health.Status = metav1.ConditionUnknown
	case len(report.Pods) == 0:
		health.Status, health.Reason = metav1.ConditionUnknown, ReasonNoPods
	}
	if hasProblem {
		health.Reason = string(problem.Reason)
	}
	if hasProblem && problem.Passing && !slices.Contains(calmReasons, health.Reason) {
		health.Reason = string(peering.ReasonWaitingForPods) // all problems come of pods that start or end
	}
	health.Message = healthMessage(report)
	return health
}

// isKnownBad tells whether a look has shown that a peering is not as it should be.
func isKnownBad(report peering.Report) bool {
	bad := []peering.Reason{
		peering.ReasonLinkDown, peering.ReasonQuorumLost, peering.ReasonStillStale, peering.ReasonPeeringDisabled,
		peering.ReasonNoWayToReset, peering.ReasonResetFailed, peering.ReasonQuorumAtRisk,
	}
	return slices.ContainsFunc(report.AllProblems(), func(p peering.Problem) bool { return slices.Contains(bad, p.Reason) })
}

func hasDownLinks(report peering.Report) bool {
	for _, pod := range report.Pods {
		if slices.ContainsFunc(pod.Peerings, func(p peering.PeeringReport) bool { return len(p.Down) > 0 }) {
			return true
		}
	}
	return false
}

// worst is the first problem that does not pass by itself, else the first one.
func worst(problems []peering.Problem) (peering.Problem, bool) {
	if at := slices.IndexFunc(problems, func(p peering.Problem) bool { return !p.Passing }); at >= 0 {
		return problems[at], true
	}
	if len(problems) > 0 {
		return problems[0], true
	}
	return peering.Problem{}, false
}

// healthMessage tells of the service, then of the pods: those with problems first.
func healthMessage(report peering.Report) string {
	texts := []string{fmt.Sprintf("looked at %d of %d gateways", report.LookedAt(), len(report.Pods))}
	for _, problem := range report.Problems {
		texts = append(texts, problemText(problem))
	}
	var fine []string
	for _, pod := range report.Pods {
		text, isFine := podText(pod)
		if isFine {
			fine = append(fine, text)
		} else {
			texts = append(texts, text)
		}
	}
	return joinTexts(append(texts, fine...))
}

func podText(pod peering.PodReport) (text string, fine bool) {
	var parts []string
	for _, p := range pod.Peerings {
		explained := slices.ContainsFunc(pod.Problems, func(problem peering.Problem) bool {
			return problem.Domain == p.Domain && problem.Peering == p.Name
		})
		if len(p.Stale) > 0 && !explained {
			parts = append(parts, fmt.Sprintf("%s/%s has stale peers %s", p.Domain, p.Name, addresses(p.Stale)))
		}
		if len(p.Down) > 0 && !explained {
			parts = append(parts, fmt.Sprintf("%s/%s has no link to %s", p.Domain, p.Name, addresses(p.Down)))
		}
	}
	parts = append(parts, problemTexts(pod.Problems)...)
	if len(parts) > 0 {
		return pod.Name + ": " + strings.Join(parts, ", "), false
	}
	if !pod.LookedAt {
		return pod.Name + ": not looked at", false
	}
	return fmt.Sprintf("%s: %s in order", pod.Name, plural(len(pod.Peerings), "peering", "peerings")), true
}

// addresses shows a few of many.
func addresses(all []string) string {
	const shown = 5
	if len(all) <= shown {
		return strings.Join(all, " ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:shown], " "), len(all)-shown)
}

// problemTexts are the texts of problems: of those that differ in nothing but the place, one.
func problemTexts(problems []peering.Problem) []string {
	var texts []string
	for i, problem := range problems {
		same := func(other peering.Problem) bool {
			return other.Reason == problem.Reason && other.Message == problem.Message && other.Remedy == problem.Remedy
		}
		if slices.ContainsFunc(problems[:i], same) {
			continue
		}
		var places []string
		for _, other := range problems[i:] {
			if place := placeOf(other); place != "" && same(other) {
				places = append(places, place)
			}
		}
		texts = append(texts, textAt(strings.Join(places, " "), problem))
	}
	return texts
}

func problemText(problem peering.Problem) string { return textAt(placeOf(problem), problem) }

// placeOf is the peering or the domain of a problem, empty when it is one of the whole gateway or service.
func placeOf(problem peering.Problem) string {
	switch {
	case problem.Peering != "":
		return problem.Domain + "/" + problem.Peering
	case problem.Domain != "":
		return "domain " + problem.Domain
	}
	return ""
}

func textAt(place string, problem peering.Problem) string {
	text := strings.TrimPrefix(place+" "+string(problem.Reason), " ")
	if problem.Message != "" {
		text += ": " + strings.TrimSuffix(problem.Message, ".")
	}
	if problem.Remedy != "" {
		text += " (" + strings.TrimSuffix(problem.Remedy, ".") + ")"
	}
	return text
}

func plural(count int, one, many string) string {
	if count == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", count, many)
}

// resultWords are the words of status.lastWork.result.
var resultWords = map[peering.Result]string{
	peering.ResultClean: "Clean", peering.ResultHealed: "Healed", peering.ResultWaiting: "Waiting",
	peering.ResultFailed: "Failed", peering.ResultInterrupted: "Interrupted",
}

// resultNotMonitored is the result of work while monitorGatewayPeering is off.
const resultNotMonitored = "NotMonitored"

// workOf makes status.lastWork of a report.
func workOf(report peering.Report, began, ended metav1.Time) *v1beta2.MonitorWork {
	work := &v1beta2.MonitorWork{
		Started: began, Completed: ended, Result: resultWords[report.Result()],
		PodsLookedAt: int32(report.LookedAt()), StalePeersFound: int32(report.Found()), ResetsDone: int32(len(report.Resets())),
	}
	var texts []string
	for _, problem := range report.Problems {
		texts = append(texts, problemText(problem))
	}
	for _, pod := range report.Pods {
		texts = append(texts, podWork(pod)...)
	}
	work.Message = joinTexts(texts)
	return work
}

// podWork tells what was found, done and left at one pod; nothing of a pod that was in order.
func podWork(pod peering.PodReport) []string {
	var texts []string
	for _, p := range pod.Peerings {
		if len(p.Found) > 0 {
			texts = append(texts, fmt.Sprintf("%s: %s/%s had stale peers %s", pod.Name, p.Domain, p.Name, addresses(p.Found)))
		}
	}
	for _, reset := range pod.Resets {
		texts = append(texts, resetText(reset))
	}
	for _, text := range problemTexts(pod.Problems) {
		texts = append(texts, pod.Name+": "+text)
	}
	return texts
}

func resetText(reset peering.ResetReport) string {
	text := fmt.Sprintf("%s: reset of %s/%s by %s: %s", reset.Pod, reset.Domain, reset.Peering, reset.Strategy, reset.Result)
	if reset.Message != "" {
		text += ": " + reset.Message
	}
	return text
}
