// Package webhooks_test runs the sidecar's webhooks as processes against a real API server, which calls them by URL or,
// with several replicas, by Service.
package webhooks_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/cluster/binaries"
)

const (
	// binVariable names the directory of the operator's programs, as `make test` builds them.
	binVariable = "DATAPOWER_BIN"
	// patience bounds every wait; a passing test never needs it.
	patience = 60 * time.Second
	// repairTime is how soon damage must be mended.
	repairTime = 30 * time.Second
	tick       = 50 * time.Millisecond
	// repository is the root of the repository, seen from this folder.
	repository = "../../.."
)

// world is the API server that all tests share, each in namespaces of its own.
var world struct {
	*cluster.Cluster
	bin    string
	client client.Client
	typed  kubernetes.Interface
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	world.bin = os.Getenv(binVariable)
	if world.bin == "" {
		return m.Run() // each test skips
	}
	if err := startWorld(); err != nil {
		fmt.Fprintln(os.Stderr, "start the cluster:", err)
		return 1
	}
	defer func() { _ = world.Stop() }()
	return m.Run()
}

func startWorld() error {
	tools, err := binaries.Find(binaries.ControlPlane)
	if err != nil {
		return err
	}
	world.Cluster, err = cluster.Start(context.Background(), cluster.Options{
		BinDir: tools, AuditLog: true,
		// Without kube-proxy, this is how the API server reaches a Service's endpoints.
		APIServerArgs: []string{"--enable-aggregator-routing=true"},
	})
	if err != nil {
		return err
	}
	if world.client, err = client.New(unlimited(world.RESTConfig()), client.Options{Scheme: scheme.Scheme}); err != nil {
		return err
	}
	if world.typed, err = kubernetes.NewForConfig(unlimited(world.RESTConfig())); err != nil {
		return err
	}
	_, err = envtest.InstallCRDs(world.RESTConfig(), envtest.CRDInstallOptions{
		Paths: []string{filepath.Join(repository, "config", "crd", "bases")}, ErrorIfPathMissing: true})
	return err
}

func unlimited(config *rest.Config) *rest.Config {
	config.QPS, config.Burst = 1000, 1000
	return config
}

func needWorld(t testing.TB) {
	t.Helper()
	if world.bin == "" {
		t.Skipf("needs the operator's programs: set %s (make test does)", binVariable)
	}
}

// makeNamespace makes a namespace for one test.
func makeNamespace(t testing.TB, name string) string {
	t.Helper()
	require.NoError(t, world.client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	return name
}

// sidecar is a running sidecar.
type sidecar struct {
	t       testing.TB
	user    string // who it is to the API server
	ready   string // URL
	metrics string // URL
	command *exec.Cmd
	log     *logBuffer
	ended   chan struct{}
}

type logBuffer struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.String()
}

// start runs a sidecar of the operator in a namespace which watches the same namespace, registered by URL. Later
// arguments win.
func start(t testing.TB, namespace string, environment []string, args ...string) *sidecar {
	t.Helper()
	s := &sidecar{t: t, user: "sidecar-" + namespace, log: &logBuffer{}, ended: make(chan struct{})}
	content, err := world.KubeconfigFor(s.user, "system:masters")
	require.NoError(t, err)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, content, 0o600))
	probe, metrics := freeAddress(t), freeAddress(t)
	s.ready, s.metrics = "http://"+probe+"/readyz", "http://"+metrics+"/metrics"
	all := append([]string{
		"--leader-elect=false", "--metrics-bind-address=" + metrics, "--metrics-secure=false", "--health-probe-bind-address=" + probe,
		"--chart-values=" + chartValues, "--watches-file=" + filepath.Join(repository, "watches.yaml"),
		"--webhook-host=127.0.0.1", "--webhook-bind-address=127.0.0.1:0", "--webhook-drain=0",
		"--conversion=off",
	}, args...)
	s.command = exec.Command(filepath.Join(world.bin, "sidecar"), all...)
	s.command.Env = append([]string{"KUBECONFIG=" + kubeconfig, "POD_NAMESPACE=" + namespace, "WATCH_NAMESPACE=" + namespace}, environment...)
	s.command.Stdout, s.command.Stderr = s.log, s.log
	require.NoError(t, s.command.Start())
	go func() {
		_ = s.command.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		s.stop(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("the sidecar of %s:\n%s", namespace, s.log)
		}
	})
	return s
}

var chartValues = filepath.Join(repository, "helm-charts", "datapowerservice", "values.yaml")

// stop ends the sidecar and waits until it has.
func (s *sidecar) stop(signal syscall.Signal) {
	_ = s.command.Process.Signal(signal)
	select {
	case <-s.ended:
	case <-time.After(patience):
		_ = s.command.Process.Kill()
		<-s.ended
		s.t.Errorf("the sidecar did not end\n%s", s.log)
	}
}

// isReady tells what /readyz says; the text is its answer.
func (s *sidecar) isReady() bool {
	response, err := http.Get(s.ready) //nolint:noctx // a probe
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode == http.StatusOK
}

func (s *sidecar) untilReady() *sidecar {
	s.t.Helper()
	eventually(s.t, patience, func() error {
		select {
		case <-s.ended:
			s.t.Fatalf("the sidecar ended:\n%s", s.log)
		default:
		}
		if !s.isReady() {
			return fmt.Errorf("not ready:\n%s", s.log)
		}
		return nil
	})
	return s
}

// eventually waits until check has no error.
func eventually(t testing.TB, within time.Duration, check func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(tick) {
		if err = check(); err == nil {
			return
		}
	}
	require.NoError(t, err, "within %s", within)
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { assert.NoError(t, listener.Close()) }()
	return listener.Addr().String()
}

// minimal is the spec of a service that is right and says as little as it can.
const minimal = `{license: {accept: true, use: nonproduction, license: L-RJON-CCCP46}, version: 10.6-lts, replicas: 1,
	users: [{name: admin, passwordSecret: admin-credentials, accessLevel: privileged}]}`

// service is a DataPowerService with a spec in YAML.
func service(t testing.TB, namespace, name, spec string) *unstructured.Unstructured {
	t.Helper()
	var fields map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(strings.ReplaceAll(spec, "\t", "")), &fields))
	object := custom("v1beta3", "DataPowerService", namespace, name)
	object.Object["spec"] = fields
	return object
}

func custom(version, kind, namespace, name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{}}
	object.SetAPIVersion("datapower.ibm.com/" + version)
	object.SetKind(kind)
	object.SetNamespace(namespace)
	object.SetName(name)
	return object
}

// warningsOf makes requests with a client that keeps the API server's warnings.
func warningsOf(t testing.TB, request func(c client.Client) error) ([]string, error) {
	t.Helper()
	heard := &warnings{}
	config := world.RESTConfig()
	config.WarningHandler = heard
	c, err := client.New(config, client.Options{Scheme: scheme.Scheme})
	require.NoError(t, err)
	err = request(c)
	return heard.texts, err
}

type warnings struct{ texts []string }

func (w *warnings) HandleWarningHeader(_ int, _, text string) { w.texts = append(w.texts, text) }
