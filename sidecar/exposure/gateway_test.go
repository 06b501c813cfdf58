package exposure

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"
)

func TestSchemeAndPortBelongTogether(t *testing.T) {
	const (
		redirect = `{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"], tls: {httpsRedirect: true}}`
		plain    = `{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}`
		https    = `{port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE}}`
		https8   = `{port: {number: 8443, name: https-alt, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE}}`
		api      = `{port: {number: 443, name: https, protocol: HTTPS}, hosts: ["other/*.api.example.com"], tls: {mode: SIMPLE}}`
		through  = `{port: {number: 443, name: tls, protocol: HTTPS}, hosts: ["*"], tls: {mode: PASSTHROUGH}}`
		tcp      = `{port: {number: 443, name: tcp, protocol: TCP}, hosts: ["*"]}`
	)
	target := func(name string, number, target int32) corev1.ServicePort {
		return corev1.ServicePort{Name: name, Port: number, TargetPort: intstr.FromInt32(target)}
	}
	for name, tc := range map[string]struct {
		servers []string // nil means that there is no Gateway
		ports   []corev1.ServicePort
		host    string
		want    string
	}{
		"HTTPS is preferred":                       {[]string{redirect, https}, []corev1.ServicePort{port("http2", 80), port("https", 443)}, "a", "https://a"},
		"HTTPS on another port":                    {[]string{plain, https}, []corev1.ServicePort{port("http2", 80), target("tls", 8443, 443)}, "a", "https://a:8443"},
		"HTTPS on another port, beside a redirect": {[]string{redirect, https8}, []corev1.ServicePort{port("http2", 80), port("y", 8443)}, "a", "https://a:8443"},
		"by the number of the port":                {[]string{plain, https8}, []corev1.ServicePort{port("x", 80), port("y", 8443)}, "a", "https://a:8443"},
		"by the name of the port":                  {[]string{https8}, []corev1.ServicePort{port("http2", 80), port("https", 9443)}, "a", "https://a:9443"},
		"the standard port of two":                 {[]string{https8, https}, []corev1.ServicePort{port("y", 8443), port("z", 443)}, "a", "https://a"},
		"HTTP only":                                {[]string{plain}, []corev1.ServicePort{port("http2", 80)}, "a", "http://a"},
		"HTTP only, on another port":               {[]string{plain}, []corev1.ServicePort{port("http2", 8080)}, "a", "http://a:8080"},
		"HTTPS that no port leads to":              {[]string{plain, https}, []corev1.ServicePort{port("http2", 8080)}, "a", "http://a:8080"},
		"a redirect means HTTPS":                   {[]string{redirect}, []corev1.ServicePort{port("http2", 80)}, "a", "https://a"},
		"no port leads anywhere":                   {[]string{plain}, []corev1.ServicePort{port("status", 15021)}, "a", "http://a"},
		"servers of other hosts don't count":       {[]string{plain, api}, []corev1.ServicePort{port("http2", 80), port("https", 443)}, "a", "http://a"},
		"the server of the host":                   {[]string{plain, api}, []corev1.ServicePort{port("http2", 80), port("https", 443)}, "x.api.example.com", "https://x.api.example.com"},
		"no server is for the host":                {[]string{api}, []corev1.ServicePort{port("https", 443)}, "a", "https://a"},
		"TLS that is passed through is no HTTPS":   {[]string{plain, through, tcp}, []corev1.ServicePort{port("http2", 80), port("tls", 443)}, "a", "http://a"},
		"no Gateway, as upstream":                  {nil, []corev1.ServicePort{port("http2", 80)}, "a", "https://a"},
		"no Gateway, HTTP elsewhere":               {nil, []corev1.ServicePort{port("http2", 8080)}, "a", "http://a:8080"},
		"no Gateway, HTTPS elsewhere":              {nil, []corev1.ServicePort{port("http2", 80), port("https", 8443)}, "a", "https://a:8443"},
		"no Gateway and no port of a known name":   {nil, []corev1.ServicePort{port("status", 15021)}, "a", "https://a"},
		"an IPv6 address is in brackets":           {nil, []corev1.ServicePort{port("https", 8443)}, "2001:db8::1", "https://[2001:db8::1]:8443"},
	} {
		t.Run(name, func(t *testing.T) {
			var g *Gateway
			if tc.servers != nil {
				text := "{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: g}, spec: {servers: ["
				for _, s := range tc.servers {
					text += s + ","
				}
				g = ReadGateway(object(t, text+"]}}"))
			}
			assert.Equal(t, tc.want, originOf(g, front("f", tc.ports), tc.host).base(tc.host))
		})
	}
}

