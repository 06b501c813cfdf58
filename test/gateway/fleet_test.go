package gateway

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	rest "github.com/datapower-operator/datapower-operator/sidecar/datapower"
	"github.com/datapower-operator/datapower-operator/test/gateway/proxy"
)

const namespace = "gateways"

// cluster is a fake API server with a fleet.
type cluster struct {
	t      *testing.T
	client *fake.Clientset
	fleet  *Fleet
	count  int
}

func newCluster(t *testing.T, change ...func(*FleetOptions)) *cluster {
	t.Helper()
	c := &cluster{t: t, client: fake.NewClientset()}
	options := FleetOptions{Client: c.client, Settings: Settings{Timing: quick}}
	for _, apply := range change {
		apply(&options)
	}
	var err error
	c.fleet, err = StartFleet(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.fleet.Stop()) })
	return c
}

// configure makes the objects that the chart renders for a service with one user and the domain apiconnect.
func (c *cluster) configure(service, apiconnect string) {
	c.t.Helper()
	for name, data := range map[string]map[string]string{
		datapower.InitConfigMapName(service): {
			"init.sh": "large", "debug": "false", "password-method": "md5", "health.port": "7879",
			"user.0.name": "admin", "domain.0.name": "default", "domain.1.name": "apiconnect",
		},
		datapower.UserCommandsConfigMapName(service): {"user.0": "access-level privileged\n"},
		service + "-web":        {"web.cfg": "rest-mgmt\n  admin-state enabled\n  local-address 0.0.0.0 5554\nexit\n"},
		service + "-apiconnect": {"peering.cfg": apiconnect},
	} {
		_, err := c.client.CoreV1().ConfigMaps(namespace).Create(c.t.Context(), &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: data,
		}, metav1.CreateOptions{})
		require.NoError(c.t, err)
	}
	_, err := c.client.CoreV1().Secrets(namespace).Create(c.t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: service + "-admin"}, Data: map[string][]byte{"password": []byte(adminPassword)},
	}, metav1.CreateOptions{})
	require.NoError(c.t, err)
}

// run makes a pod that runs at an address.
func (c *cluster) run(service, name, address string) *corev1.Pod {
	c.t.Helper()
	c.count++
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, UID: types.UID(fmt.Sprint(c.count)), Labels: map[string]string{datapower.ServiceLabel: service},
		},
		Spec:   corev1.PodSpec{Containers: []corev1.Container{{Name: datapower.ContainerName}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address},
	}
	add := func(path string, source corev1.VolumeSource) {
		volume := fmt.Sprintf("input-%d", len(pod.Spec.Volumes))
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: volume, VolumeSource: source})
		mount := corev1.VolumeMount{Name: volume, MountPath: "/opt/datapower-operator/" + path}
		pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts, mount)
	}
	for path, name := range map[string]string{
		"init": datapower.InitConfigMapName(service), "user-commands": datapower.UserCommandsConfigMapName(service),
		"domain/0/config/0": service + "-web", "domain/1/config/0": service + "-apiconnect",
	} {
		add(path, corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}})
	}
	add("user/0", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: service + "-admin"}})
	created, err := c.client.CoreV1().Pods(namespace).Create(c.t.Context(), pod, metav1.CreateOptions{})
	require.NoError(c.t, err)
	return created
}

func (c *cluster) delete(name string) {
	c.t.Helper()
	require.NoError(c.t, c.client.CoreV1().Pods(namespace).Delete(c.t.Context(), name, metav1.DeleteOptions{}))
}

// rest makes the operator's client for a pod's address.
func (c *cluster) rest(address string, change ...func(*rest.Options)) *rest.Client {
	c.t.Helper()
	options := rest.Options{
		Address: address + ":5554", Username: admin, Password: adminPassword, Proxy: http.ProxyURL(c.fleet.ProxyURL()),
		TLS: rest.TLSOptions{Pinned: []*x509.Certificate{c.fleet.Host().Certificate()}}, Timeout: 30 * time.Second, RetryWait: time.Millisecond,
	}
	for _, apply := range change {
		apply(&options)
	}
	client, err := rest.New(options)
	require.NoError(c.t, err)
	return client
}

// healed waits until a service has so many live gateways and all is well with them.
func (c *cluster) healed(service string, count int) {
	c.t.Helper()
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err = c.fleet.Healed(namespace, service); err == nil && len(c.fleet.ServiceInstances(namespace, service)) == count {
			return
		}
	}
	require.NoError(c.t, err)
}

// gone waits until the fleet has seen that a pod is gone.
func (c *cluster) gone(name string) {
	c.t.Helper()
	require.Eventually(c.t, func() bool { return c.fleet.Instance(namespace, name) == nil }, 30*time.Second, time.Millisecond)
}

