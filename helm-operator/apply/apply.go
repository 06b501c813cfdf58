// Package apply writes a release's objects with server-side apply. Client takes the place of
// Helm's own Kubernetes client inside Helm actions, so that installs, upgrades, rollbacks and
// repairs all own exactly the fields that the chart rendered and leave every other field to its
// owner (a mesh's injected container, an autoscaler's replicas).
package apply

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/operator-framework/operator-lib/handler"
	"helm.sh/helm/v3/pkg/kube"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/resource"

	"github.com/datapower-operator/datapower-operator/helm-operator/drift"
	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
)

const (
	// FieldManager owns the fields of rendered objects.
	FieldManager = "datapower-helm-operator"
	// handoverManager keeps spec.replicas alive between the chart's giving it up and an
	// autoscaler's taking it over.
	handoverManager = FieldManager + "-handover"
)

// ErrForeign says that an object of the release exists but belongs to somebody else. It is left
// untouched.
var ErrForeign = errors.New("object exists and does not belong to this resource")

// Verb is what happened to an object.
type Verb string

// The verbs of a Change.
const (
	Created   Verb = "created"
	Changed   Verb = "changed"
	Unchanged Verb = "unchanged"
	Deleted   Verb = "deleted"
)

// Owner is the custom resource that a release belongs to.
type Owner struct {
	schema.GroupVersionKind
	Namespace string
	Name      string
	UID       types.UID
}

// OwnerOf returns the Owner that cr is.
func OwnerOf(cr *unstructured.Unstructured) Owner {
	return Owner{GroupVersionKind: cr.GroupVersionKind(), Namespace: cr.GetNamespace(), Name: cr.GetName(), UID: cr.GetUID()}
}

// Reference is the controller owner reference that the owner's objects carry.
func (o Owner) Reference() metav1.OwnerReference {
	yes := true
	return metav1.OwnerReference{
		APIVersion: o.GroupVersion().String(), Kind: o.Kind, Name: o.Name, UID: o.UID,
		Controller: &yes, BlockOwnerDeletion: &yes,
	}
}

// Mark makes the owner known on an object: a label for caches to select by, and an owner reference
// or, where Kubernetes allows none (other namespace, cluster scope, objects to be kept), the
// operator-sdk's owner annotations.
func (o Owner) Mark(u *unstructured.Unstructured, namespaced bool) error {
	labels := u.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[inventory.OwnerUIDLabel] = string(o.UID)
	u.SetLabels(labels)
	referable := o.Namespace == "" || namespaced && u.GetNamespace() == o.Namespace
	if referable && u.GetAnnotations()[kube.ResourcePolicyAnno] != kube.KeepPolicy {
		u.SetOwnerReferences(append(u.GetOwnerReferences(), o.Reference()))
		return nil
	}
	owner := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name}}
	owner.SetGroupVersionKind(o.GroupVersionKind)
	if err := handler.SetOwnerAnnotations(owner, u); err != nil {
		return fmt.Errorf("mark %s as owned: %w", u.GetName(), err)
	}
	return nil
}

// Change is what one write did to one object.
type Change struct {
	Ref  inventory.Ref
	Verb Verb
	// Paths are the fields that differ, for Changed.
	Paths []string
	// Live is the object's metadata after the write; nil for Deleted.
	Live *metav1.PartialObjectMetadata
}

// ownership tells how an existing object relates to the owner.
type ownership int

const (
	ours ownership = iota
	nobodys
	foreign
	// inherited: an earlier resource of the owner's kind, namespace and name left it, because it was to be kept or because
	// its release was lost. There is one resource of a name at a time, so the earlier one is gone.
	inherited
)

