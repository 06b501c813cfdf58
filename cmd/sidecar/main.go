// Command sidecar runs beside the helm-operator in the operator's pod. It
// watches what the charts became and keeps the status of every
// DataPowerService true.
//
// It also runs outside a cluster, with KUBECONFIG or --kubeconfig; there
// --leader-elect=false spares it the Lease.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/internal/program"
	"github.com/datapower-operator/datapower-operator/sidecar/catalogue"
	"github.com/datapower-operator/datapower-operator/sidecar/defaults"
	"github.com/datapower-operator/datapower-operator/sidecar/monitor"
	"github.com/datapower-operator/datapower-operator/sidecar/resourcemetrics"
	"github.com/datapower-operator/datapower-operator/sidecar/status"
)

// name is the program's name in flags, logs, Lease, events and user agent.
const name = "sidecar"

// Exit codes of the program.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// settings is what the sidecar can be told beyond what all programs share.
type settings struct {
	shared      *program.Options
	chartValues string
	webhooks    webhookSettings
	conversion  conversionSettings
	monitor     monitorSettings
	exposure    exposureSettings
}

func main() {
	os.Exit(run(ctrl.SetupSignalHandler(), os.Args[1:], os.Getenv, os.Stderr))
}

// run is main without the process: it ends when ctx does and returns the exit
// code.
func run(ctx context.Context, args []string, getenv func(string) string, stderr io.Writer) int {
	if len(args) > 0 && args[0] == webhookSubcommand {
		return runWebhook(ctx, args[1:], stderr)
	}
	opts, err := parse(args, getenv, stderr)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	logger := opts.shared.SetLogger(stderr).WithName(name)
	if err := serve(ctx, opts); err != nil {
		logger.Error(err, "stopping")
		return exitError
	}
	return exitOK
}

func parse(args []string, getenv func(string) string, stderr io.Writer) (settings, error) {
	opts := settings{shared: program.NewOptions(name, program.Ports{Metrics: ":8444", Health: ":8082"})}
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&opts.chartValues, "chart-values", "helm-charts/datapowerservice/values.yaml",
		"values.yaml of the DataPowerService chart, for its catalogue and its default users.")
	opts.shared.BindFlags(flags)
	opts.webhooks.bind(flags)
	opts.conversion.bind(flags)
	opts.monitor.bind(flags)
	if err := flags.Parse(args); err != nil {
		return settings{}, err
	}
	if flags.NArg() > 0 {
		return settings{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	opts.webhooks.readEnvironment(getenv)
	if err := opts.conversion.readEnvironment(getenv); err != nil {
		return settings{}, err
	}
	if err := opts.exposure.readEnvironment(getenv); err != nil {
		return settings{}, err
	}
	return opts, opts.shared.ReadEnvironment(getenv)
}

// serve runs the manager until ctx ends.
func serve(ctx context.Context, opts settings) error {
	known, err := catalogue.Load(opts.chartValues)
	if err != nil {
		return fmt.Errorf("loading the catalogue: %w", err)
	}
	users, err := defaults.LoadUsers(opts.chartValues)
	if err != nil {
		return fmt.Errorf("loading the defaults: %w", err)
	}
	if opts.shared.Cache.ByObject, err = status.CacheOptions(); err != nil {
		return err
	}
	monitor.AddCacheOptions(opts.shared.Cache.ByObject)
	resourcemetrics.AddCacheOptions(opts.shared.Cache.ByObject)
	var told observability
	told.certificate.Bind(opts.shared)
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	err = program.AwaitKinds(ctx, name, opts.shared, v1beta3.GroupVersion.WithKind("DataPowerService"), v1beta2.GroupVersion.WithKind("DataPowerMonitor"))
	if err != nil {
		return err
	}
	mgr, err := program.NewManager(name, scheme, opts.shared)
	if err != nil {
		return err
	}
	recorder := mgr.GetEventRecorder("datapower-" + name)
	reconciler := status.NewReconciler(mgr.GetClient(), mgr.GetAPIReader(), recorder, known, users)
	if err := reconciler.SetupWithManager(mgr); err != nil {
		return err
	}
	if err := opts.monitor.add(mgr, users); err != nil {
		return err
	}
	if err := opts.exposure.add(mgr, opts.shared); err != nil {
		return err
	}
	if err := told.add(mgr, opts.shared); err != nil {
		return err
	}
	return opts.conversion.beside(ctx, opts, known, func(ctx context.Context) error { return opts.webhooks.serve(ctx, mgr, opts, known) })
}

func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1beta2.AddToScheme, v1beta3.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("registering types: %w", err)
		}
	}
	return scheme, nil
}
