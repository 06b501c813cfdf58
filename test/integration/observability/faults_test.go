package observability_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/test/gateway"
	"github.com/datapower-operator/datapower-operator/webhooks/pki"
)

// certificate is that of all gateways.
func (w *world) certificate() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.fleet.Host().Certificate().Raw})
}

// issue makes a certificate that began so long ago, of a new CA.
func (w *world) issue(age time.Duration, names pki.Names) (ca []byte, leaf pki.Pair) {
	w.Helper()
	authority, err := pki.NewCA("test", time.Now().Add(-age), pki.DefaultPolicy())
	require.NoError(w, err)
	leaf, err = pki.Issue(authority, names, time.Now().Add(-age), pki.DefaultPolicy())
	require.NoError(w, err)
	return authority.Cert, leaf
}

// conversionWebhook is a running conversion webhook, as in its Deployment.
type conversionWebhook struct {
	metrics, url string
	client       *http.Client
}

func (w *world) startConversion() *conversionWebhook {
	w.Helper()
	ca, leaf := w.issue(0, pki.Names{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	dir := w.TempDir()
	require.NoError(w, os.WriteFile(filepath.Join(dir, "tls.crt"), leaf.Cert, 0o600))
	require.NoError(w, os.WriteFile(filepath.Join(dir, "tls.key"), leaf.Key, 0o600))
	roots := x509.NewCertPool()
	require.True(w, roots.AppendCertsFromPEM(ca))
	address := freeAddress(w.T)
	c := &conversionWebhook{
		metrics: freeAddress(w.T), url: "https://" + address + "/convert",
		client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}},
	}
	cmd := exec.Command(filepath.Join(w.bin, "sidecar"), "conversion-webhook", "--cert-dir="+dir, "--bind-address="+address,
		"--health-probe-bind-address="+c.metrics, "--drain=0",
		"--chart-values="+filepath.Join(repository, "helm-charts", "datapowerservice", "values.yaml"))
	require.NoError(w, cmd.Start())
	w.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	return c
}

// convertNonsense asks for the conversion of a version that does not exist.
func (c *conversionWebhook) convertNonsense(w *world) {
	w.Helper()
	response, err := c.client.Post(c.url, "application/json", bytes.NewBufferString(`{"apiVersion":"apiextensions.k8s.io/v1","kind":"ConversionReview",
"request":{"uid":"1","desiredAPIVersion":"datapower.ibm.com/v1beta3","objects":[{"apiVersion":"datapower.ibm.com/v9","kind":"DataPowerService"}]}}`))
	require.NoError(w, err)
	require.NoError(w, response.Body.Close())
	require.Equal(w, http.StatusOK, response.StatusCode, "only the answer tells that it failed")
}

// webhook registers a validating webhook of somebody else. Without it nothing of the kind can be written in the namespace.
func (w *world) webhook(name, namespace, group, resource string, to admissionregistrationv1.WebhookClientConfig,
	operations ...admissionregistrationv1.OperationType,
) *admissionregistrationv1.ValidatingWebhookConfiguration {
	w.Helper()
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: name + ".example.com", ClientConfig: to, AdmissionReviewVersions: []string{"v1"},
			SideEffects: new(admissionregistrationv1.SideEffectClassNone), TimeoutSeconds: new(int32(30)),
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
			Rules: []admissionregistrationv1.RuleWithOperations{{Operations: operations, Rule: admissionregistrationv1.Rule{
				APIGroups: []string{group}, APIVersions: []string{"*"}, Resources: []string{resource}}}},
		}},
	}
	w.create(configuration)
	return configuration
}

// away is where nobody listens.
func away() admissionregistrationv1.WebhookClientConfig {
	return admissionregistrationv1.WebhookClientConfig{URL: new("https://127.0.0.1:1/")}
}

// silent is where requests are taken and never answered.
func (w *world) silent() admissionregistrationv1.WebhookClientConfig {
	w.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the end of the connection is noticed
		<-r.Context().Done()
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	w.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return admissionregistrationv1.WebhookClientConfig{URL: new(server.URL), CABundle: ca}
}

// untilStopped waits until the API server knows of a webhook that lets nothing through, by a request that it is about.
func (w *world) untilStopped(try func() error) {
	w.Helper()
	require.Eventually(w, func() bool { return apierrors.IsInternalError(try()) }, patience, tick)
}

