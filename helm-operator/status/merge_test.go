package status_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

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

// loose is an API server in which the kind may lack the status subresource, as definitions of others do.
type loose struct {
	client.Client
	subresource bool
	// calls are "status" or "whole" for each patch, "get" for each read.
	calls []string
	// meanwhile is done before the next patch: what somebody else does.
	meanwhile func()
}

func newLoose(subresource bool, cr *unstructured.Unstructured) *loose {
	l := &loose{subresource: subresource}
	builder := fake.NewClientBuilder().WithScheme(runtime.NewScheme()).WithObjects(cr)
	if subresource {
		builder = builder.WithStatusSubresource(resource(nil))
	}
	l.Client = builder.WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			l.calls = append(l.calls, "get")
			return c.Get(ctx, key, obj, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
			l.calls = append(l.calls, "whole")
			if err := l.interfere(); err != nil {
				return err
			}
			return c.Patch(ctx, obj, patch, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, name string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			l.calls = append(l.calls, name)
			if !l.subresource {
				return apierrors.NewNotFound(schema.GroupResource{}, "")
			}
			if err := l.interfere(); err != nil {
				return err
			}
			return c.SubResource(name).Patch(ctx, obj, patch, opts...)
		},
	}).Build()
	return l
}

// interfere answers as an API server does whose resource has changed, which the fake client does not notice.
func (l *loose) interfere() error {
	do := l.meanwhile
	if do == nil {
		return nil
	}
	l.meanwhile = nil
	do()
	return apierrors.NewConflict(schema.GroupResource{}, "gw", errors.New("changed"))
}

// stored is the status as it is now, times left out.
func (l *loose) stored(t *testing.T) string {
	t.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(demo)
	require.NoError(t, l.Get(t.Context(), client.ObjectKey{Namespace: "prod", Name: "gw"}, u))
	l.calls = nil
	list, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, c := range list {
		delete(c.(map[string]any), "lastTransitionTime")
	}
	s := u.Object["status"].(map[string]any)
	s["conditions"] = list
	data, err := json.Marshal(s)
	require.NoError(t, err)
	return string(data)
}

// live reads the resource as a cache would have it.
func (l *loose) live(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(demo)
	require.NoError(t, l.Get(t.Context(), client.ObjectKey{Namespace: "prod", Name: "gw"}, u))
	l.calls = nil
	return u
}

func deployed() status.Status {
	s := status.Status{ObservedGeneration: 7}
	s.Set(7, status.Deployed, metav1.ConditionTrue, "UpToDate", "")
	return s
}

func others() map[string]any {
	return map[string]any{
		"apiStatus":  map[string]any{"url": "https://x"},
		"conditions": []any{map[string]any{"type": "Routed", "status": "True", "extra": "kept"}, map[string]any{"type": "Deployed", "status": "False"}},
	}
}

func TestConditionsOfOthersSurviveAMerge(t *testing.T) {
	l := newLoose(true, resource(others()))
	m := &status.Merger{}
	require.NoError(t, m.Write(t.Context(), l, l.live(t), status.Status{}, deployed()))
	assert.Equal(t, []string{"status"}, l.calls)
	assert.JSONEq(t, `{"apiStatus":{"url":"https://x"},"observedGeneration":7,"conditions":[
	  {"type":"Routed","status":"True","extra":"kept"},
	  {"type":"Deployed","status":"True","reason":"UpToDate","message":"","observedGeneration":7}]}`, l.stored(t))
}

func TestWithoutTheSubresourceTheStatusIsWrittenWithTheResourceAndTellsNoGeneration(t *testing.T) {
	l := newLoose(false, resource(others()))
	m := &status.Merger{}
	require.NoError(t, m.Write(t.Context(), l, l.live(t), status.Status{}, deployed()))
	assert.Equal(t, []string{"status", "get", "whole"}, l.calls)
	want := `{"apiStatus":{"url":"https://x"},"conditions":[
	  {"type":"Routed","status":"True","extra":"kept"}, {"type":"Deployed","status":"True","reason":"UpToDate","message":""}]}`
	assert.JSONEq(t, want, l.stored(t))

	// The write counted as a generation; to follow that would never end.
	cr := l.live(t)
	before, err := status.Read(cr)
	require.NoError(t, err)
	after := before.Copy()
	after.ObservedGeneration = 8
	after.Set(8, status.Deployed, metav1.ConditionTrue, "UpToDate", "")
	require.NoError(t, m.Write(t.Context(), l, cr, before, after))
	assert.Empty(t, l.calls)

	after.Set(8, status.Deployed, metav1.ConditionTrue, "UpToDate", "changed")
	require.NoError(t, m.Write(t.Context(), l, cr, before, after))
	assert.Equal(t, []string{"whole"}, l.calls, "what the kind lacks is not asked for again")
}

func TestAKindThatGetsTheSubresourceIsNoticed(t *testing.T) {
	l := newLoose(false, resource(nil))
	m := &status.Merger{}
	require.NoError(t, m.Write(t.Context(), l, l.live(t), status.Status{}, deployed()))
	with := newLoose(true, resource(nil))
	require.NoError(t, m.Write(t.Context(), with, with.live(t), status.Status{}, deployed()))
	assert.Equal(t, []string{"whole", "status"}, with.calls)
	assert.Contains(t, with.stored(t), `"Deployed"`)
	with.calls = nil
	more := deployed()
	more.Set(7, status.Deployed, metav1.ConditionTrue, "UpToDate", "again")
	require.NoError(t, m.Write(t.Context(), with, with.live(t), deployed(), more))
	assert.Equal(t, []string{"status"}, with.calls)
}

func TestWhatSomebodyElseWritesMeanwhileIsMergedToo(t *testing.T) {
	l := newLoose(true, resource(nil))
	cr := l.live(t)
	l.meanwhile = func() {
		u := cr.DeepCopy()
		u.Object["status"] = others()
		require.NoError(t, l.Client.Status().Update(context.Background(), u))
	}
	require.NoError(t, (&status.Merger{}).Write(t.Context(), l, cr, status.Status{}, deployed()))
	assert.Equal(t, []string{"status", "get", "status"}, l.calls)
	assert.Contains(t, l.stored(t), `"extra":"kept"`)
}

func TestAResourceThatIsGoneOrAnotherNeedsNoStatus(t *testing.T) {
	for name, subresource := range map[string]bool{"with the subresource": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			l := newLoose(subresource, resource(nil))
			old := l.live(t)
			require.NoError(t, l.Delete(t.Context(), old))
			require.NoError(t, (&status.Merger{}).Write(t.Context(), l, old, status.Status{}, deployed()))
		})
	}
	l := newLoose(false, resource(nil))
	old := l.live(t)
	old.SetUID("uid-0")
	require.NoError(t, (&status.Merger{}).Write(t.Context(), l, old, status.Status{}, deployed()))
	assert.NotContains(t, l.calls, "whole")
}