func TestFleetFollowsPods(t *testing.T) {
	c := newCluster(t)
	c.configure("gw", onePeering)
	c.run("gw", "gw-0", "10.244.0.1")
	c.run("gw", "gw-1", "10.244.0.2")
	c.run("gw", "gw-2", "10.244.0.3")
	require.Eventually(t, func() bool { return len(c.fleet.Instances()) == 3 }, 30*time.Second, time.Millisecond)
	c.healed("gw", 3)

	c.delete("gw-2")
	c.gone("gw-2")
	_, err := c.rest("10.244.0.3").Domains(t.Context())
	require.ErrorIs(t, err, rest.ErrUnreachable)
	c.run("gw", "gw-2", "10.244.0.4")
	for _, address := range []string{"10.244.0.1", "10.244.0.2"} {
		eventually(t, c.rest(address), "10.244.0.1 ok primary, 10.244.0.2 ok, 10.244.0.3 down, 10.244.0.4 ok")
	}
	require.ErrorIs(t, c.fleet.Healed(namespace, "gw"), ErrNotHealed)

	for _, address := range []string{"10.244.0.2", "10.244.0.1"} {
		_, err := c.rest(address).Action(t.Context(), "apiconnect", []byte(`{"GatewayPeeringReset":{"GatewayPeering":"gwd"}}`))
		require.NoError(t, err)
		c.waitFor(address)
	}
	c.healed("gw", 3)

	last := c.rest("10.244.0.4")
	require.NoError(t, last.SetAdminState(t.Context(), "apiconnect", "gwd", rest.Disabled))
	require.NoError(t, last.SetAdminState(t.Context(), "apiconnect", "gwd", rest.Enabled))
	resets := c.fleet.Resets(namespace, "gw")
	for i := range resets {
		assert.False(t, resets[i].At.IsZero())
		resets[i].At = time.Time{}
	}
	assert.Equal(t, []Reset{
		{Instance: "gateways/gw-1", Peering: "apiconnect/gwd", Stale: []string{"10.244.0.3"}, Others: []string{"gateways/gw-0"}},
		{Instance: "gateways/gw-0", Peering: "apiconnect/gwd", Primary: true, Stale: []string{"10.244.0.3"}},
		{Instance: "gateways/gw-2", Peering: "apiconnect/gwd"},
	}, resets)
}

// waitFor waits until a gateway has all its links up.
func (c *cluster) waitFor(address string) {
	client := c.rest(address)
	require.Eventually(c.t, func() bool {
		rows, err := client.PeeringStatus(c.t.Context(), "apiconnect")
		for _, row := range rows {
			err = map[bool]error{true: err, false: ErrNotHealed}[row.Up()]
		}
		return err == nil && len(rows) == 3
	}, 30*time.Second, 10*time.Millisecond)
}

func TestServicesDoNotMix(t *testing.T) {
	c := newCluster(t)
	for i, service := range []string{"a", "b"} {
		c.configure(service, onePeering)
		for j := range 2 {
			c.run(service, fmt.Sprintf("%s-%d", service, j), fmt.Sprintf("10.244.%d.%d", i, j+1))
		}
	}
	c.healed("a", 2)
	c.healed("b", 2)
	rows, err := c.rest("10.244.1.1").PeeringStatus(t.Context(), "apiconnect")
	require.NoError(t, err)
	assert.Equal(t, "10.244.1.1 ok primary, 10.244.1.2 ok", picture(rows))
}

func TestAPodWaitsForItsConfiguration(t *testing.T) {
	c := newCluster(t)
	c.run("gw", "gw-0", "10.244.0.1")
	time.Sleep(2 * retryPause)
	assert.Nil(t, c.fleet.Instance(namespace, "gw-0"))
	c.configure("gw", onePeering)
	require.Eventually(t, func() bool { return c.fleet.Instance(namespace, "gw-0") != nil }, 30*time.Second, time.Millisecond)
}

func TestOnlyRunningPodsWithAnAddressAreLive(t *testing.T) {
	c := newCluster(t)
	c.configure("gw", onePeering)
	pod := c.run("gw", "gw-0", "")
	update := func(change func(*corev1.Pod)) {
		change(pod)
		var err error
		pod, err = c.client.CoreV1().Pods(namespace).UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
		require.NoError(t, err)
	}
	live := func(want bool) {
		t.Helper()
		require.Eventually(t, func() bool { return (c.fleet.Instance(namespace, "gw-0") != nil) == want }, 30*time.Second, time.Millisecond)
	}
	update(func(p *corev1.Pod) { p.Status.PodIP = "10.244.0.1" })
	live(true)
	first := c.fleet.Instance(namespace, "gw-0")
	update(func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: datapower.ContainerName, RestartCount: 1}}
	})
	require.Eventually(t, func() bool {
		now := c.fleet.Instance(namespace, "gw-0")
		return now != nil && now != first
	}, 30*time.Second, time.Millisecond, "a restarted container is another gateway")
	update(func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })
	live(false)
}

