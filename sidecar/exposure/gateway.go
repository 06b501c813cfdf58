package exposure

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// ingressLabel marks, to upstream, the Services in front of Istio's gateways.
const ingressLabel = "istio"

// ingressValue is the value of ingressLabel.
const ingressValue = "ingressgateway"

// Gateway is what matters of an Istio Gateway.
type Gateway struct {
	// Selector selects the pods of the proxies.
	Selector map[string]string
	// Servers that HTTP routes can be bound to, in the order of the spec.
	Servers []Server
}

// Server is a server of a Gateway that speaks HTTP or terminates HTTPS.
type Server struct {
	// Port is the number in the Gateway.
	Port int32
	// Name of the port in the Gateway.
	Name string
	// TLS is true when the server terminates HTTPS.
	TLS bool
	// Redirect is true when the server answers everything with a redirect to HTTPS.
	Redirect bool
	// Hosts without their namespaces; "*" is every host.
	Hosts []string
}

// ReadGateway takes from a Gateway what matters. Servers of other protocols, and those that pass TLS through, are left out:
// Istio binds no HTTP routes to them.
func ReadGateway(u *unstructured.Unstructured) *Gateway {
	selector, _, _ := unstructured.NestedStringMap(u.Object, "spec", "selector")
	list, _, _ := unstructured.NestedSlice(u.Object, "spec", "servers")
	g := &Gateway{Selector: selector}
	for _, item := range list {
		fields, ok := item.(map[string]any)
		if !ok {
			continue
		}
		if s, ok := readServer(fields); ok {
			g.Servers = append(g.Servers, s)
		}
	}
	return g
}

func readServer(fields map[string]any) (Server, bool) {
	number, _, _ := unstructured.NestedInt64(fields, "port", "number")
	s := Server{Port: int32(number)}
	s.Name, _, _ = unstructured.NestedString(fields, "port", "name")
	protocol, _, _ := unstructured.NestedString(fields, "port", "protocol")
	switch strings.ToUpper(protocol) {
	case "HTTP", "HTTP2", "GRPC", "GRPC-WEB":
		s.Redirect, _, _ = unstructured.NestedBool(fields, "tls", "httpsRedirect")
	case "HTTPS":
		mode, _, _ := unstructured.NestedString(fields, "tls", "mode")
		if strings.HasSuffix(strings.ToUpper(mode), "PASSTHROUGH") {
			return Server{}, false
		}
		s.TLS = true
	default:
		return Server{}, false
	}
	hosts, _, _ := unstructured.NestedStringSlice(fields, "hosts")
	for _, host := range hosts {
		if _, bare, found := strings.Cut(host, "/"); found {
			host = bare
		}
		s.Hosts = append(s.Hosts, host)
	}
	return s, true
}

// accepts tells whether requests for the host reach the server.
func (s Server) accepts(host string) bool {
	return slices.ContainsFunc(s.Hosts, func(pattern string) bool {
		if suffix, wild := strings.CutPrefix(pattern, "*"); wild {
			return strings.HasSuffix(host, suffix)
		}
		return strings.EqualFold(pattern, host)
	})
}

// inFront tells how a Service leads to a Gateway: surely (2), as far as its labels tell (1), not at all (0).
func inFront(g *Gateway, service *corev1.Service) int {
	if g == nil || len(g.Selector) == 0 {
		return 0
	}
	wanted := labels.SelectorFromSet(g.Selector)
	switch {
	case wanted.Matches(labels.Set(service.Spec.Selector)):
		return 2
	case wanted.Matches(labels.Set(service.Labels)):
		return 1
	}
	return 0
}