func (o Owner) ownershipOf(u *unstructured.Unstructured) ownership {
	if c := metav1.GetControllerOf(u); c != nil {
		if c.UID == o.UID {
			return ours
		}
		return foreign
	}
	label, marked := u.GetLabels()[inventory.OwnerUIDLabel]
	annotations := u.GetAnnotations()
	switch {
	case !marked:
		return nobodys
	case label == string(o.UID):
		return ours
	case annotations[handler.TypeAnnotation] == o.GroupKind().String() &&
		annotations[handler.NamespacedNameAnnotation] == o.Namespace+"/"+o.Name:
		return inherited
	}
	return foreign
}

// writer applies objects one by one on behalf of an owner.
type writer struct {
	owner Owner
	// intruders are patterns of field managers whose additions are removed.
	intruders []string
	ignored   drift.Rules
}

// desired is the object of info with the owner's marks.
func (w writer) desired(info *resource.Info) (*unstructured.Unstructured, error) {
	u, err := toUnstructured(info.Object)
	if err != nil {
		return nil, err
	}
	return u, w.owner.Mark(u, info.Namespaced())
}

// probe asks by a dry run whether the API server would accept the object of info, and returns the
// object that is there, nil when there is none.
func (w writer) probe(info *resource.Info, known bool) (*unstructured.Unstructured, error) {
	desired, err := w.desired(info)
	if err != nil {
		return nil, err
	}
	result, err := w.patch(info, FieldManager, desired, metav1.DryRunAll)
	if err == nil && result.GetResourceVersion() == "" {
		return nil, nil
	}
	if err != nil && !apierrors.IsInvalid(err) {
		return nil, err
	}
	// It exists, or the API server refuses it, maybe for having two owners: whose is it?
	live, getErr := getLive(info)
	if getErr != nil {
		return nil, errors.Join(err, getErr)
	}
	if live != nil {
		if o := w.owner.ownershipOf(live); o == foreign || o == nobodys && !known {
			return live, foreignError(info, live)
		}
	}
	return live, err
}

// lookedAt is what was found out about an object before it is written.
type lookedAt struct {
	// done says that it was looked at.
	done bool
	// live is the object, nil when there was none.
	live *unstructured.Unstructured
}

// apply brings the object of info to the state in info.Object. known says that a former manifest
// of the release has it, so that it may be adopted when its owner marks were removed. info is refreshed with the result.
func (w writer) apply(info *resource.Info, known bool, look lookedAt) (Change, error) {
	change := Change{Ref: refOf(info)}
	desired, err := w.desired(info)
	if err != nil {
		return change, err
	}
	live := look.live
	if !look.done {
		if live, err = getLive(info); err != nil {
			return change, err
		}
	}
	if live != nil {
		if err := w.adapt(info, desired, live, known); err != nil {
			return change, err
		}
	}
	result, err := w.patch(info, FieldManager, desired)
	if err != nil {
		return change, err
	}
	var removed []string
	if live != nil {
		if result, removed, err = w.removeSurplus(info, result); err != nil {
			return change, err
		}
	}
	change.Live = metadataOf(result)
	change.Verb, change.Paths = compare(live, result)
	if len(removed) > 0 {
		change.Paths = append(without(change.Paths, removed), removed...)
	}
	return change, info.Refresh(result, true)
}

// adapt makes desired fit to the object that is there.
func (w writer) adapt(info *resource.Info, desired, live *unstructured.Unstructured, known bool) error {
	if o := w.owner.ownershipOf(live); o == foreign || o == nobodys && !known {
		return foreignError(info, live)
	}
	// Another object of the same name may take its place between read and write.
	desired.SetUID(live.GetUID())
	w.ignored.KeepLive(desired, live)
	return w.handOverReplicas(info, desired, live)
}

// without drops the paths that only tell that a list got shorter by one of removed.
func without(paths, removed []string) []string {
	return slices.DeleteFunc(paths, func(p string) bool {
		return slices.ContainsFunc(removed, func(r string) bool { return strings.HasPrefix(r, p) })
	})
}

