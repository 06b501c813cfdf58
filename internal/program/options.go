package program

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	uberzap "go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// FallbackNamespace holds the lease of a program that runs outside a cluster
// and was told no other namespace.
const FallbackNamespace = "datapower-system"

// PodNamespaceVariable is the environment variable that carries the namespace
// of the program's own pod (downward API).
const PodNamespaceVariable = "POD_NAMESPACE"

// PodNameVariable is the environment variable that carries the name of the
// program's own pod (downward API).
const PodNameVariable = "POD_NAME"

// PodUIDVariable is the environment variable that carries the UID of the
// program's own pod (downward API).
const PodUIDVariable = "POD_UID"

// defaultMetricsSecret holds the operator's serving certificate.
const defaultMetricsSecret = "datapower-operator"

// Ports are a program's default bind addresses, each of the form host:port
// with the host optional; "0" disables the server.
type Ports struct {
	// Metrics is where /metrics is served.
	Metrics string
	// Health is where /healthz and /readyz are served.
	Health string
}

// Options is what a program can be told. Make it with [NewOptions]; flags and
// environment overwrite the exported fields.
type Options struct {
	// Namespaces are the watched namespaces; empty means all.
	Namespaces []string

	// MetricsBindAddress is the address of the metrics server, "0" for none.
	MetricsBindAddress string
	// MetricsSecure serves metrics over TLS to callers that the API server
	// authenticates (TokenReview) and authorises (SubjectAccessReview for GET
	// on /metrics). False serves plain HTTP to anyone.
	MetricsSecure bool
	// MetricsCertDir holds tls.crt and tls.key of the metrics server, which may
	// change at any time. Empty means MetricsCertificate.
	MetricsCertDir string
	// MetricsCertSecret is the Secret in the program's own namespace with the
	// certificate of the metrics server; see [Options.MetricsSecret].
	MetricsCertSecret string
	// MetricsCertificate is what the metrics server serves without
	// MetricsCertDir; nil means a self-signed certificate made at start.
	MetricsCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// HealthProbeBindAddress is the address of /healthz and /readyz, "0" for none.
	HealthProbeBindAddress string

	// LeaderElect lets only one replica at a time reconcile.
	LeaderElect bool
	// LeaderElectionID is the name of the Lease.
	LeaderElectionID string
	// LeaderElectionNamespace is the namespace of the Lease. Empty means the
	// pod's own, or [FallbackNamespace] outside a cluster.
	LeaderElectionNamespace string
	// LeaseDuration is how long followers wait for a silent leader.
	LeaseDuration time.Duration
	// RenewDeadline is how long the leader tries to renew before it gives up.
	RenewDeadline time.Duration
	// RetryPeriod is the time between two tries.
	RetryPeriod time.Duration

	// GracefulShutdownTimeout is how long running work may take to end after
	// the program was asked to stop.
	GracefulShutdownTimeout time.Duration

	// RESTConfig says how to reach the API server; nil means --kubeconfig,
	// KUBECONFIG, the in-cluster configuration or ~/.kube/config, in this order.
	RESTConfig *rest.Config
	// Cache is what the program adds to the manager's cache: selectors and
	// transforms by kind. Its DefaultNamespaces are set from Namespaces.
	Cache cache.Options
	// Client is what the program adds to the manager's client.
	Client client.Options

	zap          zap.Options
	level        uberzap.AtomicLevel
	logger       logr.Logger
	flags        *pflag.FlagSet
	usualMetrics string
	podNamespace string
	podName      string
	podUID       types.UID
	// replica is the role; auxiliary marks a manager beside the program's own.
	replica   *Replica
	auxiliary bool
}

