package operator

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/datapower-operator/datapower-operator/helm-operator/watches"
	"github.com/datapower-operator/datapower-operator/helm-operator/wiring"
	"github.com/datapower-operator/datapower-operator/internal/program"
	"github.com/datapower-operator/datapower-operator/test/bench/stock"
	"github.com/datapower-operator/datapower-operator/test/bench/workload"
)

// managed is a variant that is a controller manager.
type managed struct{ manager.Manager }

func (m managed) run(ctx context.Context, ready func()) error {
	go func() {
		<-m.Elected()
		if m.GetCache().WaitForCacheSync(ctx) {
			ready()
		}
	}()
	return m.Start(ctx)
}

func (managed) reconciles() (int, error) { return reconciles() }

// newOurs is wired as cmd/helm-operator is.
func newOurs(cfg *rest.Config, chartPath string) (running, error) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("build scheme: %w", err)
	}
	opts := program.NewOptions("bench", program.Ports{Metrics: "0", Health: "0"})
	opts.RESTConfig, opts.LeaderElect = cfg, false
	opts.Cache.DefaultTransform = cache.TransformStripManagedFields()
	mgr, err := program.NewManager("bench", scheme, opts)
	if err != nil {
		return nil, err
	}
	ws, err := watches.Parse(fmt.Appendf(nil, "- {group: %s, version: %s, kind: %s, chart: %q}",
		workload.Kind.Group, workload.Kind.Version, workload.Kind.Kind, chartPath), "/")
	if err != nil {
		return nil, err
	}
	return managed{mgr}, wiring.Add(mgr, wiring.Options{Watches: ws})
}

func newStock(cfg *rest.Config, chartPath string) (running, error) {
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme: clientgoscheme.Scheme, Metrics: metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		return nil, fmt.Errorf("create manager: %w", err)
	}
	return managed{mgr}, stock.Add(mgr, workload.Kind, chartPath)
}
