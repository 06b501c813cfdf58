package gateway

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/test/gateway/config"
	"github.com/datapower-operator/datapower-operator/test/gateway/proxy"
)

// retryPause is the pause before another try to start a gateway whose ConfigMaps or Secrets are missing.
const retryPause = 250 * time.Millisecond

// FleetOptions describe a fleet. Client is required.
type FleetOptions struct {
	// Client reads pods, ConfigMaps and Secrets.
	Client kubernetes.Interface
	// Namespace limits the fleet to one namespace; empty means all.
	Namespace string
	// Proxy is the address of the CONNECT proxy; empty means a free port of 127.0.0.1.
	Proxy string
	// DeadAddressesAreSilent leaves connections to an address without a live pod without an answer. Else they are refused.
	DeadAddressesAreSilent bool
	// Authority signs the gateways' certificates, for their address and their names in the headless Service. Without one
	// all show the same self-signed certificate.
	Authority *Authority
	// Files replaces how the files of a pod's gateway are made; nil means as the chart's init script does it, from what the
	// pod mounts.
	Files func(*corev1.Pod) (config.Files, error)
	// Settings are those of all gateways.
	Settings Settings
	Log      logr.Logger
}

// Fleet stands in for the gateways of all pods of a cluster that belong to a DataPowerService: it follows the pods, and
// whoever uses its proxy reaches the gateways at the pods' addresses. A gateway lives while its pod is Running and has an
// address; a restart of its container, or another address, is another gateway.
type Fleet struct {
	options FleetOptions
	host    *Host
	proxy   *proxy.Server
	watch   *watch
	retry   sync.WaitGroup
	stop    context.CancelFunc

	mutex     sync.Mutex
	pods      map[types.NamespacedName]*pod
	byAddress map[string]*pod
	byService map[types.NamespacedName]map[*pod]struct{}
	resets    map[types.NamespacedName][]Reset // by service
}

// pod is a pod that should have a live gateway.
type pod struct {
	name     types.NamespacedName
	service  types.NamespacedName
	identity string
	address  string
	object   *corev1.Pod
	// instance is nil until the gateway's files can be made; launching is set while that is tried.
	instance  *Instance
	launching bool
	killed    bool
}

// StartFleet starts a fleet and returns when it has seen the pods that there are. The context bounds the start only; the
// fleet runs until Stop.
func StartFleet(ctx context.Context, options FleetOptions) (*Fleet, error) {
	if options.Proxy == "" {
		options.Proxy = "127.0.0.1:0"
	}
	if options.Log.GetSink() == nil {
		options.Log = logr.Discard()
	}
	host, err := NewHost()
	if err != nil {
		return nil, err
	}
	f := &Fleet{
		options: options, host: host, pods: map[types.NamespacedName]*pod{}, byAddress: map[string]*pod{},
		byService: map[types.NamespacedName]map[*pod]struct{}{}, resets: map[types.NamespacedName][]Reset{},
	}
	if f.proxy, err = proxy.Listen(options.Proxy, f.route); err != nil {
		return nil, errors.Join(err, host.Close())
	}
	running, stop := context.WithCancel(context.Background())
	f.stop = stop
	f.retry.Go(func() { f.retryMissing(running) })
	f.watch = newWatch(options.Client, options.Namespace)
	if err := f.watch.start(ctx, f.follow, f.forget); err != nil {
		return nil, errors.Join(err, f.Stop())
	}
	return f, nil
}

// Stop ends all gateways and everything else of the fleet.
func (f *Fleet) Stop() error {
	f.watch.stop()
	f.stop()
	f.retry.Wait()
	f.mutex.Lock()
	var instances []*Instance
	for _, p := range f.pods {
		p.killed = true
		if p.instance != nil {
			instances = append(instances, p.instance)
		}
	}
	f.mutex.Unlock()
	for _, instance := range instances {
		instance.Close()
	}
	return errors.Join(f.host.Close(), f.proxy.Close())
}

// ProxyURL is the proxy through which the gateways are reached, for HTTPS_PROXY.
func (f *Fleet) ProxyURL() *url.URL { return f.proxy.URL() }

// Host has the certificate of the gateways, when there is no authority.
func (f *Fleet) Host() *Host { return f.host }

