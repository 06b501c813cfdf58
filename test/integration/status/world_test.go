package status_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/sidecar/status"
)

const (
	patience = 90 * time.Second
	tick     = 20 * time.Millisecond
)

// world is one namespace with one service in it.
type world struct {
	t         *testing.T
	namespace string
	service   *v1beta3.DataPowerService
	set       *appsv1.StatefulSet
}

// newWorld makes a namespace with a service of three replicas and, unless
// withoutSecret, the Secret that it needs.
func newWorld(t *testing.T, withoutSecret bool, change ...func(*v1beta3.DataPowerService)) *world {
	t.Helper()
	if os.Getenv(assets) == "" {
		t.Skipf("%s is not set: there is no API server to test against", assets)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "status-"}}
	require.NoError(t, cluster.client.Create(t.Context(), namespace))
	w := &world{t: t, namespace: namespace.Name}
	if !withoutSecret {
		w.createSecret("admin-credentials", "password")
	}
	w.service = &v1beta3.DataPowerService{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "gw"},
		Spec: v1beta3.DataPowerServiceSpec{
			License:  v1beta3.License{Accept: true, License: "L-ABCD-EFGHIJ", Use: v1beta3.LicenseUseProduction},
			Version:  "10.6-lts",
			Replicas: ptr.To[int32](3),
			Users:    []v1beta3.User{{Name: "admin", PasswordSecret: "admin-credentials", AccessLevel: "privileged"}},
		},
	}
	for _, c := range change {
		c(w.service)
	}
	require.NoError(t, cluster.client.Create(t.Context(), w.service))
	t.Cleanup(func() { // services left behind would be noise in the log of later tests
		_ = cluster.client.Delete(context.Background(), w.service)
	})
	return w
}

func (w *world) createSecret(name string, keys ...string) {
	w.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}, StringData: map[string]string{}}
	for _, key := range keys {
		secret.StringData[key] = "hunter2"
	}
	require.NoError(w.t, cluster.client.Create(w.t.Context(), secret))
}

// helmOperatorDeploys plays the helm-operator: it creates or updates the
// StatefulSet and says which generation is deployed.
func (w *world) helmOperatorDeploys() {
	w.t.Helper()
	live := w.get()
	set := &appsv1.StatefulSet{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.namespace, Name: live.Name,
			Labels:          map[string]string{datapower.ServiceLabel: live.Name, datapower.VersionLabel: "10.6.0.1"},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(live, v1beta3.GroupVersion.WithKind("DataPowerService"))},
		},
		Spec: appsv1.StatefulSetSpec{
			Replicas: live.Spec.Replicas,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{datapower.ServiceLabel: live.Name}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{datapower.ServiceLabel: live.Name}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "datapower", Image: image(live)}}},
			},
		},
	}
	if w.set == nil {
		require.NoError(w.t, cluster.client.Create(w.t.Context(), set))
	} else {
		set.ResourceVersion = w.set.ResourceVersion
		require.NoError(w.t, cluster.client.Update(w.t.Context(), set))
	}
	w.set = set
	w.helmOperatorSays(live.Generation, metav1.Condition{
		Type: datapower.ConditionDeployed, Status: metav1.ConditionTrue, Reason: datapower.ReasonUpgradeSuccessful,
	})
}

func image(service *v1beta3.DataPowerService) string {
	if service.Spec.Image != "" {
		return service.Spec.Image
	}
	return "example.com/datapower:10.6.0.1"
}

// helmOperatorSays applies the helm-operator's part of the status: these
// conditions and no other of its own.
func (w *world) helmOperatorSays(generation int64, conditions ...metav1.Condition) {
	w.t.Helper()
	var list []any
	for _, c := range conditions {
		list = append(list, map[string]any{
			"type": c.Type, "status": string(c.Status), "reason": c.Reason, "message": c.Message,
			"observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z",
		})
	}
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1beta3.GroupVersion.String(), "kind": "DataPowerService",
		"metadata": map[string]any{"namespace": w.namespace, "name": w.service.Name},
		"status":   map[string]any{"observedGeneration": generation, "conditions": list},
	}}
	require.NoError(w.t, cluster.client.Status().Apply(w.t.Context(), client.ApplyConfigurationFromUnstructured(object),
		client.FieldOwner(datapower.HelmStatusFieldManager), client.ForceOwnership))
}

