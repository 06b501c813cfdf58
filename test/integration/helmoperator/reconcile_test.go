package helmoperator_test

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	helmstatus "github.com/datapower-operator/datapower-operator/helm-operator/status"
)

func TestANewResourceIsInstalled(t *testing.T) {
	s := newScenario(t)
	cr := s.create(demoKind, "fresh", map[string]any{"replicas": int64(3)})
	s.deployed(demoKind, "fresh")

	d := s.deployment("fresh")
	assert.EqualValues(t, 3, *d.Spec.Replicas)
	owner := metav1.GetControllerOf(d)
	require.NotNil(t, owner)
	assert.Equal(t, cr.GetUID(), owner.UID)
	assert.Equal(t, "somebody", d.Labels["app.kubernetes.io/managed-by"], "the chart's label wins over Helm's")
	for key := range d.Annotations {
		assert.False(t, strings.HasPrefix(key, "meta.helm.sh/"), key)
	}
	managers := map[string]bool{}
	for _, mf := range d.ManagedFields {
		if mf.Operation == metav1.ManagedFieldsOperationApply {
			managers[mf.Manager] = true
		}
	}
	assert.Equal(t, map[string]bool{"datapower-helm-operator": true}, managers)
	assert.Equal(t, map[string]int{"deployed": 1}, s.revisions("fresh"))
	for conditionType, want := range map[string]string{"Initialized": "True", "ReleaseFailed": "False", "Irreconcilable": "False"} {
		status, _, _ := s.condition(demoKind, "fresh", conditionType)
		assert.Equal(t, want, status, conditionType)
	}
	got := s.get(demoKind, "fresh")
	revision, _, err := unstructured.NestedInt64(got.Object, "status", "deployedRelease", "revision")
	require.NoError(t, err)
	assert.EqualValues(t, 1, revision)
	observed, _, err := unstructured.NestedInt64(got.Object, "status", "observedGeneration")
	require.NoError(t, err)
	assert.Equal(t, got.GetGeneration(), observed)
}

func TestAChangedSpecUpgradesAndHistoryStaysBounded(t *testing.T) {
	s := newScenario(t)
	s.create(demoKind, "busy", nil)
	s.deployed(demoKind, "busy")
	for _, greeting := range []string{"one", "two", "three", "four", "five", "six"} {
		s.setSpec(demoKind, "busy", "greeting", greeting)
		s.deployed(demoKind, "busy")
		assert.Equal(t, greeting, s.deployment("busy").Spec.Template.Spec.Containers[0].Env[0].Value)
	}
	revisions := s.revisions("busy")
	assert.Equal(t, 1, revisions["deployed"])
	assert.LessOrEqual(t, revisions["superseded"], 3, "maxReleaseHistory is 4")
}

func TestAnObjectThatTheChartNoLongerRendersGoes(t *testing.T) {
	s := newScenario(t)
	s.create(demoKind, "shrinks", map[string]any{"extra": true})
	s.deployed(demoKind, "shrinks")
	extra := &corev1.ConfigMap{}
	require.NoError(t, kube.Get(s.ctx, s.key("shrinks-extra"), extra))
	s.setSpec(demoKind, "shrinks", "extra", false)
	s.eventually("the extra ConfigMap is gone", func() bool {
		return apierrors.IsNotFound(kube.Get(s.ctx, s.key("shrinks-extra"), extra))
	})
}

func TestADeletedObjectComesBack(t *testing.T) {
	s := newScenario(t)
	s.create(demoKind, "robbed", nil)
	s.deployed(demoKind, "robbed")
	svc := &corev1.Service{}
	require.NoError(t, kube.Get(s.ctx, s.key("robbed"), svc))
	was := svc.UID
	require.NoError(t, kube.Delete(s.ctx, svc))
	s.eventually("the Service is back", func() bool {
		return kube.Get(s.ctx, s.key("robbed"), svc) == nil && svc.UID != was
	})
	assert.Equal(t, map[string]int{"deployed": 1}, s.revisions("robbed"), "a repair makes no revision")
}

