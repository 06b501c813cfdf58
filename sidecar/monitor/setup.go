package monitor

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// ControllerName is the controller's name in metrics and logs.
const ControllerName = "datapowermonitor"

// Bounds of the pause before a step that failed is tried again.
const (
	firstRetry = 10 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// AddCacheOptions adds what the monitors need to the options of the manager's cache.
func AddCacheOptions(byObject map[client.Object]cache.ByObject) {
	byObject[&v1beta2.DataPowerMonitor{}] = cache.ByObject{Transform: cache.TransformStripManagedFields()}
}

// SetupWithManager adds the controller and its pool of workers to mgr. Both run on the leader only.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	if err := mgr.Add(r.pool); err != nil {
		return fmt.Errorf("adding the workers of %s: %w", ControllerName, err)
	}
	// Status writes of the monitor itself and of its service are no news.
	settings := predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry)
	err := ctrl.NewControllerManagedBy(mgr).
		Named(ControllerName).
		For(&v1beta2.DataPowerMonitor{}, builder.WithPredicates(settings)).
		Watches(&v1beta3.DataPowerService{}, &handler.EnqueueRequestForObject{}, builder.WithPredicates(settings)).
		Watches(&corev1.Pod{}, r.podHandler()).
		WatchesRawSource(source.Func(r.keepQueue)).
		WithOptions(controller.Options{MaxConcurrentReconciles: r.Policy.Reconciles, RateLimiter: limiter}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("adding controller %s: %w", ControllerName, err)
	}
	return nil
}

// keepQueue is a source without events: it gives the workers a way to ask for a step.
func (r *Reconciler) keepQueue(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.queue = queue
	return nil
}

// podHandler puts pod events into the inbox. Pods that are there when the process starts are no event: the monitors look
// at their services anyway.
func (r *Reconciler) podHandler() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	handle := func(was, is client.Object, gone bool, q queue) {
		before, _ := was.(*corev1.Pod)
		pod, ok := is.(*corev1.Pod)
		if !ok {
			return
		}
		event, service, ok := newPodEvent(before, pod, gone, r.Clock.Now())
		if !ok {
			return
		}
		key := types.NamespacedName{Namespace: pod.Namespace, Name: service}
		r.inbox.put(key, event)
		q.Add(reconcile.Request{NamespacedName: key})
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) {
			if !e.IsInInitialList {
				handle(nil, e.Object, false, q)
			}
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { handle(e.ObjectOld, e.ObjectNew, false, q) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { handle(nil, e.Object, true, q) },
	}
}