// controllerReports plays the StatefulSet controller, which has seen the
// newest StatefulSet.
func (w *world) controllerReports(existing, ready, updated int32) {
	w.t.Helper()
	w.set.Status = appsv1.StatefulSetStatus{
		ObservedGeneration: w.set.Generation, Replicas: existing, ReadyReplicas: ready, AvailableReplicas: ready,
		CurrentReplicas: existing, UpdatedReplicas: updated, CurrentRevision: "gw-old", UpdateRevision: "gw-old",
	}
	if updated < existing {
		w.set.Status.UpdateRevision = "gw-new"
	}
	require.NoError(w.t, cluster.client.Status().Update(w.t.Context(), w.set))
}

// createPod plays the StatefulSet controller.
func (w *world) createPod(ordinal int) *corev1.Pod {
	w.t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.namespace, Name: fmt.Sprintf("gw-%d", ordinal),
			Labels:          map[string]string{datapower.ServiceLabel: "gw", datapower.ManagedByLabel: "somebody-else"},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(w.set, appsv1.SchemeGroupVersion.WithKind("StatefulSet"))},
		},
		Spec: w.set.Spec.Template.Spec,
	}
	require.NoError(w.t, cluster.client.Create(w.t.Context(), pod))
	return pod
}

func (w *world) get() *v1beta3.DataPowerService {
	w.t.Helper()
	var service v1beta3.DataPowerService
	require.NoError(w.t, cluster.client.Get(w.t.Context(), client.ObjectKeyFromObject(w.service), &service))
	return &service
}

// edit changes the spec as a user does.
func (w *world) edit(change func(*v1beta3.DataPowerServiceSpec)) {
	w.t.Helper()
	service := w.get()
	change(&service.Spec)
	require.NoError(w.t, cluster.client.Update(w.t.Context(), service))
}

// eventually waits until the status satisfies check and returns the service.
func (w *world) eventually(what string, check func(*v1beta3.DataPowerService) bool) *v1beta3.DataPowerService {
	w.t.Helper()
	var service *v1beta3.DataPowerService
	met := assert.Eventually(w.t, func() bool { service = w.get(); return check(service) }, patience, tick)
	if !met {
		require.FailNow(w.t, what, "status: %+v", w.get().Status)
	}
	return service
}

// becomesReady brings the service to 3/3.
func (w *world) becomesReady() *v1beta3.DataPowerService {
	w.t.Helper()
	w.helmOperatorDeploys()
	w.controllerReports(3, 3, 3)
	return w.eventually("becoming ready", func(s *v1beta3.DataPowerService) bool { return isReady(s) })
}

func isReady(service *v1beta3.DataPowerService) bool {
	return meta.IsStatusConditionTrue(service.Status.Conditions, datapower.ConditionReady)
}

func message(service *v1beta3.DataPowerService, conditionType string) string {
	c := meta.FindStatusCondition(service.Status.Conditions, conditionType)
	if c == nil {
		return "(absent)"
	}
	return fmt.Sprintf("%s %s %s", c.Status, c.Reason, c.Message)
}

// events are "type reason note" of the service's events, once there are as
// many as wanted.
func (w *world) events(want int) []string {
	w.t.Helper()
	var told []string
	collect := func() bool {
		var list eventsv1.EventList
		require.NoError(w.t, cluster.client.List(w.t.Context(), &list, client.InNamespace(w.namespace)))
		told = nil
		for _, e := range list.Items {
			if e.Regarding.Kind == "DataPowerService" && e.Regarding.Name == w.service.Name {
				told = append(told, strings.Join([]string{e.Type, e.Reason, e.Note}, " "))
			}
		}
		return len(told) >= want
	}
	assert.Eventually(w.t, collect, patience, tick)
	return told
}

// reconciles is how often the status writer has reconciled anything.
func reconciles(t *testing.T) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	require.NoError(t, err)
	var sum float64
	for _, family := range families {
		if family.GetName() != "controller_runtime_reconcile_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "controller" && label.GetValue() == status.ControllerName {
					sum += metric.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

// quiet waits until nothing has been reconciled for a while.
func quiet(t *testing.T) {
	t.Helper()
	last, since := reconciles(t), time.Now()
	require.Eventually(t, func() bool {
		if n := reconciles(t); n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > 500*time.Millisecond
	}, patience, tick)
}
