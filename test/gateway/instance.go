package gateway

import (
	"cmp"
	"context"
	"crypto/tls"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/datapower-operator/datapower-operator/test/gateway/config"
	"github.com/datapower-operator/datapower-operator/test/gateway/peering"
)

// Defaults of an instance.
const (
	// DefaultResetAction is the name of the action that resets a peering. It is made up: no public document names the real
	// one.
	DefaultResetAction = "GatewayPeeringReset"
	// DefaultHealthPort answers health probes.
	DefaultHealthPort = 7879
	// DefaultFirmware is the version that FirmwareVersion3 tells.
	DefaultFirmware = "IDG.10.6.0.1"
)

// NoAction in place of an action's name leaves the action out.
const NoAction = "-"

// Network is how an instance finds and reaches others.
type Network interface {
	peering.Network
	// Lookup returns the addresses of a host name.
	Lookup(ctx context.Context, host string) ([]string, error)
}

// Settings are what instances have in common. Zero values mean the defaults.
type Settings struct {
	// ResetAction is the name of the action that resets a peering; NoAction for none.
	ResetAction string
	// SwitchPrimaryAction is the name of the action that makes this member the primary; none when empty.
	SwitchPrimaryAction string
	// PortsInStatus adds ServicePort, MonitorPort and Priority to GatewayPeeringStatus, as newer firmware does.
	PortsInStatus bool
	// Firmware is the version that FirmwareVersion3 tells.
	Firmware string
	// Timing is the pace of peerings.
	Timing peering.Timing
}

func (s Settings) withDefaults() Settings {
	s.ResetAction = cmp.Or(s.ResetAction, DefaultResetAction)
	s.Firmware = cmp.Or(s.Firmware, DefaultFirmware)
	return s
}

// InstanceOptions describe one gateway.
type InstanceOptions struct {
	// Name tells instances apart in logs, for example "namespace/pod".
	Name string
	// Address is the gateway's own IP address.
	Address string
	// Files are the gateway's files, with paths below /opt/ibm/datapower. They are not changed.
	Files config.Files
	// Network finds and reaches other instances.
	Network Network
	// Certificate makes the gateway's certificate when the first connection comes; nil means that of the host.
	Certificate func() (tls.Certificate, error)
	// BeforeReset is called before a command drops all links of a peering; nil means that nobody wants to know.
	BeforeReset func(domain, name string)
	Settings    Settings
}

// Instance is one gateway. Its methods may be called from many goroutines.
type Instance struct {
	host        *Host
	options     InstanceOptions
	start       time.Time
	certificate func() (tls.Certificate, error)

	mutex   sync.Mutex
	closed  bool
	conns   map[*target]struct{}
	config  config.Config
	members map[string]map[string]*peering.Member // by domain and name
	unsaved map[string]bool                       // by domain
	faults  Faults
	queue   queue
}

// NewInstance makes a gateway and starts its peerings.
func (h *Host) NewInstance(options InstanceOptions) *Instance {
	options.Settings = options.Settings.withDefaults()
	i := &Instance{
		host: h, options: options, start: h.clock.Now(), certificate: func() (tls.Certificate, error) { return h.certificate, nil },
		conns: map[*target]struct{}{}, config: config.Load(options.Files), unsaved: map[string]bool{},
		members: map[string]map[string]*peering.Member{}, queue: queue{pending: map[string]pendingAction{}},
	}
	if options.BeforeReset == nil {
		i.options.BeforeReset = func(string, string) {}
	}
	if options.Certificate != nil {
		i.certificate = sync.OnceValues(options.Certificate)
	}
	for d := range i.config.Domains {
		domain := &i.config.Domains[d]
		for p := range domain.Peerings {
			i.startPeering(domain, &domain.Peerings[p])
		}
	}
	return i
}

// startPeering makes the member of a peering and enables it unless the peering is disabled. Callers hold the mutex, or
// have the instance for themselves.
func (i *Instance) startPeering(domain *config.Domain, object *config.Peering) {
	member := peering.New(peering.Options{
		Domain: domain.Name, Name: object.Name, Address: i.peeringAddress(object), Port: object.LocalPort,
		MonitorPort: object.MonitorPort, Priority: object.Priority,
		Network: peersOf{i, domain.Name, object.Name}, Scheduler: i.host.scheduler,
		Clock: i.host.clock, Timing: i.options.Settings.Timing,
	})
	if i.members[domain.Name] == nil {
		i.members[domain.Name] = map[string]*peering.Member{}
	}
	i.members[domain.Name][object.Name] = member
	member.Isolate(i.faults.Unreachable)
	if object.Enabled && i.fault(domain.Name, object) == "" {
		member.Enable()
	}
}

