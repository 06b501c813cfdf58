package program

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// inClusterNamespaceFile exists in every pod that has a service account token.
const inClusterNamespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// syncCheckTimeout bounds one readiness answer; it is below the kubelet's
// default probe timeout of one second.
const syncCheckTimeout = 500 * time.Millisecond

// ErrCachesNotSynced is the readiness error while the caches are not filled.
var ErrCachesNotSynced = errors.New("caches are not synced")

// NewManager builds the controller manager of the program called name, which
// also is the user agent that the API server sees and the name in the logs.
// The manager serves health probes, metrics and, if asked, takes part in
// leader election; it releases the Lease on a clean stop, so the process must
// end when the manager's Start returns.
//
// It fails when no API server configuration is found or the server cannot be
// reached for discovery.
func NewManager(name string, scheme *runtime.Scheme, opts *Options) (manager.Manager, error) {
	cfg, err := opts.restConfig(name)
	if err != nil {
		return nil, err
	}
	if err := opts.checkCertDir(); err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(cfg, opts.managerOptions(name, scheme, fileExists(inClusterNamespaceFile)))
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("adding the health check: %w", err)
	}
	if err := mgr.AddReadyzCheck("caches", cachesSynced(mgr.GetCache())); err != nil {
		return nil, fmt.Errorf("adding the readiness check: %w", err)
	}
	if err := opts.replica.follow(mgr, opts.LeaderElect); err != nil {
		return nil, fmt.Errorf("following the lease: %w", err)
	}
	if !opts.auxiliary {
		if err := Replace(metrics.Registry, NewReplicaMetrics(name, opts.replica)); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
		metrics.RegisterRESTClientMetrics(metrics.MetricRequestLatency)
	}
	return mgr, nil
}

// checkCertDir spares the self-signed certificate that would be served in the
// place of one that is missing.
func (o *Options) checkCertDir() error {
	if o.MetricsCertDir == "" || !o.MetricsSecure || o.MetricsBindAddress == disabled {
		return nil
	}
	for _, file := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		if _, err := os.Stat(filepath.Join(o.MetricsCertDir, file)); err != nil {
			return fmt.Errorf("%w: --metrics-cert-dir lacks a file: %w", ErrInvalidMetrics, err)
		}
	}
	return nil
}

func (o *Options) restConfig(name string) (*rest.Config, error) {
	cfg := o.RESTConfig
	if cfg == nil {
		found, err := ctrl.GetConfig()
		if err != nil {
			return nil, fmt.Errorf("finding the API server: %w", err)
		}
		cfg = found
	}
	return rest.AddUserAgent(rest.CopyConfig(cfg), name), nil
}

// managerOptions is pure: all of what it needs to know of its surroundings is
// whether it runs in a cluster.
func (o *Options) managerOptions(name string, scheme *runtime.Scheme, inCluster bool) ctrl.Options {
	cacheOptions := o.Cache
	cacheOptions.DefaultNamespaces = CacheNamespaces(o.Namespaces)
	return ctrl.Options{
		Scheme:                        scheme,
		Logger:                        o.namedLogger(name),
		MapperProvider:                newMapper,
		Cache:                         cacheOptions,
		Client:                        o.Client,
		Metrics:                       o.metricsOptions(),
		HealthProbeBindAddress:        o.HealthProbeBindAddress,
		LeaderElection:                o.LeaderElect,
		LeaderElectionID:              o.LeaderElectionID,
		LeaderElectionNamespace:       o.leaseNamespace(inCluster),
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &o.LeaseDuration,
		RenewDeadline:                 &o.RenewDeadline,
		RetryPeriod:                   &o.RetryPeriod,
		GracefulShutdownTimeout:       &o.GracefulShutdownTimeout,
	}
}

// namedLogger is the logger that [Options.SetLogger] made, or the one that
// the process installed for controller-runtime when it was not called.
func (o *Options) namedLogger(name string) logr.Logger {
	if o.logger.GetSink() == nil {
		return ctrl.Log.WithName(name)
	}
	return o.logger.WithName(name)
}

// LogLevelPath is where the metrics endpoint tells (GET) and changes (PUT) the
// level of the log, as JSON: {"level":"debug"}. Only callers who may do that at
// this non-resource URL are served, and none without TLS.
const LogLevelPath = "/log-level"

func (o *Options) metricsOptions() metricsserver.Options {
	options := metricsserver.Options{
		BindAddress:   o.MetricsBindAddress,
		SecureServing: o.MetricsSecure,
		CertDir:       o.MetricsCertDir,
		TLSOpts: []func(*tls.Config){func(c *tls.Config) {
			// HTTP/2 brings a scraper nothing and has had denial-of-service faults
			// (CVE-2023-44487).
			c.NextProtos, c.MinVersion = []string{"http/1.1"}, tls.VersionTLS12
			if o.MetricsCertDir == "" && o.MetricsCertificate != nil {
				c.GetCertificate = o.MetricsCertificate
			}
		}},
	}
	if o.MetricsSecure {
		options.FilterProvider = filters.WithAuthenticationAndAuthorization
		options.ExtraHandlers = map[string]http.Handler{LogLevelPath: o.level}
	}
	return options
}

// leaseNamespace leaves the choice to controller-runtime (empty answer) only
// where it can make one: in a pod.
func (o *Options) leaseNamespace(inCluster bool) string {
	switch {
	case o.LeaderElectionNamespace != "":
		return o.LeaderElectionNamespace
	case o.podNamespace != "":
		return o.podNamespace
	case inCluster:
		return ""
	default:
		return FallbackNamespace
	}
}

// syncWaiter is the part of a cache that the readiness check needs.
type syncWaiter interface {
	WaitForCacheSync(ctx context.Context) bool
}

// cachesSynced is ready once every started informer holds the server's state.
// A follower has no informers yet and is ready as soon as its cache runs.
func cachesSynced(cache syncWaiter) healthz.Checker {
	return func(req *http.Request) error {
		ctx, cancel := context.WithTimeout(req.Context(), syncCheckTimeout)
		defer cancel()
		if !cache.WaitForCacheSync(ctx) {
			return ErrCachesNotSynced
		}
		return nil
	}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