// FrontServices returns those of the Services that lead to the Gateway: those whose pods it selects, else those that carry
// its selector as labels, else, as when there is no Gateway, those that upstream would take.
func FrontServices(g *Gateway, services []*corev1.Service) []*corev1.Service {
	for _, wanted := range []int{2, 1} {
		var found []*corev1.Service
		for _, s := range services {
			if inFront(g, s) == wanted {
				found = append(found, s)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	var found []*corev1.Service
	for _, s := range services {
		if s.Labels[ingressLabel] == ingressValue {
			found = append(found, s)
		}
	}
	return found
}

// entry is where a load balancer is reached.
type entry struct{ ip, hostname string }

// frontDoor chooses the Service, and the entry of its load balancer, that URLs name: the first by namespace and name of
// those that have an address, the numerically first IP (IPv4 first), else the first host name. It
// returns the first Service when none has an address, nil when there is none.
func frontDoor(services []*corev1.Service) (*corev1.Service, entry) {
	ordered := slices.Clone(services)
	slices.SortFunc(ordered, func(a, b *corev1.Service) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	for _, s := range ordered {
		if e := firstEntry(s.Status.LoadBalancer.Ingress); e != (entry{}) {
			return s, e
		}
	}
	if len(ordered) == 0 {
		return nil, entry{}
	}
	return ordered[0], entry{}
}

func firstEntry(ingress []corev1.LoadBalancerIngress) entry {
	var ips []netip.Addr
	var hostnames []string
	for _, i := range ingress {
		if address, err := netip.ParseAddr(i.IP); err == nil {
			ips = append(ips, address)
		} else if i.Hostname != "" {
			hostnames = append(hostnames, i.Hostname)
		}
	}
	switch {
	case len(ips) > 0:
		return entry{ip: slices.MinFunc(ips, netip.Addr.Compare).String()}
	case len(hostnames) > 0:
		return entry{hostname: slices.Min(hostnames)}
	}
	return entry{}
}

// Standard ports, which URLs leave out.
const (
	portHTTP  int32 = 80
	portHTTPS int32 = 443
)

// origin is scheme and port of a URL.
type origin struct {
	tls  bool
	port int32
}

var standardOrigin = origin{tls: true, port: portHTTPS}

// suffix is scheme and port around a host.
func (o origin) base(host string) string {
	scheme, standard := "http", portHTTP
	if o.tls {
		scheme, standard = "https", portHTTPS
	}
	if address, err := netip.ParseAddr(host); err == nil && address.Is6() {
		host = "[" + host + "]"
	}
	if o.port == standard {
		return scheme + "://" + host
	}
	return scheme + "://" + host + ":" + strconv.Itoa(int(o.port))
}

// originOf chooses the server of the Gateway that requests for the host are sent to, and the Service's port that leads to
// it: HTTPS when the Service has a port for it, else HTTP. A server that redirects to HTTPS means HTTPS on its standard
// port, where TLS ends before the Service. Either may be nil.
func originOf(g *Gateway, service *corev1.Service, host string) origin {
	if g == nil || len(g.Servers) == 0 {
		return originOfPorts(service)
	}
	servers := slices.Clone(g.Servers)
	if apt := slices.DeleteFunc(servers, func(s Server) bool { return !s.accepts(host) }); len(apt) > 0 {
		servers = apt
	} else {
		servers = g.Servers
	}
	best, found := origin{}, false
	redirects := false
	for _, s := range servers {
		port, exposed := exposedPort(service, s)
		redirects = redirects || s.Redirect
		if !exposed || s.Redirect {
			continue
		}
		if o := (origin{tls: s.TLS, port: port}); !found || o.before(best) {
			best, found = o, true
		}
	}
	switch {
	case found:
		return best
	case redirects || slices.ContainsFunc(servers, func(s Server) bool { return s.TLS }):
		return standardOrigin
	}
	return origin{port: servers[0].Port}
}

// before prefers HTTPS, then the standard port, then the lowest.
func (o origin) before(p origin) bool {
	if o.tls != p.tls {
		return o.tls
	}
	standard := func(x origin) bool { return x.tls && x.port == portHTTPS || !x.tls && x.port == portHTTP }
	if standard(o) != standard(p) {
		return standard(o)
	}
	return o.port < p.port
}

// exposedPort finds the Service's port that leads to a server of the Gateway: the one of its number, else the one whose pods
// listen on it, else the one of its name. Without a Service the server's own number has to do.
func exposedPort(service *corev1.Service, s Server) (int32, bool) {
	if service == nil {
		return s.Port, true
	}
	for _, leads := range []func(corev1.ServicePort) bool{
		func(p corev1.ServicePort) bool { return p.Port == s.Port },
		func(p corev1.ServicePort) bool { return p.TargetPort == intstr.FromInt32(s.Port) },
		func(p corev1.ServicePort) bool {
			return p.Name != "" && (p.Name == s.Name || !s.TLS && plainHTTP(p.Name) || s.TLS && p.Name == "https")
		},
	} {
		if i := slices.IndexFunc(service.Spec.Ports, leads); i >= 0 {
			return service.Spec.Ports[i].Port, true
		}
	}
	return 0, false
}

func plainHTTP(name string) bool { return name == "http" || name == "http2" }

// originOfPorts is for want of a Gateway: as upstream, HTTPS on its standard port beside HTTP on its own; but a port that is
// called https is taken for it, and HTTP on another port for HTTP.
func originOfPorts(service *corev1.Service) origin {
	if service == nil {
		return standardOrigin
	}
	for _, p := range service.Spec.Ports {
		if p.Name == "https" {
			return origin{tls: true, port: p.Port}
		}
	}
	for _, p := range service.Spec.Ports {
		if plainHTTP(p.Name) && p.Port != portHTTP && p.Port != portHTTPS {
			return origin{port: p.Port}
		}
	}
	return standardOrigin
}