func TestAChangedFieldComesBackAndTheEventNamesIt(t *testing.T) {
	s := newScenario(t)
	s.create(demoKind, "edited", nil)
	s.deployed(demoKind, "edited")
	d := s.deployment("edited")
	before := d.DeepCopy()
	d.Spec.Template.Spec.Containers[0].Image = "registry.invalid/rogue:1"
	require.NoError(t, kube.Patch(s.ctx, d, client.StrategicMergeFrom(before)))
	s.eventually("the image is back", func() bool {
		return s.deployment("edited").Spec.Template.Spec.Containers[0].Image == "registry.invalid/demo:1"
	})
	s.eventually("an event names the field", func() bool {
		list := &eventsv1.EventList{}
		require.NoError(t, kube.List(s.ctx, list, client.InNamespace(s.namespace)))
		for _, e := range list.Items {
			if e.Reason == "DriftCorrected" && strings.Contains(e.Note, "changed Deployment edited (spec.template.spec.containers[0].image)") {
				return true
			}
		}
		return false
	})
}

func TestFieldsOfOthersAreLeftAlone(t *testing.T) {
	s := newScenario(t)
	s.create(demoKind, "shared", nil)
	s.deployed(demoKind, "shared")
	d := s.deployment("shared")
	before := d.DeepCopy()
	d.Spec.Template.Spec.Containers = append(d.Spec.Template.Spec.Containers, corev1.Container{Name: "proxy", Image: "registry.invalid/mesh:1"})
	d.Annotations = map[string]string{"mesh.example/injected": "true"}
	require.NoError(t, kube.Patch(s.ctx, d, client.StrategicMergeFrom(before), client.FieldOwner("mesh")))
	s.settled()
	s.setSpec(demoKind, "shared", "greeting", "changed")
	s.deployed(demoKind, "shared")
	d = s.deployment("shared")
	require.Len(t, d.Spec.Template.Spec.Containers, 2, "the injected container stays")
	assert.Equal(t, "true", d.Annotations["mesh.example/injected"])
	assert.Equal(t, "changed", d.Spec.Template.Spec.Containers[0].Env[0].Value)
}

func TestReplicasAreHandedToAnAutoscaler(t *testing.T) {
	s := newScenario(t)
	s.create(demoKind, "elastic", map[string]any{"replicas": int64(4)})
	s.deployed(demoKind, "elastic")
	s.setSpec(demoKind, "elastic", "autoscaled", true)
	s.deployed(demoKind, "elastic")
	assert.EqualValues(t, 4, *s.deployment("elastic").Spec.Replicas, "giving the field up must not reset it")

	scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: 6}}
	require.NoError(t, kube.SubResource("scale").Update(s.ctx, s.deployment("elastic"), client.WithSubResourceBody(scale)))
	s.settled()
	s.setSpec(demoKind, "elastic", "greeting", "after scaling")
	s.deployed(demoKind, "elastic")
	assert.EqualValues(t, 6, *s.deployment("elastic").Spec.Replicas)

	s.setSpec(demoKind, "elastic", "autoscaled", false)
	s.deployed(demoKind, "elastic")
	assert.EqualValues(t, 4, *s.deployment("elastic").Spec.Replicas, "the chart takes the field back")
}

func TestWhatTheAPIServerRefusesChangesNothingAndHealsWhenCorrected(t *testing.T) {
	s := newScenario(t)
	s.create(demoKind, "wrong", map[string]any{"greeting": "before"})
	s.deployed(demoKind, "wrong")
	cm := &corev1.ConfigMap{}
	u := s.get(demoKind, "wrong")
	before := u.DeepCopy()
	u.Object["spec"] = map[string]any{"greeting": "after", "port": int64(99999)}
	require.NoError(t, kube.Patch(s.ctx, u, client.MergeFrom(before)))
	s.eventually("the failure is reported", func() bool {
		status, reason, message := s.condition(demoKind, "wrong", "ReleaseFailed")
		return status == "True" && reason == "UpgradeError" && strings.Contains(message, "spec.ports[0].port")
	})
	status, _, _ := s.condition(demoKind, "wrong", "Deployed")
	assert.Equal(t, "False", status)
	require.NoError(t, kube.Get(s.ctx, s.key("wrong"), cm))
	assert.Equal(t, "before", cm.Data["greeting"], "no object changed although only the Service is wrong")
	assert.Equal(t, map[string]int{"deployed": 1}, s.revisions("wrong"))

	s.setSpec(demoKind, "wrong", "port", int64(81))
	s.deployed(demoKind, "wrong")
	require.NoError(t, kube.Get(s.ctx, s.key("wrong"), cm))
	assert.Equal(t, "after", cm.Data["greeting"])
}

