package monitor

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/sidecar/peering"
)

// Reasons of events on the monitor. A problem's event has the problem's reason.
const (
	// EventFailedScheduling: a pod finds no node.
	EventFailedScheduling = "PodFailedToSchedule"
	// EventContainerWaiting: a container does not start.
	EventContainerWaiting = "ContainerWaiting"
	// EventReset and EventResetFailed: peerings of a gateway were reset, or could not be.
	EventReset       = "PeeringReset"
	EventResetFailed = "PeeringResetFailed"
	// EventParked and EventParkedConflict: settings of v1beta1 were taken over, or are the user's own by now.
	EventParked         = "V1beta1SettingsApplied"
	EventParkedConflict = "V1beta1SettingsKept"
)

// Log lines beside those of pod events, whose keys are the same.
const (
	msgReset   = "Reset the peering of a gateway"
	msgProblem = "Warning: Gateway peering is not in order"
)

// Actions of events: what the operator was doing.
const (
	actionWatch   = "WatchPods"
	actionLook    = "LookAtPeering"
	actionReset   = "ResetPeering"
	actionConvert = "ConvertSettings"
)

// told remembers what users were told, so that they are told once.
type told struct {
	// pods are the problems of each pod, by container and reason.
	pods map[types.UID]sets.Set[string]
	// problems are those of the last report; nil before the first one of this process.
	problems sets.Set[string]
}

// tellPodEvent logs a pod event, and its problems when they are new.
func (r *Reconciler) tellPodEvent(e *entry, event PodEvent) {
	line := func(text, reason, message string) {
		r.Log.Info(text, "Monitor.Name", e.key.Name, "Pod.Name", event.Name, "Pod.Namespace", event.Namespace,
			"Pod.UID", event.UID, "Pod.IP", event.IP, "Reason", reason, "Message", message)
	}
	line(msgObserved, event.Reason(), event.Message)
	known := e.told.pods[event.UID]
	now := sets.New[string]()
	for _, problem := range event.Problems {
		id := problem.Container + "/" + problem.Reason
		now.Insert(id)
		if known.Has(id) {
			continue
		}
		line(problem.Text, problem.Reason, problem.Message)
		r.tellPodProblem(e.known, event, problem)
	}
	if e.told.pods == nil {
		e.told.pods = map[types.UID]sets.Set[string]{}
	}
	if e.told.pods[event.UID] = now; now.Len() == 0 {
		delete(e.told.pods, event.UID)
	}
}

func (r *Reconciler) tellPodProblem(monitor *v1beta2.DataPowerMonitor, event PodEvent, problem PodProblem) {
	if problem.Usual {
		return
	}
	reason, note := EventFailedScheduling, fmt.Sprintf("pod %s: %s: %s", event.Name, problem.Reason, problem.Message)
	if problem.Container != "" {
		reason = EventContainerWaiting
		note = fmt.Sprintf("pod %s: container %s waits: %s: %s", event.Name, problem.Container, problem.Reason, problem.Message)
	}
	r.event(monitor, podReference(event.Namespace, event.Name, event.UID), corev1.EventTypeWarning, reason, actionWatch, note)
}

// event records an event about the monitor. related may be nil.
func (r *Reconciler) event(monitor *v1beta2.DataPowerMonitor, related runtime.Object, kind, reason, action, note string) {
	r.Recorder.Eventf(monitor, related, kind, reason, action, "%s", oneLine(strings.TrimSuffix(note, ": "), maxNoteBytes))
}

// tellTransitions tells of conditions that changed with a write.
func (r *Reconciler) tellTransitions(monitor *v1beta2.DataPowerMonitor, before v1beta2.DataPowerMonitorStatus) {
	after := monitor.Status.Conditions
	warning := meta.FindStatusCondition(after, datapower.ConditionWarning)
	if warning != nil && warning.Status == metav1.ConditionTrue &&
		!meta.IsStatusConditionTrue(before.Conditions, datapower.ConditionWarning) {
		r.event(monitor, nil, corev1.EventTypeWarning, warning.Reason, actionWatch, warning.Message)
	}
	was := meta.FindStatusCondition(before.Conditions, ConditionPeeringHealthy)
	is := meta.FindStatusCondition(after, ConditionPeeringHealthy)
	if is != nil && is.Status == metav1.ConditionTrue && was != nil && !slices.Contains(calmReasons, was.Reason) {
		r.event(monitor, nil, corev1.EventTypeNormal, is.Reason, actionLook, "the peerings are in order again: "+is.Message)
	}
}

// tellResets tells of the resets of one work, one event for each pod and outcome.
func (r *Reconciler) tellResets(monitor *v1beta2.DataPowerMonitor, report peering.Report) {
	for _, pod := range report.Pods {
		var done, failed []string
		for _, reset := range pod.Resets {
			r.Metrics.reset(reset)
			r.Log.Info(msgReset, "Monitor.Name", monitor.Name, "Pod.Name", pod.Name, "Pod.Namespace", monitor.Namespace, "Pod.UID", pod.UID,
				"Domain", reset.Domain, "Peering", reset.Peering, "Strategy", reset.Strategy, "Stale", reset.Stale,
				"Result", reset.Result, "Message", reset.Message)
			if reset.Result == peering.ResultHealed || reset.Result == peering.ResultRestored {
				done = append(done, resetText(reset))
			} else {
				failed = append(failed, resetText(reset))
			}
		}
		about := podReference(monitor.Namespace, pod.Name, pod.UID)
		if len(done) > 0 {
			r.event(monitor, about, corev1.EventTypeNormal, EventReset, actionReset, joinTexts(done))
		}
		if len(failed) > 0 {
			r.event(monitor, about, corev1.EventTypeWarning, EventResetFailed, actionReset, joinTexts(failed))
		}
	}
}

// tellProblems tells of problems that were not there at the last report. What passes by itself is no news. After a
// restart the status tells whether users know already.
func (r *Reconciler) tellProblems(e *entry, report peering.Report) {
	known := e.told.problems
	silent := known == nil && sameHealth(e)
	e.told.problems = sets.New[string]()
	tell := func(related runtime.Object, name string, problem peering.Problem) {
		if problem.Passing {
			return
		}
		id := strings.Join([]string{name, string(problem.Reason), problem.Domain, problem.Peering}, "/")
		e.told.problems.Insert(id)
		if silent || known.Has(id) {
			return
		}
		r.Log.Info(msgProblem, "Monitor.Name", e.key.Name, "Pod.Name", name, "Pod.Namespace", e.key.Namespace,
			"Domain", problem.Domain, "Peering", problem.Peering, "Reason", problem.Reason, "Message", problem.Message)
		note := problemText(problem)
		if name != "" {
			note = "pod " + name + ": " + note
		}
		r.event(e.known, related, corev1.EventTypeWarning, string(problem.Reason), actionLook, note)
	}
	for _, problem := range report.Problems {
		tell(nil, "", problem)
	}
	for _, pod := range report.Pods {
		for _, problem := range pod.Problems {
			tell(podReference(e.key.Namespace, pod.Name, pod.UID), pod.Name, problem)
		}
	}
}

// sameHealth tells whether the persisted condition says already what the new one says.
func sameHealth(e *entry) bool {
	persisted := meta.FindStatusCondition(e.known.Status.Conditions, ConditionPeeringHealthy)
	return persisted != nil && persisted.Status == e.health.Status && persisted.Reason == e.health.Reason
}
