// Package observability_test runs three replicas of both programs against the real API server and looks at them as a
// Prometheus does: who may read, what the leader alone tells, and what a failover does to it.
package observability_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/cluster/clustertest"
)

const (
	binVariable = "DATAPOWER_BIN"
	repository  = "../../.."
	system      = "datapower-system"
	gateways    = "gateways"
	patience    = 120 * time.Second
	tick        = 100 * time.Millisecond
	serverName  = "datapower-operator-metrics." + system + ".svc"
	replicas    = 3
)

// replica is one container of one pod.
type replica struct {
	pod, container, address string
	cmd                     *exec.Cmd
	log                     string
}

// alive tells whether the process was not ended by the test.
func (r *replica) alive() bool { return r.cmd != nil }

type world struct {
	*testing.T
	cluster *cluster.Cluster
	kube    client.Client
	bin     string
	dir     string
	all     []*replica
	roots   *x509.CertPool
	bundle  []byte
}

func newWorld(t *testing.T) *world {
	t.Helper()
	bin := os.Getenv(binVariable)
	if bin == "" {
		t.Skipf("needs the operator's programs: set %s (make test does)", binVariable)
	}
	w := &world{T: t, bin: bin, dir: t.TempDir(), cluster: clustertest.Start(t, cluster.Options{})}
	_, err := envtest.InstallCRDs(w.cluster.RESTConfig(), envtest.CRDInstallOptions{
		Paths: []string{filepath.Join(repository, "config", "crd", "bases")}, ErrorIfPathMissing: true,
	})
	require.NoError(t, err)
	scheme := runtime.NewScheme()
	require.NoError(t, clientscheme.AddToScheme(scheme))
	require.NoError(t, v1beta2.AddToScheme(scheme))
	require.NoError(t, v1beta3.AddToScheme(scheme))
	w.kube, err = client.New(w.cluster.RESTConfig(), client.Options{Scheme: scheme})
	require.NoError(t, err)
	for _, name := range []string{system, gateways, "elsewhere"} {
		w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	for _, namespace := range []string{gateways, "elsewhere"} {
		w.create(&corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "limits"},
			Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"requests.storage": resource.MustParse("1500Mi"), "pods": resource.MustParse("10")}},
		})
	}
	return w
}

func (w *world) create(object client.Object) {
	w.Helper()
	require.NoError(w, w.kube.Create(w.Context(), object))
}

// startAll starts the replicas, each of which has a pod for its label.
func (w *world) startAll() {
	for i := range replicas {
		pod := fmt.Sprintf("operator-%d", i)
		w.create(&corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: pod, Labels: map[string]string{"app.kubernetes.io/name": "datapower-operator"}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "sidecar", Image: "operator"}}},
		})
		for _, container := range []string{"helm-operator", "sidecar"} {
			w.start(pod, container)
		}
	}
}

func (w *world) start(pod, container string) {
	w.Helper()
	r := &replica{pod: pod, container: container, address: freeAddress(w.T), log: filepath.Join(w.dir, pod+"-"+container+".log")}
	kubeconfig, err := w.cluster.KubeconfigFor(container, "system:masters")
	require.NoError(w, err)
	path := filepath.Join(w.dir, pod+"-"+container+".kubeconfig") // nobody else writes it while the program reads
	require.NoError(w, os.WriteFile(path, kubeconfig, 0o600))
	log, err := os.Create(r.log)
	require.NoError(w, err)
	defer func() { _ = log.Close() }()
	args := []string{
		"--health-probe-bind-address=0", "--leader-election-lease-duration=4s", "--leader-election-renew-deadline=3s",
		"--leader-election-retry-period=500ms", "--watches-file=" + filepath.Join(repository, "watches.yaml"),
	}
	if container == "sidecar" {
		args = append(args, "--webhook-host=127.0.0.1", "--webhook-bind-address=127.0.0.1:0", "--webhook-drain=0", "--conversion=off",
			"--chart-values="+filepath.Join(repository, "helm-charts", "datapowerservice", "values.yaml"))
	}
	r.cmd = exec.Command(filepath.Join(w.bin, container), args...)
	r.cmd.Env = append(os.Environ(), "KUBECONFIG="+path, "POD_NAMESPACE="+system, "POD_NAME="+pod,
		"METRICS_BIND_ADDRESS="+r.address, "METRICS_SECURE=true")
	r.cmd.Stdout, r.cmd.Stderr = log, log
	require.NoError(w, r.cmd.Start())
	w.all = append(w.all, r)
	w.Cleanup(func() {
		r.stop(syscall.SIGTERM)
		if w.Failed() {
			data, _ := os.ReadFile(r.log)
			w.Logf("%s %s:\n%s", pod, container, data[max(0, len(data)-3000):])
		}
	})
}

