package status

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	testclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/sidecar/status/statustest"
)

// fixture is a Reconciler between a cache and an API server that can differ,
// with a record of what went over the wire.
type fixture struct {
	reconciler *Reconciler
	recorder   *events.FakeRecorder
	cached     client.Client
	live       client.Client
	applied    []*unstructured.Unstructured
	liveReads  []string // kinds
	applyError error
	readErrors map[string]error // by "cached" or "live" and kind
}

func testScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	require.NoError(t, scheme.AddToScheme(s))
	require.NoError(t, v1beta3.AddToScheme(s))
	return s
}

func newFixture(t *testing.T, cached, live []client.Object) *fixture {
	t.Helper()
	f := &fixture{recorder: events.NewFakeRecorder(20)}
	build := func(objects []client.Object, funcs interceptor.Funcs) client.Client {
		return fake.NewClientBuilder().WithScheme(testScheme(t)).WithObjects(objects...).
			WithStatusSubresource(&v1beta3.DataPowerService{}).WithInterceptorFuncs(funcs).Build()
	}
	f.cached = build(cached, interceptor.Funcs{SubResourceApply: f.apply, Get: f.readCached, List: f.listCached})
	f.live = build(live, interceptor.Funcs{Get: f.read})
	f.reconciler = NewReconciler(f.cached, f.live, f.recorder, testCatalogue(t),
		[]v1beta3.User{{Name: "admin", PasswordSecret: "default-credentials"}})
	f.reconciler.Clock = testclock.NewFakePassiveClock(now)
	return f
}

func (f *fixture) apply(
	_ context.Context, _ client.Client, subResource string, obj runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption,
) error {
	options := (&client.SubResourceApplyOptions{}).ApplyOpts(opts)
	if subResource != "status" || options.FieldManager != "datapower-sidecar-status" {
		return fmt.Errorf("applied to %q as %q", subResource, options.FieldManager)
	}
	carrier, ok := obj.(interface{ UnstructuredContent() map[string]any })
	if !ok {
		return errors.New("not an unstructured apply")
	}
	f.applied = append(f.applied, &unstructured.Unstructured{Object: carrier.UnstructuredContent()})
	return f.applyError
}

func (f *fixture) read(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	f.liveReads = append(f.liveReads, fmt.Sprintf("%T", obj))
	if err := f.readErrors[fmt.Sprintf("live %T", obj)]; err != nil {
		return err
	}
	return c.Get(ctx, key, obj, opts...)
}

func (f *fixture) readCached(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if err := f.readErrors[fmt.Sprintf("cached %T", obj)]; err != nil {
		return err
	}
	return c.Get(ctx, key, obj, opts...)
}

func (f *fixture) listCached(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
	if err := f.readErrors[fmt.Sprintf("cached %T", list)]; err != nil {
		return err
	}
	return c.List(ctx, list, opts...)
}

func (f *fixture) reconcile(t *testing.T) (ctrl.Result, error) {
	t.Helper()
	return f.reconciler.Reconcile(t.Context(), ctrl.Request{
		NamespacedName: client.ObjectKey{Namespace: statustest.Namespace, Name: statustest.Name}})
}

// events drains what was told so far.
func (f *fixture) events() []string {
	var told []string
	for {
		select {
		case event := <-f.recorder.Events:
			told = append(told, event)
		default:
			return told
		}
	}
}

// appliedReady is the Ready condition of the last apply: status and message.
func (f *fixture) appliedReady(t *testing.T) (string, string) {
	t.Helper()
	require.NotEmpty(t, f.applied, "nothing was applied")
	var service v1beta3.DataPowerService
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(f.applied[len(f.applied)-1].Object, &service))
	ready := mustCondition(t, Current(&service), datapower.ConditionReady)
	return string(ready.Status), ready.Message
}

func secret(name string, keys ...string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: statustest.Namespace, Name: name, UID: "secret-uid"}}
	s.Data = map[string][]byte{}
	for _, key := range keys {
		s.Data[key] = []byte("hunter2")
	}
	return s
}

