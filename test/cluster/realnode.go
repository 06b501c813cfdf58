package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/datapower-operator/datapower-operator/test/cluster/node"
)

const (
	egressFile = "egress.yaml"
	dnsPort    = 53
)

// egressConfig makes the API server reach kubelets, Services and pods through the real node's socket
// (https://kubernetes.io/docs/reference/config-api/apiserver-config.v1beta1/).
func egressConfig(socket string) []byte {
	return fmt.Appendf(nil, `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport: {uds: {udsName: %q}}
`, socket)
}

// nodeSettings are the settings of the real node; without one, only its directory matters.
func (c *Cluster) nodeSettings() node.Settings {
	settings := node.Settings{
		Dir: c.layout.node(), BinDir: c.options.BinDir,
		APIServer: net.JoinHostPort(loopback, strconv.Itoa(c.ports.api)), AdvertiseAddress: advertiseAddress,
		ClientCA: c.layout.pki("ca.crt"), ServingCert: c.layout.pki(kubelet + ".crt"), ServingKey: c.layout.pki(kubelet + ".key"),
		Kubeconfigs: map[string]string{},
	}
	for _, u := range nodeUsers {
		settings.Kubeconfigs[u.component] = c.layout.componentKubeconfig(u.component)
	}
	if c.options.RealNode != nil {
		for _, image := range c.options.RealNode.Images {
			if path, err := filepath.Abs(image); err == nil {
				image = path
			}
			settings.Images = append(settings.Images, image)
		}
	}
	return settings
}

// addDNS publishes the CoreDNS of the real node as the Service that pods ask.
func addDNS(ctx context.Context, client kubernetes.Interface) error {
	const name = "kube-dns"
	meta := metav1.ObjectMeta{Name: name, Namespace: metav1.NamespaceSystem, Labels: map[string]string{"k8s-app": name}}
	var ports []corev1.ServicePort
	var endpointPorts []discoveryv1.EndpointPort
	for portName, protocol := range map[string]corev1.Protocol{"dns": corev1.ProtocolUDP, "dns-tcp": corev1.ProtocolTCP} {
		ports = append(ports, corev1.ServicePort{Name: portName, Protocol: protocol, Port: dnsPort})
		endpointPorts = append(endpointPorts, discoveryv1.EndpointPort{Name: &portName, Protocol: &protocol, Port: ptr.To[int32](dnsPort)})
	}
	service := &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{ClusterIP: node.DNSAddress, Ports: ports}}
	if _, err := client.CoreV1().Services(meta.Namespace).Create(ctx, service, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create the Service %s: %w", name, errors.Join(err, context.Cause(ctx)))
	}
	meta.Labels = map[string]string{discoveryv1.LabelServiceName: name, discoveryv1.LabelManagedBy: "cluster.datapower.test"}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: meta, AddressType: discoveryv1.AddressTypeIPv4, Ports: endpointPorts,
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{node.Address}}},
	}
	if _, err := client.DiscoveryV1().EndpointSlices(meta.Namespace).Create(ctx, slice, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create the EndpointSlice %s: %w", name, errors.Join(err, context.Cause(ctx)))
	}
	return nil
}
