// Package monitor_test runs the operator's programs against real Kubernetes with simulated nodes and stand-in gateways
// that really lose peers, and looks at what the DataPowerMonitor makes of it.
package monitor_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/cluster/clustertest"
	"github.com/datapower-operator/datapower-operator/test/gateway"
	"github.com/datapower-operator/datapower-operator/test/gateway/fleettest"
)

const (
	// binVariable names the directory of the operator's programs, as `make test` builds them.
	binVariable = "DATAPOWER_BIN"
	repository  = "../../.."
	// patience bounds every wait; a passing test never needs it.
	patience = 90 * time.Second
	tick     = 20 * time.Millisecond
)

// full says that every case is to run, however long it takes.
var full = os.Getenv("FAULTS") == "full"

// world is a cluster with gateways and the operator's programs.
type world struct {
	*testing.T
	root    *world // the world of the whole test, of which others are views for a part of it
	bin     string
	cluster *cluster.Cluster
	kube    client.WithWatch
	fleet   *gateway.Fleet
	logs    string
	sidecar *program
	starts  int
	flags   []string
	metrics string // where the sidecar serves its metrics
}

// worldOptions say what is in a world.
type worldOptions struct {
	cluster cluster.Options
	fleet   gateway.FleetOptions
	flags   []string // of the sidecar
	alone   bool     // without the helm-operator
}

// newWorld starts everything but the sidecar.
func newWorld(t *testing.T, nodes int, flags ...string) *world {
	t.Helper()
	return newWorldOf(t, worldOptions{cluster: cluster.Options{Nodes: nodes}, flags: flags})
}

func newWorldOf(t *testing.T, options worldOptions) *world {
	t.Helper()
	bin := os.Getenv(binVariable)
	if bin == "" {
		t.Skipf("needs the operator's programs: set %s (make test does)", binVariable)
	}
	bin, err := filepath.Abs(bin)
	require.NoError(t, err)
	w := &world{T: t, bin: bin, logs: t.TempDir(), flags: options.flags, metrics: "0"}
	w.root = w
	w.cluster = clustertest.Start(t, options.cluster)
	w.kubectl("apply", "--server-side", "-k", filepath.Join(repository, "config", "crd"))
	w.until("the resource definitions", func() error { // a definition without any status makes kubectl fail at once
		_, err := w.tryKubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
		return err
	})
	scheme := kruntime.NewScheme()
	for _, add := range []func(*kruntime.Scheme) error{clientscheme.AddToScheme, v1beta2.AddToScheme, v1beta3.AddToScheme} {
		require.NoError(t, add(scheme))
	}
	config := w.cluster.RESTConfig()
	config.QPS = -1
	w.kube, err = client.NewWithWatch(config, client.Options{Scheme: scheme})
	require.NoError(t, err)
	w.fleet = fleettest.Start(t, w.cluster.RESTConfig(), options.fleet)
	if !options.alone {
		w.start("helm-operator", "--watches-file="+filepath.Join(repository, "watches.yaml"))
	}
	t.Cleanup(func() {
		if t.Failed() && w.sidecar != nil {
			t.Logf("sidecar:\n%s", w.sidecar.tail(60))
		}
	})
	return w
}

// at is the same world for a part of the test.
func (w *world) at(t *testing.T) *world {
	view := *w
	view.T = t
	return &view
}

// program is one running program of the operator.
type program struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

// start runs a program of the operator; it dies with the test.
func (w *world) start(name string, args ...string) *program {
	w.Helper()
	w.starts++
	p := &program{log: filepath.Join(w.logs, fmt.Sprintf("%s-%d.log", name, w.starts)), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	require.NoError(w, err)
	defer func() { _ = log.Close() }()
	args = append([]string{"--leader-elect=false", "--health-probe-bind-address=0", "--metrics-secure=false", "--metrics-bind-address=0"}, args...)
	p.cmd = exec.Command(filepath.Join(w.bin, name), args...)
	p.cmd.Env = append(os.Environ(), "KUBECONFIG="+w.cluster.KubeconfigPath(), "HTTPS_PROXY="+w.fleet.ProxyURL().String(),
		"NO_PROXY=", "WATCH_NAMESPACE=")
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the signal comes when this thread ends, so it lives as long as the program
		started <- p.cmd.Start()
		defer close(p.ended)
		_ = p.cmd.Wait()
	}()
	require.NoError(w, <-started)
	w.Cleanup(p.kill)
	return p
}

// startSidecar runs the sidecar, in a cluster without webhooks.
func (w *world) startSidecar() {
	w.Helper()
	w.root.sidecar = w.root.start("sidecar", append([]string{
		"--webhooks=false", "--metrics-bind-address=" + w.metrics,
		"--chart-values=" + filepath.Join(repository, "helm-charts", "datapowerservice", "values.yaml"),
	}, w.flags...)...)
}

// kill ends the program as kill -9 does.
func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// tail is the end of the program's log.
func (p *program) tail(lines int) string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(string(data), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// kubectl runs kubectl and expects success.
func (w *world) kubectl(args ...string) string {
	w.Helper()
	out, err := w.tryKubectl(args...)
	require.NoError(w, err)
	return out
}

func (w *world) tryKubectl(args ...string) (string, error) {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(clustertest.NeedBinaries(w), "kubectl"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+w.cluster.KubeconfigPath())
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, problems.String())
	}
	return out.String(), nil
}

// certificate is that of all gateways.
func (w *world) certificate() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.fleet.Host().Certificate().Raw})
}

// errWaiting says that a condition is not met yet.
var errWaiting = errors.New("not yet")

// until waits until a check has no complaint.
func (w *world) until(what string, check func() error) {
	w.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(tick) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			w.Fatalf("%s: %v", what, err)
		}
	}
}
