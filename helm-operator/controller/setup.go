package controller

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	ctrlevent "sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/datapower-operator/datapower-operator/helm-operator/action"
	"github.com/datapower-operator/datapower-operator/helm-operator/chart"
	"github.com/datapower-operator/datapower-operator/helm-operator/dependents"
	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper"
	"github.com/datapower-operator/datapower-operator/helm-operator/metrics"
	"github.com/datapower-operator/datapower-operator/helm-operator/orphans"
	"github.com/datapower-operator/datapower-operator/helm-operator/references"
	"github.com/datapower-operator/datapower-operator/helm-operator/status"
	"github.com/datapower-operator/datapower-operator/helm-operator/values"
	"github.com/datapower-operator/datapower-operator/helm-operator/watches"
)

// Options of one watch's controller.
type Options struct {
	Watch watches.Watch
	// Chart that the watch names.
	Chart *chart.Source
	// Mapper adds what the chart needs from the cluster; nil adds nothing.
	Mapper mapper.Mapper
	// Actions are shared by all watches.
	Actions *action.Factory
	// Dependents is the cache of rendered objects (see dependents.NewCache), part of the manager.
	Dependents cache.Cache
	// Refresh makes every resource of the kind reconcile; nil never does.
	Refresh <-chan ctrlevent.GenericEvent
	// Clock defaults to the real one.
	Clock clock.PassiveClock
}

// workersPerCore is the default number of resources reconciled at once for each core: a reconcile
// that acts mostly waits for the API server.
const workersPerCore = 4

// Add starts a controller for one watch with the manager.
func Add(mgr manager.Manager, o Options) error {
	overrides, err := values.ParseOverrides(o.Watch.OverrideValues, nil)
	if err != nil {
		return err
	}
	if o.Mapper == nil {
		o.Mapper = mapper.None{}
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	name := controllerName(o.Watch)
	r := &Reconciler{
		client: mgr.GetClient(), resources: mgr.GetCache(), config: mgr.GetConfig(),
		watch: o.Watch, chart: o.Chart, overrides: overrides, mapper: o.Mapper, actions: o.Actions,
		recorder: mgr.GetEventRecorder("datapower-helm-operator"), clock: o.Clock,
		metrics: metrics.Kind(o.Watch.Kind), write: status.Write,
	}
	if o.Watch.MergeStatus {
		r.write = new(status.Merger).Write
	}
	r.orphans = func(ctx context.Context, owner types.UID) ([]inventory.Ref, error) {
		return orphans.Find(ctx, mgr.GetConfig(), owner)
	}
	workers := o.Watch.MaxConcurrentReconciles
	if workers == 0 {
		workers = workersPerCore * runtime.GOMAXPROCS(0)
	}
	ctrl, err := controller.New(name, mgr, controller.Options{Reconciler: r, MaxConcurrentReconciles: workers})
	if err != nil {
		return fmt.Errorf("create controller %s: %w", name, err)
	}
	r.dependents = dependents.NewWatcher(o.Dependents, ctrl, o.Watch.GroupVersionKind, o.Watch.WatchDependentResources)
	r.references = references.NewTracker(mgr.GetCache(), mgr.GetAPIReader(), ctrl)
	if err := watchResources(mgr, ctrl, o.Watch); err != nil {
		return err
	}
	if n, ok := o.Mapper.(mapper.Notifier); ok {
		if err := ctrl.Watch(source.Channel(n.Changed(), &handler.EnqueueRequestForObject{})); err != nil {
			return fmt.Errorf("watch what values of %s depend on: %w", o.Watch.Kind, err)
		}
	}
	return watchRefresh(mgr, ctrl, o)
}

// controllerName tells groups apart that have a kind of one name, and kinds that differ in case only.
func controllerName(w watches.Watch) string {
	name := strings.ToLower(w.GroupKind().String())
	if w.Kind == strings.ToLower(w.Kind) {
		name = "lowercase-" + name
	}
	return name
}

// watchRefresh reconciles all resources on demand, when what every release depends on has changed.
func watchRefresh(mgr manager.Manager, ctrl controller.Controller, o Options) error {
	if o.Refresh == nil {
		return nil
	}
	all := handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, _ client.Object) []reconcile.Request {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(o.Watch.GroupVersion().WithKind(o.Watch.Kind + "List"))
		if err := mgr.GetCache().List(ctx, list, client.MatchingLabelsSelector{Selector: o.Watch.Selector}); err != nil {
			mgr.GetLogger().Error(err, "cannot list the resources to refresh", "kind", o.Watch.Kind)
			return nil
		}
		requests := make([]reconcile.Request, 0, len(list.Items))
		for i := range list.Items {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
		return requests
	})
	if err := ctrl.Watch(source.Channel(o.Refresh, all)); err != nil {
		return fmt.Errorf("watch refreshes of %s: %w", o.Watch.Kind, err)
	}
	return nil
}

// ourShareChanged tells whether somebody touched what only we write: our conditions or the finalizer.
func ourShareChanged(e ctrlevent.UpdateEvent) bool {
	before, okBefore := e.ObjectOld.(*unstructured.Unstructured)
	after, okAfter := e.ObjectNew.(*unstructured.Unstructured)
	if !okBefore || !okAfter {
		return true
	}
	a, errA := status.Read(before)
	b, errB := status.Read(after)
	return errA != nil || errB != nil || !reflect.DeepEqual(a, b) || !slices.Equal(before.GetFinalizers(), after.GetFinalizers())
}

// watchResources reconciles a custom resource when its spec, labels or annotations change. Its
// status does not count: others write it, and so do we.
func watchResources(mgr manager.Manager, ctrl controller.Controller, w watches.Watch) error {
	cr := &unstructured.Unstructured{}
	cr.SetGroupVersionKind(w.GroupVersionKind)
	matches := func(o client.Object) bool { return w.Selector.Matches(labels.Set(o.GetLabels())) }
	selected := predicate.NewPredicateFuncs(matches)
	selected.UpdateFunc = func(e ctrlevent.UpdateEvent) bool { // one that leaves the selector is let go
		return matches(e.ObjectOld) || matches(e.ObjectNew)
	}
	relevant := predicate.Or[client.Object](
		predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}, predicate.LabelChangedPredicate{},
		predicate.Funcs{UpdateFunc: ourShareChanged})
	err := ctrl.Watch(source.Kind[client.Object](mgr.GetCache(), cr, &handler.EnqueueRequestForObject{}, selected, relevant))
	if err != nil {
		return fmt.Errorf("watch %s: %w", w.Kind, err)
	}
	return nil
}
