// Package idle_test looks at the API server's audit log while both programs of the operator have nothing to do.
package idle_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/cluster/clustertest"
)

const (
	// binVariable names the directory of the operator's programs, as `make test` builds them.
	binVariable = "DATAPOWER_BIN"
	// idleVariable is how long nothing is to happen, "10m".
	idleVariable = "IDLE"
	// usually is how long it is without the variable: some renewals of the leases.
	usually = 6 * time.Second

	repository = "../../.."
	namespace  = "idle"
	services   = 5
	patience   = 90 * time.Second

	// The programs and the users that they authenticate as.
	helmOperator = "helm-operator"
	sidecar      = "sidecar"
)

// world is a cluster with both programs.
type world struct {
	*testing.T
	cluster *cluster.Cluster
	kube    client.Client
	bin     string
	logs    string
}

func TestADayOfIdleIsADayWithoutAWrite(t *testing.T) {
	w := newWorld(t)
	watches := "--watches-file=" + filepath.Join(repository, "watches.yaml")
	w.start(helmOperator, watches)
	w.start(sidecar, watches, "--webhook-host=127.0.0.1", "--webhook-bind-address=127.0.0.1:0", "--chart-values="+filepath.Join(repository, "helm-charts", "datapowerservice", "values.yaml"))
	w.create()
	w.expose()
	w.untilReady()
	w.untilWorked()
	w.untilQuiet(3 * time.Second)

	idle := usually
	if text := os.Getenv(idleVariable); text != "" {
		var err error
		idle, err = time.ParseDuration(text)
		require.NoError(t, err, idleVariable)
	}
	begin := time.Now()
	time.Sleep(idle)
	asked, err := audited(w.cluster.AuditLogPath(), begin)
	require.NoError(t, err)
	t.Logf("%s with %d services and %d exposed APIs", idle, services, exposedAPIs)
	for _, c := range []class{write, read, watch, renewal} {
		t.Logf("%s: %d\n%s", c, len(asked[c]), table(asked[c]))
	}
	assert.Empty(t, table(asked[write]), "writes")
	assert.Empty(t, table(asked[read]), "reads")
	renewed := table(asked[renewal])
	assert.Contains(t, renewed, helmOperator+" update leases", "the log must show what there is")
	assert.Contains(t, renewed, sidecar+" update leases")

	w.change()
	w.readdress()
	require.Eventually(t, func() bool {
		asked, err := audited(w.cluster.AuditLogPath(), begin)
		require.NoError(t, err)
		written := table(asked[write])
		return strings.Contains(written, helmOperator+" patch statefulsets") &&
			strings.Contains(written, sidecar+" patch datapowerservices/status") &&
			strings.Count(written, sidecar+" patch exposedapis/status/idle/api") == exposedAPIs
	}, patience, 100*time.Millisecond, "a change must show in the log")
}

func newWorld(t *testing.T) *world {
	t.Helper()
	bin := os.Getenv(binVariable)
	if bin == "" {
		t.Skipf("needs the operator's programs: set %s (make test does)", binVariable)
	}
	w := &world{T: t, bin: bin, logs: t.TempDir()}
	w.cluster = clustertest.Start(t, cluster.Options{Nodes: 1, AuditLog: true})
	cfg := w.cluster.RESTConfig()
	_, err := envtest.InstallCRDs(cfg, envtest.CRDInstallOptions{
		Paths: []string{filepath.Join(repository, "config", "crd", "bases")}, ErrorIfPathMissing: true,
	})
	require.NoError(t, err)
	w.defineExposure()
	scheme := runtime.NewScheme()
	require.NoError(t, corev1.AddToScheme(scheme))
	require.NoError(t, v1beta2.AddToScheme(scheme))
	require.NoError(t, v1beta3.AddToScheme(scheme))
	w.kube, err = client.New(cfg, client.Options{Scheme: scheme})
	require.NoError(t, err)
	require.NoError(t, w.kube.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}))
	return w
}

