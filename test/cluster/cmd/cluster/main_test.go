package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/datapower-operator/datapower-operator/test/cluster/binaries"
	"github.com/datapower-operator/datapower-operator/test/cluster/clustertest"
	"github.com/datapower-operator/datapower-operator/test/cluster/supervisor"
)

// TestMain lets this test binary be the supervisor, as `up` starts its own program for that.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == supervisor.Command {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// call runs the command line and returns its exit status and output.
func call(args ...string) (code int, stdout, stderr string) {
	var out, complaints bytes.Buffer
	code = run(context.Background(), args, &out, &complaints)
	return code, out.String(), complaints.String()
}

func TestWrongCommandLinesAreExplained(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no command":         {nil, "error: want exactly one command"},
		"an unknown command": {[]string{"sideways"}, `error: unknown command "sideways"`},
		"two commands":       {[]string{"up", "down"}, "error: want exactly one command"},
		"an unknown flag":    {[]string{"up", "--fast"}, "error: unknown flag: --fast"},
		"a wrong number":     {[]string{"up", "--nodes=many"}, "error: invalid argument"},
		"too many nodes":     {[]string{"up", "--nodes=251"}, "error: invalid argument 251 for --nodes: want 0 to 250"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := call(test.args...)
			assert.Equal(t, 2, code)
			assert.Empty(t, stdout)
			assert.Contains(t, stderr, test.want)
			assert.Contains(t, stderr, "Usage: cluster COMMAND")
		})
	}
}

func TestHelpNamesTheCommandsButNotTheHiddenOne(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"--help"}, {"up", "-h"}} {
		code, stdout, stderr := call(args...)
		assert.Zero(t, code)
		assert.Empty(t, stderr)
		for _, want := range []string{"\n  up ", "\n  down ", "\n  status ", "\n  build ", "--nodes", "--audit-log", "DATAPOWER_CLUSTER_BIN"} {
			assert.Contains(t, stdout, want)
		}
		assert.NotContains(t, stdout, supervisor.Command)
	}
}

func TestWithoutAClusterThereIsNothingToStop(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	code, stdout, stderr := call("down", "--dir", dir)
	assert.Zero(t, code)
	assert.Equal(t, "No cluster runs.\n", stdout)
	assert.Empty(t, stderr)
	code, stdout, _ = call("status", "--dir", dir)
	assert.Equal(t, 3, code)
	assert.Equal(t, "No cluster runs.\n", stdout)
}

func TestOutsideTheRepositoryTheErrorSaysSo(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv(binaries.EnvDir, "")
	for _, command := range []string{"up", "down", "status", "build"} {
		code, _, stderr := call(command)
		assert.Equal(t, 1, code)
		assert.Contains(t, stderr, "not inside the repository", command)
	}
}

func TestAClusterFromUpToDown(t *testing.T) {
	t.Setenv(binaries.EnvDir, clustertest.NeedBinaries(t))
	dir := t.TempDir()
	t.Cleanup(func() { call("down", "--dir", dir) })
	code, stdout, stderr := call("up", "--dir", dir, "--nodes", "2", "--audit-log")
	require.Zero(t, code, stderr)
	assert.Contains(t, stdout, "kube-apiserver is ready")
	assert.Contains(t, stdout, "is ready after ")
	assert.Contains(t, stdout, "2 simulated nodes, https://127.0.0.1:")
	assert.Contains(t, stdout, "\n  export KUBECONFIG="+dir+"/kubeconfig\n")
	assert.Contains(t, stdout, "cluster down --dir "+dir+"\n")

	code, stdout, stderr = call("up", "--dir", dir)
	require.Zero(t, code, stderr)
	assert.Contains(t, stdout, " already runs: 2 simulated nodes")

	code, stdout, _ = call("status", "--dir", dir)
	assert.Zero(t, code)
	assert.Contains(t, stdout, "KUBECONFIG="+dir+"/kubeconfig\n")
	assert.Contains(t, stdout, "audit log: "+dir)
	for _, component := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"} {
		assert.Contains(t, stdout, "\n  "+component+" ")
	}

	code, stdout, stderr = call("down", "--dir", dir)
	require.Zero(t, code, stderr)
	assert.Equal(t, "The cluster is stopped.\n", stdout)
	assert.Empty(t, clustertest.Processes(t, dir))
}
