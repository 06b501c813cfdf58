package webhooks_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// longVariable asks for the long form of these tests.
const longVariable = "WEBHOOKS_LONG"

var loopback = []net.IP{net.IPv4(127, 0, 0, 1)}

// hostAddress is an address of this machine that Kubernetes accepts as an endpoint, which loopback is not.
func hostAddress(t testing.TB) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.IP.To4() != nil && network.IP.IsGlobalUnicast() {
			return network.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback, so no replica can be an endpoint of a Service")
	return ""
}

// replicated is an operator of several replicas behind a Service.
type replicated struct {
	namespace string
	host      string
	replicas  []*sidecar
}

// startReplicas starts replicas that compete for the Lease, and does what the endpoints controller does for pods.
func startReplicas(t testing.TB, namespace string, count int, args ...string) *replicated {
	t.Helper()
	r := &replicated{namespace: makeNamespace(t, namespace), host: hostAddress(t)}
	require.NoError(t, world.client.Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "datapower-operator"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "webhooks", Port: 443}}},
	}))
	for i := range count {
		listener, err := net.Listen("tcp", net.JoinHostPort(r.host, "0"))
		require.NoError(t, err)
		address := listener.Addr().String()
		require.NoError(t, listener.Close())
		replica := start(t, namespace, nil, append([]string{
			"--webhook-host=", "--webhook-bind-address=" + address, "--leader-elect=true",
			// A leader that a busy machine keeps from renewing its Lease ends, and here nobody would take its endpoint away.
			"--leader-election-lease-duration=60s", "--leader-election-renew-deadline=40s", "--leader-election-retry-period=500ms",
		}, args...)...)
		r.replicas = append(r.replicas, replica)
		replica.untilReady()
		r.endpoint(t, i, address)
	}
	return r
}

// endpoint adds a replica to the Service.
func (r *replicated) endpoint(t testing.TB, i int, address string) {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	var number int32
	_, err = fmt.Sscan(port, &number)
	require.NoError(t, err)
	require.NoError(t, world.client.Create(t.Context(), &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: r.slice(i),
			Labels: map[string]string{discoveryv1.LabelServiceName: "datapower-operator"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{r.host}, Conditions: discoveryv1.EndpointConditions{Ready: new(true)}}},
		Ports:       []discoveryv1.EndpointPort{{Name: new("webhooks"), Port: &number, Protocol: new(corev1.ProtocolTCP)}},
	}))
}

func (r *replicated) slice(i int) string { return fmt.Sprintf("replica-%d", i) }

// terminate stops a replica as Kubernetes stops a pod: the order to stop first, and a little later the endpoint goes.
func (r *replicated) terminate(t testing.TB, i int) {
	t.Helper()
	require.NoError(t, r.replicas[i].command.Process.Signal(syscall.SIGTERM))
	time.Sleep(500 * time.Millisecond)
	require.NoError(t, world.client.Delete(t.Context(),
		&discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: r.slice(i)}}))
	<-r.replicas[i].ended
}

// load makes admission requests until it is stopped, and keeps what fails.
type load struct {
	stop     context.CancelFunc
	running  sync.WaitGroup
	mutex    sync.Mutex
	requests int
	failures []string
}

// startLoad makes so many requests in a second, half of which the webhook must refuse.
func startLoad(t testing.TB, namespace string, perSecond int) *load {
	t.Helper()
	c, err := client.New(unlimited(world.RESTConfig()), client.Options{Scheme: scheme.Scheme})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{stop: cancel}
	t.Cleanup(func() { cancel(); l.running.Wait() })
	right, wrong := service(t, namespace, "load", minimal), service(t, namespace, "load", minimal)
	wrong.Object["spec"].(map[string]any)["version"] = "9.9-lts"
	l.running.Go(func() {
		ticks := time.NewTicker(time.Second / time.Duration(perSecond))
		defer ticks.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
				l.running.Go(func() { l.request(c, right, wrong, i%2 == 1) })
			}
		}
	})
	return l
}

func (l *load) request(c client.Client, right, wrong client.Object, expectRefusal bool) {
	object := right
	if expectRefusal {
		object = wrong
	}
	err := c.Create(context.Background(), object.DeepCopyObject().(client.Object), client.DryRunAll)
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.requests++
	refused := err != nil && strings.Contains(err.Error(), "denied the request")
	if refused != expectRefusal || err != nil && !refused {
		l.failures = append(l.failures, fmt.Sprint(time.Now().Format(time.StampMilli), " ", err))
	}
}

// end stops the load; it returns the number of requests and the failures.
func (l *load) end() (int, []string) {
	l.stop()
	l.running.Wait()
	return l.requests, l.failures
}

func TestARotationUnderLoadFailsNoRequest(t *testing.T) {
	needWorld(t)
	const leafLifetime = 9 * time.Second
	wanted := 1
	if os.Getenv(longVariable) != "" {
		wanted = 10
	}
	operator := startReplicas(t, "rotation", 3, "--webhook-certificate-lifetime="+leafLifetime.String())
	require.NoError(t, works(t, operator.namespace))
	first := authorities(t, operator.namespace)
	require.Len(t, first, 1)
	traffic := startLoad(t, operator.namespace, 50)
	// Rotations of the CA; in between the leaf is renewed again and again.
	seen, rotations, overlapped := first[0], 0, false
	eventually(t, time.Duration(wanted+1)*patience, func() error {
		now := authorities(t, operator.namespace)
		overlapped = overlapped || len(now) > 1
		if len(now) == 1 && now[0] != seen {
			seen = now[0]
			rotations++
		}
		if rotations < wanted {
			return fmt.Errorf("%d rotations", rotations)
		}
		return nil
	})
	count, failures := traffic.end()
	t.Logf("%d requests during %d rotations", count, rotations)
	assert.Empty(t, failures)
	assert.Greater(t, count, 500)
	assert.True(t, overlapped, "the old and the new CA are trusted for a time")
	for _, replica := range operator.replicas {
		assert.NotContains(t, replica.log.String(), `"level":"error"`)
	}
}

// authorities are the serial numbers of the CAs that the API server is told to trust.
func authorities(t testing.TB, namespace string) []string {
	t.Helper()
	return slices.Sorted(slices.Values(authoritiesOf(t, namespace, "datapower-operator-ca")))
}

func TestTheEndOfAReplicaLosesNoRequest(t *testing.T) {
	needWorld(t)
	operator := startReplicas(t, "drain", 3, "--webhook-drain=2s")
	require.NoError(t, works(t, operator.namespace))
	traffic := startLoad(t, operator.namespace, 50)
	for i := range 2 { // one of them is the one that the API server is connected to, or the leader
		operator.terminate(t, i)
	}
	time.Sleep(time.Second)
	count, failures := traffic.end()
	assert.Empty(t, failures)
	assert.Greater(t, count, 100)
	require.NoError(t, works(t, operator.namespace))
	eventually(t, patience, func() error { // the last replica has taken over
		require.NoError(t, client.IgnoreNotFound(world.client.Delete(t.Context(), secret(t, operator.namespace, "datapower-operator"))))
		time.Sleep(time.Second)
		return world.client.Get(t.Context(), client.ObjectKey{Namespace: operator.namespace, Name: "datapower-operator"}, &corev1.Secret{})
	})
}
