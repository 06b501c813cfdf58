package monitor

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
)

// conditionTypes are the conditions of this writer, in the order in which they are written.
var conditionTypes = []string{datapower.ConditionReady, datapower.ConditionWarning, ConditionPeeringHealthy}

// facts are what the status says beside the debouncer's fields.
type facts struct {
	// name and generation are those of the monitor.
	name       string
	generation int64
	// service, monitoring and insecure tell whether the service exists, monitorGatewayPeering is on, and
	// insecureSkipVerify is set.
	service, monitoring, insecure bool
	// health and lastWork are results that are not persisted yet; nil leaves what is.
	health   *metav1.Condition
	lastWork *v1beta2.MonitorWork
	now      time.Time
}

// render makes the status that is wanted from the persisted one.
func render(current v1beta2.DataPowerMonitorStatus, d Decision, f facts) v1beta2.DataPowerMonitorStatus {
	wanted := v1beta2.DataPowerMonitorStatus{
		ObservedGeneration: f.generation,
		LastEvent:          d.LastEvent, WorkPending: d.Pending, WorkInProgress: d.InProgress,
		LastWork: current.LastWork, Resets: current.Resets,
	}
	if f.lastWork != nil {
		wanted.LastWork = f.lastWork
	}
	if !f.service && !d.InProgress {
		wanted.Resets = nil // there is no gateway left that could be reset
	}
	conditions := []metav1.Condition{readyCondition(f), warningCondition(f), healthCondition(current, f)}
	for _, condition := range conditions {
		condition.ObservedGeneration = f.generation
		condition.LastTransitionTime = transition(current.Conditions, condition, f.now)
		wanted.Conditions = append(wanted.Conditions, condition)
	}
	wanted.Phase = phaseOf(wanted.Conditions)
	return wanted
}

func readyCondition(f facts) metav1.Condition {
	condition := metav1.Condition{
		Type: datapower.ConditionReady, Status: metav1.ConditionTrue, Reason: ReasonWatching,
		Message: fmt.Sprintf("watching the pods of DataPowerService %q", f.name),
	}
	if !f.service {
		condition.Status, condition.Reason = metav1.ConditionFalse, ReasonServiceNotFound
		condition.Message = fmt.Sprintf("there is no DataPowerService %q in this namespace: create it, or delete this monitor", f.name)
	}
	return condition
}

func warningCondition(f facts) metav1.Condition {
	if f.insecure && f.monitoring {
		return metav1.Condition{
			Type: datapower.ConditionWarning, Status: metav1.ConditionTrue, Reason: ReasonInsecure,
			Message: "spec.restManagement.tls.insecureSkipVerify: the gateways' certificates are not verified, so whoever can " +
				"redirect the operator's connections learns the administrator's password: name a Secret with ca.crt or " +
				"tls.crt in secretName instead",
		}
	}
	return metav1.Condition{Type: datapower.ConditionWarning, Status: metav1.ConditionFalse, Reason: ReasonNoWarning}
}

func healthCondition(current v1beta2.DataPowerMonitorStatus, f facts) metav1.Condition {
	unknown := func(reason, message string) metav1.Condition {
		return metav1.Condition{Type: ConditionPeeringHealthy, Status: metav1.ConditionUnknown, Reason: reason, Message: message}
	}
	known := meta.FindStatusCondition(current.Conditions, ConditionPeeringHealthy)
	switch {
	case !f.service:
		return unknown(ReasonServiceNotFound, "")
	case !f.monitoring:
		return unknown(ReasonNotMonitored, "spec.monitorGatewayPeering is false")
	case f.health != nil:
		return *f.health
	case known != nil && known.Reason != ReasonServiceNotFound && known.Reason != ReasonNotMonitored:
		return *known
	}
	return unknown(ReasonNotLookedAt, "the gateways have not been looked at yet")
}

func transition(current []metav1.Condition, wanted metav1.Condition, now time.Time) metav1.Time {
	if before := meta.FindStatusCondition(current, wanted.Type); before != nil && before.Status == wanted.Status {
		return before.LastTransitionTime
	}
	return metav1.NewTime(now).Rfc3339Copy()
}

// phaseOf sums the conditions up: Pending without a service, Failed while a gateway's peering is not in order for a
// reason that does not pass by itself, else Running.
func phaseOf(conditions []metav1.Condition) datapower.Phase {
	if !meta.IsStatusConditionTrue(conditions, datapower.ConditionReady) {
		return datapower.PhasePending
	}
	health := meta.FindStatusCondition(conditions, ConditionPeeringHealthy)
	if health != nil && health.Status != metav1.ConditionTrue && !slices.Contains(calmReasons, health.Reason) {
		return datapower.PhaseFailed
	}
	return datapower.PhaseRunning
}

// mine is this writer's part of a status.
func mine(status v1beta2.DataPowerMonitorStatus) v1beta2.DataPowerMonitorStatus {
	all := status.Conditions
	status.Conditions = nil
	for _, conditionType := range conditionTypes {
		if condition := meta.FindStatusCondition(all, conditionType); condition != nil {
			status.Conditions = append(status.Conditions, *condition)
		}
	}
	return status
}

// needsWrite tells whether the wanted status must be written now: not when it is the persisted one, and not yet when
// only the time of the last event moved and another write was a moment ago.
func needsWrite(current, wanted v1beta2.DataPowerMonitorStatus, lazy bool) bool {
	persisted := mine(current)
	if equality.Semantic.DeepEqual(persisted, wanted) {
		return false
	}
	if !lazy {
		return true
	}
	persisted.LastEvent = wanted.LastEvent
	return !equality.Semantic.DeepEqual(persisted, wanted)
}
