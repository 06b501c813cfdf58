package status_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/datapower-operator/datapower-operator/helm-operator/status"
)

var demo = schema.GroupVersionKind{Group: "example.test", Version: "v1", Kind: "Demo"}

const longAgo = "2020-01-02T03:04:05Z"

// resource is a custom resource with the given status.
func resource(fields map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"a": "b"}}}
	if fields != nil {
		u.Object["status"] = fields
	}
	u.SetGroupVersionKind(demo)
	u.SetNamespace("prod")
	u.SetName("gw")
	u.SetUID("uid-1")
	u.SetGeneration(7)
	return u
}

func condition(conditionType, value string) map[string]any {
	return map[string]any{
		"type": conditionType, "status": value, "reason": "Because", "message": "of a test",
		"lastTransitionTime": longAgo, "observedGeneration": int64(6),
	}
}

// world is an API server with the resource in it, and what was applied to its status.
type world struct {
	client.Client
	applied []client.SubResourceApplyOptions
	fail    error
	stale   string // a version that somebody else has replaced, as the fake client does not tell
}

func newWorld(objects ...client.Object) *world {
	w := &world{}
	w.Client = fake.NewClientBuilder().WithScheme(runtime.NewScheme()).WithObjects(objects...).
		WithStatusSubresource(resource(nil)).WithReturnManagedFields().
		WithInterceptorFuncs(interceptor.Funcs{
			SubResourceApply: func(ctx context.Context, c client.Client, sub string, obj runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
				o := client.SubResourceApplyOptions{}
				o.ApplyOpts(opts)
				w.applied = append(w.applied, o)
				if w.fail != nil {
					return w.fail
				}
				if w.stale != "" && versionOf(obj) == w.stale {
					return apierrors.NewConflict(schema.GroupResource{Resource: "demos"}, "gw", errors.New("somebody else wrote"))
				}
				return c.SubResource(sub).Apply(ctx, obj, opts...)
			},
		}).Build()
	return w
}

func versionOf(obj runtime.ApplyConfiguration) string {
	data, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return ""
	}
	return (&unstructured.Unstructured{Object: data}).GetResourceVersion()
}

func (w *world) get(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	u := resource(nil)
	require.NoError(t, w.Get(context.Background(), client.ObjectKeyFromObject(u), u))
	return u
}

func TestOnlyTheOwnShareOfAStatusIsRead(t *testing.T) {
	s, err := status.Read(resource(map[string]any{
		"observedGeneration": int64(5),
		"deployedRelease":    map[string]any{"name": "gw", "revision": int64(3), "chart": "demo-1.0.0"},
		"phase":              "Running", "replicas": int64(3), "pods": map[string]any{"x": "y"},
		"conditions": []any{
			condition("Ready", "True"), condition(status.Deployed, "False"), condition("Error", "True"),
			condition(status.Initialized, "True"),
		},
	}))
	require.NoError(t, err)
	transition, err := time.Parse(time.RFC3339, longAgo)
	require.NoError(t, err)
	own := func(conditionType string, value metav1.ConditionStatus) metav1.Condition {
		return metav1.Condition{
			Type: conditionType, Status: value, Reason: "Because", Message: "of a test", ObservedGeneration: 6,
			LastTransitionTime: metav1.NewTime(transition.Local()),
		}
	}
	assert.Equal(t, status.Status{
		ObservedGeneration: 5,
		DeployedRelease:    &status.DeployedRelease{Name: "gw", Revision: 3, Chart: "demo-1.0.0"},
		Conditions:         []metav1.Condition{own(status.Initialized, metav1.ConditionTrue), own(status.Deployed, metav1.ConditionFalse)},
	}, s)
}

