package status

import (
	"testing"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/sidecar/status/statustest"
)

func TestReady(t *testing.T) {
	for name, tc := range map[string]struct {
		change   []func(*Input)
		ready    bool
		changing bool
		message  string
	}{
		"all pods ready and up to date is ready": {
			ready: true, message: "StatefulSet replicas ready: 3/3",
		},
		"no StatefulSet yet is not ready and counts against the spec": {
			change:  []func(*Input){withoutSet},
			message: "StatefulSet replicas ready: 0/3",
		},
		"a pod that is not ready makes the service not ready": {
			change:  []func(*Input){withSet(statustest.Counts(3, 2, 3))},
			message: "StatefulSet replicas ready: 2/3",
		},
		"pods that do not exist yet are missing": {
			change:  []func(*Input){withSet(statustest.Counts(1, 1, 1))},
			message: "StatefulSet replicas ready: 1/3",
		},
		"a pod that somebody deleted is missing and no update": {
			change:  []func(*Input){withSet(statustest.Counts(3, 2, 2))},
			message: "StatefulSet replicas ready: 2/3",
		},
		"a pod that is missing while a partition holds back others is no update": {
			change:  []func(*Input){withSet(statustest.Partition(2), statustest.Counts(2, 2, 1), statustest.Updating())},
			message: "StatefulSet replicas ready: 2/3",
		},
		"numbers that contradict each other, as right after a pod was replaced, are not believed": {
			change:  []func(*Input){withSet(statustest.Counts(3, 3, 2))},
			message: "StatefulSet replicas ready: 3/3, updated: 2/3",
		},
		"zero wanted and zero there is ready": {
			change: []func(*Input){withSet(statustest.Wants(0), statustest.Counts(0, 0, 0))},
			ready:  true, message: "StatefulSet replicas ready: 0/0",
		},
		"zero wanted while pods are still there is not ready": {
			change:   []func(*Input){withSet(statustest.Wants(0), statustest.Counts(2, 2, 2))},
			changing: true,
			message:  "StatefulSet replicas ready: 2/0, surplus: 2",
		},
		"an autoscaler's number counts and not the spec's": {
			change: []func(*Input){withSet(statustest.Wants(5), statustest.Counts(5, 5, 5))},
			ready:  true, message: "StatefulSet replicas ready: 5/5",
		},
		"a StatefulSet without a number wants one pod": {
			change: []func(*Input){withSet(statustest.Counts(1, 1, 1), func(s *appsv1.StatefulSet) { s.Spec.Replicas = nil })},
			ready:  true, message: "StatefulSet replicas ready: 1/1",
		},
		"a StatefulSet whose change is not processed is not ready however good it looks": {
			change:   []func(*Input){withSet(statustest.SetGeneration(7), statustest.Observed(6))},
			changing: true,
			message:  "StatefulSet replicas ready: 3/3, the latest change of the StatefulSet is not processed yet",
		},
		"a StatefulSet that no controller has seen is not ready": {
			change:   []func(*Input){withSet(statustest.Wants(0), statustest.Counts(0, 0, 0), statustest.Observed(0))},
			changing: true,
			message:  "StatefulSet replicas ready: 0/0, the latest change of the StatefulSet is not processed yet",
		},
		"a rolling update in progress is not ready though every pod is": {
			change:   []func(*Input){withSet(statustest.Counts(3, 3, 1), statustest.Updating())},
			changing: true,
			message:  "StatefulSet replicas ready: 3/3, updated: 1/3",
		},
		"partition zero is an ordinary rolling update": {
			change:   []func(*Input){withSet(statustest.Partition(0), statustest.Counts(3, 3, 2), statustest.Updating())},
			changing: true,
			message:  "StatefulSet replicas ready: 3/3, updated: 2/3",
		},
		"a partition that holds back two pods is complete with one updated": {
			change: []func(*Input){withSet(statustest.Partition(2), statustest.Counts(3, 3, 1), statustest.Updating())},
			ready:  true, message: "StatefulSet replicas ready: 3/3",
		},
		"a partition still wants the pods above it updated": {
			change:   []func(*Input){withSet(statustest.Partition(1), statustest.Counts(3, 3, 1), statustest.Updating())},
			changing: true,
			message:  "StatefulSet replicas ready: 3/3, updated: 1/2",
		},
		"a partition beyond the last pod holds back all": {
			change: []func(*Input){withSet(statustest.Partition(9), statustest.Counts(3, 3, 0), statustest.Updating())},
			ready:  true, message: "StatefulSet replicas ready: 3/3",
		},
		"a partition does not excuse pods that are not ready": {
			change:  []func(*Input){withSet(statustest.Partition(2), statustest.Counts(3, 2, 1), statustest.Updating())},
			message: "StatefulSet replicas ready: 2/3",
		},
		"with OnDelete the update is the user's business": {
			change: []func(*Input){withSet(statustest.OnDelete(), statustest.Counts(3, 3, 0), statustest.Updating())},
			ready:  true, message: "StatefulSet replicas ready: 3/3",
		},
		"a scale-down is not ready until the surplus pod is gone": {
			change:   []func(*Input){withSet(statustest.Wants(2), statustest.Counts(3, 3, 3))},
			changing: true,
			message:  "StatefulSet replicas ready: 3/2, surplus: 1",
		},
		"a scale-down with an unready surplus pod is not ready either": {
			change:   []func(*Input){withSet(statustest.Wants(2), statustest.Counts(3, 2, 2))},
			changing: true,
			message:  "StatefulSet replicas ready: 2/2, surplus: 1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Compute(healthy(t, tc.change...))

			ready := mustCondition(t, got, datapower.ConditionReady)
			assert.Equal(t, tc.message, ready.Message)
			if tc.ready {
				assert.Equal(t, metav1.ConditionTrue, ready.Status)
				assert.Equal(t, "StatefulSetReady", ready.Reason)
				assert.Nil(t, condition(got, datapower.ConditionPending), "Pending goes away with readiness")
				assert.Equal(t, datapower.PhaseRunning, got.Phase)
				return
			}
			assert.Equal(t, metav1.ConditionFalse, ready.Status)
			assert.Equal(t, "StatefulSetNotReady", ready.Reason)
			pending := mustCondition(t, got, datapower.ConditionPending)
			assert.Equal(t, metav1.ConditionTrue, pending.Status)
			assert.Equal(t, tc.message, pending.Message)
			wantReason := "StatefulSetNotReady"
			if tc.changing {
				wantReason = "StatefulSetChanging"
			}
			assert.Equal(t, wantReason, pending.Reason)
			assert.Equal(t, datapower.PhasePending, got.Phase)
		})
	}
}

