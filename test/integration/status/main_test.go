// Package status_test runs the sidecar's status writer against a real API
// server. Nothing else runs there: the tests play the helm-operator, the
// StatefulSet controller and the kubelet.
//
// The tests need etcd and kube-apiserver in the directory that
// KUBEBUILDER_ASSETS names, and skip without it.
package status_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/spf13/pflag"
	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/internal/program"
	"github.com/datapower-operator/datapower-operator/sidecar/catalogue"
	"github.com/datapower-operator/datapower-operator/sidecar/status"
)

// assets is the environment variable of controller-runtime's envtest.
const assets = "KUBEBUILDER_ASSETS"

// cluster is what the tests share: an API server and a running status writer
// for all its namespaces.
var cluster struct {
	client client.Client // reads and writes live
	config *rest.Config
	wire   *wire
	errors lockedBuffer // what the status writer logs at level error
}

func TestMain(m *testing.M) {
	if os.Getenv(assets) == "" {
		os.Exit(m.Run()) // every test skips
	}
	code, err := withCluster(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if problem := leftovers(); problem != nil {
		fmt.Fprintln(os.Stderr, problem)
		code = 1
	}
	os.Exit(code)
}

// leftovers tells of goroutines that outlive the manager and of errors that it
// logged: none of these tests makes one happen.
func leftovers() error {
	// The metadata informers' watches stay in a channel send when they are
	// stopped while an event is on its way (apimachinery, pkg/watch/filter.go).
	upstream := goleak.IgnoreAnyFunction("k8s.io/apimachinery/pkg/watch.(*filteredWatch).loop")
	if err := goleak.Find(upstream); err != nil {
		return fmt.Errorf("goroutines outlive the manager: %w", err)
	}
	if text := cluster.errors.String(); text != "" {
		return fmt.Errorf("the status writer logged errors:\n%s", text)
	}
	return nil
}

func withCluster(run func() int) (code int, err error) {
	s := runtime.NewScheme()
	if err := scheme.AddToScheme(s); err != nil {
		return 1, err
	}
	if err := v1beta3.AddToScheme(s); err != nil {
		return 1, err
	}
	env := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "..", "..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	if cluster.config, err = env.Start(); err != nil {
		return 1, fmt.Errorf("starting the API server: %w", err)
	}
	defer func() {
		if stopErr := env.Stop(); err == nil {
			err = stopErr
		}
	}()
	httpClient, err := rest.HTTPClientFor(cluster.config)
	if err != nil {
		return 1, err
	}
	defer httpClient.CloseIdleConnections()
	if cluster.client, err = client.New(cluster.config, client.Options{Scheme: s, HTTPClient: httpClient}); err != nil {
		return 1, err
	}
	return withStatusWriter(s, run)
}

// withStatusWriter runs the controller as cmd/sidecar does, with an ear on the
// wire.
func withStatusWriter(s *runtime.Scheme, run func() int) (int, error) {
	opts := program.NewOptions("status-test", program.Ports{Metrics: "0", Health: "0"})
	opts.LeaderElect = false
	opts.RESTConfig = cluster.config
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	opts.BindFlags(flags)
	if err := flags.Parse([]string{"--zap-log-level=error"}); err != nil {
		return 1, err
	}
	opts.SetLogger(&cluster.errors)
	byObject, err := status.CacheOptions()
	if err != nil {
		return 1, err
	}
	opts.Cache.ByObject = byObject
	mgr, err := program.NewManager("status-test", s, opts)
	if err != nil {
		return 1, err
	}
	cluster.wire = &wire{writes: map[string]int{}, reads: map[string][]string{}}
	known, err := catalogue.Parse([]byte("catalogue: {channels: {10.6-lts: {version: 10.6.0.1}}, versions: {10.6.0.1: {}}, licenses: {L-ABCD-EFGHIJ: {}}}"))
	if err != nil {
		return 1, err
	}
	reconciler := status.NewReconciler(countingClient{mgr.GetClient(), cluster.wire}, countingReader{mgr.GetAPIReader(), cluster.wire},
		mgr.GetEventRecorder("status-test"), known, nil)
	if err := reconciler.SetupWithManager(mgr); err != nil {
		return 1, err
	}
	ctx, stop := context.WithCancel(context.Background())
	var stopped error
	var running sync.WaitGroup
	running.Go(func() { stopped = mgr.Start(ctx) })
	mgr.GetCache().WaitForCacheSync(ctx)
	code := run()
	stop()
	running.Wait()
	mgr.GetHTTPClient().CloseIdleConnections()
	return code, stopped
}

// lockedBuffer is a buffer for several goroutines.
type lockedBuffer struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.String()
}

// wire counts by namespace what the status writer sends to the API server.
type wire struct {
	mutex  sync.Mutex
	writes map[string]int
	reads  map[string][]string
}

func (w *wire) wrote(namespace string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.writes[namespace]++
}

func (w *wire) read(namespace, what string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.reads[namespace] = append(w.reads[namespace], what)
}

// traffic is how many writes and which live reads there were so far.
func (w *wire) traffic(namespace string) (writes int, reads []string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.writes[namespace], append([]string(nil), w.reads[namespace]...)
}

type countingReader struct {
	client.Reader
	wire *wire
}

func (r countingReader) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	r.wire.read(key.Namespace, fmt.Sprintf("%T", obj))
	return r.Reader.Get(ctx, key, obj, opts...)
}

type countingClient struct {
	client.Client
	wire *wire
}

func (c countingClient) Status() client.SubResourceWriter {
	return countingWriter{c.Client.Status(), c.wire}
}

type countingWriter struct {
	client.SubResourceWriter
	wire *wire
}

func (w countingWriter) Apply(ctx context.Context, obj runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
	if named, ok := obj.(interface{ GetNamespace() string }); ok {
		w.wire.wrote(named.GetNamespace())
	}
	return w.SubResourceWriter.Apply(ctx, obj, opts...)
}

func (w countingWriter) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	w.wire.wrote(obj.GetNamespace())
	return w.SubResourceWriter.Patch(ctx, obj, patch, opts...)
}
