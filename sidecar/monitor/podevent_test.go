package monitor

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// runningPod is a pod of a StatefulSet in full health.
func runningPod() *corev1.Pod {
	isController := true
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "gateways", Name: "gw-0", UID: "pod-uid", ResourceVersion: "1",
			OwnerReferences: []metav1.OwnerReference{{Kind: "StatefulSet", Name: "gw", UID: "set-uid", Controller: &isController}},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: "10.0.0.1",
			Conditions: []corev1.PodCondition{
				{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: corev1.ConditionTrue},
			},
			ContainerStatuses: []corev1.ContainerStatus{{Name: "datapower", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}},
		},
	}
}

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func TestPodEvents(t *testing.T) {
	tests := map[string]struct {
		change  func(*corev1.Pod)
		reason  string
		message string
	}{
		"an annotation is no event":         {change: func(p *corev1.Pod) { p.Annotations, p.ResourceVersion = map[string]string{"a": "b"}, "2" }},
		"a label is no event":               {change: func(p *corev1.Pod) { p.Labels = map[string]string{"a": "b"} }},
		"a condition's message is no event": {change: func(p *corev1.Pod) { p.Status.Conditions[1].Message = "fine" }},
		"a deletion": {
			change: func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: noon} },
			reason: "Terminating", message: "the pod is being deleted",
		},
		"another address": {
			change: func(p *corev1.Pod) { p.Status.PodIP = "10.0.0.2" },
			reason: "AddressChanged", message: "address 10.0.0.1 is now 10.0.0.2",
		},
		"a lost address": {
			change: func(p *corev1.Pod) { p.Status.PodIP = "" }, reason: "AddressChanged", message: "address 10.0.0.1 is now none",
		},
		"another phase": {
			change: func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed },
			reason: "PhaseChanged", message: "phase Running is now Failed",
		},
		"lost readiness": {
			change: func(p *corev1.Pod) { p.Status.Conditions[1].Status = corev1.ConditionFalse },
			reason: "ReadinessChanged", message: "the pod is not ready any more",
		},
		"a restart": {
			change: func(p *corev1.Pod) { p.Status.ContainerStatuses[0].RestartCount = 3 },
			reason: "ContainerRestarted", message: "containers were restarted 3 times",
		},
		"a waiting container": {
			change: func(p *corev1.Pod) { p.Status.ContainerStatuses[0].State = waiting("CrashLoopBackOff", "") },
			reason: "ContainerWaitingChanged", message: "waiting containers: datapower: CrashLoopBackOff",
		},
		"no node": {
			change: func(p *corev1.Pod) {
				p.Status.Conditions[0] = corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable"}
			},
			reason: "SchedulingChanged", message: "scheduling problem: Unschedulable",
		},
		"a lost node": {
			change: func(p *corev1.Pod) { p.Status.Reason = "NodeLost" }, reason: "NodeChanged", message: "status reason: NodeLost",
		},
		"an eviction": {
			change: func(p *corev1.Pod) {
				p.Status.Conditions = append(p.Status.Conditions,
					corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "DeletionByTaintManager"})
			},
			reason: "NodeChanged", message: "status reason: /DeletionByTaintManager",
		},
		"two things at once": {
			change: func(p *corev1.Pod) {
				p.Status.Phase, p.Status.Conditions[1].Status = corev1.PodUnknown, corev1.ConditionUnknown
			},
			reason:  "PhaseChanged,ReadinessChanged",
			message: "phase Running is now Unknown; the pod is not ready any more",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			is := runningPod()
			test.change(is)
			event, service, ok := newPodEvent(runningPod(), is, false, noon)
			assert.Equal(t, test.reason != "", ok)
			if !ok {
				return
			}
			assert.Equal(t, "gw", service)
			assert.Equal(t, test.reason, event.Reason())
			assert.Equal(t, test.message, event.Message)
			back, _, ok := newPodEvent(is, runningPod(), false, noon)
			assert.Equal(t, test.reason != "Terminating", ok, "the way back is an event, too: %v", back)
		})
	}
}

func TestPodsThatComeAndGoAreEvents(t *testing.T) {
	pod := runningPod()
	pod.Status.ContainerStatuses[0].State = waiting("ErrImagePull", "not found")
	event, service, ok := newPodEvent(nil, pod, false, noon)
	require.True(t, ok)
	assert.Equal(t, "gw", service)
	assert.Equal(t, PodEvent{
		At: noon, Name: "gw-0", Namespace: "gateways", UID: "pod-uid", IP: "10.0.0.1", Owner: "set-uid",
		Changes: []Change{ChangeCreated}, Message: "the pod is new",
		Problems: []PodProblem{{Text: msgWaiting, Container: "datapower", Reason: "ErrImagePull", Message: "not found"}},
	}, event)

	event, _, ok = newPodEvent(nil, pod, true, noon)
	require.True(t, ok)
	assert.Equal(t, []Change{ChangeDeleted}, event.Changes)
	assert.Empty(t, event.Problems, "what is gone has no problems")
}

func TestPodsOfNoStatefulSetAreNobodysBusiness(t *testing.T) {
	pod := runningPod()
	pod.OwnerReferences[0].Kind = "ReplicaSet"
	_, _, ok := newPodEvent(nil, pod, false, noon)
	assert.False(t, ok)
	pod.OwnerReferences = nil
	_, _, ok = newPodEvent(nil, pod, false, noon)
	assert.False(t, ok)
}

func TestProblemsOfPods(t *testing.T) {
	pod := runningPod()
	pod.Status.Conditions[0] = corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/3 nodes are available"}
	pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "init", State: waiting("PodInitializing", "")}}
	pod.Status.ContainerStatuses[0].State = waiting("CrashLoopBackOff", "back-off 10s")
	assert.Equal(t, []PodProblem{
		{Text: "Warning: Pod failed to schedule", Reason: "Unschedulable", Message: "0/3 nodes are available"},
		{Text: "Warning: Container is in waiting state", Container: "init", Reason: "PodInitializing", Usual: true},
		{Text: "Warning: Container is in waiting state", Container: "datapower", Reason: "CrashLoopBackOff", Message: "back-off 10s"},
	}, problemsOf(pod))

	pod.DeletionTimestamp = &metav1.Time{Time: noon}
	assert.Empty(t, problemsOf(pod), "a pod that ends does not start")

	pod = runningPod()
	pod.Status.Conditions[0] = corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "SchedulingGated"}
	assert.Empty(t, problemsOf(pod), "a gate is somebody's wish")
}
