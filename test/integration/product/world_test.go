// Package product_test runs the operator's programs as a user would, against real Kubernetes with
// simulated nodes, and drives them with kubectl and helm.
package product_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/cluster/binaries"
)

// binVariable names the directory of the operator's programs, as `make test` builds them.
const binVariable = "DATAPOWER_BIN"

// patience bounds every wait; a passing test never needs it.
const patience = 90 * time.Second

// shared is the world that most tests live in, each in namespaces of its own.
var shared *world

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	bin := os.Getenv(binVariable)
	if bin == "" {
		return m.Run() // each test skips
	}
	w, err := newWorld(bin, filepath.Join(repository, "watches.yaml"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "start the product:", err)
		return 1
	}
	defer w.stop()
	shared = w
	return m.Run()
}

// repository is the root of the repository, seen from this folder.
const repository = "../../.."

// world is a cluster with the operator's programs running against it.
type world struct {
	bin      string // the operator's programs
	tools    string // kubectl and the rest of Kubernetes
	cluster  *cluster.Cluster
	programs []*exec.Cmd
	logs     string
}

func newWorld(bin, watches string) (*world, error) {
	tools, err := binaries.Find(binaries.ControlPlane)
	if err != nil {
		return nil, err
	}
	logs, err := os.MkdirTemp("", "product-test-")
	if err != nil {
		return nil, err
	}
	w := &world{bin: bin, tools: tools, logs: logs}
	if w.cluster, err = cluster.Start(context.Background(), cluster.Options{BinDir: tools, Nodes: 3}); err != nil {
		return nil, err
	}
	if out, err := w.kubectl("", "apply", "--server-side", "-k", filepath.Join(repository, "config", "crd")); err != nil {
		w.stop()
		return nil, fmt.Errorf("install CRDs: %w: %s", err, out)
	}
	if out, err := w.kubectl("", "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"); err != nil {
		w.stop()
		return nil, fmt.Errorf("install CRDs: %w: %s", err, out)
	}
	if err := w.start("helm-operator", "--watches-file="+watches); err != nil {
		w.stop()
		return nil, err
	}
	// Without admission webhooks: what is refused is refused by the reconcile, too. Old versions are converted.
	if out, err := w.kubectl("", "create", "namespace", "datapower-system"); err != nil {
		w.stop()
		return nil, fmt.Errorf("make the operator's namespace: %w: %s", err, out)
	}
	if err := w.start("sidecar", "--webhooks=false", "--conversion=process",
		"--chart-values="+filepath.Join(repository, "helm-charts", "datapowerservice", "values.yaml")); err != nil {
		w.stop()
		return nil, err
	}
	if out, err := w.kubectl("", "wait", "--for=jsonpath={.spec.conversion.strategy}=Webhook",
		"crd/datapowerservices.datapower.ibm.com", "--timeout=60s"); err != nil {
		w.stop()
		return nil, fmt.Errorf("wait for the conversion webhook: %w: %s", err, out)
	}
	return w, nil
}

// start runs one of the operator's programs; it dies with the test.
func (w *world) start(program string, args ...string) error {
	log, err := os.Create(filepath.Join(w.logs, program+".log"))
	if err != nil {
		return err
	}
	args = append([]string{"--leader-elect=false", "--metrics-bind-address=0", "--health-probe-bind-address=0"}, args...)
	cmd := exec.Command(filepath.Join(w.bin, program), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+w.cluster.KubeconfigPath())
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", program, err)
	}
	w.programs = append(w.programs, cmd)
	return nil
}

func (w *world) stop() {
	for _, cmd := range w.programs {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}
	if w.cluster != nil {
		_ = w.cluster.Stop()
	}
	_ = os.RemoveAll(w.logs)
}

// kubectl runs kubectl; its answer is standard output, or standard error when it fails.
func (w *world) kubectl(stdin string, args ...string) (string, error) {
	return w.command(filepath.Join(w.tools, "kubectl"), stdin, args...)
}

func (w *world) command(program, stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience+30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+w.cluster.KubeconfigPath())
	cmd.Stdin = strings.NewReader(stdin)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return problems.String() + out.String(), err
		}
		return "", err
	}
	return out.String(), nil
}

// scene is one namespace of a world.
type scene struct {
	*testing.T
	*world
	namespace string
}

// newScene makes a namespace in the shared world; the test is skipped when there is none.
func newScene(t *testing.T, namespace string) *scene {
	t.Helper()
	if shared == nil {
		t.Skipf("needs the operator's programs: set %s (make test does)", binVariable)
	}
	return shared.scene(t, namespace)
}

func (w *world) scene(t *testing.T, namespace string) *scene {
	t.Helper()
	s := &scene{T: t, world: w, namespace: namespace}
	s.must("create", "namespace", namespace)
	t.Cleanup(func() {
		if t.Failed() {
			s.dump()
		}
	})
	return s
}

// try runs kubectl in the scene's namespace.
func (s *scene) try(args ...string) (string, error) {
	return s.kubectl("", append([]string{"--namespace=" + s.namespace}, args...)...)
}

// must runs kubectl in the scene's namespace and expects success.
func (s *scene) must(args ...string) string {
	s.Helper()
	out, err := s.try(args...)
	require.NoError(s, err, "kubectl %s\n%s", strings.Join(args, " "), out)
	return out
}

// apply applies manifests and expects success.
func (s *scene) apply(manifests string) string {
	s.Helper()
	out, err := s.tryApply(manifests)
	require.NoError(s, err, "%s\n%s", out, manifests)
	return out
}

func (s *scene) tryApply(manifests string) (string, error) {
	return s.kubectl(manifests, "--namespace="+s.namespace, "apply", "-f", "-")
}

// ready waits until a DataPowerService is Ready as kubectl sees it.
func (s *scene) ready(name string) {
	s.Helper()
	s.must("wait", "--for=condition=Ready", "dp/"+name, "--timeout="+patience.String())
}

// field returns one field by JSONPath; empty when it is absent.
func (s *scene) field(object, path string) string {
	s.Helper()
	return s.must("get", object, "--output=jsonpath={"+path+"}")
}

// eventually waits until a field has a value.
func (s *scene) eventually(object, path, want string) {
	s.Helper()
	var got string
	require.Eventually(s, func() bool {
		out, err := s.try("get", object, "--output=jsonpath={"+path+"}")
		got = out
		return err == nil && out == want
	}, patience, 100*time.Millisecond, "%s %s should become %q", object, path, want)
	require.Equal(s, want, got)
}

// gone waits until an object does not exist.
func (s *scene) gone(object string) {
	s.Helper()
	require.Eventually(s, func() bool {
		out, err := s.try("get", object)
		return err != nil && strings.Contains(out, "NotFound")
	}, patience, 100*time.Millisecond, "%s should be gone", object)
}

// dump shows what a user would look at.
func (s *scene) dump() {
	for _, args := range [][]string{{"get", "all,dp,dpm,secrets,configmaps"}, {"describe", "dp"}, {"get", "events"}} {
		out, _ := s.try(args...)
		s.Logf("kubectl %s\n%s", strings.Join(args, " "), out)
	}
	for _, program := range []string{"helm-operator", "sidecar"} {
		data, _ := os.ReadFile(filepath.Join(s.logs, program+".log"))
		lines := strings.Split(string(data), "\n")
		s.Logf("%s:\n%s", program, strings.Join(lines[max(0, len(lines)-40):], "\n"))
	}
}
