package fleettest

import (
	"bytes"
	"context"
	"crypto/x509"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/datapower-operator/datapower-operator/sidecar/datapower"
	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/cluster/clustertest"
	"github.com/datapower-operator/datapower-operator/test/gateway"
)

const (
	service  = "gw"
	password = "correct horse"
)

// render renders the product's chart for a service with three replicas, and leaves out kinds that a plain cluster lacks.
func render(t *testing.T) string {
	t.Helper()
	chart, err := loader.Load(filepath.Join("..", "..", "..", "helm-charts", "datapowerservice"))
	require.NoError(t, err)
	install := action.NewInstall(&action.Configuration{})
	install.ReleaseName, install.Namespace, install.DryRun, install.ClientOnly = service, "default", true, true
	install.KubeVersion = &chartutil.KubeVersion{Version: "v1.36.0", Major: "1", Minor: "36"}
	release, err := install.RunWithContext(t.Context(), chart, map[string]any{
		"version": "10.6-lts", "replicas": 3,
		"license":   map[string]any{"accept": true, "use": "nonproduction", "license": "L-BMSF-5YDSLR"},
		"resources": map[string]any{"requests": map[string]any{"cpu": "100m", "memory": "2Gi"}},
		"users": []any{
			map[string]any{"name": "admin", "passwordSecret": "admin-credentials", "accessLevel": "privileged"},
		},
		"domains": []any{
			map[string]any{"name": "default", "dpApp": map[string]any{"config": []any{"web"}}},
			map[string]any{"name": "apiconnect", "dpApp": map[string]any{"config": []any{"peering"}}},
		},
	})
	require.NoError(t, err)
	var kept []string
	for document := range strings.SplitSeq(release.Manifest, "\n---\n") {
		if !strings.Contains(document, "kind: DataPowerMonitor") {
			kept = append(kept, document)
		}
	}
	return strings.Join(kept, "\n---\n")
}

// deploy makes the user's objects and applies the rendered ones.
func deploy(t *testing.T, c *cluster.Cluster, client kubernetes.Interface) {
	t.Helper()
	for name, data := range map[string]string{
		"web":     "rest-mgmt\n  admin-state enabled\n  local-address 0.0.0.0 5554\nexit\n",
		"peering": "gateway-peering \"gwd\"\n  local-port 16380\nexit\ngateway-peering \"tms\"\n  local-port 16381\nexit\n",
	} {
		_, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{name + ".cfg": data},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	_, err := client.CoreV1().Secrets("default").Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "admin-credentials"},
		StringData: map[string]string{"password": password, "method": "sha256", "salt": "NaCl"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	kubectl := exec.CommandContext(t.Context(), filepath.Join(clustertest.NeedBinaries(t), "kubectl"),
		"--kubeconfig", c.KubeconfigPath(), "apply", "-f", "-")
	kubectl.Stdin = bytes.NewBufferString(render(t))
	output, err := kubectl.CombinedOutput()
	require.NoError(t, err, string(output))
}

// What the product's chart renders becomes gateways that the operator's client can log in to, and whose peerings go stale
// when a pod is replaced.
func TestFleetReadsWhatTheChartRenders(t *testing.T) {
	c := clustertest.Start(t, cluster.Options{Nodes: 2})
	client, err := kubernetes.NewForConfig(c.RESTConfig())
	require.NoError(t, err)
	deploy(t, c, client)
	fleet := Start(t, c.RESTConfig(), gateway.FleetOptions{})
	WaitHealed(t, fleet, "default", service, 3, time.Minute)

	old := fleet.Instance("default", "gw-2").Address()
	pod, err := client.CoreV1().Pods("default").Get(t.Context(), "gw-2", metav1.GetOptions{})
	require.NoError(t, err)
	// A simulated node gives a freed address to its next pod, and a gateway at a known address is no stale peer.
	_, err = client.CoreV1().Nodes().Patch(t.Context(), pod.Spec.NodeName, types.MergePatchType,
		[]byte(`{"spec":{"unschedulable":true}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	require.NoError(t, client.CoreV1().Pods("default").Delete(t.Context(), "gw-2", metav1.DeleteOptions{}))
	require.Eventually(t, func() bool {
		instance := fleet.Instance("default", "gw-2")
		return instance != nil && instance.Address() != old
	}, time.Minute, 20*time.Millisecond, "the StatefulSet replaces the pod, at another address")
	for _, instance := range fleet.ServiceInstances("default", service)[:2] {
		heal(t, fleet, instance, old)
	}
	WaitHealed(t, fleet, "default", service, 3, 10*time.Second)
}

// heal resets both peerings of a gateway once they show the dead address.
func heal(t *testing.T, fleet *gateway.Fleet, instance *gateway.Instance, dead string) {
	t.Helper()
	operator, err := datapower.New(datapower.Options{
		Address: instance.Address() + ":5554", Username: "admin", Password: password,
		TLS: datapower.TLSOptions{Pinned: []*x509.Certificate{fleet.Host().Certificate()}}, Proxy: http.ProxyURL(fleet.ProxyURL()),
	})
	require.NoError(t, err)
	domains, err := operator.Domains(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"default", "apiconnect"}, domains)
	stale := func(ctx context.Context) int {
		rows, err := operator.PeeringStatus(ctx, "apiconnect")
		require.NoError(t, err)
		count := 0
		for _, row := range rows {
			if row.Address == dead && !row.Up() {
				count++
			}
		}
		return count
	}
	require.Eventually(t, func() bool { return stale(t.Context()) == 2 }, 10*time.Second, 20*time.Millisecond)
	_, err = operator.Action(t.Context(), "apiconnect", []byte(`{"GatewayPeeringReset":{}}`))
	require.NoError(t, err)
	assert.Zero(t, stale(t.Context()))
}
