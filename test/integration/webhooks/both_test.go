package webhooks_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiextensionsclient "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/webhooks/conversionruntime"
	"github.com/datapower-operator/datapower-operator/webhooks/pki"
)

// Both webhooks have three replicas behind Services. The pods of the conversion webhook are programs of this machine whose
// certificates arrive late, as the kubelet brings them.
func TestARotationOfBothCertificatesUnderLoadFailsNoRequest(t *testing.T) {
	needWorld(t)
	const lifetime, perSecond = "12s", 50
	t.Cleanup(func() { forgetConversion(t) })
	operator := startReplicas(t, "both", 3, "--webhook-certificate-lifetime="+lifetime, "--conversion=deployment",
		"--conversion-certificate-lifetime="+lifetime)
	eventually(t, patience, func() error {
		return world.client.Get(t.Context(), client.ObjectKey{Namespace: operator.namespace, Name: conversionruntime.SecretName}, &corev1.Secret{})
	})
	for i := range 3 {
		startConversionPod(t, operator, i)
	}
	require.NoError(t, works(t, operator.namespace))
	require.NoError(t, world.client.Create(t.Context(), service(t, operator.namespace, "old", minimal)))
	eventually(t, patience, func() error { return readOld(t.Context(), operator.namespace) })

	admission, conversion := startLoad(t, operator.namespace, perSecond), startReads(t, operator.namespace, perSecond)
	cas := func() [2]string {
		return [2]string{fmt.Sprint(authorities(t, operator.namespace)), fmt.Sprint(authoritiesOf(t, operator.namespace, conversionruntime.CASecretName))}
	}
	first, single := cas(), false
	eventually(t, 3*patience, func() error {
		now := cas()
		single = len(authorities(t, operator.namespace)) == 1 && len(authoritiesOf(t, operator.namespace, conversionruntime.CASecretName)) == 1
		if now[0] == first[0] || now[1] == first[1] || !single {
			return fmt.Errorf("the CAs of both are not replaced yet: %v, at first %v", now, first)
		}
		return nil
	})
	asked, refused := admission.end()
	read, failed := conversion.end()
	t.Logf("%d admissions and %d conversions while the CAs of both were replaced", asked, read)
	assert.Empty(t, refused)
	assert.Empty(t, failed)
	assert.Greater(t, asked, 200)
	assert.Greater(t, read, 200)
}

// forgetConversion takes back what a conversion webhook that ends leaves in the definition that all tests share.
func forgetConversion(t *testing.T) {
	c, err := apiextensionsclient.NewForConfig(unlimited(world.RESTConfig()))
	require.NoError(t, err)
	_, err = c.ApiextensionsV1().CustomResourceDefinitions().Patch(context.Background(), conversionruntime.CRDName, types.MergePatchType,
		[]byte(`{"spec":{"conversion":{"strategy":"None","webhook":null}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
}

// startConversionPod starts a replica of the conversion webhook with a volume that follows the Secret.
func startConversionPod(t *testing.T, operator *replicated, i int) {
	t.Helper()
	dir, address := t.TempDir(), ""
	require.NoError(t, copyCertificate(t.Context(), operator.namespace, dir))
	listener, err := net.Listen("tcp", net.JoinHostPort(operator.host, "0"))
	require.NoError(t, err)
	address = listener.Addr().String()
	require.NoError(t, listener.Close())
	log := &logBuffer{}
	command := exec.Command(filepath.Join(world.bin, "sidecar"), "conversion-webhook", "--cert-dir="+dir, "--bind-address="+address,
		"--health-probe-bind-address=0", "--drain=0", "--chart-values="+chartValues)
	command.Stdout, command.Stderr = log, log
	require.NoError(t, command.Start())
	ctx, stop := context.WithCancel(context.Background())
	var kubelet sync.WaitGroup
	kubelet.Go(func() {
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(500*time.Millisecond + rand.N(time.Second)):
				_ = copyCertificate(ctx, operator.namespace, dir) // the next round brings it
			}
		}
	})
	t.Cleanup(func() {
		stop()
		kubelet.Wait()
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
		if t.Failed() {
			t.Logf("conversion pod %d:\n%s", i, log)
		}
	})
	eventually(t, patience, func() error {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	port := int32(listener.Addr().(*net.TCPAddr).Port)
	require.NoError(t, world.client.Create(t.Context(), &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: operator.namespace, Name: fmt.Sprintf("conversion-%d", i),
			Labels: map[string]string{discoveryv1.LabelServiceName: conversionruntime.Name}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{operator.host}, Conditions: discoveryv1.EndpointConditions{Ready: new(true)}}},
		Ports:       []discoveryv1.EndpointPort{{Name: new("webhook"), Port: &port, Protocol: new(corev1.ProtocolTCP)}},
	}))
}

// copyCertificate writes the files of the Secret as the kubelet does: all of them in one step, through a symbolic link.
func copyCertificate(ctx context.Context, namespace, dir string) error {
	found := &corev1.Secret{}
	if err := world.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: conversionruntime.SecretName}, found); err != nil {
		return err
	}
	link := filepath.Join(dir, "..data")
	if old, err := os.ReadFile(filepath.Join(link, corev1.TLSCertKey)); err == nil && bytes.Equal(old, found.Data[corev1.TLSCertKey]) {
		return nil
	}
	version, err := os.MkdirTemp(dir, "..version")
	if err != nil {
		return err
	}
	for _, key := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		if err := os.WriteFile(filepath.Join(version, key), found.Data[key], 0o600); err != nil {
			return err
		}
		if err := os.Symlink(filepath.Join("..data", key), filepath.Join(dir, key)); err != nil && !os.IsExist(err) {
			return err
		}
	}
	if err := os.Symlink(filepath.Base(version), version+".link"); err != nil {
		return err
	}
	return os.Rename(version+".link", link)
}

// authoritiesOf are the serial numbers of the CAs in the bundle of a Secret.
func authoritiesOf(t testing.TB, namespace, name string) []string {
	t.Helper()
	bundle, err := pki.ParseBundle(secret(t, namespace, name).Data["ca.crt"])
	require.NoError(t, err)
	var serials []string
	for _, cert := range bundle {
		serials = append(serials, cert.SerialNumber.String())
	}
	return serials
}

// readOld reads the service "old" in an old version.
func readOld(ctx context.Context, namespace string) error {
	object := &unstructured.Unstructured{}
	object.SetAPIVersion("datapower.ibm.com/v1beta1")
	object.SetKind("DataPowerService")
	return world.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "old"}, object)
}

// startReads reads in an old version, so many times in a second, until it is stopped.
func startReads(t testing.TB, namespace string, perSecond int) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{stop: cancel}
	t.Cleanup(func() { cancel(); l.running.Wait() })
	l.running.Go(func() {
		ticks := time.NewTicker(time.Second / time.Duration(perSecond))
		defer ticks.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
				l.running.Go(func() {
					err := readOld(context.Background(), namespace)
					l.mutex.Lock()
					defer l.mutex.Unlock()
					l.requests++
					if err != nil {
						l.failures = append(l.failures, fmt.Sprint(time.Now().Format(time.StampMilli), " ", err))
					}
				})
			}
		}
	})
	return l
}
