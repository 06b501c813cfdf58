package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	apiextensionsclient "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/datapower-operator/datapower-operator/internal/program"
	"github.com/datapower-operator/datapower-operator/sidecar/catalogue"
	"github.com/datapower-operator/datapower-operator/webhooks/conversion"
	"github.com/datapower-operator/datapower-operator/webhooks/conversionruntime"
	"github.com/datapower-operator/datapower-operator/webhooks/pki"
	"github.com/datapower-operator/datapower-operator/webhooks/server"
	"github.com/datapower-operator/datapower-operator/webhooks/storagemigration"
)

// Values of --conversion.
const (
	// conversionAuto is conversionDeployment in a pod, else conversionOff.
	conversionAuto = "auto"
	// conversionDeployment manages the conversion webhook as a Deployment of its own.
	conversionDeployment = "deployment"
	// conversionProcess serves conversions in this process and registers it by URL.
	conversionProcess = "process"
	// conversionBoth does so too, and manages the Deployment, which then serves nobody.
	conversionBoth = "both"
	// conversionOff leaves conversion alone.
	conversionOff = "off"
)

// conversionImageVariable replaces the image of the conversion webhook.
const conversionImageVariable = "CONVERSION_WEBHOOK_IMAGE"

var errConversionMode = errors.New("--conversion must be auto, deployment, process, both or off")

// conversionSettings is what the sidecar can be told about conversion between
// the versions of DataPowerService.
type conversionSettings struct {
	mode         string
	address      string
	image        string
	inPod        bool
	leafLifetime time.Duration
	perSecond    float32
}

func (s *conversionSettings) bind(flags *pflag.FlagSet) {
	flags.StringVar(&s.mode, "conversion", conversionAuto,
		"How the versions of DataPowerService are converted: deployment (a Deployment of its own, managed by this program), "+
			"process (this program, registered by URL), both (process, and the Deployment is managed all the same), off, "+
			"or auto (deployment in a pod, else off).")
	flags.StringVar(&s.address, "conversion-bind-address", "127.0.0.1:0",
		"Address at which this program serves conversions, with --conversion=process or both: an IP address that the API server reaches.")
	flags.Float32Var(&s.perSecond, "storage-migration-rate", storagemigration.DefaultPerSecond,
		"Objects per second that are rewritten when they are stored in an old version.")
	flags.DurationVar(&s.leafLifetime, "conversion-certificate-lifetime", 0, "")
	// For tests: rotations that take seconds. MarkHidden fails only for an unknown flag.
	_ = flags.MarkHidden("conversion-certificate-lifetime")
}

// readEnvironment also finds out what auto means.
func (s *conversionSettings) readEnvironment(getenv func(string) string) error {
	s.image = getenv(conversionImageVariable)
	s.inPod = getenv(program.PodNamespaceVariable) != ""
	switch s.mode {
	case conversionAuto:
		s.mode = conversionOff
		if s.inPod {
			s.mode = conversionDeployment
		}
	case conversionDeployment, conversionProcess, conversionBoth, conversionOff:
	default:
		return errConversionMode
	}
	return nil
}

// beside runs next, and beside it what keeps conversion working, until ctx
// ends or one of both fails.
//
// Conversion has a manager of its own, with a Lease of its own: the caches of
// the other one cannot fill as long as services that are stored in an old
// version cannot be converted.
func (s *conversionSettings) beside(ctx context.Context, opts settings, known *catalogue.Catalogue, next func(context.Context) error) error {
	if s.mode == conversionOff {
		return next(ctx)
	}
	// Conversion ends last: while the rest ends, it still may read and write.
	own, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	start, err := s.prepare(own, opts, known)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- start(own)
		cancel()
	}()
	err = next(ctx)
	stop()
	return errors.Join(err, <-ended)
}

