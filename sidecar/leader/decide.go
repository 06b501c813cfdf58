// Package leader marks the pod whose program leads with a label, so that a Service can select it. It decides in a pure
// function which pods are to change, and acts thinly; which program leads is the Lease's matter.
//
// The mark moves in this order: a leader that ends takes it off its own pod before the Lease is free; one that takes over
// takes it off all others before it puts it on its own. A leader that was killed leaves it until the next one is there, at
// most the duration of the Lease and the next try to get it.
package leader

import "slices"

// Changes are what [Decide] wants.
type Changes struct {
	// Unmark are the names of pods that wear the label and must not.
	Unmark []string
	// Mark tells whether the own pod lacks it.
	Mark bool
}

// Decide says what to change, while own is the name of the pod whose program leads and marked are those of all pods of the
// operator that wear the label.
func Decide(own string, marked []string) Changes {
	changes := Changes{Mark: !slices.Contains(marked, own)}
	for _, name := range marked {
		if name != own {
			changes.Unmark = append(changes.Unmark, name)
		}
	}
	slices.Sort(changes.Unmark)
	return changes
}
