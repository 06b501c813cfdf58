package status

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Merger writes the status of a kind whose definition may be somebody else's. Where the definition does not say that
// conditions are a list by type, an apply would replace those of all other writers; where it has no status subresource,
// the status is part of the resource, and each write counts as a generation. So the conditions are merged here, into the
// version of the resource that they were read from, and generations are told only where they mean something.
//
// A Merger serves all resources of one kind and is safe for concurrent use.
type Merger struct {
	// whole says that the kind was last seen without the status subresource.
	whole atomic.Bool
}

// Write does what the function Write does.
func (m *Merger) Write(ctx context.Context, c client.Client, cr *unstructured.Unstructured, before, after Status) error {
	if m.whole.Load() {
		before, after = before.timeless(), after.timeless()
	}
	if reflect.DeepEqual(before, after) {
		return nil
	}
	target, err := cr, error(nil)
	for range maxTries {
		if target == nil {
			if target, err = live(ctx, c, cr); err != nil || target == nil {
				break
			}
		}
		if err = m.write(ctx, c, target, after); !apierrors.IsConflict(err) {
			break
		}
		target = nil
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}

// write tries the status as it was found last, and the other way when that turns out to be wrong.
func (m *Merger) write(ctx context.Context, c client.Client, target *unstructured.Unstructured, after Status) error {
	if !m.whole.Load() {
		_, err := patch(ctx, c.Status(), target, after)
		if !apierrors.IsNotFound(err) {
			return err
		}
		if there, lookErr := live(ctx, c, target); lookErr != nil || there == nil {
			return lookErr
		}
	}
	after = after.timeless()
	written, err := patch(ctx, wholeResource{c}, target, after)
	if err != nil {
		return err
	}
	got, err := Read(written)
	if err != nil {
		return err
	}
	// The API server drops a status that is written with the resource when the kind has the subresource.
	whole := len(got.Conditions) == len(after.Conditions)
	m.whole.Store(whole)
	if whole {
		return nil
	}
	_, err = patch(ctx, c.Status(), written, after)
	return err
}

// patcher is the part of client.StatusClient's writer that is used.
type patcher interface {
	Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error
}

// wholeResource writes the status with the rest of the resource.
type wholeResource struct{ client.Client }

// Patch implements patcher.
func (w wholeResource) Patch(ctx context.Context, obj client.Object, patch client.Patch, _ ...client.SubResourcePatchOption) error {
	return w.Client.Patch(ctx, obj, patch, client.FieldOwner(FieldManager))
}

// patch merges this program's share into the status of exactly the given version of a resource and returns what was stored.
func patch(ctx context.Context, w patcher, cr *unstructured.Unstructured, s Status) (*unstructured.Unstructured, error) {
	conditions, err := mergeConditions(cr, s.Conditions)
	if err != nil {
		return nil, err
	}
	fields := map[string]any{"conditions": conditions, "deployedRelease": s.DeployedRelease}
	if s.ObservedGeneration != 0 {
		fields["observedGeneration"] = s.ObservedGeneration
	}
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": cr.GetResourceVersion(), "uid": cr.GetUID()}, "status": fields,
	})
	if err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(cr.GroupVersionKind())
	obj.SetNamespace(cr.GetNamespace())
	obj.SetName(cr.GetName())
	err = w.Patch(ctx, obj, client.RawPatch(types.MergePatchType, body), client.FieldOwner(FieldManager))
	return obj, err
}

// mergeConditions replaces this program's conditions among all of a resource and leaves the others, with whatever fields
// they have, as they are.
func mergeConditions(cr *unstructured.Unstructured, own []metav1.Condition) ([]any, error) {
	existing, _, err := unstructured.NestedSlice(cr.Object, "status", "conditions")
	if err != nil {
		existing = nil // no list, so of no use to anybody
	}
	left := slices.Clone(own)
	var out []any
	for _, e := range existing {
		fields, ok := e.(map[string]any)
		if !ok {
			continue
		}
		t, _ := fields["type"].(string)
		if !slices.Contains(Types, t) {
			out = append(out, e)
			continue
		}
		i := slices.IndexFunc(left, func(c metav1.Condition) bool { return c.Type == t })
		if i < 0 {
			continue
		}
		encoded, err := encode(left[i])
		if err != nil {
			return nil, err
		}
		out = append(out, encoded)
		left = slices.Delete(left, i, i+1)
	}
	for _, c := range left {
		encoded, err := encode(c)
		if err != nil {
			return nil, err
		}
		out = append(out, encoded)
	}
	return out, nil
}

func encode(c metav1.Condition) (any, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&c)
	if err != nil {
		return nil, fmt.Errorf("encode condition %s: %w", c.Type, err)
	}
	return fields, nil
}

// timeless is the status without generations.
func (s Status) timeless() Status {
	s = s.Copy()
	s.ObservedGeneration = 0
	for i := range s.Conditions {
		s.Conditions[i].ObservedGeneration = 0
	}
	return s
}

// live returns the resource as it is now, nil when it is gone.
func live(ctx context.Context, c client.Client, cr *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(cr.GroupVersionKind())
	err := c.Get(ctx, client.ObjectKeyFromObject(cr), u)
	if apierrors.IsNotFound(err) || err == nil && u.GetUID() != cr.GetUID() {
		return nil, nil
	}
	return u, err
}
