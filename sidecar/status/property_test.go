package status

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/sidecar/status/statustest"
)

// TestComputeKeepsItsPromises checks, for any cluster state, what users and
// autoscalers rely on.
func TestComputeKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		got := Compute(in)

		checkReadiness(t, in, got)
		checkPhase(t, got)
		for _, c := range got.Conditions {
			require.LessOrEqual(t, len(c.Message), 32768)
			require.Regexp(t, `^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`, c.Reason, "the API refuses other reasons")
			require.False(t, c.LastTransitionTime.IsZero())
			require.Contains(t, conditionTypes, c.Type)
		}

		require.True(t, got.Equal(Compute(in)), "deterministic")
		shuffled := in
		shuffled.Pods = nil
		for _, i := range rapid.Permutation(indices(in.Pods)).Draw(t, "shuffled") {
			shuffled.Pods = append(shuffled.Pods, in.Pods[i])
		}
		require.Equal(t, got, Compute(shuffled), "the order of pods in the cache does not matter")

		again := in
		again.Service = record(in.Service, got)
		again.Now = in.Now.Add(time.Duration(rapid.IntRange(0, 1e6).Draw(t, "later")) * time.Second)
		require.Equal(t, got, Compute(again), "a fixed point: computing from the own result changes nothing")
		require.Empty(t, Transitions(Current(again.Service), Compute(again)), "and is worth no event")
		require.True(t, Current(again.Service).Equal(got), "what was written reads back as it is")
	})
}

func indices(pods []corev1.Pod) []int {
	all := make([]int, len(pods))
	for i := range all {
		all[i] = i
	}
	return all
}

func checkReadiness(t *rapid.T, in Input, got Status) {
	ready := got.isTrue(datapower.ConditionReady)
	require.NotEqual(t, ready, got.isTrue(datapower.ConditionPending), "exactly one of Ready and Pending is True")
	require.LessOrEqual(t, got.condition(datapower.ConditionReady).ObservedGeneration, in.Service.Generation)
	if !ready {
		return
	}
	set := in.StatefulSet
	require.NotNil(t, set, "ready without a StatefulSet")
	require.Equal(t, ptr.Deref(set.Spec.Replicas, 1), set.Status.ReadyReplicas, "ready with another number of ready pods than wanted")
	require.GreaterOrEqual(t, set.Status.ObservedGeneration, set.Generation, "ready on stale numbers")
	rolling := set.Spec.UpdateStrategy.Type != appsv1.OnDeleteStatefulSetStrategyType && set.Spec.UpdateStrategy.RollingUpdate == nil
	if rolling {
		require.GreaterOrEqual(t, set.Status.UpdatedReplicas, ptr.Deref(set.Spec.Replicas, 1), "ready amid a rolling update")
	}
}

func checkPhase(t *rapid.T, got Status) {
	want := datapower.PhasePending
	switch {
	case got.isTrue(datapower.ConditionError):
		want = datapower.PhaseFailed
	case got.isTrue(datapower.ConditionReady):
		want = datapower.PhaseRunning
	}
	require.Equal(t, want, got.Phase)
}

func drawInput(t *rapid.T) Input {
	service := drawService(t)
	in := Input{
		Service: service, Catalogue: testCatalogue(t), Objects: Objects{},
		Now: statustest.Epoch.Add(time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "now"))),
	}
	for _, n := range needsOf(service) {
		if rapid.Bool().Draw(t, "exists") {
			in.Objects[n.object] = rapid.SampledFrom([]sets.Set[string]{nil, {}, sets.New("password"), sets.New("x")}).Draw(t, "keys")
		}
	}
	if rapid.Bool().Draw(t, "has StatefulSet") {
		in.StatefulSet = drawSet(t, service)
		for i := range rapid.IntRange(0, 4).Draw(t, "pods") {
			in.Pods = append(in.Pods, drawPod(t, in.StatefulSet, i))
		}
	}
	return in
}

