// Package observability_test runs three replicas of both programs against the real API server, with a fleet of stand-in
// gateways, and looks at them as a Prometheus does: who may read, what the leader alone tells, what a failover and a rotation
// of the certificate do to it, and which fault makes which alert fire.
package observability_test

import (
	"bytes"
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
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	"github.com/datapower-operator/datapower-operator/test/gateway"
	"github.com/datapower-operator/datapower-operator/test/gateway/fleettest"
)

const (
	binVariable = "DATAPOWER_BIN"
	repository  = "../../.."
	system      = "datapower-system"
	gateways    = "gateways"
	peers       = "peers"
	blocked     = "blocked"
	hung        = "hung"
	stored      = "stored"
	misdirected = "misdirected"
	patience    = 120 * time.Second
	tick        = 100 * time.Millisecond
	serverName  = "datapower-operator-metrics." + system + ".svc"
	replicas    = 3
)

// replica is one container of one pod.
type replica struct {
	pod, container, address string
	args, env               []string
	cmd                     *exec.Cmd
	ended                   chan struct{}
	log                     string
}

// alive tells whether the process was not ended by the test.
func (r *replica) alive() bool { return r.cmd != nil }

type world struct {
	*testing.T
	cluster *cluster.Cluster
	kube    client.Client
	fleet   *gateway.Fleet
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
	w := &world{T: t, bin: bin, dir: t.TempDir(), cluster: clustertest.Start(t, cluster.Options{Nodes: 8})}
	_, err := envtest.InstallCRDs(w.cluster.RESTConfig(), envtest.CRDInstallOptions{
		Paths: []string{
			filepath.Join(repository, "config", "crd", "bases"), filepath.Join(repository, "config", "crd", "oda", "bases", "oda.tmforum.org_exposedapis.yaml"),
		}, ErrorIfPathMissing: true,
	})
	require.NoError(t, err)
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientscheme.AddToScheme, v1beta2.AddToScheme, v1beta3.AddToScheme, apiextensionsv1.AddToScheme,
	} {
		require.NoError(t, add(scheme))
	}
	config := w.cluster.RESTConfig()
	config.QPS = -1
	w.kube, err = client.New(config, client.Options{Scheme: scheme})
	require.NoError(t, err)
	w.fleet = fleettest.Start(t, w.cluster.RESTConfig(), gateway.FleetOptions{})
	for _, name := range []string{system, gateways, peers, blocked, hung, stored, misdirected, "elsewhere"} {
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

// create makes an object. While nobody answers for the webhooks, as after the loss of a Lease, it waits.
func (w *world) create(object client.Object) {
	w.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(tick) {
		if err = w.kube.Create(w.Context(), object); !apierrors.IsInternalError(err) {
			break
		}
		w.revive()
	}
	require.NoError(w, err)
}

// startAll starts the replicas, each of which has a pod for its label.
func (w *world) startAll() {
	for i := range replicas {
		pod := fmt.Sprintf("operator-%d", i)
		uid := w.createPod(pod)
		for _, container := range []string{"helm-operator", "sidecar"} {
			w.start(&replica{pod: pod, container: container, env: []string{
				"POD_NAMESPACE=" + system, "POD_NAME=" + pod, "POD_UID=" + uid, "GOMEMLIMIT=460MiB"}})
		}
	}
}

// createPod makes the pod that the leader's label is for. Nothing runs in it.
func (w *world) createPod(name string) (uid string) {
	w.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name, Labels: map[string]string{"app.kubernetes.io/name": "datapower-operator"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "sidecar", Image: "operator"}}},
	}
	w.create(pod)
	return string(pod.UID)
}

// flags are those of all replicas, beside what they are asked for: times that suit a test, addresses on this machine.
func flags(container string) []string {
	all := []string{
		"--health-probe-bind-address=0", "--leader-election-lease-duration=6s", "--leader-election-renew-deadline=5s",
		"--leader-election-retry-period=500ms", "--watches-file=" + filepath.Join(repository, "watches.yaml"),
	}
	if container == "sidecar" {
		all = append(all, "--webhook-host=127.0.0.1", "--webhook-bind-address=127.0.0.1:0", "--webhook-drain=0", "--conversion=process",
			"--monitor-look-interval=1s", "--monitor-retry-interval=1s", "--monitor-workers=1",
			"--chart-values="+filepath.Join(repository, "helm-charts", "datapowerservice", "values.yaml"))
	}
	return all
}

// start starts a replica for the first time. It dies with the test.
func (w *world) start(r *replica) {
	w.Helper()
	r.address, r.log = freeAddress(w.T), filepath.Join(w.dir, r.pod+"-"+r.container+".log")
	kubeconfig, err := w.cluster.KubeconfigFor(r.container, "system:masters")
	require.NoError(w, err)
	path := filepath.Join(w.dir, r.pod+"-"+r.container+".kubeconfig") // nobody else writes it while the program reads
	require.NoError(w, os.WriteFile(path, kubeconfig, 0o600))
	r.env = append(r.env, "KUBECONFIG="+path)
	w.all = append(w.all, r)
	w.run(r)
	w.Cleanup(func() {
		r.stop(syscall.SIGTERM)
		if w.Failed() {
			data, _ := os.ReadFile(r.log)
			w.Logf("%s %s:\n%s", r.pod, r.container, data[max(0, len(data)-3000):])
		}
	})
}

