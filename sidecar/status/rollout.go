package status

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/utils/ptr"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// rollout is how far a StatefulSet has come.
type rollout struct {
	// complete means that nothing is left to wait for.
	complete bool
	// changing means that the StatefulSet is on its way to another state on
	// purpose: not being ready is then no sign of trouble.
	changing bool
	// message is what users read in the column Summary.
	message string
}

// rolloutOf judges a StatefulSet as "kubectl rollout status" does, and wants
// that no surplus pod is left of a scale-down.
func rolloutOf(service *v1beta3.DataPowerService, set *appsv1.StatefulSet) rollout {
	if set == nil {
		return rollout{message: fmt.Sprintf("StatefulSet replicas ready: 0/%d", ptr.Deref(service.Spec.Replicas, 1))}
	}
	desired := desiredReplicas(set)
	message := fmt.Sprintf("StatefulSet replicas ready: %d/%d", set.Status.ReadyReplicas, desired)
	wanted := updateTarget(set, desired)
	switch {
	case set.Status.ObservedGeneration < set.Generation:
		return rollout{changing: true, message: message + ", the latest change of the StatefulSet is not processed yet"}
	case set.Status.UpdatedReplicas < wanted && set.Status.CurrentRevision != set.Status.UpdateRevision:
		return rollout{changing: true, message: fmt.Sprintf("%s, updated: %d/%d", message, set.Status.UpdatedReplicas, wanted)}
	case set.Status.Replicas > desired:
		return rollout{changing: true, message: fmt.Sprintf("%s, surplus: %d", message, set.Status.Replicas-desired)}
	case set.Status.ReadyReplicas != desired:
		return rollout{message: message}
	case set.Status.UpdatedReplicas < wanted:
		return rollout{message: fmt.Sprintf("%s, updated: %d/%d", message, set.Status.UpdatedReplicas, wanted)}
	default:
		return rollout{complete: true, message: message}
	}
}

func desiredReplicas(set *appsv1.StatefulSet) int32 {
	return ptr.Deref(set.Spec.Replicas, 1) // the API server's default
}

// updateTarget is how many pods the update strategy brings to the newest
// revision on its own: pods below the partition keep theirs, and OnDelete
// leaves all of it to the user.
func updateTarget(set *appsv1.StatefulSet, desired int32) int32 {
	strategy := set.Spec.UpdateStrategy
	if strategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		return 0
	}
	if strategy.RollingUpdate == nil {
		return desired
	}
	return max(0, desired-ptr.Deref(strategy.RollingUpdate.Partition, 0))
}
