package status

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/datapower-operator/datapower-operator/api/datapower"
)

func TestTransitions(t *testing.T) {
	state := func(conditions ...metav1.Condition) Status { return Status{Conditions: conditions} }
	ready := metav1.Condition{Type: datapower.ConditionReady, Status: metav1.ConditionTrue, Message: "StatefulSet replicas ready: 3/3"}
	notReady := metav1.Condition{Type: datapower.ConditionReady, Status: metav1.ConditionFalse, Message: "StatefulSet replicas ready: 2/3"}
	pending := metav1.Condition{Type: datapower.ConditionPending, Status: metav1.ConditionTrue, Reason: "StatefulSetNotReady"}
	changing := metav1.Condition{Type: datapower.ConditionPending, Status: metav1.ConditionTrue, Reason: "StatefulSetChanging"}
	failing := metav1.Condition{Type: datapower.ConditionError, Status: metav1.ConditionTrue, Reason: "ReferenceNotFound", Message: `Secret "a" not found`}
	failingMore := metav1.Condition{Type: datapower.ConditionError, Status: metav1.ConditionTrue, Reason: "ReferenceNotFound", Message: `Secret "a" not found; Secret "b" not found`}
	crashing := metav1.Condition{Type: datapower.ConditionError, Status: metav1.ConditionTrue, Reason: "CrashLoopBackOff", Message: "last exit code 1"}
	fine := metav1.Condition{Type: datapower.ConditionError, Status: metav1.ConditionFalse, Reason: "NoError"}

	for name, tc := range map[string]struct {
		before, after Status
		want          []Event
	}{
		"a new service that is not ready is not news": {
			before: state(), after: state(notReady, fine),
		},
		"a new service that is ready at once is news": {
			before: state(), after: state(ready, fine),
			want: []Event{{"Normal", "Ready", "StatefulSet replicas ready: 3/3"}},
		},
		"becoming ready is news": {
			before: state(notReady), after: state(ready),
			want: []Event{{"Normal", "Ready", "StatefulSet replicas ready: 3/3"}},
		},
		"staying ready is not news": {before: state(ready, fine), after: state(ready, fine)},
		"losing readiness is news to look into": {
			before: state(ready), after: state(notReady, pending),
			want: []Event{{"Warning", "NotReady", "StatefulSet replicas ready: 2/3"}},
		},
		"losing readiness to a rolling update is news but no trouble": {
			before: state(ready), after: state(notReady, changing),
			want: []Event{{"Normal", "NotReady", "StatefulSet replicas ready: 2/3"}},
		},
		"an error that appears is told under its own reason": {
			before: state(fine), after: state(failing),
			want: []Event{{"Warning", "ReferenceNotFound", `Secret "a" not found`}},
		},
		"an error on first sight is news": {
			before: state(), after: state(notReady, failing),
			want: []Event{{"Warning", "ReferenceNotFound", `Secret "a" not found`}},
		},
		"an error that only changes its message is not news": {before: state(failing), after: state(failingMore)},
		"an error that changes its nature is news": {
			before: state(failing), after: state(crashing),
			want: []Event{{"Warning", "CrashLoopBackOff", "last exit code 1"}},
		},
		"an error that is gone is told with what it was": {
			before: state(crashing), after: state(fine),
			want: []Event{{"Normal", "ErrorCleared", "Resolved: last exit code 1"}},
		},
		"readiness and error can change in one step": {
			before: state(ready, fine), after: state(notReady, crashing),
			want: []Event{
				{"Warning", "NotReady", "StatefulSet replicas ready: 2/3"},
				{"Warning", "CrashLoopBackOff", "last exit code 1"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, Transitions(tc.before, tc.after))
		})
	}
}

func TestNotesOfEventsFitTheAPI(t *testing.T) {
	huge := metav1.Condition{Type: datapower.ConditionError, Status: metav1.ConditionTrue, Reason: "X", Message: strings.Repeat("x", 5000)}
	for _, step := range [][2]Status{{{}, {Conditions: []metav1.Condition{huge}}}, {{Conditions: []metav1.Condition{huge}}, {}}} {
		got := Transitions(step[0], step[1])
		require.Len(t, got, 1)
		assert.LessOrEqual(t, len(got[0].Note), 1024)
	}
}