func compare(live, result *unstructured.Unstructured) (Verb, []string) {
	switch {
	case live == nil:
		return Created, nil
	case live.GetResourceVersion() == result.GetResourceVersion():
		return Unchanged, nil
	}
	paths := inventory.ChangedPaths(live.Object, result.Object)
	if len(paths) == 0 { // only ownership of fields moved
		return Unchanged, nil
	}
	return Changed, paths
}

func (w writer) patch(info *resource.Info, manager string, obj *unstructured.Unstructured, dryRun ...string) (*unstructured.Unstructured, error) {
	data, err := json.Marshal(obj.Object)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", refOf(info), err)
	}
	force := true
	opts := &metav1.PatchOptions{Force: &force, FieldManager: manager, DryRun: dryRun}
	out, err := resource.NewHelper(actual(info.Client), info.Mapping).
		Patch(info.Namespace, info.Name, types.ApplyPatchType, data, opts)
	if err != nil {
		return nil, fmt.Errorf("apply %s: %w", refOf(info), err)
	}
	return answered(out)
}

// handOverReplicas keeps the live number of replicas when the chart stops rendering it (because an
// autoscaler takes over): without an owner the API server would reset the field to 1.
// https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership
func (w writer) handOverReplicas(info *resource.Info, desired, live *unstructured.Unstructured) error {
	if _, rendered, _ := unstructured.NestedFieldNoCopy(desired.Object, "spec", "replicas"); rendered {
		return nil
	}
	replicas, found, err := unstructured.NestedInt64(live.Object, "spec", "replicas")
	if err != nil || !found || !ownsReplicas(live) {
		return nil
	}
	keep := &unstructured.Unstructured{Object: map[string]any{}}
	keep.SetGroupVersionKind(desired.GroupVersionKind())
	keep.SetName(info.Name)
	keep.SetUID(live.GetUID())
	if err := unstructured.SetNestedField(keep.Object, replicas, "spec", "replicas"); err != nil {
		return fmt.Errorf("hand over replicas of %s: %w", refOf(info), err)
	}
	_, err = w.patch(info, handoverManager, keep)
	return err
}

func ownsReplicas(live *unstructured.Unstructured) bool {
	for _, mf := range live.GetManagedFields() {
		if mf.Manager != FieldManager || mf.Operation != metav1.ManagedFieldsOperationApply || mf.FieldsV1 == nil {
			continue
		}
		var fields struct {
			Spec map[string]json.RawMessage `json:"f:spec"`
		}
		if json.Unmarshal(mf.FieldsV1.GetRawBytes(), &fields) == nil {
			_, ok := fields.Spec["f:replicas"]
			return ok
		}
	}
	return false
}

// delete removes an object that the chart no longer renders, if it is still the owner's.
func (w writer) delete(info *resource.Info, propagation metav1.DeletionPropagation) (Change, error) {
	change := Change{Ref: refOf(info), Verb: Unchanged}
	live, err := getLive(info)
	if err != nil || live == nil {
		return change, err
	}
	if w.owner.ownershipOf(live) != ours {
		return change, nil
	}
	// Helm, too, looks at the live object: a user may have marked it to be kept.
	if live.GetAnnotations()[kube.ResourcePolicyAnno] == kube.KeepPolicy {
		return w.letGo(info, live)
	}
	uid := live.GetUID()
	opts := &metav1.DeleteOptions{
		PropagationPolicy: &propagation,
		Preconditions:     &metav1.Preconditions{UID: &uid},
	}
	_, err = resource.NewHelper(actual(info.Client), info.Mapping).DeleteWithOptions(info.Namespace, info.Name, opts)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return change, nil
	}
	if err != nil {
		return change, fmt.Errorf("delete %s: %w", change.Ref, err)
	}
	change.Verb = Deleted
	return change, nil
}

