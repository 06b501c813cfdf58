package peering

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	api "github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/sidecar/datapower"
	"github.com/datapower-operator/datapower-operator/test/gateway"
	"github.com/datapower-operator/datapower-operator/test/gateway/config"
	standin "github.com/datapower-operator/datapower-operator/test/gateway/peering"
)

const (
	namespace, serviceName = "gateways", "gw"
	domain                 = "apiconnect"
	password               = "helloworld"
)

// quick is a pace at which tests need not wait long.
var quick = standin.Timing{
	Heartbeat: 200 * time.Millisecond, Dead: time.Minute, Discover: 500 * time.Millisecond, Patience: 300 * time.Millisecond,
	Failover: 300 * time.Millisecond, Dial: time.Second,
}

const onePeering = `gateway-peering "gwd"
  local-port 16380
exit
`

// filesOf are the files of a gateway with a privileged user, one that may only read, and peerings.
func filesOf(peerings string) config.Files {
	return config.Files{
		"drouter/config/auto-startup.cfg": []byte(`top; configure terminal;
exec "config:///auto-user.cfg"
rest-mgmt
  admin-state enabled
  local-address 0.0.0.0 5554
exit
usergroup "watchers"
  access-policy */apiconnect/*?Access=r
exit
domain "apiconnect"
exit
`),
		"drouter/config/auto-user.cfg": []byte(`user "admin"
  password-hashed "$1$12345678$8.nskQfP4gQ8tk5xw6Wa8/"
  access-level privileged
exit
user "watcher"
  password-hashed "$1$12345678$8.nskQfP4gQ8tk5xw6Wa8/"
  access-level group-defined
  group "watchers"
exit
`),
		"drouter/config/apiconnect/apiconnect.cfg": []byte(peerings),
	}
}

// cluster is a fake API server with stand-in gateways for its pods, and what a worker needs of it.
type cluster struct {
	t      *testing.T
	client *fake.Clientset
	fleet  *gateway.Fleet
	count  int

	peerings string
	settings RestSettings
	logins   []Login
	secrets  map[string]map[string][]byte
	options  datapower.Options

	mutex sync.Mutex
	// behind, when set, is what the cache says.
	behind []Pod
	// beforeLive runs before each live read.
	beforeLive func()
	liveReads  int
	calls      []datapower.Call
}

func newCluster(t *testing.T, change ...func(*gateway.FleetOptions)) *cluster {
	t.Helper()
	c := &cluster{
		t: t, client: fake.NewClientset(), peerings: onePeering,
		logins:  []Login{{Name: "admin", Secret: "admin", Privileged: true}},
		secrets: map[string]map[string][]byte{"admin": {"password": []byte(password + "\n")}},
	}
	options := gateway.FleetOptions{
		Client: c.client, Settings: gateway.Settings{Timing: quick},
		Files: func(*corev1.Pod) (config.Files, error) { return filesOf(c.peerings), nil },
	}
	for _, apply := range change {
		apply(&options)
	}
	fleet, err := gateway.StartFleet(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, fleet.Stop()) })
	c.fleet = fleet
	c.settings = RestSettings{Pinned: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: fleet.Host().Certificate().Raw})}
	c.options = datapower.Options{
		Proxy: http.ProxyURL(fleet.ProxyURL()), Timeout: 2 * time.Second, RetryWait: 10 * time.Millisecond,
		PollInterval: 10 * time.Millisecond, ActionTimeout: 2 * time.Second,
	}
	return c
}

// run makes a pod that runs at an address.
func (c *cluster) run(name, address string) {
	c.t.Helper()
	c.count++
	status := corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
	if address == "" {
		status = corev1.PodStatus{Phase: corev1.PodPending}
	}
	_, err := c.client.CoreV1().Pods(namespace).Create(c.t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, UID: types.UID(fmt.Sprintf("uid-%d", c.count)), Labels: map[string]string{api.ServiceLabel: serviceName},
			CreationTimestamp: metav1.NewTime(time.Unix(int64(c.count), 0)),
		},
		Spec:   corev1.PodSpec{Containers: []corev1.Container{{Name: api.ContainerName}}},
		Status: status,
	}, metav1.CreateOptions{})
	require.NoError(c.t, err)
}

