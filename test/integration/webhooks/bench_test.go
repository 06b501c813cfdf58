package webhooks_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionapi "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BenchmarkAdmissionRequests measures what the API server waits for: one request after another over HTTPS to the running
// program. It reports the median and the 99th percentile in milliseconds.
func BenchmarkAdmissionRequests(b *testing.B) {
	needWorld(b)
	namespace := makeNamespace(b, "bench")
	start(b, namespace, nil).untilReady()
	configurations := registered(b, namespace)
	defaulter := configurations[0].(*admissionv1.MutatingWebhookConfiguration).Webhooks[0].ClientConfig
	validator := configurations[2].(*admissionv1.ValidatingWebhookConfiguration).Webhooks[0].ClientConfig
	roots := x509.NewCertPool()
	require.True(b, roots.AppendCertsFromPEM(defaulter.CABundle))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	object := service(b, namespace, "gw", minimal)
	raw, err := json.Marshal(object)
	require.NoError(b, err)
	review := admissionapi.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionapi.AdmissionRequest{
			UID: "u", Operation: admissionapi.Create, Namespace: namespace, Name: "gw",
			Kind: metav1.GroupVersionKind{Group: "datapower.ibm.com", Version: "v1beta3", Kind: "DataPowerService"},
		},
	}
	review.Request.Object.Raw = raw
	body, err := json.Marshal(review)
	require.NoError(b, err)
	for name, url := range map[string]string{"default": *defaulter.URL, "validate": *validator.URL} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			client := &http.Client{Transport: transport}
			for b.Loop() {
				begun := time.Now()
				response, err := client.Post(url, "application/json", bytes.NewReader(body))
				require.NoError(b, err)
				_, err = io.Copy(io.Discard, response.Body)
				require.NoError(b, err)
				require.NoError(b, response.Body.Close())
				took = append(took, time.Since(begun))
			}
			slices.Sort(took)
			milliseconds := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
			b.ReportMetric(milliseconds(took[len(took)/2]), "p50-ms")
			b.ReportMetric(milliseconds(took[len(took)*99/100]), "p99-ms")
		})
	}
}
