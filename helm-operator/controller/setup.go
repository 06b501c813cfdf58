package controller

import (
	"fmt"
	"runtime"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/datapower-operator/datapower-operator/helm-operator/action"
	"github.com/datapower-operator/datapower-operator/helm-operator/chart"
	"github.com/datapower-operator/datapower-operator/helm-operator/dependents"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper"
	"github.com/datapower-operator/datapower-operator/helm-operator/references"
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
	// Clock defaults to the real one.
	Clock clock.PassiveClock
}

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
	name := strings.ToLower(o.Watch.Kind)
	r := &Reconciler{
		client: mgr.GetClient(), resources: mgr.GetCache(), config: mgr.GetConfig(),
		watch: o.Watch, chart: o.Chart, overrides: overrides, mapper: o.Mapper, actions: o.Actions,
		recorder: mgr.GetEventRecorder("datapower-helm-operator"), clock: o.Clock,
	}
	workers := o.Watch.MaxConcurrentReconciles
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	ctrl, err := controller.New(name, mgr, controller.Options{Reconciler: r, MaxConcurrentReconciles: workers})
	if err != nil {
		return fmt.Errorf("create controller %s: %w", name, err)
	}
	r.dependents = dependents.NewWatcher(o.Dependents, ctrl, o.Watch.GroupVersionKind, o.Watch.WatchDependentResources)
	r.references = references.NewTracker(mgr.GetCache(), mgr.GetAPIReader(), ctrl)
	return watchResources(mgr, ctrl, o.Watch)
}

// watchResources reconciles a custom resource when its spec, labels or annotations change. Its
// status does not count: others write it, and so do we.
func watchResources(mgr manager.Manager, ctrl controller.Controller, w watches.Watch) error {
	cr := &unstructured.Unstructured{}
	cr.SetGroupVersionKind(w.GroupVersionKind)
	selected := predicate.NewPredicateFuncs(func(o client.Object) bool {
		return w.Selector.Matches(labels.Set(o.GetLabels()))
	})
	relevant := predicate.Or[client.Object](
		predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}, predicate.LabelChangedPredicate{})
	err := ctrl.Watch(source.Kind[client.Object](mgr.GetCache(), cr, &handler.EnqueueRequestForObject{}, selected, relevant))
	if err != nil {
		return fmt.Errorf("watch %s: %w", w.Kind, err)
	}
	return nil
}