func TestAResourceWithoutStatusHasAnEmptyOne(t *testing.T) {
	for name, u := range map[string]*unstructured.Unstructured{
		"none":      resource(nil),
		"empty":     resource(map[string]any{}),
		"of others": resource(map[string]any{"phase": "Pending", "conditions": []any{condition("Ready", "False")}}),
	} {
		t.Run(name, func(t *testing.T) {
			s, err := status.Read(u)
			require.NoError(t, err)
			assert.Equal(t, status.Status{}, s)
		})
	}
}

func TestAStatusOfAnotherFormIsAnError(t *testing.T) {
	_, err := status.Read(resource(map[string]any{"conditions": "none"}))
	assert.ErrorContains(t, err, "read status")
}

func TestATransitionTimeMovesOnlyWithTheStatus(t *testing.T) {
	read := func() status.Status {
		s, err := status.Read(resource(map[string]any{"conditions": []any{condition(status.Deployed, "True")}}))
		require.NoError(t, err)
		return s
	}
	was := read().Conditions[0].LastTransitionTime

	s := read()
	s.Set(8, status.Deployed, metav1.ConditionTrue, "Other", "words")
	require.Len(t, s.Conditions, 1)
	assert.Equal(t, was, s.Conditions[0].LastTransitionTime)
	assert.Equal(t, "Other", s.Conditions[0].Reason)
	assert.Equal(t, "words", s.Conditions[0].Message)
	assert.EqualValues(t, 8, s.Conditions[0].ObservedGeneration)

	s = read()
	s.Set(8, status.Deployed, metav1.ConditionFalse, "Because", "of a test")
	assert.True(t, s.Conditions[0].LastTransitionTime.After(was.Time))

	s = read()
	s.Set(8, status.ReleaseFailed, metav1.ConditionTrue, "New", "")
	require.Len(t, s.Conditions, 2)
	assert.False(t, s.Conditions[1].LastTransitionTime.IsZero())
	assert.Equal(t, was, s.Conditions[0].LastTransitionTime, "the others are left alone")
}

func TestSettingWhatIsSetChangesNothing(t *testing.T) {
	before, err := status.Read(resource(map[string]any{"conditions": []any{condition(status.Deployed, "True")}}))
	require.NoError(t, err)
	after := before.Copy()
	after.Set(6, status.Deployed, metav1.ConditionTrue, "Because", "of a test")
	assert.Equal(t, before, after)
}

func TestMessagesFitIntoACondition(t *testing.T) {
	var s status.Status
	s.Set(1, status.Deployed, metav1.ConditionFalse, "Long", strings.Repeat("x", 40000))
	assert.Len(t, s.Conditions[0].Message, 32768)
	assert.True(t, strings.HasSuffix(s.Conditions[0].Message, "x..."))
	s.Set(1, status.Deployed, metav1.ConditionFalse, "Long", strings.Repeat("x", 32768))
	assert.True(t, strings.HasSuffix(s.Conditions[0].Message, "xxx"), "what just fits is not cut")
}

func TestACopyIsIndependent(t *testing.T) {
	s := status.Status{
		DeployedRelease: &status.DeployedRelease{Revision: 1},
		Conditions:      []metav1.Condition{{Type: status.Deployed, Status: metav1.ConditionTrue}},
	}
	c := s.Copy()
	require.Equal(t, s, c)
	c.DeployedRelease.Revision = 2
	c.Set(1, status.Deployed, metav1.ConditionFalse, "R", "")
	assert.EqualValues(t, 1, s.DeployedRelease.Revision)
	assert.Equal(t, metav1.ConditionTrue, s.Conditions[0].Status)
	assert.Equal(t, status.Status{}, status.Status{}.Copy())
}

func TestAnUnchangedStatusIsNotWritten(t *testing.T) {
	u := resource(map[string]any{"observedGeneration": int64(7), "conditions": []any{condition(status.Deployed, "True")}})
	w := newWorld(u)
	before, err := status.Read(u)
	require.NoError(t, err)
	after := before.Copy()
	after.Set(6, status.Deployed, metav1.ConditionTrue, "Because", "of a test")
	require.NoError(t, status.Write(context.Background(), w, u, before, after))
	assert.Empty(t, w.applied)
}

