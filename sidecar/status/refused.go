package status

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ReasonFailedCreate is the reason of Error, and of Kubernetes' own events,
// when pods cannot be made: a missing ServiceAccount, a quota, Pod Security.
const ReasonFailedCreate = "FailedCreate"

// missingPodsDelay is how soon to look again while pods are missing: why they
// are is told by events, which nobody watches.
const missingPodsDelay = 5 * time.Second

// lacksPods tells whether the StatefulSet controller has yet to make pods.
func lacksPods(set *appsv1.StatefulSet) bool {
	return set != nil && set.Status.ObservedGeneration >= set.Generation &&
		set.Status.Replicas < ptr.Deref(set.Spec.Replicas, 1)
}

// refusal is why pods cannot be made: the newest event of the StatefulSet that
// says so, unless a pod was made since. It is asked for only while pods are
// missing; Kubernetes tells it nowhere else.
func (r *Reconciler) refusal(ctx context.Context, set *appsv1.StatefulSet, pods []corev1.Pod) (string, error) {
	if !lacksPods(set) {
		return "", nil
	}
	list := &corev1.EventList{}
	err := r.Live.List(ctx, list, client.InNamespace(set.Namespace),
		client.MatchingFields{"involvedObject.uid": string(set.UID), "reason": ReasonFailedCreate})
	if err != nil {
		return "", fmt.Errorf("listing the events of the StatefulSet: %w", err)
	}
	return newestRefusal(list.Items, pods), nil
}

func newestRefusal(events []corev1.Event, pods []corev1.Pod) string {
	var newest time.Time
	for _, pod := range pods {
		if pod.CreationTimestamp.After(newest) {
			newest = pod.CreationTimestamp.Time
		}
	}
	message := ""
	for _, event := range events {
		at := event.LastTimestamp.Time
		if event.EventTime.After(at) {
			at = event.EventTime.Time
		}
		if at.After(newest) {
			newest, message = at, event.Message
		}
	}
	return message
}
