// Package leader marks the pod whose program leads with a label, so that a Service can select it. It decides in a pure
// function which pods are to change, and acts thinly; which program leads is the Lease's matter.
//
// The mark moves in this order: a leader that ends takes it off its own pod before the Lease is free; one that takes over
// takes it off all others before it puts it on its own. A leader that was killed leaves it until the next one is there, at
// most the duration of the Lease and the next try to get it.
package leader

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// Pod is one pod of the operator. The UID is empty when it is not known.
type Pod struct {
	Name string
	UID  types.UID
}

// is tells whether both are the same pod, as far as can be known.
func (p Pod) is(other Pod) bool {
	return p.Name == other.Name && (p.UID == other.UID || p.UID == "" || other.UID == "")
}

// Changes are what [Decide] wants.
type Changes struct {
	// Unmark are the pods that wear the label and must not, ordered by name.
	Unmark []Pod
	// Mark tells whether the own pod lacks it.
	Mark bool
}

// Decide says what to change, while own is the pod whose program leads and marked are all pods of the operator that wear
// the label.
func Decide(own Pod, marked []Pod) Changes {
	changes := Changes{Mark: !slices.ContainsFunc(marked, own.is)}
	for _, pod := range marked {
		if !own.is(pod) {
			changes.Unmark = append(changes.Unmark, pod)
		}
	}
	slices.SortFunc(changes.Unmark, func(a, b Pod) int { return cmp.Compare(a.Name, b.Name) })
	return changes
}
