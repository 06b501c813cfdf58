// Command helm-operator renders the charts that watches.yaml names for the custom resources that
// it names, and keeps what they render right.
package main

import (
	"fmt"
	"io"
	stdlog "log"
	"os"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/helm-operator/chart"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper/datapowerservice"
	"github.com/datapower-operator/datapower-operator/helm-operator/watches"
	"github.com/datapower-operator/datapower-operator/helm-operator/wiring"
	"github.com/datapower-operator/datapower-operator/internal/program"
)

const name = "helm-operator"

// mapperFor returns what a kind's chart needs from the cluster; nil when it needs nothing.
func mapperFor(w watches.Watch, src *chart.Source) (mapper.Mapper, error) {
	if w.GroupVersionKind == v1beta3.GroupVersion.WithKind("DataPowerService") {
		m, err := datapowerservice.New(src.Values())
		if err != nil {
			return nil, err
		}
		return newGuard(m, src.Values(), w.OverrideValues)
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
	var told observability
	told.certificate.Bind(opts)
	mgr, err := program.NewManager(name, scheme, opts)
	if err != nil {
		return nil, err
	}
	if err := told.add(mgr, opts); err != nil {
		return nil, err
	}
	return mgr, wiring.Add(mgr, wiring.Options{
		Watches: ws, Namespaces: program.CacheNamespaces(opts.Namespaces), MapperFor: (&apiMappers{mgr: mgr, opts: opts}).mapperFor,
	})
}