// peeringAddress is the address that others know a peering by: a configured IP address or host alias, else the gateway's.
func (i *Instance) peeringAddress(object *config.Peering) string {
	address := object.LocalAddress
	if alias := i.config.HostAliases[address]; alias != "" {
		address = alias
	}
	if parsed, err := netip.ParseAddr(address); err == nil {
		return parsed.String()
	}
	return i.options.Address
}

// fault tells why a peering cannot work, "" when it can. Callers hold the mutex, or have the instance for themselves.
func (i *Instance) fault(domain string, object *config.Peering) string {
	switch i.peeringAddress(object) {
	case "", "127.0.0.1", "::1", "0.0.0.0", "::": // others could not reach these
		return "Invalid local address"
	}
	for _, other := range i.config.Domains {
		for _, taken := range other.Peerings {
			same := other.Name == domain && taken.Name == object.Name
			if same {
				return ""
			}
			if taken.Enabled && taken.EnablePeerGroup && object.EnablePeerGroup && taken.LocalPort == object.LocalPort {
				return "Failed to install on port"
			}
		}
	}
	return ""
}

// Name is the instance's name.
func (i *Instance) Name() string { return i.options.Name }

// Address is the gateway's IP address.
func (i *Instance) Address() string { return i.options.Address }

// Member returns the member of a peering, nil when there is none. Tests use it to look and to write data.
func (i *Instance) Member(domain, name string) *peering.Member {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	return i.members[domain][name]
}

// Members returns all members, by "domain/name".
func (i *Instance) Members() map[string]*peering.Member {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	all := map[string]*peering.Member{}
	for domain, members := range i.members {
		for name, member := range members {
			all[domain+"/"+name] = member
		}
	}
	return all
}

// allMembers is Members for callers that hold the mutex.
func (i *Instance) allMembers() []*peering.Member {
	var all []*peering.Member
	for _, members := range i.members {
		all = slices.AppendSeq(all, maps.Values(members))
	}
	return all
}

// Wake makes the peerings look for new members soon, because the network knows of a change.
func (i *Instance) Wake() {
	i.mutex.Lock()
	members := i.allMembers()
	i.mutex.Unlock()
	for _, member := range members {
		member.Wake()
	}
}

// Close ends the gateway as when its process is killed: connections just break.
func (i *Instance) Close() {
	i.mutex.Lock()
	i.closed = true
	members := i.allMembers()
	conns := slices.Collect(maps.Keys(i.conns))
	i.mutex.Unlock()
	for _, conn := range conns {
		_ = conn.Close()
	}
	for _, member := range members {
		member.Close()
	}
}

// serveHealth answers a health probe.
func (i *Instance) serveHealth(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain")
	if i.Faults().NotReady {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok"))
}

// peersOf is the network of one peering: its configured members, when it has some, else all gateways of the service.
type peersOf struct {
	instance     *Instance
	domain, name string
}

// Peers implements [peering.Network].
func (p peersOf) Peers(ctx context.Context) ([]string, error) {
	i := p.instance
	i.mutex.Lock()
	domain := i.config.Domain(p.domain)
	object := domain.Peering(p.name)
	if object == nil || !object.EnablePeerGroup {
		i.mutex.Unlock()
		return nil, nil
	}
	configured := slices.Clone(domain.Members(object))
	i.mutex.Unlock()
	if len(configured) == 0 {
		return i.options.Network.Peers(ctx)
	}
	var addresses []string
	for _, host := range configured {
		if _, err := netip.ParseAddr(host); err == nil {
			addresses = append(addresses, host)
		} else if found, err := i.options.Network.Lookup(ctx, host); err == nil {
			addresses = append(addresses, found...) // a name without an address is a gateway that is not there
		}
	}
	return addresses, nil
}

// Dial implements [peering.Network].
func (p peersOf) Dial(ctx context.Context, address string) (net.Conn, error) {
	return p.instance.options.Network.Dial(ctx, address)
}
