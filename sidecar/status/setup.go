package status

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// ControllerName is the controller's name in metrics and logs.
const ControllerName = "datapowerservice-status"

// maxConcurrentReconciles is small: a reconcile costs no API call unless
// something changed, and then three.
const maxConcurrentReconciles = 4

// referenceIndex is the cache index from a Secret or ConfigMap, as
// [ObjectName.indexKey], to the services whose status depends on it.
const referenceIndex = "status.references"

// indexKey is the object's name in the index.
func (n ObjectName) indexKey() string { return n.Kind + "/" + n.Name }

// SetupWithManager adds the controller to mgr, whose cache must have been made
// with [CacheOptions]. It runs on the leader only.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1beta3.DataPowerService{}, referenceIndex, r.referenceKeys)
	if err != nil {
		return fmt.Errorf("indexing references: %w", err)
	}
	err = ctrl.NewControllerManagedBy(mgr).
		Named(ControllerName).
		For(&v1beta3.DataPowerService{}).
		Owns(&appsv1.StatefulSet{}, builder.MatchEveryOwner).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(servicesOfPod)).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.servicesThatName(v1beta3.KindSecret))).
		WatchesMetadata(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.servicesThatName(v1beta3.KindConfigMap))).
		WithOptions(controller.Options{MaxConcurrentReconciles: maxConcurrentReconciles}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("adding controller %s: %w", ControllerName, err)
	}
	return nil
}

// referenceKeys are the index entries of a service.
func (r *Reconciler) referenceKeys(object client.Object) []string {
	service, ok := object.(*v1beta3.DataPowerService)
	if !ok {
		return nil
	}
	var keys []string
	for _, n := range needsOf(r.withDefaults(service)) {
		keys = append(keys, n.object.indexKey())
	}
	for _, secret := range v1beta3.GeneratedSecrets(service) {
		keys = append(keys, ObjectName{v1beta3.KindSecret, secret.Name}.indexKey())
	}
	return keys
}

// servicesOfPod names the service of a pod: its StatefulSet has the same name.
// Whether the StatefulSet really is the service's, the reconcile finds out.
func servicesOfPod(_ context.Context, pod client.Object) []reconcile.Request {
	owner := metav1.GetControllerOf(pod)
	if owner == nil || owner.Kind != "StatefulSet" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: pod.GetNamespace(), Name: owner.Name}}}
}

// servicesThatName returns a function that finds the services which refer to
// an object of this kind.
func (r *Reconciler) servicesThatName(kind string) handler.MapFunc {
	return func(ctx context.Context, object client.Object) []reconcile.Request {
		var services v1beta3.DataPowerServiceList
		err := r.Client.List(ctx, &services, client.InNamespace(object.GetNamespace()),
			client.MatchingFields{referenceIndex: ObjectName{kind, object.GetName()}.indexKey()})
		if err != nil {
			log.FromContext(ctx).Error(err, "finding the services that name an object", "kind", kind, "name", object.GetName())
			return nil
		}
		var requests []reconcile.Request
		for i := range services.Items {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&services.Items[i])})
		}
		return requests
	}
}
