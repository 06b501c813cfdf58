package idle_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"
)

// exposedAPIs is how many exposed APIs there are, every other one with a ServiceMonitor.
const exposedAPIs = 4

// defineExposure installs the definitions that exposed APIs need, as they are published.
func (w *world) defineExposure() {
	w.Helper()
	_, err := envtest.InstallCRDs(w.cluster.RESTConfig(), envtest.CRDInstallOptions{ErrorIfPathMissing: true, Paths: []string{
		filepath.Join(repository, "config", "crd", "oda", "bases"),
		filepath.Join(w.module("istio.io/api"), "kubernetes", "customresourcedefinitions.gen.yaml"),
		filepath.Join(w.module("github.com/prometheus-operator/prometheus-operator"),
			"example", "prometheus-operator-crd", "monitoring.coreos.com_servicemonitors.yaml"),
	}})
	require.NoError(w, err)
}

// module is the folder of a Go module that tools/crds names.
func (w *world) module(path string) string {
	w.Helper()
	cmd := exec.Command("go", "mod", "download", path)
	list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", path)
	for _, c := range []*exec.Cmd{cmd, list} {
		c.Dir, c.Env = filepath.Join(repository, "tools", "crds"), append(os.Environ(), "GOFLAGS=-mod=mod")
	}
	out, err := cmd.CombinedOutput()
	require.NoError(w, err, "%s", out)
	out, err = list.Output()
	require.NoError(w, err)
	return strings.TrimSpace(string(out))
}

// expose makes the exposed APIs, the gateway and the Service in front of it, and waits until all are routed.
func (w *world) expose() {
	w.Helper()
	w.apply(`
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: component-gateway}
spec: {selector: {istio: idle}, servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: c}}]}`)
	ingress := w.apply(`
apiVersion: v1
kind: Service
metadata: {name: istio-ingress}
spec: {type: LoadBalancer, selector: {istio: idle}, ports: [{name: https, port: 443}]}`)
	require.NoError(w, w.kube.Status().Patch(w.Context(), ingress, client.RawPatch("application/merge-patch+json",
		[]byte(`{"status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.10"}]}}}`))))
	for i := range exposedAPIs {
		apiType := [...]string{"openapi", "prometheus"}[i%2]
		w.apply(fmt.Sprintf("{apiVersion: v1, kind: Service, metadata: {name: s%d, labels: {name: s%[1]d}}, spec: {selector: {app: s%[1]d}, ports: [{port: 8080}]}}", i))
		w.apply(fmt.Sprintf(`
apiVersion: oda.tmforum.org/v1
kind: ExposedAPI
metadata: {name: api%d}
spec: {name: api, apiType: %s, implementation: s%[1]d, path: /api%[1]d/v4, port: 8080}`, i, apiType))
	}
	for i := range exposedAPIs {
		require.Eventually(w, func() bool {
			api := &unstructured.Unstructured{}
			api.SetAPIVersion("oda.tmforum.org/v1")
			api.SetKind("ExposedAPI")
			require.NoError(w, w.kube.Get(w.Context(), client.ObjectKey{Namespace: namespace, Name: fmt.Sprintf("api%d", i)}, api))
			url, _, _ := unstructured.NestedString(api.Object, "status", "apiStatus", "url")
			return url == fmt.Sprintf("https://203.0.113.10/api%d/v4", i)
		}, patience, 100*time.Millisecond, "API %d has its URL", i)
	}
}

// apply creates an object in the namespace.
func (w *world) apply(text string) *unstructured.Unstructured {
	w.Helper()
	object := &unstructured.Unstructured{}
	require.NoError(w, yaml.Unmarshal([]byte(text), &object.Object))
	object.SetNamespace(namespace)
	require.NoError(w, w.kube.Create(w.Context(), object))
	return object
}

// readdress gives the gateway another address.
func (w *world) readdress() {
	w.Helper()
	ingress := &corev1.Service{}
	require.NoError(w, w.kube.Get(w.Context(), client.ObjectKey{Namespace: namespace, Name: "istio-ingress"}, ingress))
	ingress.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "203.0.113.20"}}
	require.NoError(w, w.kube.Status().Update(w.Context(), ingress))
}