func TestEveryChangeIsWritten(t *testing.T) {
	for name, change := range map[string]func(*status.Status){
		"a new condition":         func(s *status.Status) { s.Set(6, status.ReleaseFailed, metav1.ConditionTrue, "R", "m") },
		"a status":                func(s *status.Status) { s.Set(6, status.Deployed, metav1.ConditionFalse, "Because", "of a test") },
		"a reason":                func(s *status.Status) { s.Set(6, status.Deployed, metav1.ConditionTrue, "Other", "of a test") },
		"a message":               func(s *status.Status) { s.Set(6, status.Deployed, metav1.ConditionTrue, "Because", "other") },
		"a generation":            func(s *status.Status) { s.Set(7, status.Deployed, metav1.ConditionTrue, "Because", "of a test") },
		"the observed generation": func(s *status.Status) { s.ObservedGeneration = 7 },
		"the deployed revision":   func(s *status.Status) { s.DeployedRelease.Revision = 4 },
		"nothing deployed":        func(s *status.Status) { s.DeployedRelease = nil },
	} {
		t.Run(name, func(t *testing.T) {
			u := resource(map[string]any{
				"observedGeneration": int64(6), "deployedRelease": map[string]any{"name": "gw", "revision": int64(3), "chart": "c"},
				"conditions": []any{condition(status.Deployed, "True")},
			})
			w := newWorld(u)
			before, err := status.Read(u)
			require.NoError(t, err)
			after := before.Copy()
			change(&after)
			require.NoError(t, status.Write(context.Background(), w, u, before, after))
			require.Len(t, w.applied, 1)
		})
	}
}

func TestWritingTouchesOnlyTheOwnShare(t *testing.T) {
	u := resource(map[string]any{
		"phase": "Running", "replicas": int64(3),
		"conditions": []any{condition("Ready", "True"), condition("Error", "False")},
	})
	w := newWorld(u)
	before, err := status.Read(u)
	require.NoError(t, err)
	after := before.Copy()
	after.ObservedGeneration = 7
	after.DeployedRelease = &status.DeployedRelease{Name: "gw", Revision: 1, Chart: "demo-1.0.0"}
	require.NoError(t, status.Write(context.Background(), w, u, before, after))

	require.Len(t, w.applied, 1)
	assert.Equal(t, "datapower-helm-operator-status", w.applied[0].FieldManager)
	require.NotNil(t, w.applied[0].Force)
	assert.True(t, *w.applied[0].Force)
	got := w.get(t)
	fields, _, err := unstructured.NestedMap(got.Object, "status")
	require.NoError(t, err)
	assert.Equal(t, "Running", fields["phase"])
	assert.EqualValues(t, 3, fields["replicas"])
	assert.EqualValues(t, 7, fields["observedGeneration"])
	assert.Equal(t, map[string]any{"name": "gw", "revision": int64(1), "chart": "demo-1.0.0"}, fields["deployedRelease"])
	assert.Len(t, fields["conditions"], 2, "other writers' conditions are left alone")
	spec, _, err := unstructured.NestedMap(got.Object, "spec")
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"a": "b"}, spec)
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	u := resource(nil)
	w := newWorld(u)
	var want status.Status
	want.ObservedGeneration = 7
	want.DeployedRelease = &status.DeployedRelease{Name: "gw", Revision: 2, Chart: "demo-1.0.0"}
	want.Set(7, status.Initialized, metav1.ConditionTrue, "Accepted", "")
	want.Set(7, status.Deployed, metav1.ConditionFalse, "UpgradeError", "no")
	for i := range want.Conditions { // JSON has whole seconds
		want.Conditions[i].LastTransitionTime = metav1.NewTime(want.Conditions[i].LastTransitionTime.Truncate(time.Second))
	}
	require.NoError(t, status.Write(context.Background(), w, u, status.Status{}, want))
	got, err := status.Read(w.get(t))
	require.NoError(t, err)
	for i := range want.Conditions {
		assert.True(t, want.Conditions[i].LastTransitionTime.Equal(&got.Conditions[i].LastTransitionTime))
		got.Conditions[i].LastTransitionTime = want.Conditions[i].LastTransitionTime
	}
	assert.Equal(t, want, got)
}

