package status

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// The only management interface that status.mgmtPorts lists: the REST
// management interface and its default port (IBM DataPower documentation,
// "REST management interface").
const (
	restMgmtName       = "rest-mgmt"
	restMgmtPort int32 = 5554
)

// Compute decides what the status says. It is pure and deterministic, and
// computing again from its own result changes nothing.
func Compute(in Input) Status {
	rollout := rolloutOf(in.Service, in.StatefulSet)
	problems := problemsOf(in)
	conditions := conditionsOf(in, rollout, problems)
	return Status{
		Phase:         phaseOf(rollout, problems),
		Conditions:    conditions,
		Replicas:      existingReplicas(in),
		LabelSelector: labelSelector(in),
		Pods:          podNames(in.Pods),
		Versions:      versionsOf(in),
		MgmtPorts:     []v1beta3.MgmtPort{{Name: restMgmtName, Port: restMgmtPort}},
		CustomImages:  in.Service.Spec.Image != "",
		Generated:     generated(in),
	}
}

func phaseOf(rollout rollout, problems []problem) datapower.Phase {
	switch {
	case len(problems) > 0:
		return datapower.PhaseFailed
	case rollout.complete:
		return datapower.PhaseRunning
	default:
		return datapower.PhasePending
	}
}

// conditionsOf builds the conditions with the transition times of those of
// the same type and status that the service already has.
func conditionsOf(in Input, rollout rollout, problems []problem) []metav1.Condition {
	generation := in.Service.Generation
	conditions := []metav1.Condition{readyCondition(in.Service, rollout)}
	if !rollout.complete {
		conditions = append(conditions, pendingCondition(generation, rollout))
	}
	conditions = append(conditions, errorCondition(generation, problems), warningCondition(generation, warningsOf(in)))
	for i := range conditions {
		conditions[i].LastTransitionTime = transitionTime(in, conditions[i])
	}
	return conditions
}

func readyCondition(service *v1beta3.DataPowerService, rollout rollout) metav1.Condition {
	ready := metav1.Condition{
		Type: datapower.ConditionReady, Status: metav1.ConditionFalse, ObservedGeneration: deployedGeneration(service),
		Reason: ReasonStatefulSetNotReady, Message: rollout.message,
	}
	if rollout.complete {
		ready.Status, ready.Reason = metav1.ConditionTrue, datapower.ReasonStatefulSetReady
	}
	return ready
}

func pendingCondition(generation int64, rollout rollout) metav1.Condition {
	pending := metav1.Condition{
		Type: datapower.ConditionPending, Status: metav1.ConditionTrue, ObservedGeneration: generation,
		Reason: ReasonStatefulSetNotReady, Message: rollout.message,
	}
	if rollout.changing {
		pending.Reason = ReasonStatefulSetChanging
	}
	return pending
}

func errorCondition(generation int64, problems []problem) metav1.Condition {
	condition := metav1.Condition{
		Type: datapower.ConditionError, Status: metav1.ConditionFalse, ObservedGeneration: generation,
		Reason: datapower.ReasonNoError,
	}
	if len(problems) > 0 {
		condition.Status = metav1.ConditionTrue
		condition.Reason = problems[0].reason
		condition.Message = joinTexts(texts(problems))
	}
	return condition
}

func warningCondition(generation int64, warnings []string) metav1.Condition {
	condition := metav1.Condition{
		Type: datapower.ConditionWarning, Status: metav1.ConditionFalse, ObservedGeneration: generation,
		Reason: ReasonNoWarning,
	}
	if len(warnings) > 0 {
		condition.Status = metav1.ConditionTrue
		condition.Reason = datapower.ReasonReconcileWarning
		condition.Message = joinTexts(warnings)
	}
	return condition
}

// transitionTime is when the condition got its status: the time it already
// has, or now.
func transitionTime(in Input, condition metav1.Condition) metav1.Time {
	before := meta.FindStatusCondition(in.Service.Status.Conditions, condition.Type)
	if before != nil && before.Status == condition.Status && !before.LastTransitionTime.IsZero() {
		return before.LastTransitionTime
	}
	return metav1.NewTime(in.Now).Rfc3339Copy()
}

// deployedGeneration is the newest generation of the service that the
// helm-operator has turned into objects. While the newest attempt failed it is
// the one before, as Ready remembers it, so that nobody takes the readiness of
// the old pods for that of the new state.
func deployedGeneration(service *v1beta3.DataPowerService) int64 {
	conditions := service.Status.Conditions
	deployed := meta.FindStatusCondition(conditions, datapower.ConditionDeployed)
	failed := meta.IsStatusConditionTrue(conditions, datapower.ConditionReleaseFailed) ||
		meta.IsStatusConditionTrue(conditions, datapower.ConditionIrreconcilable)
	if deployed != nil && deployed.Status == metav1.ConditionTrue && !failed {
		return deployed.ObservedGeneration
	}
	if ready := meta.FindStatusCondition(conditions, datapower.ConditionReady); ready != nil {
		return ready.ObservedGeneration
	}
	return 0
}

func existingReplicas(in Input) int32 {
	if in.StatefulSet == nil {
		return 0
	}
	return in.StatefulSet.Status.Replicas
}

func labelSelector(in Input) string {
	if in.StatefulSet == nil || in.StatefulSet.Spec.Selector == nil {
		return ""
	}
	selector, err := metav1.LabelSelectorAsSelector(in.StatefulSet.Spec.Selector)
	if err != nil {
		return "" // the API server accepts no such StatefulSet
	}
	return selector.String()
}

func podNames(pods []corev1.Pod) []string {
	names := make([]string, 0, len(pods))
	for _, pod := range byOrdinal(pods) {
		names = append(names, pod.Name)
	}
	return names
}

// generated lists those generated Secrets that exist by now.
func generated(in Input) []v1beta3.Generated {
	found := []v1beta3.Generated{}
	for _, secret := range v1beta3.GeneratedSecrets(in.Service) {
		if in.Objects.has(ObjectName{v1beta3.KindSecret, secret.Name}) {
			found = append(found, v1beta3.Generated{Kind: v1beta3.KindSecret, Name: secret.Name, Context: secret.Context})
		}
	}
	return found
}
