// Package metricscert gives the metrics endpoint of a program the operator's own certificate: it watches the Secret that
// the sidecar's leader keeps, so that a rotation takes effect at once, on every replica and in every container.
package metricscert

import (
	"crypto/tls"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/datapower-operator/datapower-operator/internal/program"
	"github.com/datapower-operator/datapower-operator/webhooks/pki"
)

// Use is the value of the label use of the metrics about this certificate.
const Use = "metrics"

// Services through which metrics are read, in the operator's namespace.
const (
	// Service leads to all replicas.
	Service = "datapower-operator-metrics"
	// LeaderService leads to the pod whose sidecar leads.
	LeaderService = "datapower-operator-metrics-leader"
	// HelmLeaderService leads to the pod whose helm-operator leads.
	HelmLeaderService = "datapower-operator-metrics-helm-leader"
)

// Names are the DNS names of the Services in a namespace.
func Names(namespace string) []string {
	var names []string
	for _, service := range []string{Service, LeaderService, HelmLeaderService} {
		names = append(names, pki.ServiceNames(service, namespace).DNS...)
	}
	return names
}

// Certificate is what is served. The zero value is what a program starts with.
type Certificate struct{ serving pki.Serving }

// Bind makes the options serve it, if they ask for a certificate from a Secret. Call it before the manager is made.
func (c *Certificate) Bind(opts *program.Options) {
	if _, wanted := opts.MetricsSecret(); wanted {
		opts.MetricsCertificate = c.get
	}
}

// get fails until there is a certificate: callers are to verify it, and could not verify another.
func (c *Certificate) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.serving.GetCertificate(hello)
}

// SetupWithManager watches the Secret, if the options ask for it, on every replica. It fails when the metrics cannot be
// registered.
func (c *Certificate) SetupWithManager(mgr ctrl.Manager, opts *program.Options) error {
	name, wanted := opts.MetricsSecret()
	if !wanted {
		return nil
	}
	told, err := pki.NewMetrics(metrics.Registry)
	if err != nil {
		return fmt.Errorf("registering the metrics of certificates: %w", err)
	}
	clients, err := kubernetes.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("making a client for the certificate of metrics: %w", err)
	}
	secrets := pki.NewWatchedSecrets(clients.CoreV1(), opts.OwnNamespace(), name)
	log := mgr.GetLogger().WithName("metrics-certificate")
	err = secrets.OnChange(func(_ string, secret *corev1.Secret) {
		if err := c.serving.Load(secret); err != nil {
			// Whoever keeps the Secret mends it; until then the last certificate is served.
			log.Info("cannot take over the certificate of the metrics endpoint", "secret", name, "reason", err.Error())
			return
		}
		told.Served(Use, &c.serving)
	})
	if err != nil {
		return fmt.Errorf("watching Secret %s: %w", name, err)
	}
	return mgr.Add(secrets)
}