// labelled is a change.
func labelled() client.Patch {
	return client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"any":"other"}}}`))
}

// drift deletes rendered objects.
func (w *world) drift() {
	for _, name := range []string{"one-init", "one-user-commands"} {
		_ = w.kube.Delete(w.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: gateways, Name: name}})
	}
}

// loseGateway replaces the pod of a gateway by one at another address, so that the others list a peer that is gone.
func (w *world) loseGateway() {
	w.Helper()
	pod := &corev1.Pod{}
	key := client.ObjectKey{Namespace: peers, Name: "gw-2"}
	require.NoError(w, w.kube.Get(w.Context(), key, pod))
	// A simulated node gives a freed address to its next pod.
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: pod.Spec.NodeName}}
	require.NoError(w, w.kube.Patch(w.Context(), node, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"unschedulable":true}}`))))
	old := pod.Status.PodIP
	require.NoError(w, w.kube.Delete(w.Context(), pod))
	require.Eventually(w, func() bool {
		instance := w.fleet.Instance(peers, "gw-2")
		return instance != nil && instance.Address() != old
	}, patience, tick, "the gateway at another address")
}

// healed tells whether all gateways are there and list each other and nobody else.
func (w *world) healed() bool {
	return len(w.fleet.ServiceInstances(peers, "gw")) == 3 && w.fleet.Healed(peers, "gw") == nil
}

// afflict gives all gateways the same faults.
func (w *world) afflict(faults gateway.Faults) {
	for _, instance := range w.fleet.ServiceInstances(peers, "gw") {
		instance.SetFaults(faults)
	}
}

// leaveWork is what is left of a process that saw a pod event an hour ago and died.
func (w *world) leaveWork() {
	w.Helper()
	monitor := &v1beta2.DataPowerMonitor{ObjectMeta: metav1.ObjectMeta{Namespace: gateways, Name: "one"}}
	patch := fmt.Sprintf(`{"status":{"workPending":true,"lastEvent":%q}}`, time.Now().Add(-time.Hour).UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	require.NoError(w, w.kube.Status().Patch(w.Context(), monitor, client.RawPatch(types.MergePatchType, []byte(patch))))
}

// storeOld makes the definition say that objects are stored in an old version.
func (w *world) storeOld() {
	w.Helper()
	definition := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "datapowerservices.datapower.ibm.com"}}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"status":{"storedVersions":["v1beta2","v1beta3"]}}`))
	require.NoError(w, w.kube.Status().Patch(w.Context(), definition, patch))
}

// exposedAPI is one whose implementation does not exist, in a cluster without Istio.
func exposedAPI() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "oda.tmforum.org/v1", "kind": "ExposedAPI", "metadata": map[string]any{"namespace": "elsewhere", "name": "api"},
		"spec": map[string]any{
			"name": "api", "apiType": "openapi", "implementation": "missing", "path": "/api", "port": int64(8080),
		},
	}}
}

// misconfigured is a replica that somebody started beside the others: with a Lease of its own, hardly any memory, and a
// certificate that nobody renewed.
func (w *world) misconfigured() (r *replica, ca []byte) {
	w.Helper()
	ca, leaf := w.issue(360*24*time.Hour, pki.Names{DNS: []string{serverName}})
	w.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "elsewhere", Name: "old"}, Data: map[string][]byte{
		"tls.crt": leaf.Cert, "tls.key": leaf.Key, "ca.crt": ca}})
	r = &replica{
		pod: "operator-9", container: "helm-operator", env: []string{"WATCH_NAMESPACE=elsewhere", "GOMEMLIMIT=30MiB"},
		args: []string{"--leader-election-namespace=elsewhere", "--metrics-cert-secret=old"},
	}
	w.start(r)
	return r, ca
}

// renewed tells whether every replica serves a certificate that its old CA has not signed and that the present bundle verifies.
func (w *world) renewed(reader string, old *x509.CertPool) bool {
	for _, r := range w.all {
		if !r.alive() || r.pod == "operator-9" {
			continue
		}
		connection, err := tls.Dial("tcp", r.address, &tls.Config{RootCAs: w.roots, ServerName: serverName})
		if err != nil {
			return false
		}
		leaf := connection.ConnectionState().PeerCertificates[0]
		_ = connection.Close()
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: old, DNSName: serverName}); err == nil {
			return false
		}
		if code, _ := w.read(r, reader); code != http.StatusOK {
			return false
		}
	}
	return true
}
