package status

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/datapower-operator/datapower-operator/api/datapower"
)

// byOrdinal returns the pods in the order of their ordinals; a pod whose name
// ends in no number comes last.
func byOrdinal(pods []corev1.Pod) []corev1.Pod {
	sorted := slices.Clone(pods)
	slices.SortFunc(sorted, func(a, b corev1.Pod) int {
		return cmp.Or(cmp.Compare(ordinal(a.Name), ordinal(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	return sorted
}

func ordinal(name string) uint64 {
	number, err := strconv.ParseUint(name[strings.LastIndex(name, "-")+1:], 10, 63)
	if err != nil {
		return 1 << 63
	}
	return number
}

// podProblems reports pods that find no node and containers that do not start.
// The same problem of several pods is one problem that names them all. Pods
// that are being deleted are past caring. others is the number of problems
// that were found elsewhere.
func podProblems(in Input, others int) []problem {
	live := slices.DeleteFunc(byOrdinal(in.Pods), func(pod corev1.Pod) bool { return pod.DeletionTimestamp != nil })
	var found podFindings
	for _, pod := range live {
		found.add(pod.Name, schedulingProblems(pod)...)
	}
	for _, pod := range live {
		found.add(pod.Name, waitingProblems(pod)...)
	}
	if found.has(ReasonCrashLoopBackOff) || (len(found.order)+others == 0 && wasCrashing(in)) {
		for _, pod := range live {
			found.add(pod.Name, restartingProblems(pod)...)
		}
	}
	return found.problems()
}

// wasCrashing tells whether the service's Error said last time that containers
// keep ending. A container that does so waits only between its attempts: what
// it is while it tries again is judged by what it was before, or the condition
// would flap with every attempt.
func wasCrashing(in Input) bool {
	before := Current(in.Service)
	return before.isTrue(datapower.ConditionError) &&
		before.condition(datapower.ConditionError).Reason == ReasonCrashLoopBackOff
}

// podFindings collects problems with the pods that have them, in the order in
// which the problems were first seen.
type podFindings struct {
	order []problem
	pods  map[problem][]string
}

func (f *podFindings) add(pod string, problems ...problem) {
	for _, p := range problems {
		if f.pods == nil {
			f.pods = map[problem][]string{}
		}
		if _, known := f.pods[p]; !known {
			f.order = append(f.order, p)
		}
		f.pods[p] = append(f.pods[p], pod)
	}
}

func (f *podFindings) has(reason string) bool {
	return slices.ContainsFunc(f.order, func(p problem) bool { return p.reason == reason })
}

func (f *podFindings) problems() []problem {
	var problems []problem
	for _, p := range f.order {
		noun := "Pod"
		if len(f.pods[p]) > 1 {
			noun = "Pods"
		}
		problems = append(problems, problem{reason: p.reason, text: fmt.Sprintf("%s %s: %s", noun, quoted(f.pods[p]), p.text)})
	}
	return problems
}

// schedulingProblems repeats the scheduler's own words.
func schedulingProblems(pod corev1.Pod) []problem {
	for _, condition := range pod.Status.Conditions {
		unschedulable := condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse &&
			(condition.Reason == corev1.PodReasonUnschedulable || condition.Reason == corev1.PodReasonSchedulerError)
		if unschedulable {
			return []problem{{reason: ReasonUnschedulable, text: "cannot be scheduled: " + condition.Message}}
		}
	}
	return nil
}
