package controller

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// warnOnce forgets all other messages when it emits one, so two messages that hold at the same time (an invalid
// annotation and a missing Secret) are both emitted by every reconcile.
func TestTwoWarningsThatHoldAtTheSameTimeAreToldOnceEach(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		p := w.pass(resource())
		p.warnOnce("InvalidAnnotation", "annotation x is ignored")
		p.warnOnce("ReferenceNotFound", `Secret "s" not found`)
	}
	assert.Len(t, w.events, 2)
}

// reportInSync forgets all messages, so a resource that is in sync and has an invalid annotation writes an event at
// every reconcile.
func TestAnInvalidAnnotationIsToldOnceThoughAllIsInSync(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		p := w.pass(resource())
		p.warnOnce("InvalidAnnotation", "annotation x is ignored")
		p.reportInSync()
	}
	assert.Len(t, w.events, 1)
}

// The events API refuses an event whose action is longer than 128 characters or whose note is longer than 1024 bytes.
// repair passes the whole description as the action, so drift in a deep field is never told.
func TestEveryEventFitsIntoTheEventsAPI(t *testing.T) {
	w := newWorld(t)
	p := w.pass(resource())
	text := "changed StatefulSet a-rather-long-name (" + strings.Repeat("spec.template.spec.containers[0].image, ", 60) + ")"
	p.event(corev1.EventTypeNormal, "DriftCorrected", text, text)
	require.Len(t, w.events, 1)
	assert.LessOrEqual(t, len(w.events[0].action), 128)
	assert.LessOrEqual(t, len(w.events[0].note), 1024)
	assert.NotEmpty(t, w.events[0].action, "the API requires one")
}

// A cut in the middle of a character leaves text that is no UTF-8.
func TestACutNoteIsStillText(t *testing.T) {
	w := newWorld(t)
	p := w.pass(resource())
	for i := range 4 {
		p.event(corev1.EventTypeWarning, "R", "A", strings.Repeat("x", i)+strings.Repeat("é", 2000))
	}
	for _, e := range w.events {
		assert.True(t, utf8.ValidString(e.note))
	}
}
