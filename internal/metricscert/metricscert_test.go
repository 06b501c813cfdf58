package metricscert_test

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/internal/metricscert"
	"github.com/datapower-operator/datapower-operator/internal/program"
	"github.com/datapower-operator/datapower-operator/webhooks/pki"
)

func options(t *testing.T, args ...string) *program.Options {
	t.Helper()
	opts := program.NewOptions("tester", program.Ports{Metrics: ":8443"})
	flags := pflag.NewFlagSet("tester", pflag.ContinueOnError)
	opts.BindFlags(flags)
	require.NoError(t, flags.Parse(args))
	require.NoError(t, opts.ReadEnvironment(func(string) string { return "" }))
	return opts
}

func TestWithoutACertificateNobodyIsServed(t *testing.T) {
	var certificate metricscert.Certificate
	opts := options(t, "--metrics-cert-secret=datapower-operator")
	certificate.Bind(opts)
	_, err := opts.MetricsCertificate(&tls.ClientHelloInfo{})
	require.ErrorIs(t, err, pki.ErrNoLeaf, "a self-signed one would teach callers not to verify")
}

func TestOutsideOfAPodTheCertificateIsSelfSigned(t *testing.T) {
	var certificate metricscert.Certificate
	opts := options(t)
	certificate.Bind(opts)
	assert.Nil(t, opts.MetricsCertificate)
	require.NoError(t, certificate.SetupWithManager(nil, opts), "nothing to watch")
}

func TestALeafWithTheseNamesIsAcceptedForEachMetricsService(t *testing.T) {
	ca, err := pki.NewCA("ca", time.Now(), pki.DefaultPolicy())
	require.NoError(t, err)
	leaf, err := pki.Issue(ca, pki.Names{DNS: metricscert.Names("ns")}, time.Now(), pki.DefaultPolicy())
	require.NoError(t, err)
	bundle, err := pki.ParseBundle(ca.Cert)
	require.NoError(t, err)
	for _, name := range []string{
		"datapower-operator-metrics.ns.svc", "datapower-operator-metrics-leader.ns.svc", "datapower-operator-metrics-helm-leader.ns.svc",
		"datapower-operator-metrics.ns.svc.cluster.local",
	} {
		_, err := pki.CheckLeaf(leaf, bundle, pki.Names{DNS: []string{name}}, time.Now())
		assert.NoError(t, err, name)
	}
}
