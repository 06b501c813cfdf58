package status

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// Reasons that this package gives beside those of package datapower. The
// reason of Error may also be a container's waiting reason as the kubelet
// spells it, for example ImagePullBackOff.
const (
	// ReasonStatefulSetNotReady is the reason of Ready=False, and of Pending
	// while pods are not ready or there is no StatefulSet.
	ReasonStatefulSetNotReady = "StatefulSetNotReady"
	// ReasonStatefulSetChanging is the reason of Pending during a rolling update
	// or a scale-down.
	ReasonStatefulSetChanging = "StatefulSetChanging"
	// ReasonNoWarning is the reason of Warning=False.
	ReasonNoWarning = "NoWarning"
	// ReasonReferenceNotFound: the spec names a Secret or ConfigMap that does
	// not exist.
	ReasonReferenceNotFound = "ReferenceNotFound"
	// ReasonReferenceKeyNotFound: a named Secret or ConfigMap lacks a key.
	ReasonReferenceKeyNotFound = "ReferenceKeyNotFound"
	// ReasonUnschedulable: the scheduler finds no node for a pod.
	ReasonUnschedulable = "Unschedulable"
	// ReasonCrashLoopBackOff: a container keeps ending soon after its start.
	ReasonCrashLoopBackOff = "CrashLoopBackOff"
	// ReasonImagePullBackOff: an image cannot be pulled.
	ReasonImagePullBackOff = "ImagePullBackOff"
	// ReasonContainerWaiting stands in for a waiting reason that is no valid
	// condition reason.
	ReasonContainerWaiting = "ContainerWaiting"
)

// conditionTypes are the conditions of this writer, in the order in which they
// are written.
var conditionTypes = []string{
	datapower.ConditionReady, datapower.ConditionPending, datapower.ConditionError, datapower.ConditionWarning,
}

// Status is this writer's part of DataPowerService.status: nothing more, so
// that applying it leaves the fields of others alone, and nothing less: empty
// values are applied too, so that a value of former times goes away.
type Status struct {
	// Phase is Pending, Running or Failed.
	Phase datapower.Phase `json:"phase"`
	// Conditions are Ready, Pending, Error and Warning, as far as present.
	Conditions []metav1.Condition `json:"conditions"`
	// Replicas is the number of pods that exist, for the scale subresource.
	Replicas int32 `json:"replicas"`
	// LabelSelector selects these pods, for the scale subresource.
	LabelSelector string `json:"labelSelector"`
	// Pods are the names of the StatefulSet's pods by ordinal.
	Pods []string `json:"pods"`
	// Versions are the exact version in use and what could be used instead;
	// Available is never nil.
	Versions v1beta3.Versions `json:"versions"`
	// MgmtPorts are the management ports of every pod.
	MgmtPorts []v1beta3.MgmtPort `json:"mgmtPorts"`
	// CustomImages tells that spec.image replaces the catalogue's image.
	CustomImages bool `json:"customImages"`
	// Generated are the Secrets that the operator made for spec fields which
	// say "generate: true".
	Generated []v1beta3.Generated `json:"generated"`
}

// Current is this writer's part of the status that service carries.
func Current(service *v1beta3.DataPowerService) Status {
	from := service.Status
	current := Status{
		Phase:         from.Phase,
		Replicas:      ptr.Deref(from.Replicas, 0),
		LabelSelector: from.LabelSelector,
		Pods:          from.Pods,
		Versions:      ptr.Deref(from.Versions, v1beta3.Versions{}),
		MgmtPorts:     from.MgmtPorts,
		CustomImages:  ptr.Deref(from.CustomImages, false),
		Generated:     from.Generated,
	}
	if current.Versions.Available == nil {
		current.Versions.Available = &v1beta3.AvailableVersions{}
	}
	for _, conditionType := range conditionTypes {
		if condition := meta.FindStatusCondition(from.Conditions, conditionType); condition != nil {
			current.Conditions = append(current.Conditions, *condition)
		}
	}
	return current
}

// Equal tells whether writing other in place of s would change nothing. Lists
// that are nil and lists that are empty are the same, as they are to the API
// server.
func (s Status) Equal(other Status) bool { return equality.Semantic.DeepEqual(s, other) }

// condition returns the condition of a type, or the zero condition, whose
// status is neither True nor False.
func (s Status) condition(conditionType string) metav1.Condition {
	at := slices.IndexFunc(s.Conditions, func(c metav1.Condition) bool { return c.Type == conditionType })
	if at < 0 {
		return metav1.Condition{}
	}
	return s.Conditions[at]
}

// isTrue tells whether a condition is there and True.
func (s Status) isTrue(conditionType string) bool {
	return s.condition(conditionType).Status == metav1.ConditionTrue
}