// letGo takes the owner's reference off an object that a user marked to be kept: the garbage collector would delete it with
// its owner.
func (w writer) letGo(info *resource.Info, live *unstructured.Unstructured) (Change, error) {
	change := Change{Ref: refOf(info), Verb: Unchanged}
	at := slices.IndexFunc(live.GetOwnerReferences(), func(r metav1.OwnerReference) bool { return r.UID == w.owner.UID })
	if at < 0 {
		return change, nil
	}
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/uid", "value": live.GetUID()},
		{"op": "test", "path": "/metadata/resourceVersion", "value": live.GetResourceVersion()},
		{"op": "remove", "path": fmt.Sprintf("/metadata/ownerReferences/%d", at)},
	})
	if err != nil {
		return change, fmt.Errorf("encode patch of %s: %w", change.Ref, err)
	}
	out, err := resource.NewHelper(actual(info.Client), info.Mapping).
		Patch(info.Namespace, info.Name, types.JSONPatchType, patch, &metav1.PatchOptions{FieldManager: FieldManager})
	if err != nil {
		return change, fmt.Errorf("let go of %s, which is to be kept: %w", change.Ref, err)
	}
	result, err := answered(out)
	if err != nil {
		return change, err
	}
	change.Verb, change.Paths, change.Live = Changed, []string{"metadata.ownerReferences"}, metadataOf(result)
	return change, nil
}

func getLive(info *resource.Info) (*unstructured.Unstructured, error) {
	obj, err := resource.NewHelper(actual(info.Client), info.Mapping).Get(info.Namespace, info.Name)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", refOf(info), err)
	}
	return answered(obj)
}

// answered is an object that nobody else has.
func answered(obj runtime.Object) (*unstructured.Unstructured, error) {
	if u, ok := obj.(*unstructured.Unstructured); ok {
		return u, nil
	}
	return toUnstructured(obj)
}

// Refused tells that the API server, or the check of whose an object is, said no to what was asked, and would again.
func Refused(err error) bool {
	if errors.Is(err, ErrForeign) {
		return true
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	switch code := status.Status().Code; code {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return false
	default:
		return code/100 == 4
	}
}

// foreignError tells whose an object is. Helm creates what a chart has in crds/ without looking first, and goes on
// when the answer is AlreadyExists, so that is what it gets.
func foreignError(info *resource.Info, live *unstructured.Unstructured) error {
	ref := refOf(info)
	if ref.Group == "apiextensions.k8s.io" {
		return fmt.Errorf("%w: %w", ErrForeign, apierrors.NewAlreadyExists(info.Mapping.Resource.GroupResource(), ref.Name))
	}
	return fmt.Errorf("%w: %s%s", ErrForeign, ref, describeOwner(live))
}

func describeOwner(u *unstructured.Unstructured) string {
	if c := metav1.GetControllerOf(u); c != nil {
		return fmt.Sprintf(" (its owner is %s %s)", c.Kind, c.Name)
	}
	return " (delete or rename it, or rename the resource)"
}

func refOf(info *resource.Info) inventory.Ref {
	return inventory.Ref{GroupVersionKind: info.Mapping.GroupVersionKind, Namespace: info.Namespace, Name: info.Name}
}

func toUnstructured(obj runtime.Object) (*unstructured.Unstructured, error) {
	if u, ok := obj.(*unstructured.Unstructured); ok {
		return u.DeepCopy(), nil
	}
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, fmt.Errorf("convert object: %w", err)
	}
	return &unstructured.Unstructured{Object: m}, nil
}

func metadataOf(u *unstructured.Unstructured) *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: u.GetAPIVersion(), Kind: u.GetKind()},
		ObjectMeta: metav1.ObjectMeta{
			Name: u.GetName(), Namespace: u.GetNamespace(), UID: u.GetUID(),
			ResourceVersion: u.GetResourceVersion(), Generation: u.GetGeneration(),
			Labels: u.GetLabels(), Annotations: u.GetAnnotations(),
			OwnerReferences: u.GetOwnerReferences(), Finalizers: u.GetFinalizers(),
			DeletionTimestamp: u.GetDeletionTimestamp(),
			ManagedFields:     u.GetManagedFields(),
		},
	}
	inventory.Compact(m)
	return m
}