func TestReadySpeaksOfTheDeployedGeneration(t *testing.T) {
	const yes, no = metav1.ConditionTrue, metav1.ConditionFalse
	for name, tc := range map[string]struct {
		conditions []statustest.ServiceOption
		want       int64
	}{
		"an edit that is not deployed yet leaves Ready at the generation before": {
			conditions: []statustest.ServiceOption{statustest.AtGeneration(5), statustest.Deployed(4)},
			want:       4,
		},
		"a deployed edit moves Ready to its generation": {
			conditions: []statustest.ServiceOption{statustest.AtGeneration(5), statustest.Deployed(5)},
			want:       5,
		},
		"an edit that could not be deployed leaves Ready where it was": {
			conditions: []statustest.ServiceOption{
				statustest.AtGeneration(5),
				statustest.WithCondition(datapower.ConditionDeployed, no, 5, datapower.ReasonUpgradeError, "see ReleaseFailed"),
				statustest.WithCondition(datapower.ConditionReleaseFailed, yes, 5, datapower.ReasonUpgradeError, "bad"),
				statustest.WithCondition(datapower.ConditionReady, yes, 4, "StatefulSetReady", ""),
			},
			want: 4,
		},
		"a release that failed while an older one is deployed leaves Ready where it was": {
			conditions: []statustest.ServiceOption{
				statustest.AtGeneration(5), statustest.Deployed(5),
				statustest.WithCondition(datapower.ConditionReleaseFailed, yes, 5, datapower.ReasonUpgradeError, "bad"),
				statustest.WithCondition(datapower.ConditionReady, yes, 4, "StatefulSetReady", ""),
			},
			want: 4,
		},
		"an edit that cannot be rendered leaves Ready where it was": {
			conditions: []statustest.ServiceOption{
				statustest.AtGeneration(5), statustest.Deployed(5),
				statustest.WithCondition(datapower.ConditionIrreconcilable, yes, 5, "RenderError", "bad"),
				statustest.WithCondition(datapower.ConditionReady, no, 4, "StatefulSetNotReady", ""),
			},
			want: 4,
		},
		"failures of former times that are over do not hold Ready back": {
			conditions: []statustest.ServiceOption{
				statustest.AtGeneration(5), statustest.Deployed(5),
				statustest.WithCondition(datapower.ConditionReleaseFailed, no, 5, datapower.ReasonUpgradeSuccessful, ""),
				statustest.WithCondition(datapower.ConditionIrreconcilable, no, 5, "UpToDate", ""),
				statustest.WithCondition(datapower.ConditionReady, yes, 4, "StatefulSetReady", ""),
			},
			want: 5,
		},
		"a service that was never deployed has no observed generation": {
			conditions: []statustest.ServiceOption{
				statustest.AtGeneration(5),
				statustest.WithCondition(datapower.ConditionDeployed, no, 0, datapower.ReasonReconcileError, ""),
			},
			want: 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Compute(healthy(t, withService(tc.conditions...)))
			assert.Equal(t, tc.want, mustCondition(t, got, datapower.ConditionReady).ObservedGeneration)
			assert.Equal(t, int64(5), mustCondition(t, got, datapower.ConditionError).ObservedGeneration)
			assert.Equal(t, int64(5), mustCondition(t, got, datapower.ConditionWarning).ObservedGeneration)
		})
	}
}