func TestWhatTheChartRefusesIsReportedInItsOwnWords(t *testing.T) {
	s := newScenario(t)
	s.create(demoKind, "silent", map[string]any{"greeting": ""})
	s.eventually("the refusal is reported", func() bool {
		status, reason, message := s.condition(demoKind, "silent", "Irreconcilable")
		return status == "True" && reason == "RenderError" && strings.HasSuffix(message, "spec.greeting: must not be empty")
	})
	assert.Empty(t, s.revisions("silent"))
	s.setSpec(demoKind, "silent", "greeting", "hi")
	s.deployed(demoKind, "silent")
}

func TestAnObjectOfSomebodyElseIsNotTakenOver(t *testing.T) {
	s := newScenario(t)
	theirs := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "clash", Namespace: s.namespace}, Data: map[string]string{"mine": "yes"}}
	require.NoError(t, kube.Create(s.ctx, theirs))
	s.create(demoKind, "clash", nil)
	s.eventually("the clash is reported", func() bool {
		status, _, message := s.condition(demoKind, "clash", "ReleaseFailed")
		return status == "True" && strings.Contains(message, "ConfigMap clash")
	})
	got := &corev1.ConfigMap{}
	require.NoError(t, kube.Get(s.ctx, s.key("clash"), got))
	assert.Equal(t, theirs.Data, got.Data)
	assert.True(t, apierrors.IsNotFound(kube.Get(s.ctx, s.key("clash"), &appsv1.Deployment{})), "nothing else was created")

	require.NoError(t, kube.Delete(s.ctx, s.get(demoKind, "clash")))
	s.eventually("the resource is gone", func() bool {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(demoKind)
		return apierrors.IsNotFound(kube.Get(s.ctx, s.key("clash"), u))
	})
	require.NoError(t, kube.Get(s.ctx, s.key("clash"), got), "the uninstall left it alone, too")
}

func TestADeletedResourceUninstalls(t *testing.T) {
	s := newScenario(t)
	s.create(demoKind, "leaving", nil)
	s.deployed(demoKind, "leaving")
	require.NoError(t, kube.Delete(s.ctx, s.get(demoKind, "leaving")))
	s.eventually("the resource is gone", func() bool {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(demoKind)
		return apierrors.IsNotFound(kube.Get(s.ctx, s.key("leaving"), u))
	})
	assert.True(t, apierrors.IsNotFound(kube.Get(s.ctx, s.key("leaving"), &corev1.Service{})))
	assert.True(t, apierrors.IsNotFound(kube.Get(s.ctx, s.key("leaving"), &corev1.ConfigMap{})))
	assert.Empty(t, s.revisions("leaving"))
}

func TestTwoKindsOfOneNameDoNotShareARelease(t *testing.T) {
	s := newScenario(t)
	s.create(demoKind, "same", nil)
	s.deployed(demoKind, "same")
	s.create(otherKind, "same", nil)
	s.eventually("the second kind says so", func() bool {
		status, reason, message := s.condition(otherKind, "same", "Irreconcilable")
		return status == "True" && reason == "ReleaseNameTaken" && strings.Contains(message, "chart demo")
	})
	assert.NotEmpty(t, s.deployment("same").UID, "the first kind's objects stay")
	require.NoError(t, kube.Delete(s.ctx, s.get(otherKind, "same")))
	s.settled()
	assert.Equal(t, map[string]int{"deployed": 1}, s.revisions("same"), "deleting the second leaves the first's release")
}