// NewOptions returns the defaults of the program called name. The Lease is
// called "datapower-<name>"; the lease times are those of the Kubernetes
// components (15 s, 10 s, 2 s).
func NewOptions(name string, ports Ports) *Options {
	return &Options{
		MetricsBindAddress:      ports.Metrics,
		MetricsSecure:           true,
		MetricsCertSecret:       defaultMetricsSecret,
		HealthProbeBindAddress:  ports.Health,
		LeaderElect:             true,
		LeaderElectionID:        "datapower-" + name,
		LeaseDuration:           15 * time.Second,
		RenewDeadline:           10 * time.Second,
		RetryPeriod:             2 * time.Second,
		GracefulShutdownTimeout: 30 * time.Second,
		zap:                     zap.Options{TimeEncoder: zapcore.RFC3339NanoTimeEncoder},
		logger:                  logr.Discard(),
		usualMetrics:            ports.Metrics,
		replica:                 NewReplica(),
		level:                   uberzap.NewAtomicLevel(),
	}
}

// Beside returns the options of a second manager in the same process, with a
// Lease of its own whose name ends in suffix. The first one's servers tell of
// both, and its role is the program's.
func (o *Options) Beside(suffix string) *Options {
	second := *o
	second.MetricsBindAddress, second.HealthProbeBindAddress = disabled, disabled
	second.LeaderElectionID += suffix
	second.Cache = cache.Options{}
	second.replica, second.auxiliary = NewReplica(), true
	return &second
}

// Replica tells which role the program has at present.
func (o *Options) Replica() *Replica { return o.replica }

// BindFlags adds the shared flags to flags, with the present values of o as
// their defaults. It includes --kubeconfig and the --zap-* flags of
// controller-runtime.
func (o *Options) BindFlags(flags *pflag.FlagSet) {
	o.flags = flags
	flags.StringVar(&o.MetricsBindAddress, "metrics-bind-address", o.MetricsBindAddress,
		"Address of the metrics endpoint; 0 disables it, unless --metrics-secure is given, too: then only plain HTTP is off. "+
			"In the environment: "+MetricsBindAddressVariable+".")
	flags.BoolVar(&o.MetricsSecure, "metrics-secure", o.MetricsSecure,
		"Serve metrics over TLS, to authenticated and authorised callers only. In the environment: "+MetricsSecureVariable+".")
	flags.StringVar(&o.MetricsCertDir, "metrics-cert-dir", o.MetricsCertDir,
		"Directory with tls.crt and tls.key of the metrics endpoint; empty means --metrics-cert-secret.")
	flags.StringVar(&o.MetricsCertSecret, "metrics-cert-secret", o.MetricsCertSecret,
		"Secret in the program's namespace with the certificate of the metrics endpoint. Empty, and outside of a pod unless it is given: self-signed.")
	flags.StringVar(&o.HealthProbeBindAddress, "health-probe-bind-address", o.HealthProbeBindAddress,
		"Address of /healthz and /readyz; 0 disables them.")
	flags.BoolVar(&o.LeaderElect, "leader-elect", o.LeaderElect,
		"Reconcile only while holding the Lease, so that several replicas can run.")
	flags.StringVar(&o.LeaderElectionID, "leader-election-id", o.LeaderElectionID,
		"Name of the Lease.")
	flags.StringVar(&o.LeaderElectionNamespace, "leader-election-namespace", o.LeaderElectionNamespace,
		"Namespace of the Lease; empty means the pod's own, or "+FallbackNamespace+" outside a cluster.")
	flags.DurationVar(&o.LeaseDuration, "leader-election-lease-duration", o.LeaseDuration,
		"How long followers wait for a silent leader.")
	flags.DurationVar(&o.RenewDeadline, "leader-election-renew-deadline", o.RenewDeadline,
		"How long the leader tries to renew the Lease before it gives up.")
	flags.DurationVar(&o.RetryPeriod, "leader-election-retry-period", o.RetryPeriod,
		"Time between two tries to get or renew the Lease.")
	flags.DurationVar(&o.GracefulShutdownTimeout, "graceful-shutdown-timeout", o.GracefulShutdownTimeout,
		"How long running work may take to end when the program stops.")

	goFlags := flag.NewFlagSet("", flag.ContinueOnError)
	o.zap.BindFlags(goFlags)
	config.RegisterFlags(goFlags)
	flags.AddGoFlagSet(goFlags)
}