// run runs the program of a replica, as the kubelet does once more after its end.
func (w *world) run(r *replica) {
	w.Helper()
	log, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(w, err)
	defer func() { _ = log.Close() }()
	r.cmd = exec.Command(filepath.Join(w.bin, r.container), append(flags(r.container), r.args...)...)
	// The same number of workers on every machine: four for each of two processors.
	r.cmd.Env = append(append(os.Environ(), "METRICS_BIND_ADDRESS="+r.address, "METRICS_SECURE=true", "GOMAXPROCS=2",
		"HTTPS_PROXY="+w.fleet.ProxyURL().String(), "NO_PROXY="), r.env...)
	r.cmd.Stdout, r.cmd.Stderr = log, log
	require.NoError(w, r.cmd.Start())
	ended, cmd := make(chan struct{}), r.cmd
	r.ended = ended
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
}

func (r *replica) stop(signal os.Signal) {
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Signal(signal)
	<-r.ended
	r.cmd = nil
}

// revive runs programs again that ended by themselves, as the kubelet does: one that loses its Lease on a busy machine does.
func (w *world) revive() {
	w.Helper()
	for _, r := range w.all {
		if r.cmd == nil {
			continue
		}
		select {
		case <-r.ended:
			w.Logf("%s %s ended by itself and is started again", r.pod, r.container)
			w.run(r)
		default:
		}
	}
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
	require.Eventually(w, func() bool { w.trust(); return len(w.bundle) > 0 }, patience, tick, "the Secret of the certificates")
}

// trust takes over the bundle of the Secret, as the Prometheus operator does. It tells whether there is a new one.
func (w *world) trust() bool {
	w.Helper()
	var secret corev1.Secret
	err := w.kube.Get(w.Context(), client.ObjectKey{Namespace: system, Name: "datapower-operator"}, &secret)
	if err != nil || len(secret.Data["ca.crt"]) == 0 || bytes.Equal(secret.Data["ca.crt"], w.bundle) {
		return false
	}
	w.bundle = secret.Data["ca.crt"]
	w.roots = x509.NewCertPool()
	require.True(w, w.roots.AppendCertsFromPEM(w.bundle))
	return true
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

func service(namespace, name string) *v1beta3.DataPowerService {
	return &v1beta3.DataPowerService{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1beta3.DataPowerServiceSpec{
			License: v1beta3.License{Accept: true, License: "L-EYGU-PVGRBC", Use: v1beta3.LicenseUseDevelopers}, Version: "10.6-lts",
		},
	}
}

// peerings are those of each gateway. Each is reset on each of the two gateways that are left when one is lost.
func peerings() int {
	if long() {
		return 32
	}
	return 2
}

// peered are the objects of a DataPowerService with three gateways whose peerings are monitored.
func peered(certificate []byte) []client.Object {
	named := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: peers, Name: name} }
	var lines strings.Builder
	for i := range peerings() {
		fmt.Fprintf(&lines, "gateway-peering \"peering-%d\"\n  local-port %d\nexit\n", i, 16380+i)
	}
	return []client.Object{
		&corev1.Secret{ObjectMeta: named("admin-credentials"), StringData: map[string]string{"password": "hunter2 is secret"}},
		&corev1.Secret{ObjectMeta: named("certificates"), Data: map[string][]byte{"tls.crt": certificate}},
		&corev1.ConfigMap{ObjectMeta: named("web"), Data: map[string]string{
			"web.cfg": "rest-mgmt\n  admin-state enabled\n  local-address 0.0.0.0 5554\nexit\n"}},
		&corev1.ConfigMap{ObjectMeta: named("peering"), Data: map[string]string{"peering.cfg": lines.String()}},
		&v1beta2.DataPowerMonitor{ObjectMeta: named("gw"), Spec: v1beta2.DataPowerMonitorSpec{
			LifecycleDebounceMs: new(int32(1000)), MonitorGatewayPeering: new(true),
			RestManagement: &v1beta2.RestManagement{TLS: &v1beta2.GatewayTLS{SecretName: "certificates"}},
		}},
		&v1beta3.DataPowerService{ObjectMeta: named("gw"), Spec: v1beta3.DataPowerServiceSpec{
			Replicas: new(int32(3)), Version: "10.6-lts",
			License: v1beta3.License{Accept: true, License: "L-BMSF-5YDSLR", Use: v1beta3.LicenseUseNonproduction},
			Users:   []v1beta3.User{{Name: "admin", PasswordSecret: "admin-credentials", AccessLevel: "privileged"}},
			Domains: []v1beta3.Domain{
				{Name: "default", DPApp: &v1beta3.DPApp{Config: []string{"web"}}},
				{Name: "apiconnect", DPApp: &v1beta3.DPApp{Config: []string{"peering"}}},
			},
		}},
	}
}
