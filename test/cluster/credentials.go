package cluster

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/datapower-operator/datapower-operator/test/cluster/node"
	"github.com/datapower-operator/datapower-operator/test/cluster/pki"
)

// The administrator's user name, and the group that the API server grants everything.
const (
	adminUser    = "admin"
	groupMasters = "system:masters"
)

const (
	etcd              = "etcd"
	kubeAPIServer     = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	kubeScheduler     = "kube-scheduler"
	kwok              = "kwok"
	kubelet           = "kubelet"
	kubeProxy         = "kube-proxy"
	coreDNS           = "coredns"
	provisionerUser   = "volume-provisioner"
)

// componentUsers are the users that the components act as, with their groups. The API server's RBAC bootstrap knows the first two by
// name (https://kubernetes.io/docs/reference/access-authn-authz/rbac/#core-component-roles).
var componentUsers = []struct {
	component, user string
	groups          []string
}{
	{controllerManager, "system:kube-controller-manager", nil},
	{kubeScheduler, "system:kube-scheduler", nil},
	{kwok, kwok, []string{groupMasters}},
}

// nodeUsers are the users of a real node's programs. The first two have roles of their own in the RBAC bootstrap; the last reads
// Services and their endpoints.
var nodeUsers = []struct {
	component, user string
	groups          []string
}{
	{kubelet, "system:node:" + node.Name, []string{"system:nodes"}},
	{kubeProxy, "system:kube-proxy", nil},
	{coreDNS, coreDNS, []string{groupMasters}},
}

// credentials are the certificate authorities of a cluster. Three authorities, as kubeadm has them: a client certificate of the
// cluster opens neither etcd nor passes for the aggregation proxy.
type credentials struct {
	cluster    *pki.Authority
	etcd       *pki.Authority
	frontProxy *pki.Authority
	etcdClient pki.Pair
}

// newCredentials makes all certificates and keys and writes those that components read from files.
func newCredentials(l layout, now time.Time) (*credentials, error) {
	c := &credentials{}
	authorities := []struct {
		target           **pki.Authority
		file, commonName string
	}{
		{&c.cluster, "ca", "kubernetes"},
		{&c.etcd, "etcd-ca", "etcd-ca"},
		{&c.frontProxy, "front-proxy-ca", "front-proxy-ca"},
	}
	for _, a := range authorities {
		authority, err := pki.NewAuthority(a.commonName, now)
		if err != nil {
			return nil, err
		}
		if err := writePair(l, a.file, authority.Pair); err != nil {
			return nil, err
		}
		*a.target = authority
	}
	if err := c.writeServing(l, now); err != nil {
		return nil, err
	}
	if err := c.writeClients(l, now); err != nil {
		return nil, err
	}
	public, private, err := pki.SigningKeys()
	if err != nil {
		return nil, err
	}
	if err := writePair(l, "service-account", pki.Pair{Cert: public, Key: private}); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *credentials) writeServing(l layout, now time.Time) error {
	local := []net.IP{net.IPv4(127, 0, 0, 1)}
	serving := []struct {
		authority *pki.Authority
		name      string
		dnsNames  []string
		addresses []net.IP
	}{
		{c.etcd, etcd, []string{"localhost"}, local},
		{c.cluster, kubeAPIServer, []string{
			"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		}, append(local, net.ParseIP(apiServiceAddress), net.ParseIP(advertiseAddress))},
		{c.cluster, kubelet, []string{node.Name}, []net.IP{net.ParseIP(node.Address)}},
		{c.cluster, controllerManager, []string{"localhost"}, local},
		{c.cluster, kubeScheduler, []string{"localhost"}, local},
	}
	for _, s := range serving {
		pair, err := s.authority.Server(s.name, s.dnsNames, s.addresses, now)
		if err != nil {
			return err
		}
		if err := writePair(l, s.name, pair); err != nil {
			return err
		}
	}
	return nil
}

func (c *credentials) writeClients(l layout, now time.Time) error {
	etcdClient, err := c.etcd.Client(kubeAPIServer, nil, now)
	if err != nil {
		return err
	}
	c.etcdClient = etcdClient
	frontProxy, err := c.frontProxy.Client(frontProxyUser, nil, now)
	if err != nil {
		return err
	}
	kubeletClient, err := c.cluster.Client("kube-apiserver-kubelet-client", []string{groupMasters}, now)
	if err != nil {
		return err
	}
	return errors.Join(writePair(l, "etcd-client", etcdClient), writePair(l, "front-proxy-client", frontProxy),
		writePair(l, "kubelet-client", kubeletClient))
}

func writePair(l layout, name string, pair pki.Pair) error {
	if err := pair.Write(l.pki(name+".crt"), l.pki(name+".key")); err != nil {
		return fmt.Errorf("write certificate %s: %w", name, err)
	}
	return nil
}

// writeComponentKubeconfigs gives every component that talks to the API server its kubeconfig: those on this machine reach it at url,
// those of a real node at nodeURL.
func (c *credentials) writeComponentKubeconfigs(l layout, url, nodeURL string, now time.Time) error {
	for _, u := range componentUsers {
		if err := c.writeKubeconfig(l, u.component, url, u.user, u.groups, now); err != nil {
			return err
		}
	}
	for _, u := range nodeUsers {
		if err := c.writeKubeconfig(l, u.component, nodeURL, u.user, u.groups, now); err != nil {
			return err
		}
	}
	return nil
}

func (c *credentials) writeKubeconfig(l layout, component, url, user string, groups []string, now time.Time) error {
	data, err := c.kubeconfig(url, user, groups, now)
	if err != nil {
		return err
	}
	if err := os.WriteFile(l.componentKubeconfig(component), data, 0o600); err != nil {
		return fmt.Errorf("write the kubeconfig of %s: %w", component, err)
	}
	return nil
}

// kubeconfig renders a kubeconfig with embedded certificates for the user.
func (c *credentials) kubeconfig(url, user string, groups []string, now time.Time) ([]byte, error) {
	pair, err := c.cluster.Client(user, groups, now)
	if err != nil {
		return nil, err
	}
	const name = "datapower-local"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: url, CertificateAuthorityData: c.cluster.Cert}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{ClientCertificateData: pair.Cert, ClientKeyData: pair.Key}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: user, Namespace: "default"}
	config.CurrentContext = name
	data, err := clientcmd.Write(*config)
	if err != nil {
		return nil, fmt.Errorf("render the kubeconfig of %s: %w", user, err)
	}
	return data, nil
}

// restConfig makes a client configuration for the user. Client-side rate limits are set out of the way, as test clients are many and
// the API server has its own.
func (c *credentials) restConfig(url, user string, groups []string, now time.Time) (*rest.Config, error) {
	pair, err := c.cluster.Client(user, groups, now)
	if err != nil {
		return nil, err
	}
	return &rest.Config{
		Host:            url,
		TLSClientConfig: rest.TLSClientConfig{CAData: c.cluster.Cert, CertData: pair.Cert, KeyData: pair.Key},
		QPS:             1000,
		Burst:           2000,
	}, nil
}
