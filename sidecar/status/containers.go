package status

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Waiting reasons of the kubelet (k8s.io/kubernetes, pkg/kubelet/container and
// pkg/kubelet/images). The first two belong to every healthy start; any reason
// that is not one of them tells of something that went wrong.
const (
	waitingContainerCreating = "ContainerCreating"
	waitingPodInitializing   = "PodInitializing"
	waitingErrImagePull      = "ErrImagePull"
)

// conditionReason is what the API accepts as the reason of a condition.
var conditionReason = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`)

// container is one container's state with the words to call it by.
type container struct {
	corev1.ContainerStatus
	noun string
}

func containersOf(pod corev1.Pod) []container {
	var all []container
	for _, status := range pod.Status.InitContainerStatuses {
		all = append(all, container{status, "init container"})
	}
	for _, status := range pod.Status.ContainerStatuses {
		all = append(all, container{status, "container"})
	}
	return all
}

// waitingProblems reports containers that wait for a bad reason.
func waitingProblems(pod corev1.Pod) []problem {
	var problems []problem
	for _, c := range containersOf(pod) {
		waiting := c.State.Waiting
		if waiting == nil {
			continue
		}
		switch waiting.Reason {
		case "", waitingContainerCreating, waitingPodInitializing:
		case ReasonCrashLoopBackOff:
			problems = append(problems, c.crashing())
		case waitingErrImagePull, ReasonImagePullBackOff:
			problems = append(problems, c.unpullable(waiting.Message))
		default:
			problems = append(problems, c.problem(waiting.Reason, waiting.Message))
		}
	}
	return problems
}

// restartingProblems reports containers that ended before and have not become
// ready since.
func restartingProblems(pod corev1.Pod) []problem {
	var problems []problem
	for _, c := range containersOf(pod) {
		trying := c.State.Running != nil || c.State.Terminated != nil
		if trying && !c.Ready && c.RestartCount > 0 && c.LastTerminationState.Terminated != nil {
			problems = append(problems, c.crashing())
		}
	}
	return problems
}

func (c container) problem(reason, message string) problem {
	text := fmt.Sprintf("%s %q: %s", c.noun, c.Name, reason)
	if message != "" {
		text += ": " + message
	}
	if !conditionReason.MatchString(reason) {
		reason = ReasonContainerWaiting
	}
	return problem{reason: reason, text: text}
}

// crashing does not repeat the kubelet's message: the growing back-off time in
// it would change the condition with every attempt.
func (c container) crashing() problem {
	ended := c.State.Terminated
	if ended == nil {
		ended = c.LastTerminationState.Terminated
	}
	if ended == nil {
		return c.problem(ReasonCrashLoopBackOff, "")
	}
	message := fmt.Sprintf("last exit code %d", ended.ExitCode)
	if ended.Reason != "" {
		message += fmt.Sprintf(" (%s)", ended.Reason)
	}
	return c.problem(ReasonCrashLoopBackOff, message)
}

// unpullable says the same of the two states between which the kubelet
// alternates: the attempt that failed (ErrImagePull: cause) and the wait for
// the next one (ImagePullBackOff: Back-off pulling image "x": ErrImagePull:
// cause).
func (c container) unpullable(message string) problem {
	if _, cause, found := strings.Cut(message, waitingErrImagePull+": "); found {
		message = cause
	}
	return c.problem(ReasonImagePullBackOff, fmt.Sprintf("cannot pull image %q: %s", c.Image, message))
}
