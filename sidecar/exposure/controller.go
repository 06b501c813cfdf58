package exposure

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

// ControllerName is the controller's name in metrics and logs.
const ControllerName = "exposedapi-status"

// maxConcurrentReconciles bounds the writes under way: a gateway that gets another address concerns every API on it.
const maxConcurrentReconciles = 16

// Times of reconciles.
const (
	// settleTime is how long the helm-operator is given to make or change a VirtualService before the status tells of it, so
	// that a change of the spec costs one write.
	settleTime = 2 * time.Second
	// conflictDelay is the wait for the news after the resource turned out to be another one than was looked at.
	conflictDelay = 200 * time.Millisecond
)

// eventAction is the "action" of this writer's events: what it was doing.
const eventAction = "ObserveExposure"

// Options of [Add].
type Options struct {
	// Settings that both programs share.
	Settings oda.Settings
	// Namespaces of the APIs; nil means all.
	Namespaces map[string]cache.Config
	// Clock gives transition times.
	Clock clock.PassiveClock
	// Metrics may be nil.
	Metrics *Metrics
}

// Add adds the controller, and what it watches, to a manager. It runs on the leader only and asks the API server nothing
// before.
func Add(mgr manager.Manager, o Options) error {
	writer, err := dynamic.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("making the client of exposed APIs: %w", err)
	}
	brief, err := metadata.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("making the client of metadata: %w", err)
	}
	w := newWorld(o.Settings)
	o.Metrics.observe(w)
	s := &sources{
		newCache: func(options cache.Options) (cache.Cache, error) {
			options.HTTPClient, options.Scheme = mgr.GetHTTPClient(), mgr.GetScheme()
			if options.Mapper == nil {
				options.Mapper = mgr.GetRESTMapper()
			}
			return cache.New(mgr.GetConfig(), options)
		},
		namespaces: o.Namespaces, settings: o.Settings, world: w,
		sweep: func(ctx context.Context) error {
			return sweepPods(ctx, brief, writer, slices.Collect(maps.Keys(o.Namespaces)))
		},
		log: mgr.GetLogger().WithName(ControllerName), wake: make(chan struct{}, 1),
		offered: map[string]served{}, served: map[string]served{}, started: map[string]running{}, told: map[string]bool{},
	}
	r := &reconciler{
		world: w, sources: s, writer: writer, statuses: brief, recorder: mgr.GetEventRecorder("datapower-sidecar"), clock: o.Clock, waiting: map[oda.Key]time.Time{},
		outdated: map[oda.Key]string{}, metrics: o.Metrics,
	}
	c, err := controller.NewTyped(ControllerName, mgr, controller.TypedOptions[oda.Key]{
		Reconciler: r, MaxConcurrentReconciles: maxConcurrentReconciles,
	})
	if err != nil {
		return fmt.Errorf("adding controller %s: %w", ControllerName, err)
	}
	queues := make(chan workqueue.TypedRateLimitingInterface[oda.Key], 1)
	err = c.Watch(source.TypedFunc[oda.Key](func(_ context.Context, queue workqueue.TypedRateLimitingInterface[oda.Key]) error {
		queues <- queue
		return nil
	}))
	if err != nil {
		return fmt.Errorf("connecting controller %s: %w", ControllerName, err)
	}
	err = mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		select {
		case queue := <-queues:
			s.enqueue = func(keys []oda.Key) {
				for _, key := range keys {
					queue.Add(key)
				}
			}
			return s.run(ctx)
		case <-ctx.Done():
			return nil
		}
	}))
	if err != nil {
		return fmt.Errorf("adding the watches of %s: %w", ControllerName, err)
	}
	return nil
}

// reconciler acts on what the pure functions decide.
type reconciler struct {
	world   *world
	sources *sources
	writer  dynamic.Interface
	// statuses writes statuses: of the object that results, its resourceVersion is all that matters.
	statuses metadata.Interface
	recorder events.EventRecorder
	clock    clock.PassiveClock
	metrics  *Metrics

	mu      sync.Mutex
	waiting map[oda.Key]time.Time // since when the helm-operator is waited for
	// outdated are the resourceVersions that this writer has put an end to.
	outdated map[oda.Key]string
}

