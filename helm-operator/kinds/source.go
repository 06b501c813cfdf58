package kinds

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Requests tells what an event asks for. before is nil when the object was created, after when it was deleted.
type Requests func(before, after *metav1.PartialObjectMetadata) []reconcile.Request

// Source hands the events of a kind to a controller's queue. It is connected when its Start returns, so that what happens
// later is not missed; controller-runtime's own source connects at some time after that. What the informer lists first
// is no event: who waits for the list sees it in the cache.
func Source(c cache.Informers, obj *metav1.PartialObjectMetadata, requests Requests) source.Source {
	return &events{informers: c, obj: obj, requests: requests}
}

type events struct {
	informers cache.Informers
	obj       *metav1.PartialObjectMetadata
	requests  Requests
}

// String names the source in logs.
func (e *events) String() string { return "metadata of " + e.obj.Kind }

// Start implements source.Source.
func (e *events) Start(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	informer, err := e.informers.GetInformer(ctx, e.obj, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("get informer of %s: %w", e.obj.Kind, err)
	}
	_, err = informer.AddEventHandler(handler(func(before, after *metav1.PartialObjectMetadata) {
		for _, request := range e.requests(before, after) {
			queue.Add(request)
		}
	}))
	if err != nil {
		return fmt.Errorf("handle events of %s: %w", e.obj.Kind, err)
	}
	return nil
}

func handler(handle func(before, after *metav1.PartialObjectMetadata)) toolscache.ResourceEventHandlerDetailedFuncs {
	return toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(obj any, initial bool) {
			if m, ok := obj.(*metav1.PartialObjectMetadata); ok && !initial {
				handle(nil, m)
			}
		},
		UpdateFunc: func(before, after any) {
			a, okA := before.(*metav1.PartialObjectMetadata)
			b, okB := after.(*metav1.PartialObjectMetadata)
			if okA && okB {
				handle(a, b)
			}
		},
		DeleteFunc: func(obj any) {
			// The last state is unknown when the watch was broken while the object was deleted.
			if unknown, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
				obj = unknown.Obj
			}
			if m, ok := obj.(*metav1.PartialObjectMetadata); ok {
				handle(m, nil)
			}
		},
	}
}