func TestTransitionTimes(t *testing.T) {
	before, after := metav1.NewTime(statustest.Epoch), metav1.NewTime(now)
	const yes, no = metav1.ConditionTrue, metav1.ConditionFalse

	t.Run("a condition that keeps its status keeps its time though its message changes", func(t *testing.T) {
		in := healthy(t, withSet(statustest.Counts(3, 2, 3)),
			withService(statustest.WithCondition(datapower.ConditionReady, no, 1, "StatefulSetNotReady", "StatefulSet replicas ready: 1/3")))
		assert.Equal(t, before, mustCondition(t, Compute(in), datapower.ConditionReady).LastTransitionTime)
	})
	t.Run("a condition that changes its status changes its time", func(t *testing.T) {
		in := healthy(t, withService(statustest.WithCondition(datapower.ConditionReady, no, 1, "StatefulSetNotReady", "")))
		assert.Equal(t, after, mustCondition(t, Compute(in), datapower.ConditionReady).LastTransitionTime)
	})
	t.Run("a new condition begins now", func(t *testing.T) {
		assert.Equal(t, after, mustCondition(t, Compute(healthy(t)), datapower.ConditionError).LastTransitionTime)
	})
	t.Run("fractions of a second are dropped as the API drops them", func(t *testing.T) {
		in := healthy(t, func(in *Input) { in.Now = now.Add(999) })
		assert.Equal(t, after, mustCondition(t, Compute(in), datapower.ConditionReady).LastTransitionTime)
	})
	t.Run("a condition without a time gets one", func(t *testing.T) {
		in := healthy(t, withService(func(s *v1beta3.DataPowerService) {
			s.Status.Conditions = append(s.Status.Conditions, metav1.Condition{Type: datapower.ConditionReady, Status: yes})
		}))
		assert.Equal(t, after, mustCondition(t, Compute(in), datapower.ConditionReady).LastTransitionTime)
	})
}
