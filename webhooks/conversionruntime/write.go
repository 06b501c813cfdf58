package conversionruntime

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fieldManager owns what this package writes.
const fieldManager = "datapower-conversion"

// errGone says that an object was deleted since it was looked at. Its end arrives by the watch.
var errGone = errors.New("the object was deleted meanwhile")

// writer brings objects into their desired state. What it has written or found right it does not look at again before
// the object changes.
type writer struct {
	client   client.Client
	verified map[string]string // kind and name to mark
}

// mark changes whenever an object changes in what this package cares for. An object with a generation changes its
// resourceVersion with every write of its status, too.
func mark(object client.Object) string {
	version := object.GetResourceVersion()
	if generation := object.GetGeneration(); generation != 0 {
		version = fmt.Sprintf("generation %d", generation)
	}
	return string(object.GetUID()) + " " + version
}

// ensure creates an object, or writes the desired state over one that has changed since it was last looked at. The
// API server fills in its defaults and writes nothing when nothing differs.
func (w *writer) ensure(ctx context.Context, desired, live client.Object, exists bool) (changed bool, err error) {
	key := fmt.Sprintf("%T %s", desired, desired.GetName())
	if !exists {
		if err := w.client.Create(ctx, desired, client.FieldOwner(fieldManager)); err != nil {
			return false, fmt.Errorf("creating %s: %w", describe(desired), err)
		}
		w.verified[key] = mark(desired)
		return true, nil
	}
	labelled := overlayMeta(desired, live)
	if labelled && w.verified[key] == mark(live) {
		return false, nil
	}
	before := live.GetResourceVersion()
	overlay(desired, live)
	err = w.client.Update(ctx, desired, client.FieldOwner(fieldManager))
	if apierrors.IsNotFound(err) {
		return false, errGone
	}
	if err != nil {
		return false, fmt.Errorf("updating %s: %w", describe(desired), err)
	}
	w.verified[key] = mark(desired)
	return desired.GetResourceVersion() != before, nil
}

// overlayMeta completes the desired object's metadata by that of the live one, and tells whether the live one has all
// that is desired.
func overlayMeta(desired, live client.Object) bool {
	labels, annotations, owners := maps.Clone(live.GetLabels()), maps.Clone(live.GetAnnotations()), slices.Clone(live.GetOwnerReferences())
	if labels == nil {
		labels = map[string]string{}
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	maps.Copy(labels, desired.GetLabels())
	maps.Copy(annotations, desired.GetAnnotations())
	for _, owner := range desired.GetOwnerReferences() {
		if !slices.ContainsFunc(owners, func(o metav1.OwnerReference) bool { return equality.Semantic.DeepEqual(o, owner) }) {
			owners = slices.DeleteFunc(owners, func(o metav1.OwnerReference) bool { return o.Kind == owner.Kind && o.Name == owner.Name })
			owners = append(owners, owner)
		}
	}
	same := maps.Equal(labels, live.GetLabels()) && (len(annotations) == 0 || maps.Equal(annotations, live.GetAnnotations())) &&
		equality.Semantic.DeepEqual(owners, live.GetOwnerReferences())
	desired.SetLabels(labels)
	desired.SetAnnotations(annotations)
	desired.SetOwnerReferences(owners)
	return same
}

// overlay completes the desired object by what others rightly set in the live one.
func overlay(desired, live client.Object) {
	desired.SetResourceVersion(live.GetResourceVersion())
	desired.SetUID(live.GetUID())
	desired.SetFinalizers(live.GetFinalizers())
	switch d := desired.(type) {
	case *appsv1.Deployment:
		if l, ok := live.(*appsv1.Deployment); ok {
			d.Spec.Template.Annotations = l.Spec.Template.Annotations // kubectl rollout restart
		}
	case *corev1.Service:
		if l, ok := live.(*corev1.Service); ok {
			d.Spec.ClusterIP, d.Spec.ClusterIPs = l.Spec.ClusterIP, l.Spec.ClusterIPs
			d.Spec.IPFamilies, d.Spec.IPFamilyPolicy = l.Spec.IPFamilies, l.Spec.IPFamilyPolicy
		}
	case *corev1.ServiceAccount:
		if l, ok := live.(*corev1.ServiceAccount); ok {
			d.Secrets, d.ImagePullSecrets = l.Secrets, l.ImagePullSecrets // OpenShift
		}
	}
}

// mustReplace tells whether an object cannot be brought into its desired state: the field is immutable.
func mustReplace(desired, live client.Object) bool {
	switch d := desired.(type) {
	case *appsv1.Deployment:
		l, ok := live.(*appsv1.Deployment)
		return ok && !equality.Semantic.DeepEqual(d.Spec.Selector, l.Spec.Selector)
	case *corev1.Service:
		l, ok := live.(*corev1.Service)
		// A Service of another type may have no address, or one that is none.
		return ok && (l.Spec.Type != d.Spec.Type || l.Spec.ClusterIP == corev1.ClusterIPNone)
	case *rbacv1.ClusterRoleBinding:
		l, ok := live.(*rbacv1.ClusterRoleBinding)
		return ok && l.RoleRef != d.RoleRef
	}
	return false
}

// remove deletes an object, provided that it still is what was looked at.
func (w *writer) remove(ctx context.Context, object client.Object, options ...client.DeleteOption) error {
	uid, version := object.GetUID(), object.GetResourceVersion()
	options = append(options, client.Preconditions{UID: &uid, ResourceVersion: &version})
	if err := client.IgnoreNotFound(w.client.Delete(ctx, object, options...)); err != nil {
		return fmt.Errorf("deleting %s: %w", describe(object), err)
	}
	return nil
}

// describe names an object as kubectl does, with the namespace it is in.
func describe(object client.Object) string {
	name := resourceOf(object) + "/" + object.GetName()
	if object.GetNamespace() == "" {
		return name
	}
	return name + " in namespace " + object.GetNamespace()
}

// deleteCommand is what somebody with the right to it can run.
func deleteCommand(object client.Object) string {
	command := "kubectl delete "
	if object.GetNamespace() != "" {
		command += "-n " + object.GetNamespace() + " "
	}
	return command + resourceOf(object) + "/" + object.GetName()
}

func resourceOf(object client.Object) string {
	switch object.(type) {
	case *appsv1.Deployment:
		return "deployment"
	case *corev1.Service:
		return "service"
	case *corev1.ServiceAccount:
		return "serviceaccount"
	case *corev1.Secret:
		return "secret"
	case *rbacv1.ClusterRole:
		return "clusterrole"
	case *rbacv1.ClusterRoleBinding:
		return "clusterrolebinding"
	default:
		return fmt.Sprintf("%T", object)
	}
}