// Requests is the log of all requests to all gateways.
func (f *Fleet) Requests() *RequestLog { return f.host.Requests() }

// Instance returns the live gateway of a pod, nil when there is none.
func (f *Fleet) Instance(namespace, name string) *Instance {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if p := f.pods[types.NamespacedName{Namespace: namespace, Name: name}]; p != nil {
		return p.instance
	}
	return nil
}

// Instances implements [Controlled].
func (f *Fleet) Instances() []*Instance {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return instancesOf(maps.Values(f.pods))
}

// ServiceInstances returns the live gateways of a DataPowerService, ordered by name.
func (f *Fleet) ServiceInstances(namespace, service string) []*Instance {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return instancesOf(maps.Keys(f.byService[types.NamespacedName{Namespace: namespace, Name: service}]))
}

func instancesOf(pods iter.Seq[*pod]) []*Instance {
	var found []*Instance
	for p := range pods {
		if p.instance != nil {
			found = append(found, p.instance)
		}
	}
	slices.SortFunc(found, func(a, b *Instance) int { return strings.Compare(a.Name(), b.Name()) })
	return found
}

// Kill ends the gateway of a pod as when its process dies and nothing restarts it: the pod stays in the API and in the
// DNS. It tells whether there was one.
func (f *Fleet) Kill(namespace, name string) bool {
	f.mutex.Lock()
	p := f.pods[types.NamespacedName{Namespace: namespace, Name: name}]
	if p == nil || p.instance == nil {
		f.mutex.Unlock()
		return false
	}
	instance := p.instance
	p.instance, p.killed = nil, true
	f.mutex.Unlock()
	instance.Close()
	return true
}

// route finds the gateway for an address of the proxy.
func (f *Fleet) route(address string) (func(net.Conn), error) {
	host, service, err := net.SplitHostPort(address)
	port, portErr := strconv.Atoi(service)
	if err != nil || portErr != nil {
		return nil, proxy.ErrRefused
	}
	if parsed, err := netip.ParseAddr(host); err == nil {
		host = parsed.String()
	}
	f.mutex.Lock()
	p := f.byAddress[host]
	var instance *Instance
	if p != nil {
		instance = p.instance
	}
	f.mutex.Unlock()
	switch {
	case instance != nil:
		return instance.Route(port)
	case p == nil && f.options.DeadAddressesAreSilent:
		return nil, proxy.ErrSilence
	}
	return nil, proxy.ErrRefused
}

// follow takes over the state of a pod.
func (f *Fleet) follow(object *corev1.Pod) {
	name := types.NamespacedName{Namespace: object.Namespace, Name: object.Name}
	identity, live := identityOf(object)
	f.mutex.Lock()
	old := f.pods[name]
	if live && old != nil && old.identity == identity {
		f.mutex.Unlock()
		return
	}
	f.mutex.Unlock()
	f.remove(name)
	if !live {
		return
	}
	service := types.NamespacedName{Namespace: object.Namespace, Name: object.Labels[datapower.ServiceLabel]}
	p := &pod{name: name, service: service, identity: identity, address: object.Status.PodIP, object: object}
	f.mutex.Lock()
	f.pods[name], f.byAddress[p.address] = p, p
	if f.byService[service] == nil {
		f.byService[service] = map[*pod]struct{}{}
	}
	f.byService[service][p] = struct{}{}
	f.mutex.Unlock()
	f.launch(p)
}

// forget ends the gateway of a deleted pod.
func (f *Fleet) forget(name types.NamespacedName) { f.remove(name) }

// remove ends the gateway of a pod, when it has one.
func (f *Fleet) remove(name types.NamespacedName) {
	f.mutex.Lock()
	p := f.pods[name]
	if p == nil {
		f.mutex.Unlock()
		return
	}
	delete(f.pods, name)
	delete(f.byService[p.service], p)
	if len(f.byService[p.service]) == 0 {
		delete(f.byService, p.service)
	}
	if f.byAddress[p.address] == p {
		delete(f.byAddress, p.address)
	}
	instance := p.instance
	p.instance, p.killed = nil, true
	f.mutex.Unlock()
	if instance != nil {
		instance.Close()
	}
	f.wake(p.service)
}

