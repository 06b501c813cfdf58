package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/datapower-operator/datapower-operator/sidecar/datapower"
	"github.com/datapower-operator/datapower-operator/test/gateway/config"
	"github.com/datapower-operator/datapower-operator/test/gateway/peering"
	"github.com/datapower-operator/datapower-operator/test/gateway/proxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The accounts of the gateways of tests: a privileged one and one that may read the domain apiconnect only.
const (
	admin, adminPassword     = "admin", "helloworld"
	watcher, watcherPassword = "eve", "hunter2"
)

// quick is a pace at which tests need not wait long.
var quick = peering.Timing{
	Heartbeat: 200 * time.Millisecond, Dead: time.Minute, Discover: 500 * time.Millisecond, Patience: 300 * time.Millisecond,
	Failover: 300 * time.Millisecond, Dial: time.Second,
}

// files are those of a gateway with two accounts and the domain apiconnect, whose configuration is given.
func files(apiconnect string) config.Files {
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
user "eve"
  password-hashed "$5$NaCl$aOrRVimQNvZ2ZLjnAyMvT3WgaUEXoWgwkgyBrhwIg04"
  access-level group-defined
  group "watchers"
exit
user "lost"
  password-hashed "$1$12345678$8.nskQfP4gQ8tk5xw6Wa8/"
  access-level group-defined
  group "no-such-group"
exit
`),
		"drouter/config/apiconnect/apiconnect.cfg": []byte(apiconnect),
		"drouter/local/apiconnect/sub/hello.txt":   []byte("hello"),
		"root/secure/usrcerts/apiconnect/tls.key":  []byte("secret"),
	}
}

const onePeering = `gateway-peering "gwd"
  local-port 16380
exit
`

// wire connects a few instances through a proxy, by address.
type wire struct {
	host  *Host
	proxy *proxy.Server

	mutex     sync.Mutex
	instances map[string]*Instance
}

func newWire(t *testing.T) *wire {
	t.Helper()
	host, err := NewHost()
	require.NoError(t, err)
	w := &wire{host: host, instances: map[string]*Instance{}}
	w.proxy, err = proxy.Listen("127.0.0.1:0", w.route)
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, instance := range w.all() {
			instance.Close()
		}
		assert.NoError(t, host.Close())
		assert.NoError(t, w.proxy.Close())
	})
	return w
}

func (w *wire) route(address string) (func(net.Conn), error) {
	host, service, _ := net.SplitHostPort(address)
	port, _ := strconv.Atoi(service)
	w.mutex.Lock()
	instance := w.instances[host]
	w.mutex.Unlock()
	if instance == nil {
		return nil, proxy.ErrRefused
	}
	return instance.Route(port)
}

func (w *wire) all() []*Instance {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	var all []*Instance
	for _, instance := range w.instances {
		all = append(all, instance)
	}
	slices.SortFunc(all, func(a, b *Instance) int { return strings.Compare(a.Name(), b.Name()) })
	return all
}

// Instances and Requests implement Controlled.
func (w *wire) Instances() []*Instance { return w.all() }
func (w *wire) Requests() *RequestLog  { return w.host.Requests() }

// Peers, Lookup and Dial implement Network.
func (w *wire) Peers(context.Context) ([]string, error) {
	var addresses []string
	for _, instance := range w.all() {
		addresses = append(addresses, instance.Address())
	}
	return addresses, nil
}

func (w *wire) Lookup(_ context.Context, host string) ([]string, error) {
	return nil, fmt.Errorf("%w: %s", errNoSuchHost, host)
}

func (w *wire) Dial(ctx context.Context, address string) (net.Conn, error) {
	return proxy.Dial(ctx, w.proxy.Address(), address)
}

// add starts a gateway.
func (w *wire) add(address, apiconnect string, change ...func(*InstanceOptions)) *Instance {
	options := InstanceOptions{
		Name: "gw-" + address, Address: address, Files: files(apiconnect), Network: w, Settings: Settings{Timing: quick},
	}
	for _, apply := range change {
		apply(&options)
	}
	instance := w.host.NewInstance(options)
	w.mutex.Lock()
	w.instances[address] = instance
	w.mutex.Unlock()
	for _, other := range w.all() {
		other.Wake()
	}
	return instance
}

// kill ends a gateway.
func (w *wire) kill(address string) {
	w.mutex.Lock()
	instance := w.instances[address]
	delete(w.instances, address)
	w.mutex.Unlock()
	instance.Close()
}

// client makes the operator's client for a gateway.
func (w *wire) client(t *testing.T, address string, change ...func(*datapower.Options)) *datapower.Client {
	t.Helper()
	options := datapower.Options{
		Address: address + ":5554", Username: admin, Password: adminPassword,
		TLS: datapower.TLSOptions{Pinned: []*x509.Certificate{w.host.Certificate()}}, Proxy: http.ProxyURL(w.proxy.URL()),
		Timeout: 30 * time.Second, RetryWait: time.Millisecond, PollInterval: 5 * time.Millisecond,
	}
	for _, apply := range change {
		apply(&options)
	}
	client, err := datapower.New(options)
	require.NoError(t, err)
	return client
}

// rawAnswer is an answer as it came.
type rawAnswer struct {
	status int
	body   map[string]any
}

// ask sends a request as it is written: "GET /mgmt/".
func (w *wire) ask(t *testing.T, address, user, password, request, body string) rawAnswer {
	t.Helper()
	method, path, _ := strings.Cut(request, " ")
	sent, err := http.NewRequestWithContext(t.Context(), method, "https://"+address+":5554"+path, strings.NewReader(body))
	require.NoError(t, err)
	if user != "" {
		sent.SetBasicAuth(user, password)
	}
	client := &http.Client{Transport: &http.Transport{
		Proxy: func(*http.Request) (*url.URL, error) { return w.proxy.URL(), nil }, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the certificate is not what is tested
	}}
	response, err := client.Do(sent)
	require.NoError(t, err)
	content, err := io.ReadAll(response.Body)
	require.NoError(t, errors.Join(err, response.Body.Close()))
	answer := rawAnswer{status: response.StatusCode}
	require.NoError(t, json.Unmarshal(content, &answer.body), string(content))
	return answer
}

// at finds a value in an answer by keys; numbers in the path are positions.
func (a rawAnswer) at(path ...any) any {
	var value any = a.body
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, _ := value.(map[string]any)
			value = object[step]
		case int:
			array, _ := value.([]any)
			if step >= len(array) {
				return nil
			}
			value = array[step]
		}
	}
	return value
}

// picture writes the rows of a member as "10.0.0.1 ok primary, 10.0.0.2 down".
func picture(rows []datapower.PeeringStatus) string {
	var parts []string
	for _, row := range rows {
		part := row.Address + " " + row.LinkStatus
		if row.Primary {
			part += " primary"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

// eventually waits until a gateway shows the rows.
func eventually(t *testing.T, client *datapower.Client, want string) {
	t.Helper()
	var got string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		rows, err := client.PeeringStatus(t.Context(), "apiconnect")
		require.NoError(t, err)
		if got = picture(rows); got == want {
			return
		}
	}
	require.Equal(t, want, got)
}
