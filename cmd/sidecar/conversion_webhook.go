package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/datapower-operator/datapower-operator/sidecar/catalogue"
	"github.com/datapower-operator/datapower-operator/webhooks/conversionruntime"
	"github.com/datapower-operator/datapower-operator/webhooks/server"
)

// webhookSubcommand is the first argument that makes this program serve
// conversions and nothing else.
const webhookSubcommand = "conversion-webhook"

// probeTimeout bounds the answer to a health probe.
const probeTimeout = 5 * time.Second

// webhookOptions is what the sub-command can be told.
type webhookOptions struct {
	certDir     string
	address     string
	health      string
	chartValues string
	drain       time.Duration
	zap         zap.Options
}

func parseWebhook(args []string, stderr io.Writer) (*webhookOptions, error) {
	opts := &webhookOptions{}
	flags := pflag.NewFlagSet(name+" "+webhookSubcommand, pflag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&opts.certDir, "cert-dir", conversionruntime.CertDir, "Directory with tls.crt and tls.key, which may change at any time.")
	flags.StringVar(&opts.address, "bind-address", fmt.Sprintf(":%d", conversionruntime.Port), "Address of the conversion webhook.")
	flags.StringVar(&opts.health, "health-probe-bind-address", fmt.Sprintf(":%d", conversionruntime.HealthPort),
		"Address of /healthz, /readyz and /metrics; 0 disables them.")
	flags.StringVar(&opts.chartValues, "chart-values", "helm-charts/datapowerservice/values.yaml",
		"values.yaml of the DataPowerService chart, for its catalogue of licences.")
	flags.DurationVar(&opts.drain, "drain", 5*time.Second,
		"How long requests are still taken after the order to stop, until the cluster sends no more.")
	goFlags := flag.NewFlagSet("", flag.ContinueOnError)
	opts.zap.BindFlags(goFlags)
	flags.AddGoFlagSet(goFlags)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return opts, nil
}

// runWebhook serves conversions until ctx ends and returns the exit code. It
// needs no API server.
func runWebhook(ctx context.Context, args []string, stderr io.Writer) int {
	opts, err := parseWebhook(args, stderr)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	logger := zap.New(zap.UseFlagOptions(&opts.zap), zap.WriteTo(stderr))
	ctrl.SetLogger(logger)
	logger = logger.WithName(webhookSubcommand)
	if err := opts.serve(ctx, logger); err != nil {
		logger.Error(err, "stopping")
		return exitError
	}
	return exitOK
}

func (o *webhookOptions) serve(ctx context.Context, log logr.Logger) error {
	known, err := catalogue.Load(o.chartValues)
	if err != nil {
		return fmt.Errorf("loading the catalogue: %w", err)
	}
	handler, err := conversionHandler(known, log)
	if err != nil {
		return err
	}
	certificate, err := certwatcher.New(filepath.Join(o.certDir, corev1.TLSCertKey), filepath.Join(o.certDir, corev1.TLSPrivateKeyKey))
	if err != nil {
		return fmt.Errorf("reading the certificate in %s: %w", o.certDir, err)
	}
	listening, err := server.Listen(ctx, server.Options{
		Address: o.address, Handler: handler, Certificate: certificate.GetCertificate, Drain: o.drain, Finish: finishTimeout, Logger: log,
	})
	if err != nil {
		return err
	}
	log.Info("serving conversions", "address", listening.LocalAddress())
	// The certificate and the probes are there until the last request is answered.
	served, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	return together(ctx,
		func(context.Context) error {
			defer stop()
			return listening.Serve(ctx)
		},
		func(context.Context) error {
			return together(served, certificate.Start, func(end context.Context) error { return o.serveHealth(end, ctx, certificate) })
		})
}

// serveHealth serves the probes until ctx ends. From the end of ready on, the
// program is not ready any more.
func (o *webhookOptions) serveHealth(ctx, ready context.Context, certificate *certwatcher.CertWatcher) error {
	if o.health == "0" {
		<-ctx.Done()
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if problem := readiness(ready, certificate.GetCertificate, time.Now()); problem != nil {
			http.Error(w, problem.Error(), http.StatusServiceUnavailable)
		}
	})
	// Counts of conversions are nobody's secret; to ask who reads them would need the API server.
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics.Registry, promhttp.HandlerOpts{}))
	probes := &http.Server{Addr: o.health, Handler: mux, ReadTimeout: probeTimeout, WriteTimeout: probeTimeout}
	return together(ctx,
		func(ctx context.Context) error {
			<-ctx.Done()
			return probes.Close()
		},
		func(context.Context) error {
			if err := probes.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serving health probes: %w", err)
			}
			return nil
		})
}

var (
	errStopping    = errors.New("the conversion webhook is stopping")
	errCertificate = errors.New("the certificate is not valid now")
)

// readiness is nil while the API server can use the webhook.
func readiness(running context.Context, certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error), now time.Time) error {
	if running.Err() != nil {
		return errStopping
	}
	served, err := certificate(&tls.ClientHelloInfo{})
	if err != nil {
		return err
	}
	if leaf := served.Leaf; leaf != nil && (now.Before(leaf.NotBefore) || !now.Before(leaf.NotAfter)) {
		return errCertificate
	}
	return nil
}
