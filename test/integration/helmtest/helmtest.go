// Package helmtest runs the chart reconciler inside a test, as cmd/helm-operator runs it.
package helmtest

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/datapower-operator/datapower-operator/helm-operator/action"
	"github.com/datapower-operator/datapower-operator/helm-operator/chart"
	"github.com/datapower-operator/datapower-operator/helm-operator/controller"
	"github.com/datapower-operator/datapower-operator/helm-operator/dependents"
	"github.com/datapower-operator/datapower-operator/helm-operator/watches"
)

// Options of one operator.
type Options struct {
	// Config reaches the API server; wrap its transport to observe or to disturb the operator.
	Config *rest.Config
	// Namespace is the only one that is watched; empty means all.
	Namespace string
	// Watches is the text of a watches.yaml; Dir is what its chart paths are relative to.
	Watches, Dir string
	// Grace is how long running reconciles may take to end once the operator is stopped.
	Grace time.Duration
}

// Start runs an operator until ctx ends. The channel gets what its end returned, then closes.
func Start(ctx context.Context, o Options) (<-chan error, error) {
	mgr, err := newManager(o)
	if err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() {
		defer close(done)
		done <- mgr.Start(ctx)
	}()
	return done, nil
}

func newManager(o Options) (manager.Manager, error) {
	scheme := runtime.NewScheme()
	if err := clientscheme.AddToScheme(scheme); err != nil {
		return nil, err
	}
	var namespaces map[string]cache.Config
	if o.Namespace != "" {
		namespaces = map[string]cache.Config{o.Namespace: {}}
	}
	anyName := true // many operators of one process watch the same kinds
	mgr, err := ctrl.NewManager(o.Config, ctrl.Options{
		Scheme:                  scheme,
		Cache:                   cache.Options{DefaultNamespaces: namespaces},
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		Controller:              config.Controller{SkipNameValidation: &anyName},
		GracefulShutdownTimeout: &o.Grace,
	})
	if err != nil {
		return nil, fmt.Errorf("make the manager: %w", err)
	}
	rendered, err := dependents.NewCache(mgr.GetConfig(), cache.Options{
		Scheme: scheme, Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient(), DefaultNamespaces: namespaces,
	})
	if err != nil {
		return nil, err
	}
	if err := mgr.Add(rendered); err != nil {
		return nil, err
	}
	return mgr, addWatches(mgr, rendered, o)
}

func addWatches(mgr manager.Manager, rendered cache.Cache, o Options) error {
	dc, err := discovery.NewDiscoveryClientForConfig(mgr.GetConfig())
	if err != nil {
		return fmt.Errorf("make a discovery client: %w", err)
	}
	actions, err := action.NewFactory(mgr.GetConfig(), mgr.GetRESTMapper(), action.NewCapabilities(dc, clock.RealClock{}))
	if err != nil {
		return err
	}
	list, err := watches.Parse([]byte(o.Watches), o.Dir)
	if err != nil {
		return err
	}
	for _, w := range list {
		src, err := chart.Load(w.ChartPath)
		if err != nil {
			return err
		}
		if err := controller.Add(mgr, controller.Options{Watch: w, Chart: src, Actions: actions, Dependents: rendered}); err != nil {
			return err
		}
	}
	return nil
}