// ReadEnvironment takes from the environment that getenv reads (os.Getenv in a
// real program) the watched namespaces, the pod's name and namespace, and what
// the flags have not said about metrics and the level of the log. Call it after
// the flags are parsed. It fails with [ErrInvalidNamespace] when
// [WatchNamespaceVariable] is malformed, and with [ErrInvalidMetrics] when
// there can be no such metrics endpoint.
func (o *Options) ReadEnvironment(getenv func(string) string) error {
	names, err := ParseNamespaces(getenv(WatchNamespaceVariable))
	if err != nil {
		return fmt.Errorf("reading %s: %w", WatchNamespaceVariable, err)
	}
	o.Namespaces = names
	o.podNamespace, o.podName, o.podUID = getenv(PodNamespaceVariable), getenv(PodNameVariable), types.UID(getenv(PodUIDVariable))
	if level := getenv(LogLevelVariable); level != "" && o.flags != nil && !o.given(logLevelFlag) {
		if err := o.flags.Set(logLevelFlag, level); err != nil {
			return fmt.Errorf("reading %s: %w", LogLevelVariable, err)
		}
	}
	return o.readMetrics(getenv)
}

// logLevelFlag is controller-runtime's.
const logLevelFlag = "zap-log-level"

// Pod is the program's own pod; both are empty when the program was not told of
// one, as outside of a cluster.
func (o *Options) Pod() (namespace, name string) { return o.podNamespace, o.podName }

// PodUID is the UID of the program's own pod, empty when the program was not
// told.
func (o *Options) PodUID() types.UID { return o.podUID }

// MetricsSecret names the Secret whose certificate the metrics endpoint is to
// serve. It is false when there is nothing to serve it, when it comes from
// files, or when nobody keeps such a Secret: outside of a pod, unless the flag
// names one.
func (o *Options) MetricsSecret() (name string, wanted bool) {
	usable := o.MetricsSecure && o.MetricsBindAddress != disabled && o.MetricsCertDir == "" && o.MetricsCertSecret != ""
	return o.MetricsCertSecret, usable && (o.podNamespace != "" || o.given("metrics-cert-secret"))
}

// OwnNamespace is where the program keeps objects of its own: the pod's
// namespace, else that of the Lease, else [FallbackNamespace].
func (o *Options) OwnNamespace() string {
	if o.podNamespace != "" {
		return o.podNamespace
	}
	if namespace, err := os.ReadFile(inClusterNamespaceFile); err == nil && len(namespace) > 0 {
		return strings.TrimSpace(string(namespace))
	}
	if o.LeaderElectionNamespace != "" {
		return o.LeaderElectionNamespace
	}
	return FallbackNamespace
}

// SetLogger makes the logger that the --zap-* flags ask for (JSON at level
// info unless told otherwise), writing to w, and installs it for the program,
// controller-runtime and client-go. Every line tells the replica's role. Call
// it once, after the flags are parsed and the environment is read.
func (o *Options) SetLogger(w io.Writer) logr.Logger {
	switch level := o.zap.Level.(type) {
	case uberzap.AtomicLevel:
		o.level = level
	default:
		o.level = uberzap.NewAtomicLevel()
		if o.zap.Development {
			o.level.SetLevel(uberzap.DebugLevel)
		}
		o.zap.Level = o.level
	}
	withRole := zap.RawZapOpts(uberzap.WrapCore(func(core zapcore.Core) zapcore.Core { return roleCore{core, o.replica} }))
	o.logger = zap.New(zap.UseFlagOptions(&o.zap), withRole, zap.WriteTo(w))
	ctrl.SetLogger(o.logger)
	klog.SetLogger(o.logger.WithName("client-go"))
	return o.logger
}
