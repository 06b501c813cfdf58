// Package statustest builds DataPowerServices, StatefulSets and pods for tests
// of package status. Each builder starts from a healthy object; options
// describe how the one at hand differs.
package statustest

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// Identity of the objects that the builders make.
const (
	// Namespace of all objects.
	Namespace = "gateways"
	// Name of the service and its StatefulSet.
	Name = "gw"
	// Version is the version label of the StatefulSet.
	Version = "10.6.0.1"
	// License is the licence of the service.
	License = "L-ABCD-EFGHIJ"
)

// Epoch is when everything began: the transition time of built conditions.
var Epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// ServiceOption changes a DataPowerService.
type ServiceOption func(*v1beta3.DataPowerService)

// Service is a DataPowerService of generation 1 with three replicas and one
// user, whose password is in Secret admin-credentials.
func Service(options ...ServiceOption) *v1beta3.DataPowerService {
	service := &v1beta3.DataPowerService{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: Namespace, Name: Name, UID: types.UID("service-" + Name), Generation: 1, ResourceVersion: "1",
		},
		Spec: v1beta3.DataPowerServiceSpec{
			License:  v1beta3.License{Accept: true, License: License, Use: v1beta3.LicenseUseProduction},
			Version:  "10.6-lts",
			Replicas: ptr.To[int32](3),
			Users:    []v1beta3.User{{Name: "admin", PasswordSecret: "admin-credentials", AccessLevel: "privileged"}},
		},
	}
	for _, option := range options {
		option(service)
	}
	return service
}

// AtGeneration sets metadata.generation.
func AtGeneration(generation int64) ServiceOption {
	return func(s *v1beta3.DataPowerService) { s.Generation = generation }
}

// WithCondition puts a condition into the status, since [Epoch].
func WithCondition(
	conditionType string, status metav1.ConditionStatus, generation int64, reason, message string,
) ServiceOption {
	return func(s *v1beta3.DataPowerService) {
		meta.SetStatusCondition(&s.Status.Conditions, metav1.Condition{
			Type: conditionType, Status: status, ObservedGeneration: generation, Reason: reason, Message: message,
			LastTransitionTime: metav1.NewTime(Epoch),
		})
	}
}

// Deployed says that the helm-operator deployed this generation.
func Deployed(generation int64) ServiceOption {
	return WithCondition(datapower.ConditionDeployed, metav1.ConditionTrue, generation,
		datapower.ReasonInstallSuccessful, "")
}

// WithSpec changes the spec.
func WithSpec(change func(*v1beta3.DataPowerServiceSpec)) ServiceOption {
	return func(s *v1beta3.DataPowerService) { change(&s.Spec) }
}

// SetOption changes a StatefulSet.
type SetOption func(*appsv1.StatefulSet)

// StatefulSet is the StatefulSet of service: as many replicas as the spec
// wants, all up to date and ready.
func StatefulSet(service *v1beta3.DataPowerService, options ...SetOption) *appsv1.StatefulSet {
	replicas := ptr.Deref(service.Spec.Replicas, 1)
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: service.Namespace, Name: service.Name, UID: types.UID("set-" + service.Name), Generation: 1,
			Labels: map[string]string{datapower.ServiceLabel: service.Name, datapower.VersionLabel: Version},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(service,
				v1beta3.GroupVersion.WithKind("DataPowerService"))},
		},
		Spec: appsv1.StatefulSetSpec{
			Replicas:       ptr.To(replicas),
			Selector:       &metav1.LabelSelector{MatchLabels: map[string]string{datapower.ServiceLabel: service.Name}},
			UpdateStrategy: appsv1.StatefulSetUpdateStrategy{Type: appsv1.RollingUpdateStatefulSetStrategyType},
		},
	}
	set.Status.CurrentRevision, set.Status.UpdateRevision = "gw-old", "gw-old"
	Counts(replicas, replicas, replicas)(set)
	Observed(1)(set)
	for _, option := range options {
		option(set)
	}
	return set
}

// Wants sets spec.replicas.
func Wants(replicas int32) SetOption {
	return func(s *appsv1.StatefulSet) { s.Spec.Replicas = &replicas }
}

// Counts sets how many pods exist, are ready, and have the newest revision.
func Counts(existing, ready, updated int32) SetOption {
	return func(s *appsv1.StatefulSet) {
		s.Status.Replicas, s.Status.CurrentReplicas = existing, existing
		s.Status.ReadyReplicas, s.Status.AvailableReplicas = ready, ready
		s.Status.UpdatedReplicas = updated
	}
}

// Updating says that the newest revision is not yet that of all pods.
func Updating() SetOption {
	return func(s *appsv1.StatefulSet) { s.Status.UpdateRevision = "gw-new" }
}

// Observed sets which generation the StatefulSet controller has seen.
func Observed(generation int64) SetOption {
	return func(s *appsv1.StatefulSet) { s.Status.ObservedGeneration = generation }
}

// SetGeneration sets metadata.generation of the StatefulSet.
func SetGeneration(generation int64) SetOption {
	return func(s *appsv1.StatefulSet) { s.Generation = generation }
}

// Partition holds back the update of pods with a lower ordinal.
func Partition(ordinal int32) SetOption {
	return func(s *appsv1.StatefulSet) {
		s.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{Partition: &ordinal}
	}
}

// OnDelete leaves updates to whoever deletes pods.
func OnDelete() SetOption {
	return func(s *appsv1.StatefulSet) {
		s.Spec.UpdateStrategy = appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType}
	}
}

// PodOption changes a pod.
type PodOption func(*corev1.Pod)

// Pod is the running, ready pod of set with this ordinal.
func Pod(set *appsv1.StatefulSet, ordinal int, options ...PodOption) corev1.Pod {
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: set.Namespace, Name: fmt.Sprintf("%s-%d", set.Name, ordinal),
			UID:             types.UID(fmt.Sprintf("pod-%s-%d", set.Name, ordinal)),
			Labels:          map[string]string{datapower.ServiceLabel: set.Labels[datapower.ServiceLabel]},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("StatefulSet"))},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: datapower.ContainerName, Image: "example.com/datapower:1"}}},
		Status: corev1.PodStatus{
			Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}},
			ContainerStatuses: []corev1.ContainerStatus{{
				Name: datapower.ContainerName, Image: "example.com/datapower:1", Ready: true,
				State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
			}},
		},
	}
	for _, option := range options {
		option(&pod)
	}
	return pod
}

// Terminating says that the pod is being deleted.
func Terminating() PodOption {
	return func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: Epoch} }
}

// NotScheduled says that the scheduler has found no node.
func NotScheduled(reason, message string) PodOption {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses = nil
		p.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason, Message: message,
		}}
	}
}

// Waiting says that the gateway's container waits.
func Waiting(reason, message string) PodOption {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses[0].Ready = false
		p.Status.ContainerStatuses[0].State = corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message},
		}
	}
}

// Ended says that the gateway's container ended before, this often.
func Ended(restarts, exitCode int32, reason string) PodOption {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses[0].RestartCount = restarts
		p.Status.ContainerStatuses[0].LastTerminationState = corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: exitCode, Reason: reason},
		}
	}
}

// NotReady says that the gateway's container runs and is not ready.
func NotReady() PodOption {
	return func(p *corev1.Pod) { p.Status.ContainerStatuses[0].Ready = false }
}

// InitWaiting adds an init container that waits.
func InitWaiting(name, reason, message string) PodOption {
	return func(p *corev1.Pod) {
		p.Status.InitContainerStatuses = append(p.Status.InitContainerStatuses, corev1.ContainerStatus{
			Name: name, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		})
	}
}