func drawService(t *rapid.T) *v1beta3.DataPowerService {
	options := []statustest.ServiceOption{statustest.AtGeneration(rapid.Int64Range(3, 6).Draw(t, "generation"))}
	types := []string{"Ready", "Pending", "Error", "Warning", "Deployed", "ReleaseFailed", "Irreconcilable", "Foreign"}
	for _, conditionType := range rapid.SliceOfDistinct(rapid.SampledFrom(types), rapid.ID[string]).Draw(t, "conditions") {
		options = append(options, statustest.WithCondition(conditionType,
			rapid.SampledFrom([]metav1.ConditionStatus{"True", "False", "Unknown"}).Draw(t, "status"),
			rapid.Int64Range(0, 3).Draw(t, "observed"),
			rapid.SampledFrom([]string{"CrashLoopBackOff", "Unschedulable", "ReferenceNotFound", "Other"}).Draw(t, "reason"),
			rapid.SampledFrom([]string{"", "m", "a\nb"}).Draw(t, "message")))
	}
	return statustest.Service(append(options, statustest.WithSpec(func(spec *v1beta3.DataPowerServiceSpec) {
		spec.Version = rapid.SampledFrom([]string{"10.6-lts", "10.5.0.0", "1.2.3.4", "no-such"}).Draw(t, "version")
		spec.License.License = rapid.SampledFrom([]string{"", "L-ABCD-EFGHIJ", "L-OTHR-ABCDEF", "L-NONE-EEEEEE"}).Draw(t, "licence")
		spec.ExtraExe = rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b"}), 0, 2).Draw(t, "extraExe")
	}))...)
}

func drawSet(t *rapid.T, service *v1beta3.DataPowerService) *appsv1.StatefulSet {
	count := func(name string) int32 { return rapid.Int32Range(0, 4).Draw(t, name) }
	options := []statustest.SetOption{
		statustest.Counts(count("existing"), count("ready"), count("updated")),
		statustest.SetGeneration(rapid.Int64Range(1, 3).Draw(t, "set generation")),
		statustest.Observed(rapid.Int64Range(0, 3).Draw(t, "set observed")),
	}
	if rapid.Bool().Draw(t, "updating") {
		options = append(options, statustest.Updating())
	}
	if rapid.Bool().Draw(t, "wants") {
		options = append(options, statustest.Wants(count("wanted")))
	} else {
		options = append(options, func(s *appsv1.StatefulSet) { s.Spec.Replicas = nil })
	}
	switch rapid.IntRange(0, 2).Draw(t, "strategy") {
	case 1:
		options = append(options, statustest.Partition(count("partition")))
	case 2:
		options = append(options, statustest.OnDelete())
	}
	return statustest.StatefulSet(service, options...)
}

func drawPod(t *rapid.T, set *appsv1.StatefulSet, ordinal int) corev1.Pod {
	var options []statustest.PodOption
	if rapid.Bool().Draw(t, "ended") {
		options = append(options, statustest.Ended(rapid.Int32Range(0, 3).Draw(t, "restarts"), rapid.Int32Range(0, 2).Draw(t, "exit"), "Error"))
	}
	switch rapid.IntRange(0, 4).Draw(t, "state") {
	case 1:
		options = append(options, statustest.NotReady())
	case 2:
		reason := rapid.SampledFrom([]string{"CrashLoopBackOff", "ErrImagePull", "ImagePullBackOff", "ContainerCreating", "Odd one!", "X"})
		options = append(options, statustest.Waiting(reason.Draw(t, "waiting"), fmt.Sprint(rapid.IntRange(0, 2).Draw(t, "message"))))
	case 3:
		options = append(options, statustest.NotScheduled("Unschedulable", "full"))
	}
	if rapid.IntRange(0, 4).Draw(t, "terminating") == 0 {
		options = append(options, statustest.Terminating())
	}
	return statustest.Pod(set, ordinal, options...)
}
