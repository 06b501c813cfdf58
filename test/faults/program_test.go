package faults_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/cluster/clustertest"
)

const (
	// binVariable names the directory of the operator's programs, as `make test` builds them.
	binVariable = "DATAPOWER_BIN"
	// repository is the root of the repository, seen from this folder.
	repository = "../.."
)

// world is a cluster for the real program.
type world struct {
	*testing.T
	bin     string
	cluster *cluster.Cluster
	kube    client.Client
	logs    string
	starts  int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	bin := os.Getenv(binVariable)
	if bin == "" {
		t.Skipf("needs the operator's programs: set %s (make test does)", binVariable)
	}
	w := &world{T: t, bin: bin, logs: t.TempDir()}
	w.cluster = clustertest.Start(t, cluster.Options{Nodes: 3})
	_, err := envtest.InstallCRDs(w.cluster.RESTConfig(), envtest.CRDInstallOptions{
		Paths: []string{filepath.Join(repository, "config", "crd", "bases")}, ErrorIfPathMissing: true,
	})
	require.NoError(t, err)
	cfg := w.cluster.RESTConfig()
	cfg.QPS = -1
	w.kube, err = client.New(cfg, client.Options{})
	require.NoError(t, err)
	return w
}

// program is one running helm-operator.
type program struct {
	cmd *exec.Cmd
	log string
	// ended is closed when the process is gone.
	ended chan struct{}
}

// start runs the helm-operator for one namespace.
func (w *world) start(namespace string) *program {
	w.Helper()
	w.starts++
	p := &program{log: filepath.Join(w.logs, fmt.Sprintf("helm-operator-%d.log", w.starts)), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	require.NoError(w, err)
	defer func() { _ = log.Close() }()
	p.cmd = exec.Command(filepath.Join(w.bin, "helm-operator"), "--leader-elect=false", "--metrics-bind-address=0",
		"--health-probe-bind-address=0", "--watches-file="+filepath.Join(repository, "watches.yaml"))
	p.cmd.Env = append(os.Environ(), "KUBECONFIG="+w.cluster.KubeconfigPath(), "WATCH_NAMESPACE="+namespace)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	require.NoError(w, p.cmd.Start())
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait()
	}()
	w.Cleanup(p.kill)
	return p
}

// kill ends the program as kill -9 does.
func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// terminate asks the program to end and returns its exit code.
func (p *program) terminate(patience time.Duration) (int, error) {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(patience):
		p.kill()
		return 0, fmt.Errorf("did not end within %s", patience)
	}
}

// tail is the end of the program's log.
func (p *program) tail() string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(data), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