func TestOverridesWinAndKeepTheirType(t *testing.T) {
	s := newScenario(t)
	s.create(otherKind, "overridden", map[string]any{"port": int64(1234), "greeting": "mine"})
	s.deployed(otherKind, "overridden")
	svc := &corev1.Service{}
	require.NoError(t, kube.Get(s.ctx, s.key("overridden"), svc))
	assert.EqualValues(t, 8080, svc.Spec.Ports[0].Port, "from the environment, as a number")
	cm := &corev1.ConfigMap{}
	require.NoError(t, kube.Get(s.ctx, s.key("overridden"), cm))
	assert.Equal(t, "overridden", cm.Data["greeting"])
}

func TestAResourceOutsideTheSelectorIsIgnored(t *testing.T) {
	s := newScenario(t)
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{}}}
	u.SetGroupVersionKind(demoKind)
	u.SetNamespace(s.namespace)
	u.SetName("unselected")
	u.SetLabels(map[string]string{"ignore": "me"})
	require.NoError(t, kube.Create(s.ctx, u))
	s.create(demoKind, "selected", nil)
	s.deployed(demoKind, "selected")
	s.settled()
	assert.Empty(t, s.get(demoKind, "unselected").GetFinalizers())
	assert.Empty(t, s.revisions("unselected"))
}

func TestAnInterruptedReleaseIsTakenUpAgain(t *testing.T) {
	for _, status := range []string{"pending-install", "pending-upgrade", "pending-rollback"} {
		t.Run(status, func(t *testing.T) {
			s := newScenario(t)
			s.create(demoKind, "crashed", nil)
			s.deployed(demoKind, "crashed")
			s.settled()
			s.rewriteStatus("crashed", status)
			s.eventually("the release is deployed again", func() bool {
				return s.revisions("crashed")["deployed"] == 1 && s.revisions("crashed")[status] == 0
			})
			s.deployed(demoKind, "crashed")
		})
	}
}

func TestIdleCostsNoRequest(t *testing.T) {
	s := newScenario(t)
	s.create(demoKind, "quiet", nil)
	s.deployed(demoKind, "quiet")
	s.settled()

	// Wake the reconciler once: after a look at the cluster it knows all it needs.
	s.annotate("quiet", "1")
	s.settled()
	start := requests.len()
	for _, v := range []string{"2", "3", "4"} {
		s.annotate("quiet", v)
	}
	s.settled()
	assert.Empty(t, requests.since(start), "three reconciles of an unchanged resource")
}

func TestWhatPeopleAddIsRemovedAndTheEventNamesIt(t *testing.T) {
	s := newScenario(t)
	s.create(demoKind, "padded", nil)
	s.deployed(demoKind, "padded")
	d := s.deployment("padded")
	before := d.DeepCopy()
	pod := &d.Spec.Template.Spec
	pod.HostNetwork = true
	pod.NodeSelector = map[string]string{"disk": "ssd"}
	pod.Containers[0].Env = append(pod.Containers[0].Env, corev1.EnvVar{Name: "ROGUE", Value: "1"})
	pod.Containers = append(pod.Containers, corev1.Container{Name: "rogue", Image: "registry.invalid/rogue:1"})
	require.NoError(t, kube.Patch(s.ctx, d, client.StrategicMergeFrom(before), client.FieldOwner("kubectl-edit")))
	s.eventually("the additions are gone", func() bool {
		pod := s.deployment("padded").Spec.Template.Spec
		return len(pod.Containers) == 1 && len(pod.Containers[0].Env) == 1 && !pod.HostNetwork && pod.NodeSelector == nil
	})
	s.eventually("an event names them", func() bool {
		list := &eventsv1.EventList{}
		require.NoError(t, kube.List(s.ctx, list, client.InNamespace(s.namespace)))
		for _, e := range list.Items {
			if e.Reason == "DriftCorrected" && strings.Contains(e.Note, `containers[name="rogue"]`) && strings.Contains(e.Note, "hostNetwork") {
				return true
			}
		}
		return false
	})
	s.settled()
	assert.Equal(t, map[string]int{"deployed": 1}, s.revisions("padded"))
}

