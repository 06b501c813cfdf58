package exposure

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxNoteBytes is the API's limit of an event's note (k8s.io/kubernetes, pkg/apis/core/validation/events.go).
const maxNoteBytes = 1024

// Event is something worth telling the user once.
type Event struct {
	// Type is "Normal" or "Warning".
	Type string
	// Reason is that of the condition.
	Reason string
	// Note is for humans, at most 1024 bytes.
	Note string
}

// harmless are reasons of conditions that are not True and yet as users want them, or will pass by themselves.
var harmless = map[string]bool{ReasonExternal: true, ReasonInternal: true, ReasonNotReady: true}

// Transitions lists what a user wants to know of a step from one status to the next: every condition that changed its status
// or its reason.
func Transitions(before, after Status) []Event {
	var events []Event
	for _, c := range after.Conditions {
		was := meta.FindStatusCondition(before.Conditions, c.Type)
		if was != nil && was.Status == c.Status && was.Reason == c.Reason {
			continue
		}
		if was == nil && harmless[c.Reason] {
			continue
		}
		e := Event{Type: corev1.EventTypeWarning, Reason: c.Reason, Note: c.Message}
		if c.Status == metav1.ConditionTrue || harmless[c.Reason] && (was == nil || was.Status != metav1.ConditionTrue) {
			e.Type = corev1.EventTypeNormal
		}
		if len(e.Note) > maxNoteBytes {
			e.Note = e.Note[:maxNoteBytes-3] + "..."
		}
		events = append(events, e)
	}
	return events
}