// delete deletes a pod and waits until its gateway is gone.
func (c *cluster) delete(name string) {
	c.t.Helper()
	require.NoError(c.t, c.client.CoreV1().Pods(namespace).Delete(c.t.Context(), name, metav1.DeleteOptions{}))
	require.Eventually(c.t, func() bool { return c.fleet.Instance(namespace, name) == nil }, 30*time.Second, time.Millisecond)
}

// group starts gateways gw-0 and so on at 10.0.0.1 and so on, and waits until they are linked.
func (c *cluster) group(count int) {
	c.t.Helper()
	for i := range count {
		c.run(fmt.Sprintf("gw-%d", i), fmt.Sprintf("10.0.0.%d", i+1))
	}
	c.healed(count)
}

// healed waits until all is well with so many gateways.
func (c *cluster) healed(count int) {
	c.t.Helper()
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		err = c.fleet.Healed(namespace, serviceName)
		if err == nil && len(c.fleet.ServiceInstances(namespace, serviceName)) == count {
			return
		}
	}
	require.NoError(c.t, err)
}

// stale waits until a gateway lists an address as down.
func (c *cluster) stale(name, address string) {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		return slices.ContainsFunc(c.rows(name), func(row standin.Row) bool { return row.Address == address && !row.Up })
	}, 30*time.Second, time.Millisecond, "%s does not list %s as down", name, address)
}

// linked waits until gateways are linked to addresses.
func (c *cluster) linked(address string, names ...string) {
	c.t.Helper()
	for _, name := range names {
		require.Eventually(c.t, func() bool {
			return slices.ContainsFunc(c.rows(name), func(row standin.Row) bool { return row.Address == address && row.Up })
		}, 30*time.Second, time.Millisecond, "%s is not linked to %s", name, address)
	}
}

func (c *cluster) instance(name string) *gateway.Instance {
	c.t.Helper()
	instance := c.fleet.Instance(namespace, name)
	require.NotNil(c.t, instance, name)
	return instance
}

// rows are those of a gateway, none while it is not there.
func (c *cluster) rows(name string) []standin.Row {
	instance := c.fleet.Instance(namespace, name)
	if instance == nil {
		return nil
	}
	return instance.Member(domain, "gwd").Rows()
}

func (c *cluster) list(ctx context.Context) ([]Pod, error) {
	found, err := c.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var pods []Pod
	for _, pod := range found.Items {
		pods = append(pods, Pod{
			Name: pod.Name, UID: pod.UID, IP: pod.Status.PodIP, Created: pod.CreationTimestamp.Time,
			Ready:   slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Status == corev1.ConditionTrue }),
			Running: pod.Status.Phase == corev1.PodRunning, Terminating: pod.DeletionTimestamp != nil,
		})
	}
	return pods, nil
}

// Cached implements Pods.
func (c *cluster) Cached(ctx context.Context, _ Service) ([]Pod, error) {
	c.mutex.Lock()
	behind := c.behind
	c.mutex.Unlock()
	if behind != nil {
		return behind, nil
	}
	return c.list(ctx)
}

// Live implements Pods.
func (c *cluster) Live(ctx context.Context, _ Service) ([]Pod, error) {
	c.mutex.Lock()
	c.liveReads++
	before := c.beforeLive
	c.mutex.Unlock()
	if before != nil {
		before()
	}
	return c.list(ctx)
}

// Logins, Settings and Secret implement Access.
func (c *cluster) Logins(context.Context, Service) ([]Login, error)        { return c.logins, nil }
func (c *cluster) Settings(context.Context, Service) (RestSettings, error) { return c.settings, nil }
func (c *cluster) Secret(_ context.Context, _ Service, name string) (map[string][]byte, error) {
	return c.secrets[name], nil
}

// journal keeps resets in memory, and takes no more than one at a time.
type journal struct {
	t     *testing.T
	mutex sync.Mutex
	open  []Reset
	begun int
	// fails makes Begin and End fail.
	failBegin, failEnd bool
	onBegin            func()
}

var errJournal = errors.New("the API server is away")

func (j *journal) Begin(_ context.Context, reset Reset) error {
	if j.onBegin != nil {
		j.onBegin()
	}
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if j.failBegin {
		return errJournal
	}
	assert.Empty(j.t, j.open, "two resets at once")
	j.open = append(j.open, reset)
	j.begun++
	return nil
}

