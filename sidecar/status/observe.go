package status

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// observe gathers what [Compute] looks at. The StatefulSet is read through
// statefulSets, so that the caller chooses between cache and API server; all
// else comes from caches, except the keys of objects that changed.
func (r *Reconciler) observe(
	ctx context.Context, service *v1beta3.DataPowerService, statefulSets client.Reader,
) (Input, error) {
	set, err := ownedStatefulSet(ctx, service, statefulSets)
	if err != nil {
		return Input{}, err
	}
	pods, err := r.ownedPods(ctx, service, set)
	if err != nil {
		return Input{}, err
	}
	refusal, err := r.refusal(ctx, set, pods)
	if err != nil {
		return Input{}, err
	}
	objects, err := r.existingObjects(ctx, service)
	if err != nil {
		return Input{}, err
	}
	return Input{
		Service: service, StatefulSet: set, Pods: pods, Refusal: refusal, Objects: objects,
		Catalogue: r.Catalogue, Now: r.Clock.Now(),
	}, nil
}

// ownedStatefulSet returns nil when there is no StatefulSet of the service's
// name, or one that belongs to somebody else, be it a former service of the
// same name.
func ownedStatefulSet(
	ctx context.Context, service *v1beta3.DataPowerService, reader client.Reader,
) (*appsv1.StatefulSet, error) {
	var set appsv1.StatefulSet
	if err := reader.Get(ctx, client.ObjectKeyFromObject(service), &set); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return nil, nil
		}
		return nil, fmt.Errorf("reading the StatefulSet: %w", err)
	}
	if !ownedBy(&set, service.UID) {
		return nil, nil
	}
	return &set, nil
}

func (r *Reconciler) ownedPods(
	ctx context.Context, service *v1beta3.DataPowerService, set *appsv1.StatefulSet,
) ([]corev1.Pod, error) {
	if set == nil {
		return nil, nil
	}
	var list corev1.PodList
	err := r.Client.List(ctx, &list, client.InNamespace(service.Namespace),
		client.MatchingLabels{datapower.ServiceLabel: service.Name})
	if err != nil {
		return nil, fmt.Errorf("listing the pods: %w", err)
	}
	var owned []corev1.Pod
	for _, pod := range list.Items {
		if ownedBy(&pod, set.UID) {
			owned = append(owned, pod)
		}
	}
	return owned, nil
}

func ownedBy(object client.Object, owner types.UID) bool {
	for _, reference := range object.GetOwnerReferences() {
		if reference.UID == owner {
			return true
		}
	}
	return false
}

// existingObjects looks up what the spec refers to in the metadata caches, and
// asks for keys only where the spec depends on them.
func (r *Reconciler) existingObjects(ctx context.Context, service *v1beta3.DataPowerService) (Objects, error) {
	wantKeys := map[ObjectName]bool{}
	for _, n := range needsOf(service) {
		wantKeys[n.object] = wantKeys[n.object] || len(n.anyKey) > 0
	}
	for _, secret := range v1beta3.GeneratedSecrets(service) {
		name := ObjectName{v1beta3.KindSecret, secret.Name}
		wantKeys[name] = wantKeys[name] || false
	}
	objects := Objects{}
	for name, want := range wantKeys {
		keys, exists, err := r.lookUp(ctx, service.Namespace, name, want)
		if err != nil {
			return nil, err
		}
		if exists {
			objects[name] = keys
		}
	}
	return objects, nil
}

func (r *Reconciler) lookUp(
	ctx context.Context, namespace string, name ObjectName, wantKeys bool,
) (keys sets.Set[string], exists bool, err error) {
	metadata := &metav1.PartialObjectMetadata{}
	metadata.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(name.Kind))
	if err := r.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name.Name}, metadata); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return nil, false, nil
		}
		return nil, false, fmt.Errorf("looking for %s %q: %w", name.Kind, name.Name, err)
	}
	if !wantKeys {
		return nil, true, nil
	}
	return r.keys.of(ctx, metadata)
}
