// Package wiring adds to a controller manager all that reconciles the kinds of a watches.yaml: one controller for each,
// and what they share.
package wiring

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/datapower-operator/datapower-operator/helm-operator/action"
	"github.com/datapower-operator/datapower-operator/helm-operator/chart"
	"github.com/datapower-operator/datapower-operator/helm-operator/controller"
	"github.com/datapower-operator/datapower-operator/helm-operator/dependents"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper"
	"github.com/datapower-operator/datapower-operator/helm-operator/watches"
)

// Options of Add.
type Options struct {
	Watches []watches.Watch
	// Namespaces are those that the manager's cache has; nil means all.
	Namespaces map[string]cache.Config
	// MapperFor returns what a kind's chart needs from the cluster, nil when it needs nothing. Without it no kind needs
	// anything.
	MapperFor func(watches.Watch, *chart.Source) (mapper.Mapper, error)
}

// Add adds everything to the manager. It asks the API server only which kinds it serves, and fails when a chart can't be read
// or a watch can't be carried out. A kind that is not served is watched as soon as it is.
func Add(mgr manager.Manager, o Options) error {
	rendered, err := dependents.NewCache(mgr.GetConfig(), cache.Options{
		Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient(), DefaultNamespaces: o.Namespaces,
	})
	if err != nil {
		return err
	}
	if err := mgr.Add(rendered); err != nil {
		return fmt.Errorf("add cache of dependents: %w", err)
	}
	dc, err := discovery.NewDiscoveryClientForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("create discovery client: %w", err)
	}
	capabilities := action.NewCapabilities(dc, clock.RealClock{})
	actions, err := action.NewFactory(mgr.GetConfig(), mgr.GetRESTMapper(), capabilities)
	if err != nil {
		return err
	}
	var refreshes []chan event.GenericEvent
	waiting := &awaited{mgr: mgr, offered: capabilities}
	for _, w := range o.Watches {
		refresh := make(chan event.GenericEvent, 1)
		refreshes = append(refreshes, refresh)
		c, err := o.prepare(controller.Options{Watch: w, Actions: actions, Dependents: rendered, Refresh: refresh})
		if err == nil {
			err = waiting.add(c)
		}
		if err != nil {
			return fmt.Errorf("watch %s: %w", w.Kind, err)
		}
	}
	capabilities.Invalidate() // the lease, which starts everything, may come much later
	err = mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		waiting.look()
		return capabilities.Watch(ctx, mgr.GetCache(), func() {
			waiting.look()
			notify(refreshes)
		})
	}))
	if err != nil {
		return fmt.Errorf("watch what the API server offers: %w", err)
	}
	return nil
}

// prepare loads the chart of a watch and makes its mapper.
func (o Options) prepare(c controller.Options) (controller.Options, error) {
	var err error
	if c.Chart, err = chart.Load(c.Watch.ChartPath); err != nil {
		return c, err
	}
	if o.MapperFor != nil {
		c.Mapper, err = o.MapperFor(c.Watch, c.Chart)
	}
	return c, err
}

// notify asks every controller for a refresh; one that is asked already is not asked twice.
func notify(refreshes []chan event.GenericEvent) {
	for _, refresh := range refreshes {
		select {
		case refresh <- event.GenericEvent{Object: &metav1.PartialObjectMetadata{}}:
		default:
		}
	}
}
