package status

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/datapower-operator/datapower-operator/api/datapower"
)

func TestPodsThatCannotBeMadeAreAnError(t *testing.T) {
	in := healthy(t)
	in.Refusal = `create Pod gw-0 in StatefulSet gw failed error: pods "gw-0" is forbidden: exceeded quota`
	got := Compute(in)
	c := mustCondition(t, got, datapower.ConditionError)
	assert.Equal(t, metav1.ConditionTrue, c.Status)
	assert.Equal(t, "FailedCreate", c.Reason)
	assert.Equal(t, in.Refusal, c.Message)
	assert.Equal(t, datapower.PhaseFailed, got.Phase)
}

func TestTheNewestRefusalCountsUnlessAPodWasMadeSince(t *testing.T) {
	at := func(minute int) metav1.Time { return metav1.NewTime(time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC)) }
	events := []corev1.Event{
		{Message: "second", LastTimestamp: at(2)},
		{Message: "third", EventTime: metav1.NewMicroTime(at(3).Time)},
		{Message: "first", LastTimestamp: at(1)},
	}
	pod := func(minute int) []corev1.Pod {
		return []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: at(minute)}}}
	}
	assert.Equal(t, "third", newestRefusal(events, nil))
	assert.Equal(t, "third", newestRefusal(events, pod(2)))
	assert.Empty(t, newestRefusal(events, pod(4)))
	assert.Empty(t, newestRefusal(nil, nil))
}
