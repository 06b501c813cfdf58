package status_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

func TestANewServiceGoesFromPendingToRunning(t *testing.T) {
	w := newWorld(t, false)

	pending := w.eventually("a first status", func(s *v1beta3.DataPowerService) bool { return s.Status.Phase != "" })
	assert.Equal(t, datapower.PhasePending, pending.Status.Phase)
	assert.Equal(t, "False StatefulSetNotReady StatefulSet replicas ready: 0/3", message(pending, "Ready"))
	assert.Equal(t, "True StatefulSetNotReady StatefulSet replicas ready: 0/3", message(pending, "Pending"))
	assert.Equal(t, "False NoError ", message(pending, "Error"))

	w.helmOperatorDeploys()
	w.controllerReports(3, 1, 3)
	w.createPod(1)
	w.createPod(0)
	w.eventually("one of three", func(s *v1beta3.DataPowerService) bool {
		return message(s, "Ready") == "False StatefulSetNotReady StatefulSet replicas ready: 1/3" && len(s.Status.Pods) == 2
	})

	w.controllerReports(3, 3, 3)
	running := w.eventually("ready", isReady)
	assert.Equal(t, datapower.PhaseRunning, running.Status.Phase)
	assert.Equal(t, "True StatefulSetReady StatefulSet replicas ready: 3/3", message(running, "Ready"))
	assert.Equal(t, "(absent)", message(running, "Pending"))
	assert.Equal(t, "False NoWarning ", message(running, "Warning"))
	assert.Equal(t, []string{"gw-0", "gw-1"}, running.Status.Pods)
	assert.Equal(t, "10.6.0.1", running.Status.Versions.Reconciled)
	assert.Equal(t, "10.6-lts", running.Status.Versions.Available.Channels[0].Name)
	assert.Equal(t, []v1beta3.MgmtPort{{Name: "rest-mgmt", Port: 5554}}, running.Status.MgmtPorts)
	assert.Equal(t, ptr.To(false), running.Status.CustomImages)

	assert.Equal(t, int64(1), running.Status.ObservedGeneration, "the helm-operator's field")
	assert.Equal(t, "True UpgradeSuccessful ", message(running, "Deployed"), "the helm-operator's condition")
	assert.Equal(t, []string{"Normal Ready StatefulSet replicas ready: 3/3"}, w.events(1))
	for _, entry := range running.ManagedFields {
		if entry.Manager == datapower.SidecarStatusFieldManager {
			assert.Equal(t, "status", entry.Subresource)
			assert.NotContains(t, string(entry.FieldsV1.GetRawBytes()), "Deployed")
		}
	}
}

func TestNothingIsSentInSteadyState(t *testing.T) {
	w := newWorld(t, false)
	ready := w.becomesReady()
	quiet(t)
	writes, reads := cluster.wire.traffic(w.namespace)
	before := reconciles(t)

	// Events of every kind that the writer watches, none of which means anything.
	annotate(t, w.set)
	annotate(t, w.get())
	pod := w.createPod(0)
	w.eventually("the pod", func(s *v1beta3.DataPowerService) bool { return len(s.Status.Pods) == 1 })
	quiet(t)
	annotate(t, pod)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "admin-credentials"}}
	annotate(t, secret)
	quiet(t)

	assert.GreaterOrEqual(t, reconciles(t), before+4, "the events did reconcile")
	moreWrites, moreReads := cluster.wire.traffic(w.namespace)
	assert.Equal(t, writes+1, moreWrites, "only the new pod's name was written")
	assert.ElementsMatch(t, append(reads, "*v1beta3.DataPowerService", "*v1.StatefulSet", "*v1.Secret"), moreReads,
		"a last look before that write, and one at the Secret that changed")
	after := w.get()
	for _, c := range ready.Status.Conditions {
		assert.Equal(t, c, *find(after, c.Type), "conditions and their times stay")
	}
}