// A new pod can have the address of an old one before the end of the old one is seen.
func TestTheNewestPodHasTheAddress(t *testing.T) {
	c := newCluster(t)
	c.configure("gw", onePeering)
	c.run("gw", "gw-0", "10.244.0.1")
	require.Eventually(t, func() bool { return c.fleet.Instance(namespace, "gw-0") != nil }, 30*time.Second, time.Millisecond)
	c.run("gw", "gw-1", "10.244.0.1")
	require.Eventually(t, func() bool { return c.fleet.Instance(namespace, "gw-1") != nil }, 30*time.Second, time.Millisecond)
	c.delete("gw-0")
	c.gone("gw-0")
	_, err := c.rest("10.244.0.1").Domains(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "gateways/gw-1", c.fleet.Requests().Since(0)[0].Instance)
}

func TestAKilledGatewayLeavesItsPod(t *testing.T) {
	c := newCluster(t)
	c.configure("gw", onePeering)
	c.run("gw", "gw-0", "10.244.0.1")
	c.run("gw", "gw-1", "10.244.0.2")
	require.Eventually(t, func() bool { return len(c.fleet.Instances()) == 2 }, 30*time.Second, time.Millisecond)
	c.healed("gw", 2)
	assert.True(t, c.fleet.Kill(namespace, "gw-1"))
	assert.False(t, c.fleet.Kill(namespace, "gw-1"))
	eventually(t, c.rest("10.244.0.1"), "10.244.0.1 ok primary, 10.244.0.2 down")
}

func TestDeadAddresses(t *testing.T) {
	for _, silent := range []bool{false, true} {
		c := newCluster(t, func(o *FleetOptions) { o.DeadAddressesAreSilent = silent })
		begin := time.Now()
		_, err := c.rest("10.244.9.9", func(o *rest.Options) { o.Timeout, o.Retries = 200*time.Millisecond, -1 }).Domains(t.Context())
		require.ErrorIs(t, err, rest.ErrUnreachable)
		assert.Equal(t, silent, time.Since(begin) >= 200*time.Millisecond)
	}
}

func TestAuthorityOfAFleet(t *testing.T) {
	authority, err := NewAuthority()
	require.NoError(t, err)
	c := newCluster(t, func(o *FleetOptions) { o.Authority = authority })
	c.configure("gw", onePeering)
	c.run("gw", "gw-0", "10.244.0.1")
	require.Eventually(t, func() bool { return len(c.fleet.Instances()) == 1 }, 30*time.Second, time.Millisecond)
	for name, server := range map[string]string{"by address": "", "by name": "gw-0.gw-headless.gateways.svc"} {
		client := c.rest("10.244.0.1", func(o *rest.Options) {
			o.TLS = rest.TLSOptions{CAs: authority.Pool(), ServerName: server}
		})
		_, err := client.Domains(t.Context())
		require.NoError(t, err, name)
	}
}

func TestNamesInTheHeadlessService(t *testing.T) {
	c := newCluster(t)
	c.configure("gw", onePeering)
	c.run("gw", "gw-0", "10.244.0.1")
	c.run("gw", "gw-1", "10.244.0.2")
	require.Eventually(t, func() bool { return len(c.fleet.Instances()) == 2 }, 30*time.Second, time.Millisecond)
	network := podNetwork{c.fleet, types.NamespacedName{Namespace: namespace, Name: "gw"}}
	for host, want := range map[string][]string{
		"gw-headless":                                 {"10.244.0.1", "10.244.0.2"},
		"gw-headless.gateways":                        {"10.244.0.1", "10.244.0.2"},
		"gw-headless.gateways.svc.cluster.local":      {"10.244.0.1", "10.244.0.2"},
		"gw-1.gw-headless":                            {"10.244.0.2"},
		"gw-1.gw-headless.gateways.svc.cluster.local": {"10.244.0.2"},
		"gw-9.gw-headless":                            nil,
		"gw-headless.elsewhere":                       nil,
		"gw":                                          nil,
	} {
		found, err := network.Lookup(t.Context(), host)
		assert.Equal(t, want, found, host)
		assert.Equal(t, want == nil, err != nil, host)
	}
}

func TestNonsenseAddressesAreRefused(t *testing.T) {
	c := newCluster(t)
	for _, address := range []string{"", "10.0.0.1", "10.0.0.1:http", "gw:5554"} {
		_, err := c.fleet.route(address)
		require.ErrorIs(t, err, proxy.ErrRefused, address)
	}
}
