// Package helmtest runs the chart reconciler inside a test, as cmd/helm-operator runs it.
package helmtest

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/datapower-operator/datapower-operator/helm-operator/watches"
	"github.com/datapower-operator/datapower-operator/helm-operator/wiring"
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
	list, err := watches.Parse([]byte(o.Watches), o.Dir)
	if err != nil {
		return nil, err
	}
	return mgr, wiring.Add(mgr, wiring.Options{Watches: list, Namespaces: namespaces})
}
