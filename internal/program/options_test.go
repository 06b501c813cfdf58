package program

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

func parsed(t *testing.T, environment map[string]string, args ...string) *Options {
	t.Helper()
	opts := NewOptions("tester", Ports{Metrics: ":1", Health: ":2"})
	flags := pflag.NewFlagSet("tester", pflag.ContinueOnError)
	opts.BindFlags(flags)
	require.NoError(t, flags.Parse(args))
	require.NoError(t, opts.ReadEnvironment(func(key string) string { return environment[key] }))
	return opts
}

func TestDefaultsAreThoseOfASecureLeaderElectedProgram(t *testing.T) {
	opts := parsed(t, nil).managerOptions("tester", runtime.NewScheme(), false)

	assert.Equal(t, ":1", opts.Metrics.BindAddress)
	assert.Equal(t, ":2", opts.HealthProbeBindAddress)
	assert.True(t, opts.Metrics.SecureServing)
	assert.NotNil(t, opts.Metrics.FilterProvider, "metrics ask for authentication")
	assert.True(t, opts.LeaderElection)
	assert.True(t, opts.LeaderElectionReleaseOnCancel)
	assert.Equal(t, "datapower-tester", opts.LeaderElectionID)
	assert.Equal(t, 15*time.Second, *opts.LeaseDuration)
	assert.Equal(t, 10*time.Second, *opts.RenewDeadline)
	assert.Equal(t, 2*time.Second, *opts.RetryPeriod)
	assert.Nil(t, opts.Cache.DefaultNamespaces, "all namespaces are watched")
}

func TestEveryFlagReachesTheManager(t *testing.T) {
	opts := parsed(t, nil,
		"--metrics-bind-address=0", "--metrics-secure=false", "--metrics-cert-dir=/certs",
		"--health-probe-bind-address=:3", "--leader-elect=false", "--leader-election-id=lease",
		"--leader-election-namespace=system", "--leader-election-lease-duration=3s",
		"--leader-election-renew-deadline=2s", "--leader-election-retry-period=1s",
		"--graceful-shutdown-timeout=4s",
	).managerOptions("tester", runtime.NewScheme(), true)

	assert.Equal(t, "0", opts.Metrics.BindAddress)
	assert.False(t, opts.Metrics.SecureServing)
	assert.Nil(t, opts.Metrics.FilterProvider)
	assert.Equal(t, "/certs", opts.Metrics.CertDir)
	assert.Equal(t, ":3", opts.HealthProbeBindAddress)
	assert.False(t, opts.LeaderElection)
	assert.Equal(t, "lease", opts.LeaderElectionID)
	assert.Equal(t, "system", opts.LeaderElectionNamespace)
	assert.Equal(t, 3*time.Second, *opts.LeaseDuration)
	assert.Equal(t, 2*time.Second, *opts.RenewDeadline)
	assert.Equal(t, time.Second, *opts.RetryPeriod)
	assert.Equal(t, 4*time.Second, *opts.GracefulShutdownTimeout)
}

func TestLeaseNamespace(t *testing.T) {
	for name, tc := range map[string]struct {
		environment map[string]string
		args        []string
		inCluster   bool
		want        string
	}{
		"the flag wins over the pod's namespace": {
			environment: map[string]string{PodNamespaceVariable: "pod"}, args: []string{"--leader-election-namespace=flag"}, want: "flag"},
		"the pod's namespace is used when no flag is given": {
			environment: map[string]string{PodNamespaceVariable: "pod"}, inCluster: true, want: "pod"},
		"in a cluster without that variable controller-runtime finds it": {inCluster: true, want: ""},
		"outside a cluster there is a fixed fallback":                    {want: FallbackNamespace},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, parsed(t, tc.environment, tc.args...).leaseNamespace(tc.inCluster))
		})
	}
}

func TestWatchedNamespacesReachTheCache(t *testing.T) {
	opts := parsed(t, map[string]string{WatchNamespaceVariable: "a,b"})
	got := opts.managerOptions("tester", runtime.NewScheme(), false)
	assert.Equal(t, map[string]cache.Config{"a": {}, "b": {}}, got.Cache.DefaultNamespaces)
}

func TestAMalformedWatchNamespaceIsRefused(t *testing.T) {
	opts := NewOptions("tester", Ports{})
	err := opts.ReadEnvironment(func(string) string { return "Not A Name" })
	require.ErrorIs(t, err, ErrInvalidNamespace)
	assert.ErrorContains(t, err, WatchNamespaceVariable)
}

func TestLogsAreJSONWithReadableTimesUnlessAskedOtherwise(t *testing.T) {
	var out bytes.Buffer
	opts := parsed(t, nil)
	opts.SetLogger(&out)
	opts.namedLogger("tester").Info("hello", "key", "value")

	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line), "one JSON object per line: %s", out.String())
	assert.Equal(t, "hello", line["msg"])
	assert.Equal(t, "value", line["key"])
	assert.Equal(t, "tester", line["logger"])
	require.IsType(t, "", line["ts"])
	_, err := time.Parse(time.RFC3339Nano, line["ts"].(string))
	assert.NoError(t, err)
}

func TestTheLogLevelFlagIsHonoured(t *testing.T) {
	var out bytes.Buffer
	parsed(t, nil, "--zap-log-level=error").SetLogger(&out).Info("hidden")
	assert.Empty(t, out.String())
}
