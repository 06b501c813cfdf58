// Command helm-operator renders the charts that watches.yaml names for the custom resources that
// it names, and keeps what they render right.
package main

import (
	"context"
	"fmt"
	"io"
	stdlog "log"
	"os"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/helm-operator/action"
	"github.com/datapower-operator/datapower-operator/helm-operator/chart"
	"github.com/datapower-operator/datapower-operator/helm-operator/controller"
	"github.com/datapower-operator/datapower-operator/helm-operator/dependents"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper/datapowerservice"
	"github.com/datapower-operator/datapower-operator/helm-operator/watches"
	"github.com/datapower-operator/datapower-operator/internal/program"
)

const name = "helm-operator"

// mapperFor returns what a kind's chart needs from the cluster; nil when it needs nothing.
func mapperFor(w watches.Watch, src *chart.Source) (mapper.Mapper, error) {
	if w.GroupVersionKind == v1beta3.GroupVersion.WithKind("DataPowerService") {
		return datapowerservice.New(src.Values())
	}
	return nil, nil
}

func main() {
	if err := run(os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

func run(args []string, stderr io.Writer) error {
	opts := program.NewOptions(name, program.Ports{Metrics: ":8443", Health: ":8081"})
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	flags.SetOutput(stderr)
	opts.BindFlags(flags)
	watchesFile := flags.String("watches-file", "watches.yaml", "which kinds are rendered by which charts")
	if err := flags.Parse(args); err != nil {
		if err == pflag.ErrHelp {
			return nil
		}
		return err
	}
	if err := opts.ReadEnvironment(os.Getenv); err != nil {
		return err
	}
	opts.SetLogger(stderr)
	// Helm reports conflicts between values through the standard logger, with the values.
	stdlog.SetOutput(io.Discard)

	ws, err := watches.Load(*watchesFile)
	if err != nil {
		return err
	}
	mgr, err := newManager(opts, ws)
	if err != nil {
		return err
	}
	return mgr.Start(ctrl.SetupSignalHandler())
}

func newManager(opts *program.Options, ws []watches.Watch) (manager.Manager, error) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("build scheme: %w", err)
	}
	opts.Cache.DefaultTransform = cache.TransformStripManagedFields()
	mgr, err := program.NewManager(name, scheme, opts)
	if err != nil {
		return nil, err
	}
	rendered, err := dependents.NewCache(mgr.GetConfig(), cache.Options{
		Scheme: scheme, Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient(),
		DefaultNamespaces: program.CacheNamespaces(opts.Namespaces),
	})
	if err != nil {
		return nil, err
	}
	if err := mgr.Add(rendered); err != nil {
		return nil, fmt.Errorf("add cache of dependents: %w", err)
	}
	dc, err := discovery.NewDiscoveryClientForConfig(mgr.GetConfig())
	if err != nil {
		return nil, fmt.Errorf("create discovery client: %w", err)
	}
	capabilities := action.NewCapabilities(dc, clock.RealClock{})
	actions, err := action.NewFactory(mgr.GetConfig(), mgr.GetRESTMapper(), capabilities)
	if err != nil {
		return nil, err
	}
	var refreshes []chan event.GenericEvent
	for _, w := range ws {
		refresh := make(chan event.GenericEvent, 1)
		refreshes = append(refreshes, refresh)
		if err := add(mgr, w, actions, rendered, refresh); err != nil {
			return nil, fmt.Errorf("watch %s: %w", w.Kind, err)
		}
	}
	err = mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		return capabilities.Watch(ctx, mgr.GetCache(), func() { notify(refreshes) })
	}))
	if err != nil {
		return nil, fmt.Errorf("watch what the API server offers: %w", err)
	}
	return mgr, nil
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

func add(mgr manager.Manager, w watches.Watch, actions *action.Factory, rendered cache.Cache, refresh <-chan event.GenericEvent) error {
	src, err := chart.Load(w.ChartPath)
	if err != nil {
		return err
	}
	m, err := mapperFor(w, src)
	if err != nil {
		return err
	}
	return controller.Add(mgr, controller.Options{
		Watch: w, Chart: src, Mapper: m, Actions: actions, Dependents: rendered, Refresh: refresh,
	})
}