// world is a healthy service with everything around it.
func world(service *v1beta3.DataPowerService, set *appsv1.StatefulSet) []client.Object {
	objects := []client.Object{service.DeepCopy(), set.DeepCopy(), secret("admin-credentials", "password")}
	for i := range 3 {
		pod := statustest.Pod(set, i)
		objects = append(objects, &pod)
	}
	return objects
}

// settled is a healthy service whose status already says so.
func settled(t *testing.T) (*v1beta3.DataPowerService, *appsv1.StatefulSet) {
	t.Helper()
	in := healthy(t)
	in.Service = record(in.Service, Compute(in))
	return in.Service, in.StatefulSet
}

func TestSteadyStateCostsNothing(t *testing.T) {
	service, set := settled(t)
	objects := world(service, set)
	f := newFixture(t, objects, objects)

	_, err := f.reconcile(t)
	require.NoError(t, err)
	assert.Equal(t, []string{"*v1.Secret"}, f.liveReads, "the first look at the Secret's keys")
	f.liveReads = nil
	for range 3 {
		_, err := f.reconcile(t)
		require.NoError(t, err)
	}

	assert.Empty(t, f.liveReads, "no live read")
	assert.Empty(t, f.applied, "no write")
	assert.Empty(t, f.events(), "no event")
}

func TestAChangeIsWrittenOnceAndTold(t *testing.T) {
	service := statustest.Service(statustest.Deployed(1))
	objects := world(service, statustest.StatefulSet(service))
	f := newFixture(t, objects, objects)

	result, err := f.reconcile(t)

	require.NoError(t, err)
	assert.Zero(t, result)
	require.Len(t, f.applied, 1)
	status, message := f.appliedReady(t)
	assert.Equal(t, "True", status)
	assert.Equal(t, "StatefulSet replicas ready: 3/3", message)
	assert.Equal(t, []string{"Normal Ready StatefulSet replicas ready: 3/3"}, f.events())
}

func TestTheApplyHoldsThisWritersPartAndNoMore(t *testing.T) {
	service := statustest.Service(statustest.Deployed(1), func(s *v1beta3.DataPowerService) {
		s.Status.Firmware = []v1beta3.Firmware{{Pods: []string{"gw-0"}}}
		s.Status.ObservedGeneration = 1
	})
	objects := world(service, statustest.StatefulSet(service))
	f := newFixture(t, objects[:1], objects[:1]) // no StatefulSet, no Secret: as many empty values as can be

	_, err := f.reconcile(t)
	require.NoError(t, err)
	require.Len(t, f.applied, 1)
	object := f.applied[0].Object

	assert.Equal(t, "datapower.ibm.com/v1beta3", object["apiVersion"])
	assert.Equal(t, "DataPowerService", object["kind"])
	metadata, ok := object["metadata"].(map[string]any)
	require.True(t, ok)
	assert.ElementsMatch(t, []string{"name", "namespace", "uid", "resourceVersion"}, keysOf(metadata))
	assert.Equal(t, "service-gw", metadata["uid"], "so that a later service of the same name is not written to")
	status, ok := object["status"].(map[string]any)
	require.True(t, ok)
	assert.ElementsMatch(t, []string{"phase", "conditions", "replicas", "labelSelector", "pods", "versions",
		"mgmtPorts", "customImages", "generated"}, keysOf(status), "not what others write, and empty values too")
	assert.Equal(t, []any{}, status["pods"])
	assert.Equal(t, []any{}, status["generated"])
	conditions, ok := status["conditions"].([]any)
	require.True(t, ok)
	for _, c := range conditions {
		assert.NotEqual(t, "Deployed", c.(map[string]any)["type"], "the helm-operator's")
	}
}

func keysOf(m map[string]any) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	return keys
}