func TestARolloutRestartIsNoDrift(t *testing.T) {
	s := newScenario(t)
	s.create(demoKind, "restarted", nil)
	s.deployed(demoKind, "restarted")
	d := s.deployment("restarted")
	before := d.DeepCopy()
	d.Spec.Template.Annotations = map[string]string{"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
	require.NoError(t, kube.Patch(s.ctx, d, client.StrategicMergeFrom(before), client.FieldOwner("kubectl-rollout")))
	s.settled()
	assert.NotEmpty(t, s.deployment("restarted").Spec.Template.Annotations)
}

func TestIgnoredFieldsAreLeftAsTheyAre(t *testing.T) {
	s := newScenario(t)
	u := s.create(demoKind, "lenient", map[string]any{"replicas": int64(2)})
	s.deployed(demoKind, "lenient")
	before := u.DeepCopy()
	u.SetAnnotations(map[string]string{"helm.sdk.operatorframework.io/ignore-drift": "Deployment:/spec/replicas,Deployment:/spec/template/spec/nodeSelector"})
	require.NoError(t, kube.Patch(s.ctx, u, client.MergeFrom(before)))
	d := s.deployment("lenient")
	was := d.DeepCopy()
	d.Spec.Replicas = new(int32(5))
	d.Spec.Template.Spec.NodeSelector = map[string]string{"disk": "ssd"}
	d.Spec.Template.Spec.Containers[0].Image = "registry.invalid/rogue:1"
	require.NoError(t, kube.Patch(s.ctx, d, client.StrategicMergeFrom(was), client.FieldOwner("kubectl-edit")))
	s.eventually("the image, which is not ignored, is back", func() bool {
		return s.deployment("lenient").Spec.Template.Spec.Containers[0].Image == "registry.invalid/demo:1"
	})
	s.setSpec(demoKind, "lenient", "greeting", "changed")
	s.deployed(demoKind, "lenient")
	d = s.deployment("lenient")
	assert.EqualValues(t, 5, *d.Spec.Replicas)
	assert.Equal(t, map[string]string{"disk": "ssd"}, d.Spec.Template.Spec.NodeSelector)
}

func TestAStatusIsNeverWrittenToASuccessorOfTheSameName(t *testing.T) {
	s := newScenario(t)
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{}}}
	u.SetGroupVersionKind(demoKind)
	u.SetNamespace(s.namespace)
	u.SetName("successor")
	u.SetLabels(map[string]string{"ignore": "me"}) // the operator leaves it alone
	require.NoError(t, kube.Create(s.ctx, u))
	earlier := u.DeepCopy()
	earlier.SetUID("00000000-0000-0000-0000-000000000000")
	earlier.SetResourceVersion("1")
	require.NoError(t, helmstatus.Write(s.ctx, kube, earlier, helmstatus.Status{}, helmstatus.Status{ObservedGeneration: 7}))
	_, written := s.get(demoKind, "successor").Object["status"]
	assert.False(t, written)
}

func TestAKindThatComesLaterIsRenderedFor(t *testing.T) {
	s := newScenario(t)
	s.create(demoKind, "early", nil)
	s.deployed(demoKind, "early")
	late := &corev1.ConfigMap{}
	require.True(t, apierrors.IsNotFound(kube.Get(s.ctx, s.key("early-late"), late)))
	crd := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"name": "lates.late.test"},
		"spec": map[string]any{
			"group": "late.test", "scope": "Namespaced",
			"names": map[string]any{"kind": "Late", "plural": "lates", "singular": "late", "listKind": "LateList"},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object"}}}},
		},
	}}
	crd.SetAPIVersion("apiextensions.k8s.io/v1")
	crd.SetKind("CustomResourceDefinition")
	require.NoError(t, kube.Create(s.ctx, crd))
	t.Cleanup(func() { _ = kube.Delete(s.ctx, crd) })
	s.eventually("the chart is rendered for the new API", func() bool {
		return kube.Get(s.ctx, s.key("early-late"), late) == nil
	})
}

