// Package faults_test kills the helm-operator at every moment that matters and looks at what its successor makes of
// it. By default a sample of the slow tests runs; FAULTS=full runs everything.
package faults_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// full says that every case is to run, however long it takes.
var full = os.Getenv("FAULTS") == "full"

const assets = "KUBEBUILDER_ASSETS"

var (
	apiServer *rest.Config
	kube      client.Client
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	logs := io.Discard
	if os.Getenv("TEST_LOGS") != "" {
		logs = os.Stderr
	}
	ctrl.SetLogger(zap.New(zap.WriteTo(logs), zap.UseDevMode(logs != io.Discard)))
	if os.Getenv(assets) == "" {
		return m.Run() // the tests that need it skip
	}
	env := &envtest.Environment{CRDDirectoryPaths: []string{filepath.Join("testdata", "crd.yaml")}, ErrorIfCRDPathMissing: true}
	cfg, err := env.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, "start API server:", err)
		return 1
	}
	defer func() { _ = env.Stop() }()
	apiServer = cfg
	if kube, err = client.New(cfg, client.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func needAPIServer(t *testing.T) {
	t.Helper()
	if os.Getenv(assets) == "" {
		t.Skipf("needs the API server's programs: set %s (make test does)", assets)
	}
	require.NotNil(t, kube)
}