func annotate(t *testing.T, object client.Object) {
	t.Helper()
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"touched":"`+time.Now().String()+`"}}}`))
	require.NoError(t, cluster.client.Patch(t.Context(), object, patch))
}

func find(service *v1beta3.DataPowerService, conditionType string) *metav1.Condition {
	for i := range service.Status.Conditions {
		if service.Status.Conditions[i].Type == conditionType {
			return &service.Status.Conditions[i]
		}
	}
	return &metav1.Condition{}
}

func TestReadyWaitsForAnEditToBeDeployedAndRolledOut(t *testing.T) {
	w := newWorld(t, false)
	w.becomesReady()

	w.edit(func(spec *v1beta3.DataPowerServiceSpec) { spec.Image = "example.com/custom:1" })
	edited := w.eventually("custom images", func(s *v1beta3.DataPowerService) bool { return ptr.Deref(s.Status.CustomImages, false) })
	assert.Equal(t, int64(2), edited.Generation)
	assert.Equal(t, int64(1), find(edited, "Ready").ObservedGeneration, "not deployed yet: kubectl wait goes on waiting")

	w.helmOperatorDeploys()
	processed := w.eventually("generation 2", func(s *v1beta3.DataPowerService) bool { return find(s, "Ready").ObservedGeneration == 2 })
	assert.False(t, isReady(processed), "the StatefulSet controller has not even seen the change")

	w.controllerReports(3, 3, 1)
	w.eventually("the rolling update", func(s *v1beta3.DataPowerService) bool {
		return message(s, "Ready") == "False StatefulSetNotReady StatefulSet replicas ready: 3/3, updated: 1/3"
	})
	w.controllerReports(3, 3, 3)
	done := w.eventually("ready again", isReady)
	assert.Equal(t, int64(2), find(done, "Ready").ObservedGeneration)
}

func TestAMissingSecretIsAnErrorUntilItComes(t *testing.T) {
	w := newWorld(t, true)
	const missing = `Secret "admin-credentials" not found (spec.users[0].passwordSecret)`

	failed := w.eventually("an error", func(s *v1beta3.DataPowerService) bool { return s.Status.Phase == datapower.PhaseFailed })
	assert.Equal(t, "True ReferenceNotFound "+missing, message(failed, "Error"))

	w.createSecret("admin-credentials", "pasword")
	w.eventually("another error", func(s *v1beta3.DataPowerService) bool {
		return message(s, "Error") == `True ReferenceKeyNotFound Secret "admin-credentials" has no key "password" or "password-hashed" (spec.users[0].passwordSecret)`
	})

	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "admin-credentials"}}
	require.NoError(t, cluster.client.Patch(t.Context(), secret,
		client.RawPatch("application/merge-patch+json", []byte(`{"stringData":{"password":"hunter2"}}`))))
	fine := w.eventually("no error", func(s *v1beta3.DataPowerService) bool { return message(s, "Error") == "False NoError " })
	assert.Equal(t, datapower.PhasePending, fine.Status.Phase)

	require.NoError(t, cluster.client.Delete(t.Context(), secret))
	w.eventually("the error again", func(s *v1beta3.DataPowerService) bool {
		return message(s, "Error") == "True ReferenceNotFound "+missing
	})

	told := w.events(4)
	assert.Contains(t, told, "Warning ReferenceNotFound "+missing)
	assert.Contains(t, told, `Normal ErrorCleared Resolved: Secret "admin-credentials" has no key "password" or "password-hashed" (spec.users[0].passwordSecret)`)
	for _, event := range told {
		assert.NotContains(t, event, "hunter2")
	}
}

func TestPodsThatDoNotStartAreAnError(t *testing.T) {
	w := newWorld(t, false)
	w.helmOperatorDeploys()
	pod := w.createPod(0)

	pod.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes are available",
	}}
	require.NoError(t, cluster.client.Status().Update(t.Context(), pod))
	w.eventually("unschedulable", func(s *v1beta3.DataPowerService) bool {
		return message(s, "Error") == `True Unschedulable Pod "gw-0": cannot be scheduled: 0/1 nodes are available`
	})

	pod.Status.Conditions[0].Status = corev1.ConditionTrue
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "datapower", Image: "example.com/datapower:10.6.0.1",
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "not found"}},
	}}
	require.NoError(t, cluster.client.Status().Update(t.Context(), pod))
	w.eventually("unpullable", func(s *v1beta3.DataPowerService) bool {
		return message(s, "Error") == `True ImagePullBackOff Pod "gw-0": container "datapower": ImagePullBackOff: `+
			`cannot pull image "example.com/datapower:10.6.0.1": not found`
	})
}

func TestTheHelmOperatorsFailureIsAnError(t *testing.T) {
	w := newWorld(t, false)
	w.becomesReady()
	w.helmOperatorSays(1,
		metav1.Condition{Type: "Deployed", Status: metav1.ConditionFalse, Reason: "UpgradeError"},
		metav1.Condition{Type: "ReleaseFailed", Status: metav1.ConditionTrue, Reason: "UpgradeError", Message: "field is immutable"})
	failed := w.eventually("an error", func(s *v1beta3.DataPowerService) bool {
		return message(s, "Error") == "True ReleaseFailed field is immutable"
	})
	assert.Equal(t, datapower.PhaseFailed, failed.Status.Phase)
	assert.True(t, isReady(failed), "the gateways still serve")
}

func TestTheScaleSubresourceWorks(t *testing.T) {
	w := newWorld(t, false)
	w.becomesReady()

	var scale autoscalingv1.Scale
	require.NoError(t, cluster.client.SubResource("scale").Get(t.Context(), w.service, &scale))
	assert.Equal(t, int32(3), scale.Spec.Replicas)
	assert.Equal(t, int32(3), scale.Status.Replicas)
	assert.Equal(t, "datapower.ibm.com/service=gw", scale.Status.Selector, "how autoscalers find the pods")

	scale.Spec.Replicas = 0
	require.NoError(t, cluster.client.SubResource("scale").Update(t.Context(), w.service, client.WithSubResourceBody(&scale)))
	w.helmOperatorDeploys()
	w.controllerReports(2, 2, 2)
	w.eventually("scaling down", func(s *v1beta3.DataPowerService) bool {
		return message(s, "Ready") == "False StatefulSetNotReady StatefulSet replicas ready: 2/0, surplus: 2"
	})
	w.controllerReports(0, 0, 0)
	w.eventually("scaled down", func(s *v1beta3.DataPowerService) bool {
		return message(s, "Ready") == "True StatefulSetReady StatefulSet replicas ready: 0/0"
	})
	require.NoError(t, cluster.client.SubResource("scale").Get(t.Context(), w.service, &scale))
	assert.Equal(t, int32(0), scale.Status.Replicas)
}

func TestWhatAnotherOperatorLeftInTheStatusGoesAway(t *testing.T) {
	w := newWorld(t, false)
	w.becomesReady()
	quiet(t)

	// Another operator wrote by update, not by apply: it owns what it wrote.
	service := w.get()
	service.Status.Phase = datapower.PhasePending
	service.Status.Pods = []string{"gone-0"}
	service.Status.Conditions = append(service.Status.Conditions, metav1.Condition{
		Type: "Pending", Status: metav1.ConditionTrue, Reason: "Old", LastTransitionTime: metav1.Now(),
	})
	require.NoError(t, cluster.client.Status().Update(t.Context(), service, client.FieldOwner("another-operator")))

	clean := w.eventually("a clean status", func(s *v1beta3.DataPowerService) bool {
		return s.Status.Phase == datapower.PhaseRunning && message(s, "Pending") == "(absent)" && len(s.Status.Pods) == 0
	})
	assert.Equal(t, "True UpgradeSuccessful ", message(clean, "Deployed"), "conditions of others stay")
	quiet(t)
	before, _ := cluster.wire.traffic(w.namespace)
	annotate(t, w.get())
	quiet(t)
	after, _ := cluster.wire.traffic(w.namespace)
	assert.Equal(t, before, after, "and that was that")
}

func TestADeletedServiceIsLetGo(t *testing.T) {
	w := newWorld(t, false, func(s *v1beta3.DataPowerService) { s.Finalizers = []string{"test.example.com/hold"} })
	w.becomesReady()
	quiet(t)
	require.NoError(t, cluster.client.Delete(t.Context(), w.service))
	before, _ := cluster.wire.traffic(w.namespace)

	w.controllerReports(1, 0, 1) // pods go away
	quiet(t)
	assert.True(t, isReady(w.get()), "the status stays as it was")
	require.NoError(t, cluster.client.Patch(t.Context(), w.service,
		client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))))
	w.controllerReports(0, 0, 0)
	quiet(t)

	after, _ := cluster.wire.traffic(w.namespace)
	assert.Equal(t, before, after, "nothing is written to a service that goes or is gone")
}