// start runs a program as a user of its name, with a lease as in a cluster.
func (w *world) start(program string, args ...string) {
	w.Helper()
	kubeconfig, err := w.cluster.KubeconfigFor(program, "system:masters")
	require.NoError(w, err)
	path := filepath.Join(w.logs, program+".kubeconfig")
	require.NoError(w, os.WriteFile(path, kubeconfig, 0o600))
	log, err := os.Create(filepath.Join(w.logs, program+".log"))
	require.NoError(w, err)
	defer func() { _ = log.Close() }()
	args = append([]string{"--leader-election-namespace=default", "--metrics-bind-address=0", "--health-probe-bind-address=0"}, args...)
	cmd := exec.Command(filepath.Join(w.bin, program), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+path)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(w, cmd.Start())
	w.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if w.Failed() {
			data, _ := os.ReadFile(log.Name())
			w.Logf("%s:\n%s", program, data[max(0, len(data)-8000):])
		}
	})
}

func key(i int) client.ObjectKey {
	return client.ObjectKey{Namespace: namespace, Name: fmt.Sprintf("gw%02d", i)}
}

// create makes the services.
func (w *world) create() {
	w.Helper()
	for i := range services {
		name := key(i).Name
		require.NoError(w, w.kube.Create(w.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: name + "-admin", Namespace: namespace},
			StringData: map[string]string{"password": "s3cret"},
		}))
		svc := &v1beta3.DataPowerService{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}}
		svc.Spec.License = v1beta3.License{Accept: true, Use: "nonproduction", License: "L-RJON-CCCP46"}
		svc.Spec.Version = "10.6-lts"
		svc.Spec.Replicas = ptr.To(int32(1))
		svc.Spec.Users = []v1beta3.User{{Name: "admin", PasswordSecret: name + "-admin", AccessLevel: "privileged"}}
		require.Eventually(w, func() bool { return w.kube.Create(w.Context(), svc.DeepCopy()) == nil },
			patience, 100*time.Millisecond, "the webhooks let it pass once they serve")
	}
}

func (w *world) untilReady() {
	w.Helper()
	list := &v1beta3.DataPowerServiceList{}
	require.Eventually(w, func() bool {
		require.NoError(w, w.kube.List(w.Context(), list, client.InNamespace(namespace)))
		for _, svc := range list.Items {
			if svc.Status.Phase != "Running" || !meta.IsStatusConditionTrue(svc.Status.Conditions, "Ready") {
				return false
			}
		}
		return len(list.Items) == services
	}, patience, 100*time.Millisecond, "all services are ready")
}

// untilWorked waits until no monitor has work before it: between a pod's event and the work there is a silence, too.
func (w *world) untilWorked() {
	w.Helper()
	list := &v1beta2.DataPowerMonitorList{}
	require.Eventually(w, func() bool {
		require.NoError(w, w.kube.List(w.Context(), list, client.InNamespace(namespace)))
		for _, m := range list.Items {
			if m.Status.Phase != "Running" || m.Status.WorkPending || m.Status.WorkInProgress {
				return false
			}
		}
		return len(list.Items) == services
	}, patience, 100*time.Millisecond, "all monitors have worked")
}

// untilQuiet waits until the programs have asked for nothing but the renewal of their leases for a while.
func (w *world) untilQuiet(quiet time.Duration) {
	w.Helper()
	require.Eventually(w, func() bool {
		asked, err := audited(w.cluster.AuditLogPath(), time.Now().Add(-quiet))
		require.NoError(w, err)
		return len(asked[read])+len(asked[write]) == 0
	}, patience, 200*time.Millisecond, "both programs are idle")
}

// change upgrades one service.
func (w *world) change() {
	w.Helper()
	svc := &v1beta3.DataPowerService{}
	require.NoError(w, w.kube.Get(w.Context(), key(0), svc))
	before := svc.DeepCopy()
	svc.Spec.Env = append(svc.Spec.Env, corev1.EnvVar{Name: "COLOUR", Value: "blue"})
	require.NoError(w, w.kube.Patch(w.Context(), svc, client.MergeFrom(before)))
}