func (j *journal) End(_ context.Context, reset Reset) error {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if j.failEnd {
		return errJournal
	}
	j.open = slices.DeleteFunc(j.open, func(open Reset) bool { return open == reset })
	return nil
}

// heard keeps what an observer hears.
type heard struct {
	mutex  sync.Mutex
	resets []ResetReport
}

func (h *heard) ResetEnded(_ Service, report ResetReport) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.resets = append(h.resets, report)
}

func (c *cluster) service(open ...Reset) Service {
	return Service{Namespace: namespace, Name: serviceName, UID: "service", RecoveryInterval: 100 * time.Millisecond, Open: open}
}

func (c *cluster) worker(change ...func(*Options)) *Worker {
	options := Options{
		Pods: c, Policy: Policy{Patience: 3 * time.Second, Polls: 300, SettleLooks: 20, FailoverLooks: 15, AwaitLooks: 30},
		Gateways: RestGateways{Access: c, Client: c.options, Observe: func(_ Service, call datapower.Call) {
			c.mutex.Lock()
			defer c.mutex.Unlock()
			c.calls = append(c.calls, call)
		}},
	}
	for _, apply := range change {
		apply(&options)
	}
	return New(options)
}

// work works once, and checks what must hold of every work.
func (c *cluster) work(change ...func(*Options)) Report {
	c.t.Helper()
	j := &journal{t: c.t}
	report := c.worker(change...).Work(c.t.Context(), c.service(), j)
	assert.Empty(c.t, j.open, "the journal is empty in the end")
	c.noSecret(report)
	return report
}

func (c *cluster) noSecret(report Report) {
	c.t.Helper()
	assert.NotContains(c.t, fmt.Sprintf("%+v", report), password)
}

// writes returns what was asked to change since a request, as "gw-0 POST name-of-action" and "gw-0 PUT disabled".
func (c *cluster) writes(since uint64) []string {
	var found []string
	for _, request := range c.fleet.Requests().Since(since) {
		pod := strings.TrimPrefix(request.Instance, namespace+"/")
		switch request.Method {
		case http.MethodPost:
			name, _, _ := strings.Cut(strings.TrimPrefix(request.Body, `{"`), `"`)
			found = append(found, pod+" "+name)
		case http.MethodPut:
			_, state, _ := strings.Cut(request.Body, `:"`)
			found = append(found, pod+" "+strings.TrimSuffix(state, `"}`))
		}
	}
	return found
}

// reasons are those of all problems.
func reasons(report Report) []Reason {
	var found []Reason
	for _, problem := range report.AllProblems() {
		found = append(found, problem.Reason)
	}
	return found
}

// problemsOf are the problems of a pod.
func problemsOf(report Report, name string) []Problem {
	for _, pod := range report.Pods {
		if pod.Name == name {
			return pod.Problems
		}
	}
	return nil
}

// results are the ends of all resets, as "gw-0 healed".
func results(report Report) []string {
	var found []string
	for _, reset := range report.Resets() {
		found = append(found, reset.Pod+" "+string(reset.Result))
	}
	return found
}

// replaceLast replaces gw-2 by a pod of the same name at another address, and waits until the others list the old one.
func (c *cluster) replaceLast() {
	c.t.Helper()
	c.delete("gw-2")
	c.run("gw-2", "10.0.0.4")
	c.stale("gw-0", "10.0.0.3")
	c.stale("gw-1", "10.0.0.3")
	c.linked("10.0.0.4", "gw-0", "gw-1")
	c.linked("10.0.0.1", "gw-2")
	c.linked("10.0.0.2", "gw-2")
}

// hooked runs a function after each change of an administrative state.
type hooked struct {
	Gateways
	after func(state string)
}

func (h hooked) Connect(ctx context.Context, service Service, pod Pod) (Gateway, error) {
	gateway, err := h.Gateways.Connect(ctx, service, pod)
	return hookedGateway{gateway, h.after}, err
}

type hookedGateway struct {
	Gateway
	after func(state string)
}

func (h hookedGateway) SetAdminState(ctx context.Context, domain, peering string, state datapower.AdminState) error {
	err := h.Gateway.SetAdminState(ctx, domain, peering, state)
	h.after(string(state))
	return err
}
