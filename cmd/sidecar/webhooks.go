package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/internal/metricscert"
	"github.com/datapower-operator/datapower-operator/sidecar/catalogue"
	"github.com/datapower-operator/datapower-operator/webhooks/admission"
	"github.com/datapower-operator/datapower-operator/webhooks/pki"
	"github.com/datapower-operator/datapower-operator/webhooks/registration"
	"github.com/datapower-operator/datapower-operator/webhooks/server"
)

const (
	// servingSecret and servingCASecret hold the certificates of the webhooks.
	servingSecret   = "datapower-operator"
	servingCASecret = "datapower-operator-ca"
	// lookupTimeout bounds a look into the cache while somebody waits.
	lookupTimeout = 100 * time.Millisecond
	// finishTimeout bounds what requests may take after the last was accepted.
	finishTimeout = 15 * time.Second
)

// webhookSettings is what the sidecar can be told about its webhooks.
type webhookSettings struct {
	enabled      bool
	address      string
	service      string
	host         string
	external     bool
	drain        time.Duration
	leafLifetime time.Duration
	watches      string
	owner        ownerSettings
}

func (w *webhookSettings) bind(flags *pflag.FlagSet) {
	flags.BoolVar(&w.enabled, "webhooks", true, "Serve and register the defaulting and validating webhooks.")
	flags.StringVar(&w.address, "webhook-bind-address", ":9443", "Address of the webhooks; port 0 takes a free one.")
	flags.StringVar(&w.service, "webhook-service", datapower.OperatorName,
		"Service in the operator's namespace through which the API server reaches the webhooks.")
	flags.StringVar(&w.host, "webhook-host", "",
		"Register the webhooks by URL under this host, for an operator outside the cluster, and not by Service.")
	flags.BoolVar(&w.external, "webhook-external-certificate", false,
		"The Secret "+servingSecret+" with the webhooks' certificate (tls.crt, tls.key, ca.crt) is somebody else's, for example cert-manager's.")
	flags.DurationVar(&w.drain, "webhook-drain", 5*time.Second,
		"How long the webhooks go on after the order to stop, until the cluster sends no more requests.")
	flags.StringVar(&w.watches, "watches-file", "watches.yaml",
		"The helm-operator's watches file; its overrideValues change the defaults that the webhook fills in.")
	flags.DurationVar(&w.leafLifetime, "webhook-certificate-lifetime", 0, "")
	// For tests: rotations that take seconds. MarkHidden fails only for an unknown flag.
	_ = flags.MarkHidden("webhook-certificate-lifetime")
}

func (w *webhookSettings) readEnvironment(getenv func(string) string) {
	w.owner.readEnvironment(getenv)
}

// serve runs the manager, and with it the webhooks if they are wanted, until
// ctx ends. The webhooks outlive the manager by the time that the cluster needs
// to notice that this replica ends; another one may lead meanwhile.
func (w *webhookSettings) serve(ctx context.Context, mgr ctrl.Manager, opts settings, known *catalogue.Catalogue) error {
	if !w.enabled {
		return mgr.Start(ctx)
	}
	served, err := w.add(ctx, mgr, opts, known)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- served.Serve(ctx)
		cancel()
	}()
	err = mgr.Start(ctx)
	cancel()
	return errors.Join(err, <-ended)
}

// add listens, and adds to the manager what registers the webhooks.
func (w *webhookSettings) add(ctx context.Context, mgr ctrl.Manager, opts settings, known *catalogue.Catalogue) (_ *server.Server, err error) {
	handler, err := w.handler(mgr, opts.chartValues, known)
	if err != nil {
		return nil, err
	}
	serving := &pki.Serving{}
	served, err := server.Listen(ctx, server.Options{
		Address: w.address, Handler: handler, Certificate: serving.GetCertificate,
		Drain: w.drain, Finish: finishTimeout, Logger: mgr.GetLogger().WithName("webhooks"),
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, served.Close())
		}
	}()
	clients, err := kubernetes.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("making a client for webhooks: %w", err)
	}
	return served, w.register(mgr, opts, clients, served, serving)
}

// handler answers admission requests.
func (w *webhookSettings) handler(mgr ctrl.Manager, chartValues string, known *catalogue.Catalogue) (http.Handler, error) {
	filled, err := loadDefaults(chartValues, w.watches)
	if err != nil {
		return nil, err
	}
	counted, err := admission.NewMetrics(metrics.Registry)
	if err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	webhooks := &admission.Webhooks{
		Defaults: filled, Catalogue: known, ServiceExists: serviceExists(mgr.GetCache()), Metrics: counted, Clock: clock.RealClock{},
	}
	mux := http.NewServeMux()
	for path, handler := range webhooks.Handlers() {
		mux.Handle(path, handler)
	}
	return mux, nil
}

