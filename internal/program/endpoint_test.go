package program

import (
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The two variables as the seed's manifest and controller-runtime's users know them.
func TestWhatAddressAndSecureMean(t *testing.T) {
	for name, tc := range map[string]struct {
		environment map[string]string
		args        []string
		address     string
		secure      bool
	}{
		"nothing said is HTTPS on the program's port":          {address: ":8443", secure: true},
		"secure said is the same":                              {environment: map[string]string{"METRICS_SECURE": "true"}, address: ":8443", secure: true},
		"the seed's manifest is HTTPS on the program's port":   {environment: map[string]string{"METRICS_BIND_ADDRESS": "0", "METRICS_SECURE": "true"}, address: ":8443", secure: true},
		"0 alone ends metrics, as in controller-runtime":       {environment: map[string]string{"METRICS_BIND_ADDRESS": "0"}, address: "0", secure: true},
		"0 and not secure end metrics":                         {environment: map[string]string{"METRICS_BIND_ADDRESS": "0", "METRICS_SECURE": "false"}, address: "0"},
		"an address alone is HTTPS there":                      {environment: map[string]string{"METRICS_BIND_ADDRESS": ":9000"}, address: ":9000", secure: true},
		"an address and secure are HTTPS there":                {environment: map[string]string{"METRICS_BIND_ADDRESS": "127.0.0.1:9000", "METRICS_SECURE": "1"}, address: "127.0.0.1:9000", secure: true},
		"an address and not secure are plain HTTP there":       {environment: map[string]string{"METRICS_BIND_ADDRESS": ":8080", "METRICS_SECURE": "false"}, address: ":8080"},
		"a flag wins over the environment":                     {environment: map[string]string{"METRICS_BIND_ADDRESS": ":9000"}, args: []string{"--metrics-bind-address=:9001"}, address: ":9001", secure: true},
		"a flag makes sense of the environment":                {environment: map[string]string{"METRICS_SECURE": "false"}, args: []string{"--metrics-bind-address=:9001"}, address: ":9001"},
		"the flag 0 alone ends metrics":                        {args: []string{"--metrics-bind-address=0"}, address: "0", secure: true},
		"flags mean what the environment means":                {args: []string{"--metrics-bind-address=0", "--metrics-secure"}, address: ":8443", secure: true},
		"HTTPS on the program's port may be said":              {environment: map[string]string{"METRICS_BIND_ADDRESS": ":8443", "METRICS_SECURE": "true"}, address: ":8443", secure: true},
		"plain HTTP on any free port is not the port of HTTPS": {args: []string{"--metrics-bind-address=127.0.0.1:0", "--metrics-secure=false"}, address: "127.0.0.1:0"},
	} {
		t.Run(name, func(t *testing.T) {
			opts, err := read(t, tc.environment, tc.args...)
			require.NoError(t, err)
			assert.Equal(t, tc.address, opts.MetricsBindAddress)
			assert.Equal(t, tc.secure, opts.MetricsSecure)
			assert.Equal(t, tc.secure, opts.metricsOptions().FilterProvider != nil, "who reads over TLS is asked who he is, and nobody else")
		})
	}
}

func TestWhatContradictsItselfIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		environment map[string]string
		says        string
	}{
		"plain HTTP without an address":        {map[string]string{"METRICS_SECURE": "false"}, "METRICS_BIND_ADDRESS names no address for it"},
		"plain HTTP on the port of HTTPS":      {map[string]string{"METRICS_SECURE": "false", "METRICS_BIND_ADDRESS": ":8443"}, "METRICS_BIND_ADDRESS=:8443 is the port of HTTPS and METRICS_SECURE=false asks for plain HTTP: take another port, or leave out METRICS_SECURE"},
		"the same with a host":                 {map[string]string{"METRICS_SECURE": "false", "METRICS_BIND_ADDRESS": "0.0.0.0:8443"}, "port of HTTPS"},
		"an address without a port":            {map[string]string{"METRICS_BIND_ADDRESS": "8443"}, `METRICS_BIND_ADDRESS="8443" is no address of the form host:port`},
		"a port that is none":                  {map[string]string{"METRICS_BIND_ADDRESS": ":70000"}, `"70000" is no port`},
		"secure that is neither yes nor no":    {map[string]string{"METRICS_SECURE": "maybe"}, `METRICS_SECURE="maybe" is neither true nor false`},
		"a level of the log that is not known": {map[string]string{"LOG_LEVEL": "loud"}, `reading LOG_LEVEL`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(t, tc.environment)
			require.ErrorContains(t, err, tc.says)
			if _, level := tc.environment[LogLevelVariable]; !level {
				require.ErrorIs(t, err, ErrInvalidMetrics)
			}
		})
	}
}

func TestWhereTheCertificateComesFrom(t *testing.T) {
	pod := map[string]string{PodNamespaceVariable: "system", PodNameVariable: "operator-1"}
	for name, tc := range map[string]struct {
		environment map[string]string
		args        []string
		secret      string
	}{
		"in a pod it is the operator's":          {environment: pod, secret: "datapower-operator"},
		"outside of a pod it is self-signed":     {},
		"outside of a pod a Secret may be named": {args: []string{"--metrics-cert-secret=mine"}, secret: "mine"},
		"without a Secret it is self-signed":     {environment: pod, args: []string{"--metrics-cert-secret="}},
		"files win":                              {environment: pod, args: []string{"--metrics-cert-dir=/certs"}},
		"without metrics nobody needs one":       {environment: pod, args: []string{"--metrics-bind-address=0"}},
		"plain HTTP needs none":                  {environment: pod, args: []string{"--metrics-bind-address=:8080", "--metrics-secure=false"}},
	} {
		t.Run(name, func(t *testing.T) {
			opts, err := read(t, tc.environment, tc.args...)
			require.NoError(t, err)
			secret, wanted := opts.MetricsSecret()
			assert.Equal(t, tc.secret != "", wanted)
			if wanted {
				assert.Equal(t, tc.secret, secret)
			}
		})
	}
}

func TestACertDirWithoutCertificateIsRefused(t *testing.T) {
	dir := t.TempDir()
	opts, err := read(t, nil, "--metrics-cert-dir="+dir)
	require.NoError(t, err)
	err = opts.checkCertDir()
	require.ErrorIs(t, err, ErrInvalidMetrics)
	assert.ErrorContains(t, err, dir)
}

func read(t *testing.T, environment map[string]string, args ...string) (*Options, error) {
	t.Helper()
	opts := NewOptions("tester", Ports{Metrics: ":8443", Health: ":8081"})
	flags := pflag.NewFlagSet("tester", pflag.ContinueOnError)
	opts.BindFlags(flags)
	require.NoError(t, flags.Parse(args))
	return opts, opts.ReadEnvironment(func(key string) string { return environment[key] })
}