func TestAPausedResourceIsLeftAsItIs(t *testing.T) {
	s := newScenario(t)
	u := s.create(demoKind, "paused", nil)
	s.deployed(demoKind, "paused")
	before := u.DeepCopy()
	u.SetAnnotations(map[string]string{"datapower.ibm.com/pause": "1h"})
	require.NoError(t, kube.Patch(s.ctx, u, client.MergeFrom(before)))
	s.eventually("the end of the pause is noted", func() bool {
		return s.get(demoKind, "paused").GetAnnotations()["datapower.ibm.com/pause-expiration"] != ""
	})
	s.setSpec(demoKind, "paused", "greeting", "later")
	require.NoError(t, kube.Delete(s.ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "paused", Namespace: s.namespace}}))
	s.settled()
	assert.True(t, apierrors.IsNotFound(kube.Get(s.ctx, s.key("paused"), &corev1.Service{})))

	u = s.get(demoKind, "paused")
	before = u.DeepCopy()
	u.SetAnnotations(map[string]string{"datapower.ibm.com/pause-expiration": u.GetAnnotations()["datapower.ibm.com/pause-expiration"]})
	require.NoError(t, kube.Patch(s.ctx, u, client.MergeFrom(before)))
	s.deployed(demoKind, "paused")
	require.NoError(t, kube.Get(s.ctx, s.key("paused"), &corev1.Service{}))
	s.eventually("the note is gone, too", func() bool { return len(s.get(demoKind, "paused").GetAnnotations()) == 0 })
}

func TestAHibernatingResourceKeepsNothingButItself(t *testing.T) {
	s := newScenario(t)
	u := s.create(demoKind, "asleep", nil)
	s.deployed(demoKind, "asleep")
	before := u.DeepCopy()
	u.SetAnnotations(map[string]string{"datapower.ibm.com/hibernate": "true"})
	require.NoError(t, kube.Patch(s.ctx, u, client.MergeFrom(before)))
	s.eventually("the objects are gone", func() bool {
		return apierrors.IsNotFound(kube.Get(s.ctx, s.key("asleep"), &corev1.Service{})) && len(s.revisions("asleep")) == 0
	})
	s.eventually("the condition says why", func() bool {
		status, reason, _ := s.condition(demoKind, "asleep", "Deployed")
		return status == "False" && reason == "Hibernated"
	})
	before = u.DeepCopy()
	u.SetAnnotations(nil)
	require.NoError(t, kube.Patch(s.ctx, u, client.MergeFrom(before)))
	s.deployed(demoKind, "asleep")
	require.NoError(t, kube.Get(s.ctx, s.key("asleep"), &corev1.Service{}))
}

func TestALargeReleaseIsStoredInPieces(t *testing.T) {
	s := newScenario(t)
	s.create(demoKind, "large", map[string]any{"greeting": incompressible(700_000)})
	s.deployed(demoKind, "large")
	list := &corev1.SecretList{}
	require.NoError(t, kube.List(s.ctx, list, client.InNamespace(s.namespace), client.HasLabels{"helm.sdk.operatorframework.io/piece-of"}))
	assert.NotEmpty(t, list.Items)
	s.setSpec(demoKind, "large", "greeting", "small")
	s.deployed(demoKind, "large")
	require.NoError(t, kube.Delete(s.ctx, s.get(demoKind, "large")))
	s.eventually("nothing is left of it", func() bool {
		require.NoError(t, kube.List(s.ctx, list, client.InNamespace(s.namespace)))
		return len(list.Items) == 0
	})
}

// incompressible is text that a release can't make smaller.
func incompressible(length int) string {
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for b.Len() < length {
		b.WriteString(strconv.FormatUint(random.Uint64(), 36))
	}
	return b.String()
}