func TestALaggingCacheMisleadsNobody(t *testing.T) {
	t.Run("a StatefulSet that changed is not reported ready for the new generation", func(t *testing.T) {
		// The helm-operator has just deployed generation 2; the cache knows that
		// already, but has not seen the StatefulSet's change.
		service, set := settled(t)
		service.Generation = 2
		statustest.Deployed(2)(service)
		changed := set.DeepCopy()
		changed.Generation = 2 // observedGeneration is still 1
		f := newFixture(t, world(service, set), world(service, changed))

		_, err := f.reconcile(t)

		require.NoError(t, err)
		status, message := f.appliedReady(t)
		assert.Equal(t, "False", status)
		assert.Equal(t, "StatefulSet replicas ready: 3/3, the latest change of the StatefulSet is not processed yet", message)
	})
	t.Run("a status that is already written is not written or told again", func(t *testing.T) {
		service, set := settled(t)
		old := service.DeepCopy()
		old.Status = statustest.Service(statustest.Deployed(1)).Status
		f := newFixture(t, world(old, set), world(service, set))

		_, err := f.reconcile(t)

		require.NoError(t, err)
		assert.Empty(t, f.applied)
		assert.Empty(t, f.events())
	})
	t.Run("a service that is gone is not written", func(t *testing.T) {
		service := statustest.Service()
		f := newFixture(t, world(service, statustest.StatefulSet(service)), nil)

		_, err := f.reconcile(t)

		require.NoError(t, err)
		assert.Empty(t, f.applied)
	})
}

func TestAServiceThatIsBeingDeletedKeepsItsStatus(t *testing.T) {
	service := statustest.Service(func(s *v1beta3.DataPowerService) {
		s.DeletionTimestamp = &metav1.Time{Time: now}
		s.Finalizers = []string{"x.example.com/y"}
	})
	objects := world(service, statustest.StatefulSet(service))
	f := newFixture(t, objects, objects)

	_, err := f.reconcile(t)

	require.NoError(t, err)
	assert.Empty(t, f.applied)
	assert.Empty(t, f.liveReads)
}

func TestFailedWrites(t *testing.T) {
	resource := schema.GroupResource{Group: "datapower.ibm.com", Resource: "datapowerservices"}
	boom := errors.New("boom")
	for name, tc := range map[string]struct {
		err     error
		want    error
		requeue bool
	}{
		"a conflict is tried again soon and is no error": {err: apierrors.NewConflict(resource, "gw", boom), requeue: true},
		"a service that vanished is no error":            {err: apierrors.NewNotFound(resource, "gw")},
		"any other error is returned for a later try":    {err: boom, want: boom},
	} {
		t.Run(name, func(t *testing.T) {
			service := statustest.Service(statustest.Deployed(1))
			objects := world(service, statustest.StatefulSet(service))
			f := newFixture(t, objects, objects)
			f.applyError = tc.err

			result, err := f.reconcile(t)

			require.ErrorIs(t, err, tc.want)
			assert.Equal(t, tc.requeue, result.RequeueAfter > 0)
			assert.Empty(t, f.events(), "what was not written is not told")
		})
	}
}

func TestWhatCannotBeReadIsNotGuessed(t *testing.T) {
	boom := errors.New("boom")
	for _, what := range []string{
		"cached *v1beta3.DataPowerService", "cached *v1.StatefulSet", "cached *v1.PodList", "cached *v1.PartialObjectMetadata",
		"live *v1.Secret", "live *v1beta3.DataPowerService", "live *v1.StatefulSet",
	} {
		t.Run(what, func(t *testing.T) {
			service := statustest.Service(statustest.Deployed(1))
			objects := world(service, statustest.StatefulSet(service))
			f := newFixture(t, objects, objects)
			f.readErrors = map[string]error{what: boom}

			_, err := f.reconcile(t)

			require.ErrorIs(t, err, boom, "returned for a later try")
			assert.Empty(t, f.applied)
			assert.Empty(t, f.events())
		})
	}
}

func TestOnlyOwnedObjectsCount(t *testing.T) {
	service := statustest.Service(statustest.Deployed(1))
	set := statustest.StatefulSet(service)

	t.Run("a StatefulSet of a former service of the same name is none", func(t *testing.T) {
		foreign := set.DeepCopy()
		foreign.OwnerReferences[0].UID = "an earlier life"
		objects := world(service, foreign)
		f := newFixture(t, objects, objects)
		_, err := f.reconcile(t)
		require.NoError(t, err)
		_, message := f.appliedReady(t)
		assert.Equal(t, "StatefulSet replicas ready: 0/3", message)
	})
	t.Run("a pod with the service's label that somebody else made is not listed", func(t *testing.T) {
		objects := world(service, set)
		stray := statustest.Pod(set, 7)
		stray.OwnerReferences[0].UID = "someone else"
		objects = append(objects, &stray)
		f := newFixture(t, objects, objects)
		_, err := f.reconcile(t)
		require.NoError(t, err)
		pods, _, err := unstructured.NestedStringSlice(f.applied[0].Object, "status", "pods")
		require.NoError(t, err)
		assert.Equal(t, []string{"gw-0", "gw-1", "gw-2"}, pods)
	})
}