// A URL never has a port of the Service that leads to a server of the other scheme.
func TestAURLNeverHasThePortOfAnotherScheme(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		numbers := rapid.SampledFrom([]int32{80, 443, 8080, 8443, 9090})
		g := &Gateway{Servers: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Server {
			tls := rapid.Bool().Draw(t, "tls")
			number := rapid.SampledFrom(map[bool][]int32{true: {443, 8443, 9090}, false: {80, 8080, 9090}}[tls]).Draw(t, "number")
			return Server{Port: number, TLS: tls, Hosts: []string{"*"},
				Name: map[bool]string{true: "https", false: "http"}[tls], Redirect: !tls && rapid.Bool().Draw(t, "redirect")}
		}), 1, 3).Draw(t, "servers")}
		byNumber := map[int32]bool{}
		for _, s := range g.Servers { // of one port all servers have one protocol
			if tls, known := byNumber[s.Port]; known && tls != s.TLS {
				t.Skip("no such Gateway")
			}
			byNumber[s.Port] = s.TLS
		}
		var ports []corev1.ServicePort
		for _, number := range rapid.SliceOfDistinct(numbers, func(n int32) int32 { return n }).Draw(t, "ports") {
			ports = append(ports, port(fmt.Sprintf("p%d", number), number))
		}
		o := originOf(g, front("f", ports), "a")
		if tls, known := byNumber[o.port]; known {
			assert.Equal(t, tls, o.tls, "%+v with %+v gives %+v", g.Servers, ports, o)
		}
		assert.True(t, o.tls || o.port != portHTTPS, "no HTTP on 443 that nobody asked for")
	})
}

func TestTheServicesInFrontOfAGateway(t *testing.T) {
	g := &Gateway{Selector: map[string]string{"istio": "mine", "app": "gw"}}
	service := func(name string, selector, labels map[string]string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Spec: corev1.ServiceSpec{Selector: selector}}
	}
	selecting := service("selecting", map[string]string{"istio": "mine", "app": "gw", "more": "x"}, nil)
	half := service("half", map[string]string{"istio": "mine"}, nil)
	labelled := service("labelled", map[string]string{"x": "y"}, map[string]string{"istio": "mine", "app": "gw"})
	upstream := service("upstream", nil, map[string]string{"istio": "ingressgateway"})
	names := func(services []*corev1.Service) (out []string) {
		for _, s := range services {
			out = append(out, s.Name)
		}
		return out
	}
	assert.Equal(t, []string{"selecting"}, names(FrontServices(g, []*corev1.Service{half, labelled, upstream, selecting})))
	assert.Equal(t, []string{"labelled"}, names(FrontServices(g, []*corev1.Service{half, labelled, upstream})))
	assert.Equal(t, []string{"upstream"}, names(FrontServices(g, []*corev1.Service{half, upstream})))
	assert.Equal(t, []string{"upstream"}, names(FrontServices(nil, []*corev1.Service{selecting, labelled, upstream})))
	assert.Empty(t, FrontServices(&Gateway{}, []*corev1.Service{selecting, half}))
}

func TestTheChoiceAmongAddressesDoesNotDependOnTheirOrder(t *testing.T) {
	ip := func(ip string) corev1.LoadBalancerIngress { return corev1.LoadBalancerIngress{IP: ip} }
	host := func(h string) corev1.LoadBalancerIngress { return corev1.LoadBalancerIngress{Hostname: h} }
	for _, tc := range []struct {
		ingress []corev1.LoadBalancerIngress
		want    entry
	}{
		{[]corev1.LoadBalancerIngress{ip("203.0.113.10"), ip("203.0.113.9")}, entry{ip: "203.0.113.9"}},
		{[]corev1.LoadBalancerIngress{ip("2001:db8::1"), ip("203.0.113.9")}, entry{ip: "203.0.113.9"}},
		{[]corev1.LoadBalancerIngress{host("a"), ip("2001:db8::1")}, entry{ip: "2001:db8::1"}},
		{[]corev1.LoadBalancerIngress{host("b"), host("a")}, entry{hostname: "a"}},
		{[]corev1.LoadBalancerIngress{{IP: "1.2.3.4", Hostname: "x"}}, entry{ip: "1.2.3.4"}},
		{[]corev1.LoadBalancerIngress{{}}, entry{}},
	} {
		rapid.Check(t, func(rt *rapid.T) {
			assert.Equal(rt, tc.want, firstEntry(rapid.Permutation(tc.ingress).Draw(rt, "ingress")))
		})
	}
	pending, first, second := front("a", nil), front("b", nil, ip("203.0.113.1")), front("c", nil, ip("203.0.113.2"))
	rapid.Check(t, func(rt *rapid.T) {
		s, e := frontDoor(rapid.Permutation([]*corev1.Service{pending, first, second}).Draw(rt, "services"))
		assert.Equal(rt, "b", s.Name)
		assert.Equal(rt, entry{ip: "203.0.113.1"}, e)
	})
}