// prepare returns what runs conversion until its context ends.
func (s *conversionSettings) prepare(ctx context.Context, opts settings, known *catalogue.Catalogue) (func(context.Context) error, error) {
	shared := opts.shared.Beside("-conversion")
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("registering types: %w", err)
	}
	mgr, err := program.NewManager(name, scheme, shared)
	if err != nil {
		return nil, err
	}
	log := mgr.GetLogger().WithName("conversion")
	migrator, err := s.migrator(mgr, log)
	if err != nil {
		return nil, err
	}
	certificates, err := certificateMetrics()
	if err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	options := conversionruntime.Options{
		Config: mgr.GetConfig(), Namespace: shared.OwnNamespace(), Deployment: s.mode != conversionProcess,
		Image: s.image, Command: webhookCommand(opts.chartValues, s.inPod), Policy: pki.DefaultPolicy(), Certificates: certificates,
		Settled: migrator.Notify, Events: mgr.GetEventRecorder("datapower-" + name), Clock: clock.RealClock{}, Log: log,
	}
	if s.leafLifetime > 0 {
		options.Policy = pki.ShortPolicy(s.leafLifetime)
	}
	served := func(ctx context.Context) error { <-ctx.Done(); return nil }
	if s.mode != conversionDeployment {
		local, here, err := s.local(ctx, known, log)
		if err != nil {
			return nil, err
		}
		options.Local, served = local, here.Serve
	}
	keeper, err := conversionruntime.New(options)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(mgr.Add(keeper), mgr.Add(migrator)); err != nil {
		return nil, fmt.Errorf("preparing conversion: %w", err)
	}
	return func(ctx context.Context) error { return together(ctx, served, mgr.Start) }, nil
}

// together runs two functions until ctx ends; the end of one ends the other.
func together(ctx context.Context, first, second func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var errs [2]error
	var running sync.WaitGroup
	for i, run := range []func(context.Context) error{first, second} {
		running.Go(func() {
			defer cancel()
			errs[i] = run(ctx)
		})
	}
	running.Wait()
	return errors.Join(errs[:]...)
}

// local is a server in this process.
func (s *conversionSettings) local(ctx context.Context, known *catalogue.Catalogue, log logr.Logger) (*conversionruntime.Local, *server.Server, error) {
	handler, err := conversionHandler(known, log)
	if err != nil {
		return nil, nil, err
	}
	serving := &pki.Serving{}
	listening, err := server.Listen(ctx, server.Options{
		Address: s.address, Handler: handler, Certificate: serving.GetCertificate, Finish: finishTimeout, Logger: log,
	})
	if err != nil {
		return nil, nil, err
	}
	return &conversionruntime.Local{Address: listening.LocalAddress(), Serving: serving}, listening, nil
}

func (s *conversionSettings) migrator(mgr ctrl.Manager, log logr.Logger) (*storagemigration.Migrator, error) {
	objects, err := metadata.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("making a client for the storage migration: %w", err)
	}
	definitions, err := apiextensionsclient.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("making a client for the storage migration: %w", err)
	}
	counted, err := migrationMetrics()
	if err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	return storagemigration.New(storagemigration.Options{
		Objects: objects, Definitions: definitions.ApiextensionsV1().CustomResourceDefinitions(), PerSecond: s.perSecond,
		PageSize: storagemigration.DefaultPageSize, Metrics: counted, Log: log.WithName("storage-migration"),
	}), nil
}

// Metrics exist once in a process.
var (
	certificateMetrics = sync.OnceValues(func() (*pki.Metrics, error) { return pki.NewMetrics(metrics.Registry) })
	conversionMetrics  = sync.OnceValues(func() (*conversion.Metrics, error) { return conversion.NewMetrics(metrics.Registry) })
	migrationMetrics   = sync.OnceValues(func() (*storagemigration.Metrics, error) {
		return storagemigration.NewMetrics(metrics.Registry)
	})
)

// conversionHandler answers ConversionReviews.
func conversionHandler(known *catalogue.Catalogue, log logr.Logger) (http.Handler, error) {
	counted, err := conversionMetrics()
	if err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle(conversion.Path, conversion.NewHandler(conversion.Converter{LicenseID: licenceOf(known)}, counted, log))
	return mux, nil
}

// licenceOf names the licence for a version and a use when the catalogue knows
// exactly one.
func licenceOf(known *catalogue.Catalogue) func(version, use string) string {
	return func(version, use string) string {
		fitting := slices.DeleteFunc(slices.Clone(known.LicensesOf(version)), func(id string) bool {
			license, _ := known.License(id)
			return !license.Covers(use)
		})
		if len(fitting) != 1 {
			return ""
		}
		return fitting[0]
	}
}

// webhookCommand starts the conversion webhook in the operator's image.
func webhookCommand(chartValues string, inPod bool) []string {
	executable := name
	if path, err := os.Executable(); inPod && err == nil {
		executable = path
	}
	return []string{executable, webhookSubcommand, "--chart-values=" + strings.TrimSpace(chartValues)}
}
