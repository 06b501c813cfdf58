package gateway

import (
	"crypto/tls"
	"net"
	"slices"

	"github.com/datapower-operator/datapower-operator/test/gateway/config"
	"github.com/datapower-operator/datapower-operator/test/gateway/peering"
	"github.com/datapower-operator/datapower-operator/test/gateway/proxy"
)

// Ports returns the ports on which the gateway listens now.
func (i *Instance) Ports() []int {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	ports := slices.Clone(i.config.HTTPPorts)
	if !slices.Contains(ports, DefaultHealthPort) {
		ports = append(ports, DefaultHealthPort)
	}
	if i.config.RestMgmt.Enabled {
		ports = append(ports, i.config.RestMgmt.Port)
	}
	for _, domain := range i.config.Domains {
		for p := range domain.Peerings {
			if i.listens(domain.Name, &domain.Peerings[p]) {
				ports = append(ports, domain.Peerings[p].LocalPort)
			}
		}
	}
	return ports
}

// listens tells whether a peering accepts links. Callers hold the mutex.
func (i *Instance) listens(domain string, object *config.Peering) bool {
	member := i.members[domain][object.Name]
	return object.EnablePeerGroup && member != nil && member.Enabled()
}

// Route finds who answers on a port: a function that takes the connection over and closes it. Errors are those of package
// proxy: refused when nothing listens there, silence when the gateway is unreachable.
func (i *Instance) Route(port int) (func(net.Conn), error) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	switch {
	case i.faults.Unreachable:
		return nil, proxy.ErrSilence
	case i.closed:
		return nil, proxy.ErrRefused
	case i.config.RestMgmt.Enabled && i.config.RestMgmt.Port == port:
		return i.acceptREST, nil
	case i.isHealthPort(port):
		return i.acceptHealth, nil
	}
	if member := i.memberOn(port); member != nil {
		return member.Accept, nil
	}
	return nil, proxy.ErrRefused
}

func (i *Instance) isHealthPort(port int) bool {
	for _, healthy := range i.config.HTTPPorts {
		if healthy == port {
			return true
		}
	}
	return port == DefaultHealthPort
}

// memberOn returns the member that listens on a port, nil when there is none. Callers hold the mutex.
func (i *Instance) memberOn(port int) *peering.Member {
	for _, domain := range i.config.Domains {
		for p := range domain.Peerings {
			object := &domain.Peerings[p]
			if object.LocalPort == port && i.listens(domain.Name, object) {
				return i.members[domain.Name][object.Name]
			}
		}
	}
	return nil
}

func (i *Instance) acceptHealth(conn net.Conn) {
	if t := i.keep(conn, true); t != nil {
		i.host.incoming.push(t)
	}
}

func (i *Instance) acceptREST(conn net.Conn) {
	certificate := i.certificate
	if i.Faults().WrongCertificate {
		certificate = selfSigned
	}
	t := i.keep(conn, false)
	if t == nil {
		return
	}
	i.host.incoming.push(tls.Server(t, &tls.Config{
		MinVersion:             tls.VersionTLS12,
		SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			made, err := certificate()
			return &made, err
		},
	}))
}

// keep notes a connection, so that Close breaks it. It returns nil when the instance is closed, and closes it.
func (i *Instance) keep(conn net.Conn, health bool) *target {
	t := &target{Conn: conn, instance: i, health: health}
	t.forget = func() {
		i.mutex.Lock()
		defer i.mutex.Unlock()
		delete(i.conns, t)
	}
	i.mutex.Lock()
	defer i.mutex.Unlock()
	if i.closed {
		_ = conn.Close()
		return nil
	}
	i.conns[t] = struct{}{}
	return t
}