func TestAResourceThatIsNotFoundNeedsNoStatus(t *testing.T) {
	w := newWorld()
	w.fail = apierrors.NewNotFound(schema.GroupResource{Resource: "demos"}, "gw")
	cached := resource(nil)
	cached.SetResourceVersion("1")
	require.NoError(t, status.Write(context.Background(), w, cached, status.Status{}, status.Status{ObservedGeneration: 7}))
	assert.Len(t, w.applied, 1)
}

func TestOtherFailuresOfTheWriteAreReported(t *testing.T) {
	w := newWorld(resource(nil))
	w.fail = apierrors.NewForbidden(schema.GroupResource{Resource: "demos"}, "gw", errors.New("no right"))
	var after status.Status
	after.Set(1, status.Deployed, metav1.ConditionTrue, "R", "")
	err := status.Write(context.Background(), w, resource(nil), status.Status{}, after)
	require.ErrorContains(t, err, "write status")
	assert.True(t, apierrors.IsForbidden(err), "the cause stays recognisable")
}

// sent is what Write applies for a resource.
func sent(t *testing.T, cr *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	var out *unstructured.Unstructured
	c := fake.NewClientBuilder().WithScheme(runtime.NewScheme()).WithInterceptorFuncs(interceptor.Funcs{
		SubResourceApply: func(_ context.Context, _ client.Client, _ string, obj runtime.ApplyConfiguration, _ ...client.SubResourceApplyOption) error {
			data, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
			out = &unstructured.Unstructured{Object: data}
			return err
		},
	}).Build()
	require.NoError(t, status.Write(context.Background(), c, cr, status.Status{}, status.Status{ObservedGeneration: 7}))
	require.NotNil(t, out)
	return out
}

func TestAStatusIsWrittenToTheVersionThatWasRead(t *testing.T) {
	cr := resource(nil)
	cr.SetResourceVersion("42")
	got := sent(t, cr)
	assert.Equal(t, demo, got.GroupVersionKind())
	assert.Equal(t, "prod/gw", got.GetNamespace()+"/"+got.GetName())
	assert.EqualValues(t, "uid-1", got.GetUID())
	assert.Equal(t, "42", got.GetResourceVersion(), "the API server ignores the UID in an apply of a status")
	assert.NotContains(t, got.Object, "spec")
}

func TestAnotherWritersStatusIsNoConflict(t *testing.T) {
	u := resource(map[string]any{"phase": "Pending"})
	w := newWorld(u)
	cached := w.get(t)
	theirs := w.get(t)
	require.NoError(t, unstructured.SetNestedField(theirs.Object, "Running", "status", "phase"))
	require.NoError(t, w.Status().Update(context.Background(), theirs))
	w.stale = cached.GetResourceVersion()
	require.NoError(t, status.Write(context.Background(), w, cached, status.Status{}, status.Status{ObservedGeneration: 7}))
	fields, _, err := unstructured.NestedMap(w.get(t).Object, "status")
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"phase": "Running", "observedGeneration": int64(7)}, fields)
	assert.Len(t, w.applied, 2, "once for the version that was read, once for the live one")
}

func TestAWriteThatNeverSucceedsEnds(t *testing.T) {
	w := newWorld(resource(nil))
	w.fail = apierrors.NewConflict(schema.GroupResource{Resource: "demos"}, "gw", errors.New("somebody else wrote"))
	err := status.Write(context.Background(), w, w.get(t), status.Status{}, status.Status{ObservedGeneration: 7})
	require.True(t, apierrors.IsConflict(err), "%v", err)
	assert.NotEmpty(t, w.applied)
}
