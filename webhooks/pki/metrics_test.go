package pki_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/datapower-operator/datapower-operator/webhooks/pki"
)

func TestMetricsTellWhenEachCertificateEndsAndIsDue(t *testing.T) {
	ca, err := pki.NewCA("ca", now, policy)
	require.NoError(t, err)
	leaf, err := pki.Issue(ca, names, now, policy)
	require.NoError(t, err)
	serving := &pki.Serving{}
	require.NoError(t, serving.Load(&corev1.Secret{Data: map[string][]byte{"tls.crt": leaf.Cert, "tls.key": leaf.Key, "ca.crt": ca.Cert}}))

	registry := prometheus.NewRegistry()
	metrics, err := pki.NewMetrics(registry)
	require.NoError(t, err)
	metrics.Served("metrics", serving)
	metrics.Kept("webhooks", pki.Kept{LeafExpiry: now, LeafRenewal: now.AddDate(0, 0, -1)}, nil)
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(fmt.Sprintf(`
# HELP datapower_operator_certificate_expiry_timestamp_seconds When a certificate ends, in seconds since 1970. certificate is ca or leaf; served is the leaf that this replica serves.
# TYPE datapower_operator_certificate_expiry_timestamp_seconds gauge
datapower_operator_certificate_expiry_timestamp_seconds{certificate="leaf",use="webhooks"} %d
datapower_operator_certificate_expiry_timestamp_seconds{certificate="served",use="metrics"} %d
# HELP datapower_operator_certificate_renewal_timestamp_seconds When a certificate is due for renewal, about two thirds into its life, in seconds since 1970. certificate is ca, leaf or served.
# TYPE datapower_operator_certificate_renewal_timestamp_seconds gauge
datapower_operator_certificate_renewal_timestamp_seconds{certificate="leaf",use="webhooks"} %d
datapower_operator_certificate_renewal_timestamp_seconds{certificate="served",use="metrics"} %d
`, now.Unix(), serving.Leaf().NotAfter.Unix(), now.AddDate(0, 0, -1).Unix(), pki.RenewAt(serving.Leaf()).Unix())),
		"datapower_operator_certificate_expiry_timestamp_seconds", "datapower_operator_certificate_renewal_timestamp_seconds"))
}