func TestKeysAreReadAgainOnlyWhenTheObjectChanged(t *testing.T) {
	service, set := settled(t)
	objects := world(service, set)
	f := newFixture(t, objects, objects)
	_, err := f.reconcile(t)
	require.NoError(t, err)
	require.Equal(t, []string{"*v1.Secret"}, f.liveReads)
	f.liveReads = nil

	changed := secret("admin-credentials", "pasword")
	require.NoError(t, f.live.Update(t.Context(), changed.DeepCopy()))
	require.NoError(t, f.cached.Update(t.Context(), changed.DeepCopy()))
	_, err = f.reconcile(t)
	require.NoError(t, err)

	require.Len(t, f.applied, 1)
	assert.Equal(t, []string{"*v1.Secret", "*v1beta3.DataPowerService", "*v1.StatefulSet"}, f.liveReads,
		"the keys once, and the last look before the write")
	assert.Equal(t, []string{
		`Warning ReferenceKeyNotFound Secret "admin-credentials" has no key "password" or "password-hashed" (spec.users[0].passwordSecret)`,
	}, f.events())
	assert.NotContains(t, fmt.Sprint(f.applied[0].Object), "hunter2", "no content is told")
}

func TestAServiceWithoutUsersNeedsTheSecretsOfTheChartsUsers(t *testing.T) {
	service := statustest.Service(statustest.Deployed(1), statustest.WithSpec(func(s *v1beta3.DataPowerServiceSpec) { s.Users = nil }))
	objects := world(service, statustest.StatefulSet(service))
	f := newFixture(t, objects, objects)

	_, err := f.reconcile(t)

	require.NoError(t, err)
	assert.Contains(t, f.events(), `Warning ReferenceNotFound Secret "default-credentials" not found (spec.users[0].passwordSecret)`)
	assert.Contains(t, f.reconciler.referenceKeys(service), "Secret/default-credentials", "so that its creation is noticed")
}

func TestConfigMapKeysAreKnownFromBothKindsOfData(t *testing.T) {
	configMap := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: statustest.Namespace, Name: "c", UID: "u", ResourceVersion: "1"},
		Data:       map[string]string{"text": "x"}, BinaryData: map[string][]byte{"bytes": {1}},
	}
	f := newFixture(t, nil, []client.Object{configMap})
	metadata := &metav1.PartialObjectMetadata{ObjectMeta: configMap.ObjectMeta}
	metadata.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))

	keys, exists, err := f.reconciler.keys.of(t.Context(), metadata)

	require.NoError(t, err)
	assert.True(t, exists)
	assert.ElementsMatch(t, []string{"text", "bytes"}, keys.UnsortedList())

	metadata.Name = "gone"
	metadata.UID = "other"
	_, exists, err = f.reconciler.keys.of(t.Context(), metadata)
	require.NoError(t, err)
	assert.False(t, exists, "deleted since the cache saw it")
}

func TestServicesOfPod(t *testing.T) {
	set := statustest.StatefulSet(statustest.Service())
	pod := statustest.Pod(set, 0)
	requests := servicesOfPod(t.Context(), &pod)
	require.Len(t, requests, 1)
	assert.Equal(t, client.ObjectKey{Namespace: "gateways", Name: "gw"}, requests[0].NamespacedName)

	pod.OwnerReferences[0].Kind = "ReplicaSet"
	assert.Empty(t, servicesOfPod(t.Context(), &pod))
	pod.OwnerReferences = nil
	assert.Empty(t, servicesOfPod(t.Context(), &pod))
}
