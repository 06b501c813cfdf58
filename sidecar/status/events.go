package status

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/datapower-operator/datapower-operator/api/datapower"
)

// Reasons of events. An event that tells of an error has the reason of the
// condition Error.
const (
	// EventReady: the service became ready.
	EventReady = "Ready"
	// EventNotReady: the service was ready and is no more; of type Normal while
	// the StatefulSet is being changed, else of type Warning.
	EventNotReady = "NotReady"
	// EventErrorCleared: what was wrong is right again.
	EventErrorCleared = "ErrorCleared"
)

// maxNoteBytes is the API's limit of an event's note (k8s.io/kubernetes,
// pkg/apis/core/validation/events.go).
const maxNoteBytes = 1024

// Event is something worth telling the user once.
type Event struct {
	// Type is "Normal" or "Warning".
	Type string
	// Reason is CamelCase.
	Reason string
	// Note is for humans, at most 1024 bytes.
	Note string
}

// Transitions lists what a user wants to know of a step from one status to the
// next: readiness won and lost, an error that appeared or changed its nature,
// errors that are gone. A step that only changes numbers or messages is silent.
func Transitions(before, after Status) []Event {
	var events []Event
	wasReady, ready := before.isTrue(datapower.ConditionReady), after.isTrue(datapower.ConditionReady)
	readyMessage := after.condition(datapower.ConditionReady).Message
	switch {
	case ready && !wasReady:
		events = append(events, newEvent(corev1.EventTypeNormal, EventReady, readyMessage))
	case wasReady && !ready:
		eventType := corev1.EventTypeWarning
		if after.condition(datapower.ConditionPending).Reason == ReasonStatefulSetChanging {
			eventType = corev1.EventTypeNormal
		}
		events = append(events, newEvent(eventType, EventNotReady, readyMessage))
	}

	hadError, hasError := before.isTrue(datapower.ConditionError), after.isTrue(datapower.ConditionError)
	was, is := before.condition(datapower.ConditionError), after.condition(datapower.ConditionError)
	switch {
	case hasError && (!hadError || was.Reason != is.Reason):
		events = append(events, newEvent(corev1.EventTypeWarning, is.Reason, is.Message))
	case hadError && !hasError:
		events = append(events, newEvent(corev1.EventTypeNormal, EventErrorCleared, "Resolved: "+was.Message))
	}
	return events
}

func newEvent(eventType, reason, note string) Event {
	return Event{Type: eventType, Reason: reason, Note: cut(note, maxNoteBytes)}
}
