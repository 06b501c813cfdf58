package conversion_test

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/webhooks/conversionruntime"
)

// storedAs makes a version the one that is stored.
func storedAs(version string) func(*apiextensionsv1.CustomResourceDefinition) {
	return func(crd *apiextensionsv1.CustomResourceDefinition) {
		for i := range crd.Spec.Versions {
			crd.Spec.Versions[i].Storage = crd.Spec.Versions[i].Name == version
		}
	}
}

// stored makes services that are stored in v1beta1, and then v1beta3 the version that is stored.
func (w *world) stored(n int) {
	w.Helper()
	w.install(storedAs("v1beta1"))
	w.eventually("the definition is served", func() bool {
		return w.client.Create(w.Context(), oldService(gateways, "gw-0000")) == nil
	})
	jobs := make(chan int)
	var makers sync.WaitGroup
	for range 8 {
		makers.Go(func() {
			for i := range jobs {
				assert.NoError(w, w.client.Create(w.Context(), oldService(gateways, fmt.Sprintf("gw-%04d", i))))
			}
		})
	}
	for i := 1; i < n; i++ {
		jobs <- i
	}
	close(jobs)
	makers.Wait()
	require.False(w, w.Failed())
	w.install(storedAs("v1beta3"))
	w.eventually("both versions are stored", func() bool {
		return slices.Equal(w.crd().Status.StoredVersions, []string{"v1beta1", "v1beta3"})
	})
}

func TestServicesStoredInAnOldVersionAreServedAndRewritten(t *testing.T) {
	const n = 120
	w := newWorld(t, cluster.Options{})
	w.namespace("operators")
	w.namespace(gateways)
	w.stored(n)

	// The sidecar's own caches list v1beta3, and what is stored is v1beta1: it has to serve before they fill.
	p := w.sidecar("operators", "--conversion=process", "--storage-migration-rate=15")
	w.eventually("an object that is stored in v1beta1 is read as v1beta3", func() bool {
		_, err := w.read("v1beta3", gateways, "gw-0000")
		return err == nil
	})
	w.eventually("the other half of the sidecar works too", func() bool {
		object, err := w.read("v1beta3", gateways, "gw-0000")
		if err != nil {
			return false
		}
		phase, _, _ := unstructured.NestedString(object.Object, "status", "phase")
		return phase != ""
	})
	p.end(syscall.SIGKILL) // in the middle: at 15 per second they take 8 seconds
	assert.Equal(t, []string{"v1beta1", "v1beta3"}, w.crd().Status.StoredVersions, "not before all are rewritten")

	w.sidecar("operators", "--conversion=process", "--storage-migration-rate=200")
	w.eventually("only v1beta3 is stored", func() bool {
		return slices.Equal(w.crd().Status.StoredVersions, []string{"v1beta3"})
	})
	object := w.mustRead("v1beta1", gateways, fmt.Sprintf("gw-%04d", n-1))
	_, found, _ := unstructured.NestedMap(object.Object, "spec", "datapowerMonitor")
	assert.True(t, found, "nothing is lost")
	assert.EqualValues(t, 1, object.GetGeneration(), "nothing was changed")
}

func TestARotationOfCertificatesFailsNoRequest(t *testing.T) {
	w := newWorld(t, cluster.Options{})
	w.namespace("operators")
	w.namespace(gateways)
	w.install(nil)
	w.sidecar("operators", "--conversion=process", "--conversion-certificate-lifetime=9s")
	w.makeOld(gateways, "old")
	secret := func(name string) string {
		s := &corev1.Secret{}
		require.NoError(w, w.client.Get(w.Context(), client.ObjectKey{Namespace: "operators", Name: name}, s))
		return string(s.Data["tls.crt"])
	}
	ca, leaf := secret(conversionruntime.CASecretName), secret(conversionruntime.SecretName)
	var calls, failures atomic.Int64
	var first atomic.Value
	stop := make(chan struct{})
	var callers sync.WaitGroup
	for range 5 {
		callers.Go(func() {
			every := time.NewTicker(100 * time.Millisecond) // 50 per second in all
			defer every.Stop()
			for {
				select {
				case <-stop:
					return
				case <-every.C:
				}
				calls.Add(1)
				if _, err := w.read("v1beta1", gateways, "old"); err != nil {
					failures.Add(1)
					first.CompareAndSwap(nil, err.Error())
				}
			}
		})
	}
	changes := 0
	w.eventually("two leaves and a CA later", func() bool {
		if now := secret(conversionruntime.SecretName); now != leaf {
			leaf = now
			changes++
		}
		return changes >= 2 && secret(conversionruntime.CASecretName) != ca
	})
	w.eventually("the old CA is dropped", func() bool {
		s := &corev1.Secret{}
		require.NoError(w, w.client.Get(w.Context(), client.ObjectKey{Namespace: "operators", Name: conversionruntime.CASecretName}, s))
		return string(s.Data["ca.crt"]) == string(s.Data["tls.crt"])
	})
	close(stop)
	callers.Wait()
	assert.Zero(t, failures.Load(), "%v", first.Load())
	t.Logf("%d reads in an old version, %d failed; %d leaves", calls.Load(), failures.Load(), changes)
}

// TestListOfManyStoredInAnOldVersion measures: CONVERSION_BENCH=1.
func TestListOfManyStoredInAnOldVersion(t *testing.T) {
	if os.Getenv("CONVERSION_BENCH") == "" {
		t.Skip("a measurement: set CONVERSION_BENCH")
	}
	// Without its cache the API server converts at every list.
	w := newWorld(t, cluster.Options{APIServerArgs: []string{"--watch-cache=false"}})
	w.namespace("operators")
	w.namespace(gateways)
	w.stored(1000)
	p := w.sidecar("operators", "--conversion=process", "--storage-migration-rate=0.01")
	list := func() time.Duration {
		objects := &unstructured.UnstructuredList{}
		objects.SetGroupVersionKind(serviceGVK("v1beta3"))
		started := time.Now()
		if err := w.client.List(w.Context(), objects); err != nil || len(objects.Items) != 1000 {
			return 0
		}
		return time.Since(started)
	}
	w.eventually("a list works", func() bool { return list() > 0 })
	for range 5 {
		t.Logf("1000 services stored in v1beta1, listed in v1beta3: %s", list())
	}
	p.end(syscall.SIGTERM)
	w.sidecar("operators", "--conversion=process", "--storage-migration-rate=500")
	w.eventually("only v1beta3 is stored", func() bool {
		return slices.Equal(w.crd().Status.StoredVersions, []string{"v1beta3"})
	})
	for range 5 {
		t.Logf("1000 services stored in v1beta3, listed in v1beta3 (no conversion): %s", list())
	}
}