// Reconcile brings one thing up to date: the status of an API, the elements of a Component, the annotations of a pod. While
// not everything is known yet it does nothing; all is reconciled then.
func (r *reconciler) Reconcile(ctx context.Context, key oda.Key) (reconcile.Result, error) {
	if !r.sources.complete() {
		return reconcile.Result{}, nil
	}
	var result reconcile.Result
	var err error
	switch key.Kind {
	case kindComponent:
		err = r.component(ctx, keyName(key))
	case keyKindPod:
		err = r.pod(ctx, keyName(key))
	default:
		result, err = r.api(ctx, key)
	}
	switch {
	case apierrors.IsNotFound(err), ctx.Err() != nil:
		return reconcile.Result{}, nil // its end is an event, too; and who starts next looks at everything
	case apierrors.IsConflict(err), apierrors.IsInvalid(err) && key.Kind == kindComponent:
		return reconcile.Result{RequeueAfter: conflictDelay}, nil
	}
	return result, err
}

func (r *reconciler) api(ctx context.Context, key oda.Key) (reconcile.Result, error) {
	in, now, found := r.world.observe(key)
	offer, served := r.sources.ofKind(key.Kind)
	if !found || !served {
		r.forget(key)
		return reconcile.Result{}, nil
	}
	if r.isOutdated(key, now.resourceVersion) {
		return reconcile.Result{}, nil // the next one is on its way
	}
	_, in.Istio = r.sources.of(crdVirtualService)
	_, in.PrometheusOperator = r.sources.of(crdServiceMonitor)
	in.MonitorsUnknown = in.PrometheusOperator && !r.sources.lists(crdServiceMonitor)
	in.Now = r.clock.Now()
	if offer.subresource {
		in.Generation = now.generation
	}
	if left := r.wait(key, in.unsettled()); left > 0 {
		return reconcile.Result{RequeueAfter: left}, nil
	}
	wanted := Compute(in)
	patch, err := statusPatch(now, wanted)
	if err != nil || patch == nil {
		return reconcile.Result{}, err
	}
	version, err := r.patch(ctx, offer, keyName(key), types.MergePatchType, patch)
	r.metrics.wrote(writtenStatus, err)
	if err != nil {
		return reconcile.Result{}, err
	}
	if version != now.resourceVersion {
		r.outdate(key, now.resourceVersion)
	}
	about := &corev1.ObjectReference{
		APIVersion: now.apiVersion, Kind: key.Kind, Namespace: key.Namespace, Name: key.Name, UID: now.UID,
	}
	for _, e := range Transitions(now.status, wanted) {
		r.recorder.Eventf(about, nil, e.Type, e.Reason, eventAction, "%s", e.Note)
	}
	return reconcile.Result{}, nil
}

// wait remembers since when an API is unsettled and returns for how long that is not worth telling.
func (r *reconciler) wait(key oda.Key, unsettled bool) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !unsettled {
		delete(r.waiting, key)
		return 0
	}
	since, waits := r.waiting[key]
	if !waits {
		since = r.clock.Now()
		r.waiting[key] = since
	}
	return settleTime - r.clock.Since(since)
}

func (r *reconciler) forget(key oda.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, key)
	delete(r.outdated, key)
}

func (r *reconciler) outdate(key oda.Key, version string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outdated[key] = version
}

func (r *reconciler) isOutdated(key oda.Key, version string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.outdated[key] == version
}

func (r *reconciler) component(ctx context.Context, n name) error {
	c, byUID := r.world.tells(n)
	offer, served := r.sources.of(crdComponent)
	if c == nil || !served {
		return nil
	}
	patch, err := ComponentPatch(c, byUID)
	if err != nil || patch == nil {
		return err
	}
	_, err = r.patch(ctx, offer, n, types.JSONPatchType, patch)
	r.metrics.wrote(writtenComponent, err)
	return err
}

// patch writes a status where the definition has it, and returns the resourceVersion that results.
func (r *reconciler) patch(ctx context.Context, offer served, n name, kind types.PatchType, patch []byte) (string, error) {
	var subresources []string
	if offer.subresource {
		subresources = []string{"status"}
	}
	written, err := r.statuses.Resource(offer.GroupVersionResource).Namespace(n.Namespace).
		Patch(ctx, n.Name, kind, patch, metav1.PatchOptions{FieldManager: oda.FieldManagerStatus}, subresources...)
	if err != nil {
		return "", fmt.Errorf("writing the status of %s %s: %w", offer.kind, n, err)
	}
	return written.GetResourceVersion(), nil
}