func (r *replica) stop(signal os.Signal) {
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Signal(signal)
	_ = r.cmd.Wait()
	r.cmd = nil
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// untilCertified waits for the Secret from which the certificate comes, and trusts its bundle.
func (w *world) untilCertified() {
	w.Helper()
	var secret corev1.Secret
	require.Eventually(w, func() bool {
		return w.kube.Get(w.Context(), client.ObjectKey{Namespace: system, Name: "datapower-operator"}, &secret) == nil && len(secret.Data["ca.crt"]) > 0
	}, patience, tick, "the Secret of the certificates")
	w.bundle = secret.Data["ca.crt"]
	w.roots = x509.NewCertPool()
	require.True(w, w.roots.AppendCertsFromPEM(w.bundle))
}

// read asks a replica for its metrics as a Prometheus with the operator's CA does.
func (w *world) read(r *replica, token string) (int, map[string]*dto.MetricFamily) {
	w.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.roots, ServerName: serverName}}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(w.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+r.address+"/metrics", nil)
	require.NoError(w, err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return response.StatusCode, nil
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(body)))
	require.NoError(w, err, "%s %s", r.pod, r.container)
	return response.StatusCode, families
}

// series are the values of a metric by their labels, over all replicas that live; two replicas with the same series are
// told by the count.
type series struct {
	values  map[string]float64
	tellers map[string]int
}

func (w *world) gather(token, name string) series {
	w.Helper()
	s := series{map[string]float64{}, map[string]int{}}
	for _, r := range w.all {
		if !r.alive() {
			continue
		}
		_, families := w.read(r, token)
		for _, metric := range families[name].GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, label.GetName()+"="+label.GetValue())
			}
			slices.Sort(labels)
			key := strings.Join(labels, ",")
			s.values[key] += metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
			s.tellers[key]++
		}
	}
	return s
}

// leader is the replica of a container that says so.
func (w *world) leader(token, container string) *replica {
	w.Helper()
	var found *replica
	for _, r := range w.all {
		if r.container != container || !r.alive() {
			continue
		}
		_, families := w.read(r, token)
		for _, metric := range families["datapower_operator_replica_role"].GetMetric() {
			if metric.GetLabel()[0].GetValue() == "leader" {
				require.Nil(w, found, "two leaders")
				found = r
			}
		}
	}
	return found
}

// wearing are the pods with a label.
func (w *world) wearing(label string) []string {
	w.Helper()
	var pods corev1.PodList
	require.NoError(w, w.kube.List(w.Context(), &pods, client.InNamespace(system), client.MatchingLabels{label: "true"}))
	names := []string{}
	for i := range pods.Items {
		names = append(names, pods.Items[i].Name)
	}
	return names
}

// token makes a service account, which may read metrics or not.
func (w *world) token(name string, reader bool) string {
	w.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	w.create(account)
	if reader {
		w.create(&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name},
			Rules: []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}}})
		w.create(&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: name}}})
	}
	request := &authenticationv1.TokenRequest{}
	require.NoError(w, w.kube.SubResource("token").Create(w.Context(), account, request))
	return request.Status.Token
}

func service(name string) *v1beta3.DataPowerService {
	return &v1beta3.DataPowerService{
		ObjectMeta: metav1.ObjectMeta{Namespace: gateways, Name: name},
		Spec: v1beta3.DataPowerServiceSpec{
			License: v1beta3.License{Accept: true, License: "L-EYGU-PVGRBC", Use: v1beta3.LicenseUseDevelopers}, Version: "10.6-lts",
		},
	}
}
