package monitor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Change is a kind of pod event, fit for the Reason of a log line and for a label of a metric.
type Change string

// Changes of a pod that are events. Everything else about a pod is none: annotations, labels, the conditions' times and
// messages, numbers that only count.
const (
	// ChangeCreated: the pod is new.
	ChangeCreated Change = "Created"
	// ChangeTerminating: the pod is asked to end.
	ChangeTerminating Change = "Terminating"
	// ChangeDeleted: the pod is gone.
	ChangeDeleted Change = "Deleted"
	// ChangeAddress: the pod has another IP address, or got its first.
	ChangeAddress Change = "AddressChanged"
	// ChangePhase: Pending, Running, Succeeded, Failed or Unknown.
	ChangePhase Change = "PhaseChanged"
	// ChangeReadiness: the pod became Ready, or is no more.
	ChangeReadiness Change = "ReadinessChanged"
	// ChangeRestarted: a container was started again.
	ChangeRestarted Change = "ContainerRestarted"
	// ChangeWaiting: a container waits, for another reason than before, or no more.
	ChangeWaiting Change = "ContainerWaitingChanged"
	// ChangeScheduling: the scheduler finds no node, or has found one after all.
	ChangeScheduling Change = "SchedulingChanged"
	// ChangeNode: the node does not answer, or evicts the pod.
	ChangeNode Change = "NodeChanged"
)

// Messages of the log lines about pod events.
const (
	msgObserved   = "Observed Pod event"
	msgScheduling = "Warning: Pod failed to schedule"
	msgWaiting    = "Warning: Container is in waiting state"
)

// PodEvent is one change of one pod.
type PodEvent struct {
	// At is when it was seen.
	At time.Time
	// Name, Namespace, UID and IP identify the pod.
	Name, Namespace string
	UID             types.UID
	IP              string
	// Owner is the UID of the pod's controller.
	Owner types.UID
	// Changes are what happened, at least one.
	Changes []Change
	// Message describes the changes in words.
	Message string
	// Problems are why the pod does not start, as it is now.
	Problems []PodProblem
}

// Reason is the event's Reason in the log: all changes.
func (e PodEvent) Reason() string {
	words := make([]string, 0, len(e.Changes))
	for _, change := range e.Changes {
		words = append(words, string(change))
	}
	return strings.Join(words, ",")
}

// PodProblem is why a pod or one of its containers does not start.
type PodProblem struct {
	// Text is the message of the log line.
	Text string
	// Container is empty for a pod without a node.
	Container string
	// Reason and Message are those of the pod's condition or of the container's state.
	Reason, Message string
	// Usual is set for what every container goes through when it starts. It is logged and is no warning.
	Usual bool
}

// usualReasons are the reasons for which every container waits for a moment (kubelet, pkg/kubelet/kubelet_pods.go).
var usualReasons = []string{"ContainerCreating", "PodInitializing"}

// podFacts is what of a pod an event is made of.
type podFacts struct {
	ip          string
	phase       corev1.PodPhase
	ready       bool
	terminating bool
	scheduling  string
	node        string
	restarts    int32
	waiting     string
}

// factsOf reads the facts of a pod.
func factsOf(pod *corev1.Pod) podFacts {
	facts := podFacts{
		ip: pod.Status.PodIP, phase: pod.Status.Phase, terminating: pod.DeletionTimestamp != nil, node: pod.Status.Reason,
	}
	for _, condition := range pod.Status.Conditions {
		switch condition.Type {
		case corev1.PodReady:
			facts.ready = condition.Status == corev1.ConditionTrue
		case corev1.PodScheduled:
			if condition.Status == corev1.ConditionFalse {
				facts.scheduling = cmp.Or(condition.Reason, "Unknown")
			}
		case corev1.DisruptionTarget:
			if condition.Status == corev1.ConditionTrue {
				facts.node += "/" + condition.Reason
			}
		}
	}
	var waiting []string
	for _, status := range allContainers(pod) {
		facts.restarts += status.RestartCount
		if status.State.Waiting != nil {
			waiting = append(waiting, status.Name+": "+status.State.Waiting.Reason)
		}
	}
	facts.waiting = strings.Join(waiting, ", ")
	return facts
}

func allContainers(pod *corev1.Pod) []corev1.ContainerStatus {
	return slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)
}

// changesBetween lists what happened between two looks at one pod.
func changesBetween(was, is podFacts) (changes []Change, message string) {
	var texts []string
	note := func(changed bool, change Change, format string, args ...any) {
		if changed {
			changes = append(changes, change)
			texts = append(texts, fmt.Sprintf(format, args...))
		}
	}
	note(is.terminating && !was.terminating, ChangeTerminating, "the pod is being deleted")
	note(is.ip != was.ip, ChangeAddress, "address %s is now %s", orNone(was.ip), orNone(is.ip))
	note(is.phase != was.phase, ChangePhase, "phase %s is now %s", orNone(string(was.phase)), orNone(string(is.phase)))
	note(is.ready && !was.ready, ChangeReadiness, "the pod is ready")
	note(!is.ready && was.ready, ChangeReadiness, "the pod is not ready any more")
	note(is.restarts != was.restarts, ChangeRestarted, "containers were restarted %d times", is.restarts)
	note(is.waiting != was.waiting, ChangeWaiting, "waiting containers: %s", orNone(is.waiting))
	note(is.scheduling != was.scheduling, ChangeScheduling, "scheduling problem: %s", orNone(is.scheduling))
	note(is.node != was.node, ChangeNode, "status reason: %s", orNone(is.node))
	return changes, strings.Join(texts, "; ")
}

func orNone(text string) string { return cmp.Or(text, "none") }

// problemsOf lists why a pod does not start. A pod that is being deleted has no problems.
func problemsOf(pod *corev1.Pod) []PodProblem {
	if pod.DeletionTimestamp != nil {
		return nil
	}
	var problems []PodProblem
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse &&
			condition.Reason != corev1.PodReasonSchedulingGated {
			problems = append(problems, PodProblem{Text: msgScheduling, Reason: condition.Reason, Message: condition.Message})
		}
	}
	for _, status := range allContainers(pod) {
		if waiting := status.State.Waiting; waiting != nil {
			problems = append(problems, PodProblem{
				Text: msgWaiting, Container: status.Name, Reason: waiting.Reason, Message: waiting.Message,
				Usual: slices.Contains(usualReasons, waiting.Reason),
			})
		}
	}
	return problems
}

// newPodEvent describes a change of a pod from was, nil for a new pod, to is. gone tells that is is its last state. It
// returns false when nothing happened that is an event, or when no StatefulSet controls the pod.
func newPodEvent(was, is *corev1.Pod, gone bool, at time.Time) (event PodEvent, service string, ok bool) {
	owner := metav1.GetControllerOf(is)
	if owner == nil || owner.Kind != statefulSetKind {
		return PodEvent{}, "", false
	}
	event = PodEvent{
		At: at, Name: is.Name, Namespace: is.Namespace, UID: is.UID, IP: is.Status.PodIP, Owner: owner.UID,
		Problems: problemsOf(is),
	}
	switch {
	case gone:
		event.Changes, event.Message, event.Problems = []Change{ChangeDeleted}, "the pod is gone", nil
	case was == nil:
		event.Changes, event.Message = []Change{ChangeCreated}, "the pod is new"
	default:
		event.Changes, event.Message = changesBetween(factsOf(was), factsOf(is))
	}
	return event, owner.Name, len(event.Changes) > 0
}
