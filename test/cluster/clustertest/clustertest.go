// Package clustertest starts local clusters for tests.
package clustertest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/cluster/binaries"
)

// NeedBinaries returns the directory of the cluster's programs and skips the test, with the reason, when they are not built.
func NeedBinaries(t testing.TB) string {
	t.Helper()
	dir, err := binaries.Find(binaries.ControlPlane)
	if errors.Is(err, binaries.ErrMissing) && os.Getenv(binaries.EnvDir) == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err) // a directory that was named explicitly must be right
	}
	return dir
}

// Start starts a cluster for the test and stops it at the test's end. It skips the test when the programs are not built. Empty
// Options.Dir means a temporary directory; a nil Options.Progress logs to the test.
func Start(t testing.TB, options cluster.Options) *cluster.Cluster {
	t.Helper()
	if options.BinDir == "" {
		options.BinDir = NeedBinaries(t)
	}
	if options.Progress == nil {
		options.Progress = func(line string) { t.Log(line) }
	}
	c, err := cluster.Start(context.Background(), options)
	if err != nil {
		t.Fatalf("start a cluster: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Err(); err != nil {
			t.Errorf("the cluster broke during the test: %v", err)
		}
		if err := c.Stop(); err != nil {
			t.Errorf("stop the cluster: %v", err)
		}
	})
	return c
}

// Processes lists the IDs of the running processes whose command line contains the text, for example a cluster's directory, which
// every component of it names. Zombies have no command line and are not listed.
func Processes(t testing.TB, text string) []int {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatalf("list the processes: %v", err)
	}
	var found []int
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(line), text) {
			continue // a process that has just ended cannot be read
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			t.Fatalf("list the processes: %v", err)
		}
		found = append(found, pid)
	}
	return found
}