func serviceExists(cached client.Reader) func(ctx context.Context, namespace, name string) bool {
	return func(ctx context.Context, namespace, name string) bool {
		ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
		defer cancel()
		return cached.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &v1beta3.DataPowerService{}) == nil
	}
}

func (w *webhookSettings) register(
	mgr ctrl.Manager, opts settings, clients kubernetes.Interface, served *server.Server, serving *pki.Serving,
) error {
	namespace := opts.shared.OwnNamespace()
	target, names, replicas := w.target(namespace, clients, served)
	certificates, err := certificateMetrics()
	if err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	secrets := pki.NewWatchedSecrets(clients.CoreV1(), namespace, servingSecret, servingCASecret)
	err = secrets.OnChange(func(name string, secret *corev1.Secret) {
		// A Secret that is damaged is mended by the leader; until then the last certificate is served.
		if name == servingSecret && serving.Load(secret) == nil {
			certificates.Served(registration.Use, serving)
		}
	})
	if err != nil {
		return err
	}
	owners := w.owner.reader(clients, namespace)
	policy := pki.DefaultPolicy()
	if w.leafLifetime > 0 {
		policy = pki.ShortPolicy(w.leafLifetime)
	}
	keeper, err := pki.NewKeeper(pki.Options{
		Secrets: secrets, Namespace: namespace, CASecret: servingCASecret, LeafSecret: servingSecret, CommonName: servingCASecret,
		Names: names, Owners: owners, Labels: map[string]string{datapower.ManagedByLabel: datapower.OperatorName},
		External: w.external, Replicas: replicas, Policy: policy, Clock: clock.RealClock{},
	})
	if err != nil {
		return err
	}
	configurations := registration.NewConfigurations(clients.AdmissionregistrationV1(), namespace)
	reconciler := &registration.Reconciler{
		Scope:  registration.Scope{Namespace: namespace, Watched: opts.shared.Namespaces, Target: target},
		Keeper: keeper, Secrets: secrets, Configurations: configurations, Owners: owners,
		Answers: func(ctx context.Context, bundle []byte) error {
			return registration.Answers(ctx, served.LocalAddress(), target.Name(), bundle)
		},
		Metrics: certificates, Recorder: mgr.GetEventRecorder("datapower-" + name),
	}
	if err := reconciler.SetupWithManager(mgr); err != nil {
		return err
	}
	succession := &registration.Succession{
		Configurations: configurations, Secrets: secrets, Owners: owners, Log: mgr.GetLogger().WithName("webhooks"),
	}
	if !w.external { // somebody else's Secret is not the operator's to own
		succession.SecretNames = []string{servingSecret, servingCASecret}
	}
	if err := succession.SetupWithManager(mgr); err != nil {
		return err
	}
	ready := &registration.Readiness{
		Bundles: func() [][]byte { return configurations.Bundles(namespace) },
		Address: served.LocalAddress(), Name: target.Name(), Serving: serving,
	}
	return mgr.AddReadyzCheck("webhooks", ready.Check)
}

// target is how the API server calls the webhooks, under which names, and who
// answers.
func (w *webhookSettings) target(namespace string, clients kubernetes.Interface, served *server.Server) (registration.Target, pki.Names, pki.Replicas) {
	target := registration.Target{Service: w.service, Namespace: namespace}
	if w.host == "" {
		replicas := pki.ServiceReplicas{Client: clients.DiscoveryV1(), Service: w.service, Namespace: namespace}
		return target, w.withMetrics(pki.ServiceNames(w.service, namespace), namespace), replicas
	}
	target.HostPort = registration.HostPort(w.host, served.Port())
	names := pki.Names{DNS: []string{w.host}}
	if ip := net.ParseIP(w.host); ip != nil {
		names = pki.Names{IPs: []net.IP{ip}}
	}
	return target, w.withMetrics(names, namespace), pki.FixedReplicas{served.LocalAddress()}
}

// withMetrics adds the names under which metrics are read with the same certificate. Somebody else's certificate need not
// have them.
func (w *webhookSettings) withMetrics(names pki.Names, namespace string) pki.Names {
	if !w.external {
		names.DNS = append(names.DNS, metricscert.Names(namespace)...)
	}
	return names
}
