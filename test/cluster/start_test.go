package cluster_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/cluster/binaries"
	"github.com/datapower-operator/datapower-operator/test/cluster/clustertest"
	"github.com/datapower-operator/datapower-operator/test/cluster/node"
)

func TestMain(m *testing.M) {
	if node.Handles(os.Args[1:]) {
		fmt.Println(node.Run(os.Args[1:]))
		os.Exit(1)
	}
	if dir := os.Getenv(helperEnv); dir != "" {
		os.Exit(helper(dir))
	}
	goleak.VerifyTestMain(m)
}

// fakePrograms is a directory in which each program is the given shell script.
func fakePrograms(t *testing.T, script string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range binaries.Names(binaries.ControlPlane) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755))
	}
	return dir
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, nodes := range []int{-1, cluster.MaxNodes + 1} {
		_, err := cluster.Start(context.Background(), cluster.Options{BinDir: t.TempDir(), Nodes: nodes})
		require.ErrorIs(t, err, cluster.ErrOptions)
	}
}

func TestMissingProgramsAreNamed(t *testing.T) {
	t.Setenv(binaries.EnvDir, t.TempDir())
	_, err := cluster.Start(context.Background(), cluster.Options{})
	require.ErrorIs(t, err, binaries.ErrMissing)
}

func TestAComponentThatDiesAtTheStartIsNamedWithItsLastWords(t *testing.T) {
	dir := t.TempDir()
	_, err := cluster.Start(context.Background(), cluster.Options{
		BinDir: fakePrograms(t, "echo first; echo 'cannot open the database' >&2; exit 3"), Dir: dir,
	})
	require.ErrorContains(t, err, "waiting until etcd is healthy: etcd ended: exit status 3")
	require.ErrorContains(t, err, "cannot open the database")
	assert.Equal(t, 1, strings.Count(err.Error(), "cannot open the database"), "the log is shown once")
	assert.FileExists(t, filepath.Join(cluster.LogsIn(dir), "etcd.log"), "the log stays for a look")
	assert.NoFileExists(t, cluster.KubeconfigIn(dir))
	assert.Empty(t, clustertest.Processes(t, dir))
}

func TestACancelledStartStopsWhatWasStarted(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error, 1)
	go func() {
		_, err := cluster.Start(ctx, cluster.Options{BinDir: fakePrograms(t, "exec sleep 1000 # \"$@\""), Dir: dir})
		failed <- err
	}()
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(cluster.LogsIn(dir), "etcd.log"))
		return err == nil
	}, eventually, tick)
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	assert.Empty(t, clustertest.Processes(t, dir))
}