// launch starts the gateway of a pod, if its files can be made.
func (f *Fleet) launch(p *pod) {
	f.mutex.Lock()
	object := p.object
	needed := p.instance == nil && !p.killed && !p.launching
	p.launching = p.launching || needed
	f.mutex.Unlock()
	if !needed {
		return
	}
	instance, err := f.newInstance(p, object)
	f.mutex.Lock()
	p.launching = false
	killed := p.killed
	if err == nil && !killed {
		p.instance, p.object = instance, nil
	}
	f.mutex.Unlock()
	switch {
	case err != nil:
		f.options.Log.V(1).Info("a gateway waits for its configuration", "pod", p.name, "reason", err.Error())
	case killed:
		instance.Close()
	default:
		f.wake(p.service)
	}
}

func (f *Fleet) newInstance(p *pod, object *corev1.Pod) (*Instance, error) {
	files, err := f.filesOf(object)
	if err != nil {
		return nil, err
	}
	options := InstanceOptions{
		Name: p.name.String(), Address: p.address, Files: files, Network: podNetwork{f, p.service}, Settings: f.options.Settings,
		BeforeReset: func(domain, name string) { f.noteReset(p, domain, name) },
	}
	if f.options.Authority != nil {
		options.Certificate = f.issuer(p)
	}
	return f.host.NewInstance(options), nil
}

func (f *Fleet) filesOf(object *corev1.Pod) (config.Files, error) {
	if f.options.Files != nil {
		return f.options.Files(object)
	}
	input, err := f.watch.input(object)
	if err != nil {
		return nil, err
	}
	return config.Assemble(input, f.host.hash)
}

// wake makes the gateways of a service look for each other.
func (f *Fleet) wake(service types.NamespacedName) {
	for _, instance := range f.ServiceInstances(service.Namespace, service.Name) {
		instance.Wake()
	}
}

// retryMissing tries again to start gateways that lacked something.
func (f *Fleet) retryMissing(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryPause):
		}
		f.mutex.Lock()
		var missing []*pod
		for _, p := range f.pods {
			if p.instance == nil && !p.killed {
				missing = append(missing, p)
			}
		}
		f.mutex.Unlock()
		for _, p := range missing {
			f.launch(p)
		}
	}
}

// check that the control API takes a fleet.
var _ Controlled = (*Fleet)(nil)

// errNoSuchHost is what a DNS says about an unknown name.
var errNoSuchHost = errors.New("no such host")

// podNetwork is the network of a pod's gateway.
type podNetwork struct {
	fleet   *Fleet
	service types.NamespacedName
}

var _ Network = podNetwork{}

// Peers implements [Network]: the addresses behind the headless Service, which publishes those that are not ready too.
func (n podNetwork) Peers(context.Context) ([]string, error) {
	return n.fleet.addresses(n.service, ""), nil
}

// Lookup implements [Network] for the headless Services and the pods behind them, with or without namespace and domain.
func (n podNetwork) Lookup(_ context.Context, host string) ([]string, error) {
	parts := strings.Split(host, ".")
	podName := ""
	if len(parts) > 1 && !strings.HasSuffix(parts[0], headlessSuffix) {
		podName, parts = parts[0], parts[1:]
	}
	service, headless := strings.CutSuffix(parts[0], headlessSuffix)
	namespace := n.service.Namespace
	if len(parts) > 1 {
		namespace = parts[1]
	}
	found := n.fleet.addresses(types.NamespacedName{Namespace: namespace, Name: service}, podName)
	if !headless || len(found) == 0 {
		return nil, fmt.Errorf("%w: %s", errNoSuchHost, host)
	}
	return found, nil
}

// Dial implements [Network].
func (n podNetwork) Dial(ctx context.Context, address string) (net.Conn, error) {
	return proxy.Dial(ctx, n.fleet.proxy.Address(), address)
}

// addresses returns the addresses of a service's pods, or of one of them.
func (f *Fleet) addresses(service types.NamespacedName, podName string) []string {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	var found []string
	for p := range f.byService[service] {
		if podName == "" || p.name.Name == podName {
			found = append(found, p.address)
		}
	}
	slices.Sort(found)
	return found
}
